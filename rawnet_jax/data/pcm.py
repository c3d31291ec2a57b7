"""Samples as bytes: PCM, floating point, and the companded bytes of telephony (ITU-T G.711)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rawnet_jax.errors import ConfigError

_TYPES = {
    **{"s16le": "<i2", "f32le": "<f4", "u8": "u1", "mulaw": "u1", "alaw": "u1", "s24le": "<i3"},
    **{"s32le": "<i4", "f64le": "<f8", "s8": "i1", "s16be": ">i2", "s24be": ">i3", "s32be": ">i4"},
    **{"f32be": ">f4", "f64be": ">f8"},
}

ENCODINGS = tuple(_TYPES)
"""Signed, float or unsigned; bits; little- or big-endian. µ-law and A-law. As ffmpeg calls them."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How samples are written down.

    Attributes:
        encoding: one of `ENCODINGS`.
        sample_rate_hz: frames per second.
        num_channels: samples in a frame.
    """

    encoding: str
    sample_rate_hz: int
    num_channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.num_channels * int(_TYPES[self.encoding][-1])


def raw_format(
    encoding: str | None, sample_rate_hz: int | None, num_channels: int | None
) -> PcmFormat | None:
    """Return the format that flags describe; None = look for a header.

    Raises:
        ConfigError: rate or channels without an encoding, or an encoding without a rate.
    """
    if encoding is None:
        if sample_rate_hz is not None or num_channels is not None:
            raise ConfigError("--rate and --channels describe raw samples: give --format too")
        return None
    if sample_rate_hz is None:
        raise ConfigError(f"--format {encoding} has no header: give --rate too")
    return PcmFormat(encoding, sample_rate_hz, 1 if num_channels is None else num_channels)


def decoded(data: bytes, form: PcmFormat) -> np.ndarray:
    """Return the samples of whole frames as libsndfile decodes them.

    Returns:
        float32 [n, channels], full scale = 1.
    """
    if form.encoding in _TABLES:
        samples = _TABLES[form.encoding][np.frombuffer(data, np.uint8)]
    else:
        samples = _linear(data, _TYPES[form.encoding])
    return samples.reshape(-1, form.num_channels)


def _linear(data: bytes, kind: str) -> np.ndarray:
    if kind.endswith("i3"):
        wide = np.zeros((len(data) // 3, 4), np.uint8)  # the lowest byte stays 0
        place = slice(1, 4) if kind[0] == "<" else slice(0, 3)
        wide[:, place] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = wide.reshape(-1).view(f"{kind[0]}i4")
    else:
        values = np.frombuffer(data, kind)
    if values.dtype.kind == "i":
        full_scale = 2.0 ** (8 * values.dtype.itemsize - 1)
        return (values * (1 / full_scale)).astype(np.float32)
    # Beyond float32 is infinite; what is not finite is noticed later.
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def _mulaw(codes: np.ndarray) -> np.ndarray:
    """Return the 16-bit values of µ-law codes: 14 bits, of which the lowest two are 0."""
    codes = ~codes & 0xFF
    size = (((codes & 0x0F) << 3) + 0x84 << (codes >> 4 & 7)) - 0x84
    return np.where(codes & 0x80, -size, size)


def _alaw(codes: np.ndarray) -> np.ndarray:
    """Return the 16-bit values of A-law codes: 13 bits, of which the lowest three are 0."""
    codes = codes ^ 0x55
    exponent, fine = codes >> 4 & 7, ((codes & 0x0F) << 4) + 8
    size = np.where(exponent, fine + 0x100 << np.maximum(exponent - 1, 0), fine)
    return np.where(codes & 0x80, size, -size)


def _table(of_codes: Callable[[np.ndarray], np.ndarray], full_scale: float) -> np.ndarray:
    return (of_codes(np.arange(256)) / full_scale).astype(np.float32)


# What a byte stands for.
_TABLES = {
    "u8": _table(lambda codes: codes - 128, 128.0),
    "mulaw": _table(_mulaw, 32_768.0),
    "alaw": _table(_alaw, 32_768.0),
}
