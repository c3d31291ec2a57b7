"""The augmentations as they are usually written: NumPy and SciPy, one clip after the other.

What `augmentation.py` compares with. Each function takes a generator, a clip (float32 [T], 16 kHz)
and a recording (a noise or an impulse response) and returns a clip.
"""

from collections.abc import Callable

import numpy as np
import scipy.signal

RATE_HZ = 16_000
NYQUIST_HZ = RATE_HZ / 2

Effect = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]


def gain(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    return clip * 10 ** (rng.uniform(-12, 6) / 20)


def clipping(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    limit = rng.uniform(0.2, 1) * np.abs(clip).max()
    return np.clip(clip, -limit, limit)


def polarity(_rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    return -clip


def mixed(rng: np.random.Generator, clip: np.ndarray, noise: np.ndarray) -> np.ndarray:
    snr_db = rng.uniform(0, 20)
    gain = np.sqrt(np.mean(clip**2) / (np.mean(noise**2) + 1e-12)) * 10 ** (-snr_db / 20)
    return clip + gain * noise


def noise(rng: np.random.Generator, clip: np.ndarray, recording: np.ndarray) -> np.ndarray:
    if len(recording) < len(clip):
        recording = np.tile(recording, len(clip) // len(recording) + 1)
    start = rng.integers(0, len(recording) - len(clip) + 1)
    return mixed(rng, clip, recording[start : start + len(clip)])


def coloured_noise(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(len(clip)))
    frequency = np.maximum(np.fft.rfftfreq(len(clip), 1 / RATE_HZ), 20.0)
    spectrum *= (frequency / 20.0) ** rng.uniform(-1, 0)
    return mixed(rng, clip, np.fft.irfft(spectrum, len(clip)))


def rir(_rng: np.random.Generator, clip: np.ndarray, recording: np.ndarray) -> np.ndarray:
    wet = scipy.signal.fftconvolve(clip, recording)[: len(clip)]
    return wet * np.sqrt(np.sum(clip**2) / np.sum(wet**2))


def notch_filter(rng: np.random.Generator, gain_db: float) -> np.ndarray:
    taps = np.ones(1)
    for _ in range(5):
        center, width = rng.uniform(20, 8000), rng.uniform(100, 1000)
        num_taps = int(rng.uniform(10, 100))
        low = max(center - width / 2, 1e-3)
        high = min(center + width / 2, NYQUIST_HZ - 1e-3)
        band = scipy.signal.firwin(num_taps | 1, [low, high], window="hamming", fs=RATE_HZ)
        taps = np.convolve(band, taps)
    _, response = scipy.signal.freqz(taps, 1, fs=RATE_HZ)
    return taps * 10 ** (gain_db / 20) / np.max(np.abs(response))


def filtered(clip: np.ndarray, taps: np.ndarray) -> np.ndarray:
    padding = len(taps) + 1
    return scipy.signal.lfilter(taps, 1, np.pad(clip, (0, padding)))[
        padding // 2 : padding // 2 + len(clip)
    ]


def within_full_scale(clip: np.ndarray) -> np.ndarray:
    return clip / max(np.max(np.abs(clip)), 1.0)


def lnl(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    summed = np.zeros(len(clip))
    for power in range(1, 6):
        gain_db = 0.0 if power == 1 else rng.uniform(-20, -5)
        summed += filtered(clip**power, notch_filter(rng, gain_db))
    return within_full_scale(summed - summed.mean())


def isd(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    count = int(len(clip) * rng.uniform(0, 10) / 100)
    where = rng.permutation(len(clip))[:count]
    factor = (2 * rng.random(count) - 1) * (2 * rng.random(count) - 1)
    changed = clip.copy()
    changed[where] += 2 * clip[where] * factor
    return within_full_scale(changed)


def ssi(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    noise = filtered(rng.standard_normal(len(clip)), notch_filter(rng, 0.0))
    noise /= np.max(np.abs(noise))
    noise *= np.linalg.norm(clip) / np.linalg.norm(noise) / 10 ** (rng.uniform(10, 40) / 20)
    return clip + noise


def lnl_isd(rng: np.random.Generator, clip: np.ndarray, recording: np.ndarray) -> np.ndarray:
    return isd(rng, lnl(rng, clip, recording), recording)


def band_limit(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    edges = [rng.uniform(100, 300), rng.uniform(3400, 7000)]
    taps = scipy.signal.firwin(257, edges, pass_zero=False, fs=RATE_HZ)
    return scipy.signal.fftconvolve(clip, taps, mode="same")


def sample_rate_reduction(_rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    return scipy.signal.resample_poly(scipy.signal.resample_poly(clip, 1, 2), 2, 1)[: len(clip)]


def mu_law(_rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    narrow = scipy.signal.resample_poly(clip, 1, 2)
    magnitude = np.log1p(255 * np.abs(np.clip(narrow, -1, 1))) / np.log1p(255)
    code = np.sign(narrow) * np.round(magnitude * 127) / 127
    decoded = np.sign(code) * np.expm1(np.abs(code) * np.log1p(255)) / 255
    return scipy.signal.resample_poly(decoded, 2, 1)[: len(clip)]


def a_law(_rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    narrow = scipy.signal.resample_poly(clip, 1, 2)
    a, scale = 87.6, 1 + np.log(87.6)
    magnitude = np.abs(np.clip(narrow, -1, 1))
    companded = np.where(
        magnitude < 1 / a, a * magnitude / scale, (1 + np.log(np.maximum(a * magnitude, 1))) / scale
    )
    code = np.round(companded * 127) / 127
    expanded = np.where(code < 1 / scale, code * scale / a, np.exp(code * scale - 1) / a)
    return scipy.signal.resample_poly(np.sign(narrow) * expanded, 2, 1)[: len(clip)]


def time_shift(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.roll(clip, int(rng.uniform(-0.5, 0.5) * RATE_HZ))


def time_mask(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    masked = clip.copy()
    for _mask in range(2):
        width = int(rng.uniform(0, 0.1) * RATE_HZ)
        start = rng.integers(0, len(clip) - width + 1)
        masked[start : start + width] = 0
    return masked


def frequency_mask(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    width = rng.uniform(10, 1000)
    low = rng.uniform(1, NYQUIST_HZ - width - 1)
    taps = scipy.signal.firwin(513, [low, low + width], fs=RATE_HZ)
    return scipy.signal.fftconvolve(clip, taps, mode="same")


def speed(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    changed = scipy.signal.resample_poly(clip, 100, int(rng.integers(90, 111)))
    return np.resize(changed, len(clip))


def pitch(rng: np.random.Generator, clip: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Phase vocoder and resampling."""
    length, hop = 1024, 256
    factor = 2 ** (rng.uniform(-2, 2) / 12)
    window = scipy.signal.get_window("hann", length)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(clip, length // 2), length)[::hop]
    spectrum = np.fft.rfft(frames * window)
    steps = np.arange(0, len(spectrum) - 1, 1 / factor)
    first, share = steps.astype(int), (steps % 1)[:, None]
    magnitude = (1 - share) * np.abs(spectrum[first]) + share * np.abs(spectrum[first + 1])
    phases = np.angle(spectrum)
    advance = 2 * np.pi * hop * np.arange(length // 2 + 1) / length
    turned = phases[first + 1] - phases[first] - advance
    turned = turned - 2 * np.pi * np.round(turned / (2 * np.pi)) + advance
    phase = phases[0] + np.cumsum(np.vstack([np.zeros(len(advance)), turned[:-1]]), axis=0)
    out = np.fft.irfft(magnitude * np.exp(1j * phase), length) * window
    stretched = np.zeros(hop * len(out) + length)
    for i, frame in enumerate(out):
        stretched[i * hop : i * hop + length] += frame / 1.5
    changed = scipy.signal.resample_poly(stretched, 100, round(100 * factor))
    return np.resize(changed[length // 2 :], len(clip))


EFFECTS: dict[str, tuple[Effect, str]] = {
    "gain": (gain, ""),
    "clipping": (clipping, ""),
    "polarity": (polarity, ""),
    "noise": (noise, "noise"),
    "coloured_noise": (coloured_noise, ""),
    "rir": (rir, "rir"),
    "rawboost 1": (lnl, ""),
    "rawboost 2": (isd, ""),
    "rawboost 3": (ssi, ""),
    "rawboost 5": (lnl_isd, ""),
    "band_limit": (band_limit, ""),
    "sample_rate_reduction": (sample_rate_reduction, ""),
    "mu_law": (mu_law, ""),
    "a_law": (a_law, ""),
    "time_shift": (time_shift, ""),
    "time_mask": (time_mask, ""),
    "frequency_mask": (frequency_mask, ""),
    "speed": (speed, ""),
    "pitch": (pitch, ""),
}
"""Name (and algorithm) -> its plain form and the recordings that it needs."""
