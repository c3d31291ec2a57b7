"""Which parts of a recording are fake: segments in lists, and PartialSpoof's label files."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.data.label_arrays import read_label_arrays
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label, label_of_own_key

SEGMENTS = "segments"
"""Column of a list, and name of the metadata, that holds segments."""

_SEGMENT = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)-([A-Za-z][A-Za-z_-]*)$")
_SHORT = {"t": Label.BONAFIDE, "f": Label.SPOOF}


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one class.

    Attributes:
        start_s: where it begins, in seconds.
        end_s: where it ends; above `start_s`.
        label: of all of it.
    """

    start_s: float
    end_s: float
    label: Label


def segments_of(text: str) -> tuple[Segment, ...]:
    """Read segments, ``start-end-key`` in seconds, separated by blanks, commas, ``;`` or ``/``.

    A key is a word for bona fide or spoof, or T (true) or F (fake); in any case.

    Raises:
        DataError: one has another form, ends before it begins, or begins before the last one ends.
    """
    found: list[Segment] = []
    for word in re.split(r"[\s,;/]+", text.strip()):
        if not word:
            continue
        match = _SEGMENT.match(word)
        label = None
        if match:
            label = _SHORT.get(match[3].lower(), label_of_own_key(match[3]))
        if match is None or label is None:
            raise DataError(f"segment {word!r}; it must be start-end-key, such as 0.5-1.2-spoof")
        start_s, end_s = float(match[1]), float(match[2])
        if end_s <= start_s:
            raise DataError(f"segment {word!r} ends before it begins")
        if found and start_s < found[-1].end_s - 1e-6:
            raise DataError(f"segment {word!r} begins before the last one ends")
        found.append(Segment(start_s, end_s, label))
    return tuple(found)


def text_of(segments: Sequence[Segment]) -> str:
    """Write segments as `segments_of` reads them."""
    return " ".join(f"{s.start_s:.10g}-{s.end_s:.10g}-{s.label.key}" for s in segments)


def frames_to_segments(labels: np.ndarray, frame_s: float) -> tuple[Segment, ...]:
    """Join frames of one class to segments.

    Args:
        labels: int [N], values of `Label`, one a frame.
        frame_s: length of a frame in seconds.
    """
    if not len(labels):
        return ()
    bounds = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return tuple(
        Segment(round(begin * frame_s, 9), round(end * frame_s, 9), Label(int(labels[begin])))
        for begin, end in itertools.pairwise(bounds)
    )


def segments_to_frames(
    segments: Sequence[Segment], frame_s: float, duration_s: float
) -> np.ndarray:
    """Return int8 [N] of `Label`, N = ceil(duration / frame): a frame with any fake in it is spoof.

    Where no segment says anything, a frame is bona fide. This is how PartialSpoof makes the labels
    of a coarse resolution from those of a fine one (Zhang et al., "The PartialSpoof database and
    countermeasures …", IEEE/ACM TASLP 31, 2023).

    Args:
        segments: in order.
        frame_s: length of a frame in seconds.
        duration_s: of the recording.
    """
    count = max(1, math.ceil(duration_s / frame_s - 1e-6))
    labels = np.full(count, Label.BONAFIDE, np.int8)
    for segment in segments:
        if segment.label == Label.SPOOF:
            first = math.floor(segment.start_s / frame_s + 1e-6)
            last = math.ceil(segment.end_s / frame_s - 1e-6)
            labels[first : min(last, count)] = Label.SPOOF
    return labels


def read_seglab(path: str | Path, frame_s: float) -> dict[str, tuple[Segment, ...]]:
    """Read a file of segment labels of PartialSpoof, ``train_seglab_0.02.npy``: 1 = bona fide.

    Args:
        path: the file, a pickled dictionary from utterances to arrays of 0 and 1.
        frame_s: length of a frame in seconds, the number in the name.

    Raises:
        DataError: it cannot be read, holds anything else, or a label is neither 0 nor 1.
    """
    found: dict[str, tuple[Segment, ...]] = {}
    for name, array in read_label_arrays(path).items():
        try:
            labels = array.astype(np.int8)
            good = labels.ndim == 1 and bool(np.isin(labels, (0, 1)).all())
        except (ValueError, TypeError):
            good = False
        if not good:
            raise DataError(f"{path}: labels of {name!r} are not all 0 or 1")
        found[name] = frames_to_segments(labels, frame_s)
    return found
