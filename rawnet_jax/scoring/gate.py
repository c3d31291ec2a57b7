"""Input that no score should be given for: silence, clipping, an offset, no speech.

A network answers whatever it is given, silence too, and as surely as speech. The gate looks first
and names what it saw. It knows no model.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from os import PathLike

import numpy as np
import soxr

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.errors import AudioError
from rawnet_jax.scoring import speech

FRAME_S = 0.02
"""Over which the level is measured."""

_AT_EXTREMES = 0.01  # of half the range: what clipping leaves there is not quite flat any more
# Of samples that are not finite, or huge, nothing is concluded, and NumPy has nothing to say.
_OF_ANY_SAMPLES = np.errstate(over="ignore", invalid="ignore")
_OF_AUDIO_ERROR = "not finite"  # `AudioError.reason` of what decoding itself refuses


class Reason(StrEnum):
    """Why input cannot be judged, in words."""

    NOT_FINITE = "not finite"
    TOO_SHORT = "too short"
    DIGITAL_SILENCE = "digital silence"
    NEAR_SILENCE = "near silence"
    DC_OFFSET = "DC offset"
    HEAVY_CLIPPING = "heavy clipping"
    WRONG_CHANNEL = "wrong channel"
    NO_SPEECH = "no speech"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a waveform cannot be judged.

    Attributes:
        reason: in words.
        value: what was measured.
        limit: the bound of `GateConfig` that it is beyond.
        detail: both in one sentence.
    """

    reason: Reason
    value: float
    limit: float
    detail: str

    def __str__(self) -> str:
        return f"cannot judge: {self.reason}: {self.detail}"


def gate_refusal(
    waveform: np.ndarray,
    config: GateConfig,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    channel: int | None = None,
) -> Refusal | None:
    """Look at a waveform before it is scored.

    Args:
        waveform: float [n] or [n, channels], full scale = 1. Of several channels the average is
            judged, after `ChannelMix` has looked at them.
        config: the bounds. Its `enabled` and `action` are the caller's business.
        sample_rate_hz: of the waveform.
        channel: take this one instead of the average; 1 = the first.

    Returns:
        The first of the reasons that applies, in the order of `Reason` but for a wrong channel,
        which comes before all but not being finite; None where the waveform can be judged.

    Raises:
        ConfigError: the detector of speech is not installed.
    """
    num_wrong = waveform.size - int(np.count_nonzero(np.isfinite(waveform)))
    if num_wrong:
        return _not_finite(num_wrong)
    if waveform.ndim == 1 and channel in (None, 1):
        return _judge_mono(waveform, config, sample_rate_hz)
    mix = ChannelMix(config, channel)
    mono = mix(waveform)
    return mix.refusal() or _judge_mono(mono, config, sample_rate_hz)


def read_gated(
    path: str | PathLike[str], audio: AudioConfig, gate: GateConfig, channel: int | None = None
) -> tuple[np.ndarray | None, Refusal | None]:
    """Decode a file and look at it.

    Args:
        path: the file.
        audio: bounds on what is decoded; of length and level the gate alone decides.
        gate: bounds on what is judged.
        channel: take this one instead of the average of all; 1 = the first.

    Returns:
        The waveform, float32 [num_samples] at 16 kHz, and None; or None and why it cannot be
        judged.

    Raises:
        AudioError: the file cannot be used, for example since it is not audio.
    """
    mix = ChannelMix(gate, channel)
    try:
        waveform = read_waveform(path, replace(audio, min_peak=0.0, min_duration_s=0.0), mix)
    except AudioError as error:
        if error.reason == _OF_AUDIO_ERROR:
            return None, _not_finite(1)
        raise
    refusal = mix.refusal() or gate_refusal(waveform, gate)
    return (None, refusal) if refusal is not None else (waveform, None)


class ChannelMix:
    """Makes one channel of several, block by block, and notices where that loses the recording.

    An object serves one recording. It is what `rawnet_jax.data.audio.waveform_blocks` takes as
    `mix`.
    """

    def __init__(self, config: GateConfig, channel: int | None = None) -> None:
        """Start a recording.

        Args:
            config: the bounds.
            channel: the channel that is taken, 1 = the first; None = the average of all.
        """
        self._config = config
        self._channel = channel
        self._num_samples = 0
        self._low = np.zeros(0)
        self._high = np.zeros(0)
        self._sums = np.zeros((2, 0))  # of samples and of squares, a column a channel; last the mix

    @_OF_ANY_SAMPLES
    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Return float [n] of a block [n] or [n, channels]."""
        columns = block[:, None] if block.ndim == 1 else block
        if not self._num_samples:
            self._low = np.full(columns.shape[1], np.inf)
            self._high = -self._low
            self._sums = np.zeros((2, columns.shape[1] + 1))
        mono: np.ndarray
        if self._channel is None:
            mono = columns.mean(axis=1, dtype=np.float32)
        else:  # of a channel that is not there, silence: the reason is given at the end
            there = 1 <= self._channel <= columns.shape[1]
            mono = columns[:, self._channel - 1] if there else np.zeros_like(columns[:, 0])
        if len(columns):
            self._measure(columns, mono)
        return mono

    @_OF_ANY_SAMPLES
    def refusal(self) -> Refusal | None:
        """Return why what came out is not the recording; None where it is."""
        num_channels = len(self._low)
        if not self._num_samples or (num_channels == 1 and self._channel in (None, 1)):
            return None
        limit = self._config.silence_dbfs
        level = _dbfs((self._high - self._low) / 2)
        empty = np.flatnonzero(level <= limit) + 1
        if self._channel is not None:
            if not 1 <= self._channel <= num_channels:
                what = f"there is no channel {self._channel}; the recording has {num_channels}"
                return _wrong_channel(self._channel, num_channels, what)
            if self._channel not in empty or len(empty) == num_channels:
                return None  # silence everywhere is no matter of channels
        elif not len(empty):
            return self._cancelled()
        elif len(empty) == num_channels:
            return None
        named = ", ".join(map(str, empty))
        what = f"channel {named} of {num_channels} is empty; name one that holds the recording"
        return _wrong_channel(float(level[empty - 1].max()), limit, what)

    def _measure(self, columns: np.ndarray, mono: np.ndarray) -> None:
        self._num_samples += len(columns)
        self._low = np.minimum(self._low, columns.min(axis=0))
        self._high = np.maximum(self._high, columns.max(axis=0))
        self._sums[0, :-1] += columns.sum(axis=0, dtype=np.float64)
        self._sums[0, -1] += mono.sum(dtype=np.float64)
        self._sums[1, :-1] += np.einsum("nc,nc->c", columns, columns, dtype=np.float64)
        self._sums[1, -1] += np.einsum("n,n->", mono, mono, dtype=np.float64)

    def _cancelled(self) -> Refusal | None:
        first, second = self._sums / self._num_samples
        power = second - first**2
        share, limit = float(power[-1] / power[:-1].mean()), self._config.min_mix_share
        if share >= limit:
            return None
        what = (
            f"the average of {len(power) - 1} channels has {share:.2g} of their power, below "
            f"{limit:g}: they cancel each other; name one"
        )
        return _wrong_channel(share, limit, what)


def _judge_mono(waveform: np.ndarray, config: GateConfig, sample_rate_hz: int) -> Refusal | None:
    duration_s = len(waveform) / sample_rate_hz
    if not len(waveform) or duration_s < config.min_duration_s:
        what = f"{duration_s:.4f} s; it must be {config.min_duration_s:g} s or more"
        return Refusal(Reason.TOO_SHORT, duration_s, config.min_duration_s, what)
    low, high = float(waveform.min()), float(waveform.max())
    if low == high == 0:
        return Refusal(Reason.DIGITAL_SILENCE, 0.0, 0.0, "every sample is 0")
    mean = float(waveform.mean(dtype=np.float64))
    power = float(np.einsum("n,n->", waveform, waveform, dtype=np.float64)) / len(waveform)
    dc_share = 1.0 if low == high else min(mean**2 / power, 1.0)
    if dc_share > config.max_dc_share:
        what = f"{dc_share:.4f} of the power is constant; the limit is {config.max_dc_share:g}"
        return Refusal(Reason.DC_OFFSET, dc_share, config.max_dc_share, what)
    active_s = _active_s(waveform, config.silence_dbfs, sample_rate_hz)
    if active_s < config.min_active_s:
        what = (
            f"{active_s:.2f} s above {config.silence_dbfs:g} dBFS; it must be "
            f"{config.min_active_s:g} s or more"
        )
        return Refusal(Reason.NEAR_SILENCE, active_s, config.min_active_s, what)
    margin = _AT_EXTREMES * (high - low) / 2
    at_extremes = (waveform >= high - margin) | (waveform <= low + margin)
    clipped_share = float(np.count_nonzero(at_extremes)) / len(waveform)
    if clipped_share > config.max_clipped_share:
        what = (
            f"{clipped_share:.3f} of the samples lie at the highest or lowest level; the limit is "
            f"{config.max_clipped_share:g}"
        )
        return Refusal(Reason.HEAVY_CLIPPING, clipped_share, config.max_clipped_share, what)
    return None if config.speech == speech.OFF else _no_speech(waveform, config, sample_rate_hz)


def _no_speech(waveform: np.ndarray, config: GateConfig, sample_rate_hz: int) -> Refusal | None:
    if sample_rate_hz != SAMPLE_RATE_HZ:
        waveform = soxr.resample(waveform, sample_rate_hz, SAMPLE_RATE_HZ)
    needed_s, found_s = speech.needed_s(len(waveform), config), speech.speech_s(waveform, config)
    if found_s >= needed_s:
        return None
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    what = f"{found_s:.2f} s of speech in {duration_s:.2f} s; it must be {needed_s:.2g} s or more"
    return Refusal(Reason.NO_SPEECH, found_s, needed_s, what)


def _active_s(waveform: np.ndarray, silence_dbfs: float, sample_rate_hz: int) -> float:
    """Return how long a waveform is louder than silence, in whole frames without their offset."""
    frame = min(max(1, round(FRAME_S * sample_rate_hz)), len(waveform))
    frames = waveform[: len(waveform) // frame * frame].reshape(-1, frame)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.einsum("kn,kn->k", frames, frames) / frame
    return float(np.count_nonzero(power > 10 ** (silence_dbfs / 10))) * frame / sample_rate_hz


def _dbfs(magnitude: np.ndarray) -> np.ndarray:
    """Return 20 log10 of [n]; 0 is -400 dB, so that it can be written down."""
    return 20 * np.log10(np.maximum(magnitude, 1e-20))


def _not_finite(num_wrong: int) -> Refusal:
    what = "it holds NaN or infinite samples"
    return Refusal(Reason.NOT_FINITE, float(num_wrong), 0.0, what)


def _wrong_channel(value: float, limit: float, what: str) -> Refusal:
    return Refusal(Reason.WRONG_CHANNEL, float(value), float(limit), what)
