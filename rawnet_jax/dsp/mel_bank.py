"""Triangular mel filters, designed in float64 on the host."""

import functools

import numpy as np

from rawnet_jax.dsp.filters import hz_to_mel, mel_to_hz

_SLANEY_STEP_HZ = 200.0 / 3.0  # width of a mel below 1 kHz
_SLANEY_LOG_FROM_HZ = 1_000.0
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


@functools.lru_cache
def mel_bank(
    sample_rate_hz: int,
    fft: int,
    bands: int,
    low_hz: float,
    top_hz: float,
    scale: str,
    equal_area: bool,
) -> np.ndarray:
    """Return triangular filters float64 [bands, fft // 2 + 1].

    Args:
        sample_rate_hz: of the spectra.
        fft: of the spectra.
        bands: how many.
        low_hz: lower edge of the first.
        top_hz: upper edge of the last.
        scale: ``htk``, or ``slaney`` (linear below 1 kHz; Slaney, Auditory Toolbox, 1998).
        equal_area: 2 / width as height, rather than 1.
    """
    to_mel, to_hz = (hz_to_mel, mel_to_hz) if scale == "htk" else (_to_slaney, _from_slaney)
    low, top = to_mel(np.array([low_hz, top_hz]))
    edges = to_hz(np.linspace(low, top, bands + 2))
    frequency = np.fft.rfftfreq(fft, 1.0 / sample_rate_hz)
    width = np.diff(edges)
    rising = (frequency - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - frequency) / width[1:, None]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    return bank * (2.0 / (edges[2:] - edges[:-2]))[:, None] if equal_area else bank


def _to_slaney(frequency_hz: np.ndarray) -> np.ndarray:
    above = np.maximum(frequency_hz, _SLANEY_LOG_FROM_HZ) / _SLANEY_LOG_FROM_HZ
    return np.minimum(frequency_hz, _SLANEY_LOG_FROM_HZ) / _SLANEY_STEP_HZ + (
        np.log(above) / _SLANEY_LOG_STEP
    )


def _from_slaney(mel: np.ndarray) -> np.ndarray:
    turn = _SLANEY_LOG_FROM_HZ / _SLANEY_STEP_HZ
    return (
        np.minimum(mel, turn)
        * _SLANEY_STEP_HZ
        * np.exp(_SLANEY_LOG_STEP * np.maximum(mel - turn, 0.0))
    )
