"""What a machine could tell the classes by without hearing the speech: level, pauses, band, codec.

All of it is measured on a waveform at 16 kHz; nothing here knows a label.
"""

import numpy as np
from scipy.signal import stft

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.pool.laws import frame_levels

FEATURES = (
    "duration_s",
    "level_dbfs",
    "crest_db",
    "silence_share",
    "edge_pause_s",
    "noise_floor_db",
    "bandwidth_hz",
    "high_band_db",
    "tilt_db",
    "codec_holes",
)
"""Names of what `measured` returns."""

MEANINGS = {
    "duration_s": "length",
    "level_dbfs": "RMS level, of full scale",
    "crest_db": "peak over RMS",
    "silence_share": "share of 10 ms frames 35 dB or more below the loud ones",
    "edge_pause_s": "such frames before and after the speech",
    "noise_floor_db": "the quietest frames (5 %), of the loud ones (95 %)",
    "bandwidth_hz": "highest frequency within 50 dB of the strongest",
    "high_band_db": "6.5 to 7.8 kHz against 1 to 4 kHz",
    "tilt_db": "2 to 6 kHz against 0.2 to 1 kHz",
    "codec_holes": "share of points from 2 to 6 kHz that lie 30 dB or more below their frame",
}
"""What each is, for tables."""

_WINDOW = 512
_FLOOR = 1e-12


def measured(waveform: np.ndarray) -> dict[str, float]:
    """Measure `FEATURES`.

    Args:
        waveform: float [n], 16 kHz, full scale = 1.

    Returns:
        Finite numbers by name; of less than 32 ms, zeros but for the duration.
    """
    signal = np.asarray(waveform, np.float64)
    values = dict.fromkeys(FEATURES, 0.0)
    values["duration_s"] = len(signal) / SAMPLE_RATE_HZ
    if len(signal) < _WINDOW:
        return values
    rms = np.sqrt(np.mean(signal**2))
    values["level_dbfs"] = _db(rms**2)
    values["crest_db"] = _db(np.max(np.abs(signal)) ** 2) - _db(rms**2)
    values |= _of_frames(frame_levels(signal))
    values |= _of_spectrum(signal)
    return {name: round(float(value), 5) for name, value in values.items()}


def _of_frames(level: np.ndarray) -> dict[str, float]:
    loud, floor = np.percentile(level, (95, 5))
    quiet = level < loud - 35.0
    sounding = np.flatnonzero(~quiet)
    edges = sounding[0] + len(level) - 1 - sounding[-1]
    return {
        "silence_share": float(quiet.mean()),
        "edge_pause_s": edges / 100.0,
        "noise_floor_db": max(float(floor - loud), -90.0),
    }


def _of_spectrum(signal: np.ndarray) -> dict[str, float]:
    frequency, _, spectrum = stft(
        signal, SAMPLE_RATE_HZ, nperseg=_WINDOW, boundary=None, padded=False
    )
    power = np.abs(spectrum) ** 2 + _FLOOR * 1e-3  # [bins, frames]
    mean = power.mean(axis=1)

    def band(low_hz: float, high_hz: float) -> float:
        inside = (frequency >= low_hz) & (frequency < high_hz)
        return _db(mean[inside].mean())

    inside = (frequency >= 2_000) & (frequency < 6_000)
    total = power.mean(axis=0)
    part = power[np.ix_(inside, total >= 1e-3 * total.max())]  # frames that sound
    holes = part < 1e-3 * part.mean(axis=0)
    return {
        "bandwidth_hz": float(frequency[np.flatnonzero(mean >= 1e-5 * mean.max())[-1]]),
        "high_band_db": band(6_500, 7_800) - band(1_000, 4_000),
        "tilt_db": band(2_000, 6_000) - band(200, 1_000),
        "codec_holes": float(holes.mean()),
    }


def _db(power: float) -> float:
    return float(10.0 * np.log10(power + _FLOOR))
