"""The LFCC front end against the published extractor, and what fills a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.dsp.lfcc import lfcc, tile_frames
from tests.models.parity_fixture import ParityFixture

extract = jax.jit(lfcc)


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def features_of(clip: np.ndarray) -> np.ndarray:
    """Features of one clip in a row of its own length."""
    features, num_frames = extract(clip[None], jnp.array([len(clip)], jnp.int32))
    assert features.shape[2] == num_frames[0]
    return np.asarray(features[0])


def test_as_published(shared_data):
    fixture = ParityFixture(shared_data, "lfcc")
    tolerance = fixture.about["tolerance"]["float32_implementation_max_abs"]
    for name, waveform in fixture.inputs().items():
        wanted = fixture.arrays[name]
        found = features_of(waveform.reshape(-1))
        assert found.shape == wanted.shape, name
        assert np.abs(found - wanted).max() < tolerance, name


def test_slow_and_obvious_second_implementation():
    """Frame by frame in float64, with an FFT."""
    clip = noise(1_000).astype(np.float64)
    emphasised = clip - 0.97 * np.concatenate([[0], clip[:-1]])
    edges = np.arange(22) * 8000 / 21
    static = []
    for first in range(0, 1_000 - 160, 160):
        frame = np.pad(emphasised[first : first + 320], (0, 320))[:320] * np.hamming(320)
        power = np.abs(np.fft.rfft(frame, 512)) ** 2
        bins = np.arange(257) * 31.25
        filters = np.stack([np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(20)])
        log = np.log10(filters @ power + np.spacing(1.0))
        k, n = np.arange(20).reshape(20, 1), np.arange(20)
        scale = np.where(k == 0, np.sqrt(1 / 20), np.sqrt(2 / 20))
        static.append((scale * np.cos(np.pi * k * (2 * n + 1) / 40)) @ log)
    np.testing.assert_allclose(features_of(noise(1_000))[:20].T, static, atol=2e-5)


def test_number_of_frames():
    wanted = {1: 1, 160: 1, 161: 1, 320: 1, 321: 2, 480: 2, 481: 3, 64_600: 403, 120_160: 750}
    for num_samples, frames in wanted.items():
        row = jnp.zeros((1, num_samples))
        assert jax.eval_shape(lfcc, row, jnp.ones((1,), jnp.int32))[0].shape == (1, 60, frames)
    lengths = jnp.array([0, *wanted], jnp.int32)
    found = extract(jnp.zeros((len(lengths), 64_700)), lengths)[1]
    # No more frames than the row has.
    assert found.tolist() == [0, *list(wanted.values())[:-1], 404]


@pytest.mark.parametrize("filler", [0.0, 1.0, np.nan])
def test_only_the_clip_counts(filler):
    """What stands behind a clip in its row enters none of its frames, nor the deltas."""
    clips = [noise(n, n) for n in (300, 321, 950, 1_400)]
    row = np.full((4, 1_400), filler, np.float32)
    for i, clip in enumerate(clips):
        row[i, : len(clip)] = clip
    features, num_frames = extract(row, jnp.array([len(clip) for clip in clips], jnp.int32))
    assert num_frames.tolist() == [1, 2, 5, 8]
    assert bool(jnp.isfinite(features).all())
    for i, clip in enumerate(clips):
        wanted = features_of(clip)
        np.testing.assert_allclose(features[i, :, : num_frames[i]], wanted, atol=1e-5)


def test_quirks():
    found = features_of(noise(800))
    static, delta, delta_delta = found[:20], found[20:40], found[40:]
    # Differences without a divisor; first and last frame repeat.
    for wanted_of, value in ((static, delta), (delta, delta_delta)):
        np.testing.assert_allclose(value[:, 1:-1], wanted_of[:, 2:] - wanted_of[:, :-2], atol=1e-6)
        np.testing.assert_allclose(value[:, 0], wanted_of[:, 1] - wanted_of[:, 0], atol=1e-6)
        np.testing.assert_allclose(value[:, -1], wanted_of[:, -1] - wanted_of[:, -2], atol=1e-6)
    # Coefficient 0 is the DCT's: a tenfold waveform adds log10(100) to each of 20 filters.
    louder = features_of(10 * noise(800))
    np.testing.assert_allclose(louder[0] - static[0], 2 * np.sqrt(20), atol=1e-4)
    np.testing.assert_allclose(louder[1:], found[1:], atol=1e-4)
    # Silence is the floor of the logarithm.
    silence = features_of(np.zeros(800, np.float32))
    np.testing.assert_allclose(silence[0], np.sqrt(20) * np.log10(2.0**-52), rtol=1e-6)


def test_filler_rows_and_silence_are_finite():
    row = jnp.asarray(np.stack([noise(800), np.zeros(800, np.float32), noise(800)]))
    num_samples = jnp.array([800, 800, 0], jnp.int32)

    def total(row):
        features, num_frames = lfcc(row, num_samples)
        return tile_frames(features, num_frames, 7).sum(), features

    gradient, features = jax.jit(jax.grad(total, has_aux=True))(row)
    assert bool(jnp.isfinite(features).all())
    assert bool(jnp.isfinite(gradient).all())
    assert not gradient[2].any()
    assert extract(row, num_samples)[1].tolist() == [4, 4, 0]


@pytest.mark.parametrize("wanted", [2, 3, 8])
def test_frames_are_tiled_as_published(wanted):
    features = np.random.default_rng(0).standard_normal((3, 60, 5)).astype(np.float32)
    num_frames = jnp.array([3, 5, 0], jnp.int32)
    found = tile_frames(jnp.asarray(features), num_frames, wanted)
    for row, frames in ((0, 3), (1, 5), (2, 1)):
        tiled = np.tile(features[row, :, :frames], -(-wanted // frames))[:, :wanted]
        np.testing.assert_array_equal(found[row], tiled)
