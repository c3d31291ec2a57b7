"""Griffin-Lim: a waveform from a mel spectrogram alone.

Griffin and Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP 32
(1984); with momentum: Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm", WASPAA
2013.
"""

import functools

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.spectra import Stft
from rawnet_jax.copy_synthesis.vocoder import Between, OneOf, Settings
from rawnet_jax.dsp.mel_bank import mel_bank

SETTINGS = (
    OneOf("bands", (40, 64, 80, 128)),
    OneOf("window", (512, 800, 1024)),
    OneOf("overlap", (4, 8)),
    OneOf("scale", ("htk", "slaney")),
    Between("top_hz", 7_000.0, 8_000.0),
    OneOf("iterations", (16, 32, 60)),
    OneOf("momentum", (0.0, 0.99)),
)

_FFT = 1_024
_FLOOR = 1e-8


def griffin_lim(waveform: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Forget all but the mel spectrogram of a waveform, and find phases that fit it again.

    Args:
        waveform: float32 [n] at 16 kHz.
        settings: see `SETTINGS`; windows in samples, `overlap` windows over each sample.
        rng: draws the phases that are started from.

    Returns:
        float64 [n].
    """
    window = int(settings["window"])
    stft = Stft(window, window // int(settings["overlap"]), _FFT)
    bank, inverse = _bank(int(settings["bands"]), float(settings["top_hz"]), str(settings["scale"]))
    mel = np.abs(stft.spectrum(waveform)) @ bank.T
    magnitude = np.maximum(mel @ inverse.T, _FLOOR)
    share = float(settings["momentum"]) / (1.0 + float(settings["momentum"]))
    phases = np.exp(2j * np.pi * rng.random(magnitude.shape))
    before = np.zeros_like(phases)
    for _ in range(int(settings["iterations"])):
        found = stft.spectrum(stft.waveform(magnitude * phases, len(waveform)))
        moved = found - share * before
        phases = moved / np.maximum(np.abs(moved), 1e-16)
        before = found
    return stft.waveform(magnitude * phases, len(waveform))


@functools.lru_cache
def _bank(bands: int, top_hz: float, scale: str) -> tuple[np.ndarray, np.ndarray]:
    bank = mel_bank(SAMPLE_RATE_HZ, _FFT, bands, 0.0, top_hz, scale, False)
    return bank, np.linalg.pinv(bank)
