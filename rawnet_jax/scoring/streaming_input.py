"""Audio that comes in pieces, as one channel at 16 kHz."""

from collections.abc import Iterator

import numpy as np
import soxr

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.full_scale import FullScale
from rawnet_jax.errors import AudioError, ConfigError
from rawnet_jax.scoring.gate import ChannelMix, Refusal

_STREAM = "stream"  # what errors call the recording
_BLOCKS_PER_S = 100
"""Several channels are mixed in blocks of that many to the second, whatever pieces they come in:
what the mix has seen when a window ends must not depend on the pieces."""


class StreamInput:
    """Mixes and resamples one stream. What comes out does not depend on the pieces."""

    def __init__(self, sample_rate_hz: int, gate: GateConfig, channel: int | None) -> None:
        """Begin a stream.

        Args:
            sample_rate_hz: of what is pushed; other rates than 16 kHz are resampled (soxr, "HQ").
            gate: bounds of what the mix takes for an empty channel.
            channel: take this one instead of the average of all; 1 = the first.

        Raises:
            ConfigError: a number makes no sense.
        """
        if sample_rate_hz < 1:
            raise ConfigError(f"sample rate {sample_rate_hz} Hz: it must be 1 or more")
        if channel is not None and channel < 1:
            raise ConfigError(f"channel {channel}: the first one is 1")
        self._channel = channel
        self._limited = FullScale(_STREAM)
        self._mix = ChannelMix(gate, channel)
        self._block = max(1, sample_rate_hz // _BLOCKS_PER_S)
        self._held: np.ndarray | None = None  # [n, channels], less than a block
        self._resampler = None
        if sample_rate_hz != SAMPLE_RATE_HZ:
            self._resampler = soxr.ResampleStream(
                sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ"
            )

    def push(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Take the next samples, float or int16 [n] or [n, channels].

        Yields:
            float32 [n] at 16 kHz.

        Raises:
            AudioError: the samples are of another type or shape.
        """
        columns = _columns(samples)
        if self._held is None:
            self._held = columns[:0].copy()
        if columns.shape[1] != self._held.shape[1]:
            what = f"{columns.shape[1]} after {self._held.shape[1]}"
            raise AudioError(_STREAM, "another number of channels", what)
        if columns.shape[1] == 1 and self._channel in (None, 1):
            yield self._resampled(columns[:, 0])
            return
        columns = np.concatenate((self._held, columns))
        num_whole = len(columns) // self._block * self._block
        self._held = columns[num_whole:].copy()
        for start in range(0, num_whole, self._block):
            yield self._resampled(self._mixed(columns[start : start + self._block]))

    def finish(self) -> Iterator[np.ndarray]:
        """End the stream.

        Yields:
            What was held back, float32 [n] at 16 kHz.
        """
        if self._held is not None and len(self._held):
            yield self._resampled(self._mixed(self._held))
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.empty(0, np.float32), last=True)
            yield self._limited(rest)
        self._limited.finish()

    def refusal(self) -> Refusal | None:
        """Return why what came out so far is not the recording; None where it is."""
        return self._mix.refusal()

    def _mixed(self, columns: np.ndarray) -> np.ndarray:
        """Return float32 [n], NaN where a channel is not finite."""
        finite = np.isfinite(columns)
        if finite.all():
            return self._mix(columns)
        # What is measured of the whole stream must survive a bad sample.
        mono = self._mix(np.where(finite, columns, np.float32(0)))
        return np.where(finite.all(axis=1), mono, np.float32(np.nan))

    def _resampled(self, mono: np.ndarray) -> np.ndarray:
        if self._resampler is None:
            return self._limited(mono)
        return self._limited(self._resampler.resample_chunk(np.ascontiguousarray(mono)))


def _columns(samples: np.ndarray) -> np.ndarray:
    """Return float32 [n, channels].

    Raises:
        AudioError: the samples are of another type or shape.
    """
    samples = np.asarray(samples)
    if samples.dtype == np.int16:
        samples = from_int16(samples)
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or 0 in samples.shape[1:]:
        what = f"{samples.dtype} of shape {list(samples.shape)}"
        form = "it must be float or int16, [n] or [n, channels]"
        raise AudioError(_STREAM, "not samples", f"{what}; {form}")
    samples = samples.astype(np.float32, copy=False)
    return samples[:, None] if samples.ndim == 1 else samples
