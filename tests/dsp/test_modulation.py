"""Modulation spectra against a slow definition, and what must not change them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from rawnet_jax.dsp.modulation import modulation_spectrum

extract = jax.jit(modulation_spectrum)
TIME = np.arange(21_000) / 16_000


def speech_like(seed: int = 0) -> np.ndarray:
    """Noise below a few hundred Hz on noise, both moving, 1.3 s."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(len(TIME))
    low = scipy.signal.lfilter(*scipy.signal.butter(2, 600, fs=16_000), noise)
    loud = 1.1 + np.sin(2 * np.pi * 4 * TIME)
    return (0.1 * loud * low + 1e-3 * noise).astype(np.float32)


CLIP = speech_like()


def spectrum_of(clip: np.ndarray) -> np.ndarray:
    """Spectrum of one clip, in a row that all tests share."""
    row = np.zeros((1, len(TIME)), np.float32)
    row[0, : len(clip)] = clip
    return np.asarray(extract(row, jnp.array([len(clip)], jnp.int32))[0])


def slowly(clip: np.ndarray) -> np.ndarray:
    """Frame by frame in float64, segment by segment with an FFT."""
    x = clip.astype(np.float64)
    x /= np.sqrt(np.mean(x**2) + 1e-9)
    x = x - 0.97 * np.concatenate([[0], x[:-1]])
    edges = np.arange(62) * 4000 / 61
    bins = np.arange(257) * 31.25
    frames = []
    for first in range(0, len(x) - 319, 80):
        power = np.abs(np.fft.rfft(x[first : first + 320] * np.hamming(320), 512)) ** 2
        filters = np.stack([np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(60)])
        frames.append(scipy.fft.dct(np.log(filters @ power + 1e-2), norm="ortho"))
    cepstra = np.array(frames)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128)
    powers = []
    for first in range(0, max(len(cepstra) - 127, 1), 64):
        segment = cepstra[first : first + 128]
        segment = np.pad(segment - segment.mean(axis=0), ((0, 128 - len(segment)), (0, 0)))
        spectrum = np.fft.rfft(segment * window[:, None], axis=0)
        powers.append(np.abs(spectrum) ** 2 * 2 / 200 / np.sum(window**2))
    power = np.mean(powers, axis=0)
    bands = [0, 2, 4, 8, 12, 16, 24, 32, 48, 64]
    means = [power[low:high].mean(axis=0) for low, high in itertools.pairwise(bands)]
    return np.log(np.array(means).T + 1e-6)


# 0.02 s: one frame; 0.6 s: no whole segment; 1.3 s: two of them, and frames that are left.
@pytest.mark.parametrize("length", [330, 9_600, 20_999])
def test_slow_and_obvious_second_implementation(length):
    np.testing.assert_allclose(spectrum_of(CLIP[:length]), slowly(CLIP[:length]), atol=2e-3)


def test_a_coefficient_moves_in_the_band_of_its_movement():
    carrier = np.sin(2 * np.pi * 1_000 * TIME)
    loud_and_low = [(1 + 0.9 * np.sin(2 * np.pi * hz * TIME)) * carrier for hz in (4.0, 20.0)]
    slow, fast = (spectrum_of(x.astype(np.float32))[0] for x in loud_and_low)
    # Bins of 1.5625 Hz: 4 Hz lies in bins 2 to 3, 20 Hz in bins 12 to 15.
    assert slow.argmax() == 1
    assert fast.argmax() == 4


@pytest.mark.parametrize("filler", [0.0, 1.0, np.nan])
def test_only_the_clip_counts(filler):
    lengths = [200, 330, 9_600, 12_345, 15_000]
    rows = np.full((len(lengths), len(TIME)), filler, np.float32)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = CLIP[:length]
    found = extract(rows, jnp.array(lengths, jnp.int32))
    wanted = np.stack([spectrum_of(CLIP[:length]) for length in lengths])
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_level_does_not_count():
    np.testing.assert_allclose(spectrum_of(0.25 * CLIP), spectrum_of(CLIP), atol=0.01)


def test_what_a_telephone_takes_away_does_not_count():
    taps = scipy.signal.firwin(401, 5_000, fs=16_000)
    muffled = scipy.signal.lfilter(taps, 1, CLIP)[200:].astype(np.float32)
    wanted = spectrum_of(CLIP[: len(muffled)])
    assert np.abs(spectrum_of(muffled) - wanted).mean() < 0.05
    assert np.abs(spectrum_of(speech_like(1)) - spectrum_of(CLIP)).mean() > 0.3


def test_silence_and_filler_rows_are_finite():
    rows = jnp.asarray(np.stack([CLIP, np.zeros_like(CLIP), CLIP]))
    num_samples = jnp.array([len(CLIP), len(CLIP), 0], jnp.int32)

    def total(rows):
        spectrum = modulation_spectrum(rows, num_samples)
        return spectrum.sum(), spectrum

    gradient, spectrum = jax.jit(jax.grad(total, has_aux=True))(rows)
    assert bool(jnp.isfinite(spectrum).all())
    assert bool(jnp.isfinite(gradient).all())
    assert not gradient[2].any()
    np.testing.assert_allclose(spectrum[1], np.log(1e-6), atol=1e-3)
