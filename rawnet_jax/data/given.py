"""Recordings as Python gives them: a path, bytes, a file object, an array with its rate."""

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from rawnet_jax.data.audio import Encoded, Samples, Source
from rawnet_jax.errors import AudioError

Recording = str | os.PathLike[str] | bytes | IO[bytes] | tuple[np.ndarray, int]
"""A path, the bytes of an audio file, a binary file object, or (array, rate in Hz)."""

Recordings = Sequence[Recording] | Mapping[str, Sequence[Recording]]
"""A list of recordings, or lists by speaker or system."""

_CURE_OF_INTEGERS = "divide by full scale first: samples.astype(np.float32) / {scale}"


def source_of(recording: Recording) -> Source:
    """Return a recording in the form that is decoded.

    Raises:
        AudioError: an array that cannot be audio; the error says the cure.
        TypeError: nothing that can be scored.
    """
    if isinstance(recording, bytes | bytearray):
        return Encoded(bytes(recording))
    if isinstance(recording, str | os.PathLike):
        return os.fspath(recording)
    read: Any = getattr(recording, "read", None)
    if read is not None:
        content = read()
        if not isinstance(content, bytes):
            raise TypeError("a file object must be binary: open(path, 'rb')")
        return Encoded(content, str(getattr(recording, "name", "file object")))
    if isinstance(recording, np.ndarray):
        raise TypeError("an array needs its sample rate: score((samples, 16_000))")
    if isinstance(recording, tuple) and len(recording) == 2:
        return _samples_of(*recording)
    raise TypeError(
        f"{type(recording).__name__}: must be a path, bytes, a binary file object or (array, rate)"
    )


def _samples_of(array: Any, rate: Any) -> Samples:
    samples = np.asarray(array)
    name = "array"
    if isinstance(rate, np.ndarray) or int(rate) != rate:
        raise TypeError(f"(array, rate): the rate must be whole Hz, not {type(rate).__name__}")
    if samples.dtype.kind in "iu":
        scale = 2 ** (8 * samples.dtype.itemsize - 1)
        cure = _CURE_OF_INTEGERS.format(scale=scale)
        raise AudioError(name, "not samples", f"{samples.dtype}: full scale must be 1; {cure}")
    if samples.dtype.kind != "f":
        raise AudioError(name, "not samples", f"{samples.dtype}: must be float, full scale = 1")
    if samples.ndim not in (1, 2) or 0 in samples.shape:
        what = f"shape {list(samples.shape)}: must be [n] or [n, channels], n >= 1"
        raise AudioError(name, "not samples", what)
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        what = f"shape {list(samples.shape)}: must be [n, channels]; transpose it (array.T)"
        raise AudioError(name, "not samples", what)
    if not np.isfinite(samples).all():
        what = "it holds NaN or infinite samples; np.nan_to_num removes them"
        raise AudioError(name, "not finite", what)
    if np.abs(samples).max() > 128:
        what = f"a sample is {np.abs(samples).max():.6g}; full scale must be 1"
        raise AudioError(name, "too loud", f"{what}; divide 16-bit values by 32768")
    return Samples(samples.astype(np.float32, copy=False), int(rate), name)
