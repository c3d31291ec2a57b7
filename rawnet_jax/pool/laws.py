"""What every piece of either class goes through: pauses, length, colour, band, noise, codec, level.

All numbers are drawn from one law by the name of the piece, which says nothing of its class.
"""

import hashlib
import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import soxr
from scipy.fft import irfft, next_fast_len, rfft

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import INT16_SCALE, to_int16
from rawnet_jax.data.codecs import CODECS, round_trip

LENGTH_S = (1.2, 3.2)
"""Range of the length of a piece."""

LEVEL_DBFS = (-32.0, -18.0)
"""Range of the RMS level of a piece, of full scale."""

NOISE_DB = (-60.0, -22.0)
"""Range of the level of added noise, of the speech."""

NOISE_TILT = (0.0, 1.0)
"""Range of the exponent of the noise's spectrum: power falls with frequency to this power."""

COLOUR_DB = 4.0
"""Standard deviation of the gain that is drawn at each of `COLOUR_HZ`: microphones and rooms."""

COLOUR_HZ = (125.0, 250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0)
"""Where these gains are drawn; between them the gain in dB is linear in the logarithm."""

BAND_SHARE = 0.5
"""Share of the other pieces that are cut to a narrower band."""

BAND_HZ = (4_000.0, 7_800.0)
"""Range of the upper end of that band."""

CODEC_SHARES = {"none": 0.2, "mp3": 0.5, "vorbis": 0.15, "opus": 0.15}
"""Share of pieces that go through each codec."""

CODEC_RATES = {"none": (0.0, 0.0), "mp3": (24.0, 96.0), "vorbis": (0.0, 7.0), "opus": (12.0, 64.0)}
"""Range of kb/s of mp3 and opus, and of vorbis's quality."""

MP3_SAMPLE_RATES_HZ = (16_000, 22_050, 24_000)
"""Sample rates at which pieces go through MP3."""

CLEAR_SHARE = 0.5
"""Share of pieces that keep their band, with little noise and codecs of high rates."""

CLEAR_NOISE_DB = (-80.0, -45.0)
"""Range of the level of noise added to those."""

CLEAR_RATES = {
    "none": (0.0, 0.0),
    "mp3": (64.0, 160.0),
    "vorbis": (5.0, 10.0),
    "opus": (40.0, 96.0),
}
"""Range of kb/s and quality of their codecs."""

TRIM_DB = (22.0, 38.0)
"""Range of how far below the loud parts a frame counts as a pause."""

MARGIN_S = (0.0, 0.08)
"""Range of what is left of a pause before and after the speech."""

PAUSE_S = (0.05, 0.15)
"""Range of the length that pauses inside are cut to."""

_FRAME = SAMPLE_RATE_HZ // 100
_MAX_PEAK = 0.95
_FADE = 64  # samples over which two sides of a cut overlap


@dataclass(frozen=True, slots=True)
class RecordingLaws:
    """Drawn once for a recording."""

    trim_db: float
    margin_s: float
    pause_s: float


@dataclass(frozen=True, slots=True)
class PieceLaws:
    """Drawn for each piece.

    Attributes:
        length_s: of the piece.
        colour_db: gains at `COLOUR_HZ`.
        band_hz: upper end of its band.
        noise_db: level of added noise, of the speech.
        noise_tilt: of its spectrum.
        codec: that it goes through; "none" = none.
        codec_rate: kb/s of mp3 and opus, quality of vorbis.
        codec_hz: sample rate at which it goes through the codec.
        level_dbfs: RMS level in the end.
    """

    length_s: float
    colour_db: tuple[float, ...]
    band_hz: float
    noise_db: float
    noise_tilt: float
    codec: str
    codec_rate: float
    codec_hz: int
    level_dbfs: float


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the source of all randomness of what has this name."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def draw_recording(rng: np.random.Generator) -> RecordingLaws:
    """Draw how a recording is trimmed."""
    return RecordingLaws(*(float(rng.uniform(*span)) for span in (TRIM_DB, MARGIN_S, PAUSE_S)))


def draw_piece(rng: np.random.Generator) -> PieceLaws:
    """Draw what a piece goes through. Every call takes as many numbers, so draws stay in step."""
    length_s = float(rng.uniform(*LENGTH_S))
    colour_db = COLOUR_DB * rng.standard_normal(len(COLOUR_HZ))
    narrow, band = rng.random() < BAND_SHARE, float(rng.uniform(*BAND_HZ))
    noise, tilt = rng.random(), float(rng.uniform(*NOISE_TILT))
    codec = str(rng.choice(list(CODEC_SHARES), p=list(CODEC_SHARES.values())))
    rate, sample_rate = rng.random(), int(rng.choice(MP3_SAMPLE_RATES_HZ))
    level_dbfs, is_clear = float(rng.uniform(*LEVEL_DBFS)), rng.random() < CLEAR_SHARE
    return PieceLaws(
        length_s=length_s,
        colour_db=tuple(round(float(gain), 3) for gain in colour_db),
        band_hz=band if narrow and not is_clear else SAMPLE_RATE_HZ / 2,
        noise_db=_within(CLEAR_NOISE_DB if is_clear else NOISE_DB, noise),
        noise_tilt=tilt,
        codec=codec,
        codec_rate=_within((CLEAR_RATES if is_clear else CODEC_RATES)[codec], rate),
        codec_hz=sample_rate if codec == "mp3" else SAMPLE_RATE_HZ,
        level_dbfs=level_dbfs,
    )


def _within(span: tuple[float, float], position: float) -> float:
    return span[0] + (span[1] - span[0]) * position


def frame_levels(waveform: np.ndarray) -> np.ndarray:
    """Return float64 [n]: the level of every 10 ms in dB of full scale, at least -120."""
    num = len(waveform) // _FRAME
    frames = np.asarray(waveform[: num * _FRAME], np.float64).reshape(num, _FRAME)
    return 10.0 * np.log10(np.mean(frames**2, axis=1) + 1e-12)


def trimmed(waveform: np.ndarray, laws: RecordingLaws) -> np.ndarray:
    """Cut pauses: at both ends to the margin, inside to the drawn length.

    Args:
        waveform: float [n], 16 kHz.
        laws: drawn.

    Returns:
        float [m], m <= n; empty where there is less than a frame.
    """
    level = frame_levels(waveform)
    if not len(level):
        return waveform[:0]
    loud, floor = np.percentile(level, (95, 5))
    # A noisy recording has no frame that far below its loud ones: its pauses lie near its floor.
    gate = max(loud - laws.trim_db, min(floor + 6.0, loud - 12.0))
    speech = np.flatnonzero(level >= gate)
    pieces = []
    margin, pause = round(100 * laws.margin_s), round(100 * laws.pause_s)
    start = max(0, speech[0] - margin)
    for before, after in pairwise(speech):
        if after - before - 1 > pause:
            cut = before + 1 + pause // 2
            pieces.append(waveform[start * _FRAME : cut * _FRAME])
            start = after - (pause - pause // 2)
    end = min(len(level), speech[-1] + 1 + margin)
    pieces.append(waveform[start * _FRAME : end * _FRAME])
    return joined(pieces)


def joined(pieces: list[np.ndarray]) -> np.ndarray:
    """Return pieces one after the other, each cut faded over 4 ms: float [n]."""
    parts = [pieces[0]]
    for piece in pieces[1:]:
        before = parts.pop()
        num = min(_FADE, len(before), len(piece))
        ramp = (np.arange(num) + 0.5) / max(num, 1)
        seam = before[len(before) - num :] * (1 - ramp) + piece[:num] * ramp
        parts += [before[: len(before) - num], np.concatenate((seam, piece[num:]))]
    return np.concatenate(parts)


def levelled(waveform: np.ndarray) -> np.ndarray:
    """Return a piece at -26 dB of full scale RMS, less where its peak would be clipped.

    Args:
        waveform: float [n], n >= 1; not silent.

    Returns:
        int16 [n].
    """
    signal = np.asarray(waveform, np.float64)
    signal = signal - signal.mean()
    signal = signal * 10 ** (-26 / 20) / max(_rms(signal), 1e-9)
    signal = signal * min(1.0, _MAX_PEAK / max(float(np.abs(signal).max()), 1e-9))
    return to_int16(signal.astype(np.float32))[0]


def dressed(waveform: np.ndarray, laws: PieceLaws, rng: np.random.Generator) -> np.ndarray:
    """Take a piece through band, noise, codec and level.

    Args:
        waveform: float [n], 16 kHz, n >= 1; not silent.
        laws: drawn.
        rng: of noise and dither.

    Returns:
        int16 [n].
    """
    signal = np.asarray(waveform, np.float64)
    signal = _coloured(signal - signal.mean(), laws.colour_db)
    signal = _narrowed(signal, laws.band_hz)
    signal = signal * 10 ** (-26 / 20) / max(_rms(signal), 1e-9)
    noise = _noise(len(signal), laws.noise_tilt, rng)
    signal = signal + noise * _rms(signal) * 10 ** (laws.noise_db / 20)
    signal = signal * min(1.0, _MAX_PEAK / max(float(np.abs(signal).max()), 1e-9))
    signal = _coded(signal, laws)
    gain = 10 ** (laws.level_dbfs / 20) / max(_rms(signal), 1e-9)
    signal = signal * min(gain, _MAX_PEAK / max(float(np.abs(signal).max()), 1e-9))
    dither = rng.random(len(signal)) - rng.random(len(signal))
    return to_int16(signal + dither / INT16_SCALE)[0]


def _rms(signal: np.ndarray) -> float:
    return math.sqrt(float(np.mean(signal**2)))


def _coloured(signal: np.ndarray, gains_db: tuple[float, ...]) -> np.ndarray:
    """Apply a smooth frequency response, of zero phase."""
    size = next_fast_len(len(signal), real=True)
    spectrum = rfft(signal, size)
    frequency = np.arange(len(spectrum)) * (SAMPLE_RATE_HZ / size)
    octave = np.log2(np.maximum(frequency, COLOUR_HZ[0]))
    gain_db = np.interp(octave, np.log2(COLOUR_HZ), gains_db)
    return np.asarray(irfft(spectrum * 10 ** (gain_db / 20), size)[: len(signal)])


def _narrowed(signal: np.ndarray, band_hz: float) -> np.ndarray:
    """Cut to a band by way of a lower sample rate, as narrow recordings come about."""
    if band_hz >= SAMPLE_RATE_HZ / 2:
        return signal
    low = soxr.resample(signal, SAMPLE_RATE_HZ, 2 * band_hz)
    return _of_length(soxr.resample(low, 2 * band_hz, SAMPLE_RATE_HZ), len(signal))


def _noise(num: int, tilt: float, rng: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise of RMS 1 whose power falls with frequency to the power of `tilt`."""
    size = next_fast_len(num, real=True)
    spectrum = rfft(rng.standard_normal(size))
    bins = np.arange(len(spectrum), dtype=np.float64)
    corner = max(1.0, 100.0 * size / SAMPLE_RATE_HZ)  # flat below 100 Hz
    shaped = irfft(spectrum * np.maximum(bins / corner, 1.0) ** (-tilt / 2), size)[:num]
    return np.asarray(shaped / max(_rms(shaped), 1e-9))


def _coded(signal: np.ndarray, laws: PieceLaws) -> np.ndarray:
    if laws.codec not in CODECS:
        return signal
    rate = laws.codec_hz
    inside = soxr.resample(signal, SAMPLE_RATE_HZ, rate) if rate != SAMPLE_RATE_HZ else signal
    heard = round_trip(laws.codec, inside.astype(np.float32), laws.codec_rate, rate)
    outside = heard.astype(np.float64)
    if rate != SAMPLE_RATE_HZ:
        outside = soxr.resample(outside, rate, SAMPLE_RATE_HZ)
    return _of_length(outside, len(signal))


def _of_length(signal: np.ndarray, num: int) -> np.ndarray:
    return np.pad(signal, (0, max(0, num - len(signal))))[:num]
