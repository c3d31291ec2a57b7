"""Who speaks in a folder of recordings, and which partition each speaker goes to."""

import math
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from rawnet_jax.data.audio_index import audio_files
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.data.protocols import AUDIO_EXTENSIONS
from rawnet_jax.errors import DataError


def checked_source(source_dir: str | PathLike[str], output_dir: str | PathLike[str]) -> Path:
    """Return the folder of recordings.

    Raises:
        DataError: what is written would lie in it, or take its place.
    """
    source, output = Path(source_dir).resolve(), Path(output_dir).resolve()
    if output == source or source in output.parents:
        raise DataError(f"{output}: lies in the source folder {source}; name another place")
    if output in source.parents:
        raise DataError(f"{output}: holds the source folder {source}; name another place")
    return source


def recordings_in(root: Path) -> list[Path]:
    """Return all recordings below a folder, sorted.

    Raises:
        DataError: it is not a folder, or holds none.
    """
    if not root.is_dir():
        raise DataError(f"{root}: is not a folder; it must be a folder of recordings")
    files = sorted(root / name for name in audio_files(root, recursive=True))
    if not files:
        raise DataError(f"{root}: holds no audio file ({', '.join(AUDIO_EXTENSIONS)})")
    return files


def speakers_of(root: Path, pattern: str | None) -> dict[Path, tuple[str, str]]:
    """Return speaker and phrase of every recording below a folder.

    Args:
        root: the folder.
        pattern: regular expression, searched in paths below it, with a group ``speaker`` and
            perhaps one ``phrase``; None = the first sub-folder is the speaker.

    Raises:
        DataError: the pattern is wrong, or a recording has no speaker.
    """
    try:
        expression = re.compile(pattern) if pattern is not None else None
    except re.error as error:
        raise DataError(
            f"speaker pattern {pattern!r} is not a regular expression: {error}"
        ) from None
    if expression is not None and "speaker" not in expression.groupindex:
        raise DataError(f"speaker pattern {pattern!r} has no group (?P<speaker>…)")
    return {path: _speaker(path, root, expression) for path in recordings_in(root)}


def _speaker(path: Path, root: Path, expression: re.Pattern[str] | None) -> tuple[str, str]:
    relative = path.relative_to(root)
    if expression is None:
        if len(relative.parts) < 2:
            raise DataError(
                f"{path}: no speaker is known for it; put recordings into one folder per speaker,"
                " or give a speaker pattern such as '(?P<speaker>[^_]+)_.*'"
            )
        return _column(relative.parts[0]), "-"
    match = expression.search(relative.as_posix())
    if match is None or not match["speaker"]:
        raise DataError(f"{path}: speaker pattern {expression.pattern!r} finds no speaker in it")
    return _column(match["speaker"]), _column(match.groupdict().get("phrase") or "-")


def _column(text: str) -> str:
    """A protocol's columns are separated by blanks and hold none."""
    return re.sub(r"\s+", "_", text.strip()) or "-"


def partition_speakers(
    speakers: Sequence[str], shares: tuple[float, float, float], seed: int
) -> dict[str, str]:
    """Return the partition of each speaker.

    Args:
        speakers: their names.
        shares: of train, dev and eval; a share of 0 leaves the partition out, every other one gets
            at least one speaker.
        seed: who goes where.

    Raises:
        DataError: the shares are impossible, or there are fewer speakers than partitions.
    """
    if min(shares) < 0.0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        raise DataError(f"partition_shares are {shares}; must be three numbers >= 0 with sum 1")
    used = [index for index, share in enumerate(shares) if share > 0.0]
    if len(speakers) < len(used):
        raise DataError(
            f"{len(speakers)} speaker(s) found ({', '.join(speakers)}); there must be"
            f" {len(used)} or more, so that none is in two partitions"
        )
    # One each first, then each further speaker to the partition that lacks most of its share.
    counts = np.zeros(len(shares))
    counts[used] = 1
    for _ in range(len(speakers) - len(used)):
        counts[np.argmax(np.array(shares) * len(speakers) - counts)] += 1
    shuffled = np.random.default_rng((seed, 0)).permutation(np.array(speakers, dtype=object))
    labels = np.repeat(PARTITIONS, counts.astype(int))
    return {str(speaker): str(label) for speaker, label in zip(shuffled, labels, strict=True)}
