"""A copy brought back to its source's spectral envelope: what is left are its finer faults.

A vocoder that was not trained to the end shows itself by coarse errors (levels of bands) that a
good one does not make. Equalising the copy, band by band and frame by frame, takes those out.
"""

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.spectra import Stft
from rawnet_jax.dsp.mel_bank import mel_bank

_STFT = Stft(window=1024, hop=256, fft=1024)
_FLOOR = 1e-8  # of a band's power
_MAX_GAIN = 20.0  # dB


def equalised(source: np.ndarray, copy: np.ndarray, bands: int, share: float) -> np.ndarray:
    """Move the copy's mel band levels towards its source's.

    Args:
        source: float [n], 16 kHz.
        copy: float [n], in step with it.
        bands: mel bands from 0 to 8 kHz.
        share: of the difference in dB that is taken out, 0 to 1.

    Returns:
        float64 [n].
    """
    bank = mel_bank(SAMPLE_RATE_HZ, _STFT.fft, bands, 0.0, SAMPLE_RATE_HZ / 2, "slaney", False)
    spectrum = _STFT.spectrum(copy)
    wanted, there = (
        np.log(np.square(np.abs(x)) @ bank.T + _FLOOR) for x in (_STFT.spectrum(source), spectrum)
    )
    most = _MAX_GAIN * np.log(10.0) / 20.0
    log_gain = np.clip(0.5 * share * (wanted - there), -most, most)
    between = bank / np.maximum(bank.sum(axis=0), 1e-9)
    return _STFT.waveform(spectrum * np.exp(log_gain @ between), len(copy))
