"""The spectrograms of EABN against slow definitions in float64."""

import jax
import numpy as np
import pytest

from rawnet_jax.dsp.spectrogram import cqt_hz, log_power_cqt, log_power_spectrogram

RNG = np.random.default_rng(5)
NOISE = (0.1 * RNG.standard_normal(4_000)).astype(np.float32)
LENGTHS = np.array([4_000, 2_345, 30, 0])
FRONT_ENDS = {"log_power": jax.jit(log_power_spectrogram), "cqt": jax.jit(log_power_cqt)}


def tone(hz: float, num_samples: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(num_samples) / 16_000)).astype(np.float32)


def kaldi_slowly(x: np.ndarray) -> np.ndarray:
    """Kaldi's definition, frame by frame; [F, 513]."""
    n = len(x)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1023)) ** 0.85
    rows = []
    for t in range(max((n + 80) // 160, 1)):
        frame = np.empty(1024)
        for i in range(1024):
            s = 160 * t + 80 - 512 + i
            while not 0 <= s < n:
                s = -s - 1 if s < 0 else 2 * n - 1 - s
            frame[i] = x[s] * 32768.0
        frame -= frame.mean()
        energy = (frame**2).sum()
        for i in range(1023, 0, -1):
            frame[i] -= 0.97 * frame[i - 1]
        frame[0] -= 0.97 * frame[0]
        power = np.abs(np.fft.rfft(frame * window)) ** 2
        power[0] = energy
        rows.append(np.log(np.maximum(power, np.finfo(np.float32).eps)))
    return np.array(rows)


def cqt_slowly(x: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """One long product a bin and frame at 16 kHz; amplitudes [bins, F]."""
    quality = 1 / (2 ** (1 / 48) - 1)
    x = x.astype(np.float64)
    y = np.append(x[:1], x[1:] - 0.97 * x[:-1])
    rows = []
    for hz in 15 * 2 ** (bins / 48):
        length = quality * 16_000 / hz
        half = int(length / 2)
        n = np.arange(-half, half + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * n / length)
        kernel = np.sqrt(length) * window / window.sum() * np.exp(-2j * np.pi * hz * n / 16_000)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(y, (half, half + 1)), len(n))
        rows.append(np.abs(around[::256] @ kernel))
    return np.array(rows)


def test_kaldi_definition():
    clips = np.stack([NOISE, tone(440.0, 4_000)])
    features, num_frames = FRONT_ENDS["log_power"](clips, np.array([4_000, 4_000]))
    assert features.shape == (2, 513, 25)
    np.testing.assert_array_equal(num_frames, [25, 25])
    for found, clip in zip(features, clips, strict=True):
        wanted = kaldi_slowly(clip).T
        loud = wanted > wanted.max() - 12  # nepers of power: 52 dB, above float32's rounding
        assert loud.mean() > 0.01
        np.testing.assert_allclose(np.asarray(found)[loud], wanted[loud], atol=2e-3)


def test_kaldi_energy_and_floor():
    """Bin 0 is the energy before pre-emphasis; silence ends at the logarithm of the floor."""
    clips = np.stack([NOISE, np.full(4_000, 0.25, np.float32)])
    features, _ = FRONT_ENDS["log_power"](clips, np.array([4_000, 4_000]))
    middle = NOISE[160 * 12 + 80 - 512 :][:1024].astype(np.float64) * 32768
    energy = np.log(((middle - middle.mean()) ** 2).sum())
    np.testing.assert_allclose(features[0, 0, 12], energy, rtol=1e-6)
    # A constant is taken away before anything else.
    np.testing.assert_allclose(features[1], np.log(np.finfo(np.float32).eps), rtol=1e-6)


@pytest.mark.parametrize("hz", [500.0, 6_000.0])
def test_kaldi_tone_peaks_at_its_bin(hz):
    features, _ = FRONT_ENDS["log_power"](tone(hz, 4_000)[None], np.array([4_000]))
    assert int(features[0, 1:, 12].argmax()) + 1 == hz / 16_000 * 1024


@pytest.mark.parametrize(
    ("clip", "num_samples"), [(NOISE, 4_000), (NOISE, 900), (tone(61.0, 4_000), 4_000)]
)
def test_cqt_definition(clip, num_samples):
    features, num_frames = FRONT_ENDS["cqt"](clip[None], np.array([num_samples]))
    assert features.shape == (1, 432, 16)
    bins = np.arange(431, 0, -13)
    wanted = cqt_slowly(clip[:num_samples], bins)
    assert int(num_frames[0]) == wanted.shape[1]
    found = np.asarray(features[0])[bins, : wanted.shape[1]]
    assert np.abs(10 ** (found / 20) - wanted).max() < 1e-5 * wanted.max()
    loud = wanted > 1e-3 * wanted.max()  # 60 dB
    np.testing.assert_allclose(found[loud], 20 * np.log10(wanted[loud]), atol=0.05)


@pytest.mark.parametrize("k", [431, 340, 250, 200])
def test_cqt_tone_peaks_at_its_bin(k):
    """Each in another octave, at another rate; and it is as high as its kernel is long."""
    hz = cqt_hz()[k]
    features, _ = FRONT_ENDS["cqt"](tone(hz, 4_000)[None], np.array([4_000]))
    column = np.asarray(features[0, :, 8])
    assert int(column.argmax()) == k
    if k > 300:  # its kernel lies inside of the clip
        length = 16_000 / hz / (2 ** (1 / 48) - 1)
        emphasis = abs(1 - 0.97 * np.exp(-2j * np.pi * hz / 16_000))
        wanted = 20 * np.log10(0.3 / 2 * emphasis * np.sqrt(length))
        assert column[k] == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("name", sorted(FRONT_ENDS))
def test_a_clip_is_its_own_samples(name):
    """What fills a row enters none of the clip's frames; a filler row has none."""
    front_end = FRONT_ENDS[name]
    clips = np.stack([np.where(np.arange(4_000) < n, NOISE, 9.0) for n in LENGTHS])
    features, num_frames = front_end(clips.astype(np.float32), LENGTHS)
    assert np.isfinite(features).all()
    assert int(num_frames[3]) == 0
    for row, length in enumerate(LENGTHS[:3]):
        alone, own = front_end(NOISE[None, :length], LENGTHS[row : row + 1])
        assert int(num_frames[row]) == int(own[0]) == alone.shape[2]
        np.testing.assert_allclose(features[row, :, : int(own[0])], alone[0], atol=0.02)


@pytest.mark.parametrize("name", sorted(FRONT_ENDS))
def test_silence_is_finite(name):
    features, _ = FRONT_ENDS[name](np.zeros((1, 4_000), np.float32), np.array([4_000]))
    assert np.isfinite(features).all()
    assert np.ptp(np.asarray(features)) == 0
