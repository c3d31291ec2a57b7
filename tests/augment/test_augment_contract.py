"""What holds for every augmentation of the registry."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from rawnet_jax.augment.bank import Banks, noise_bank, response_bank
from rawnet_jax.augment.chain import make_chain
from rawnet_jax.augment.registry import AUGMENTATIONS, augment_config

REPO = Path(__file__).resolve().parents[2]
LENGTH = 2400
QUICK = {"xla_backend_optimization_level": "0"}  # to compile; what is computed is the same
NUM_SAMPLES = np.array([LENGTH, 1700, 0, LENGTH], np.int32)

# Fields at which nothing is to happen; None = there are none.
NO_STRENGTH: dict[str, dict | None] = {
    "gain": {"gain_db": (0, 0)},
    "clipping": {"share": (1, 1)},
    "polarity": None,
    "noise": {"snr_db": (300, 300)},
    "coloured_noise": {"snr_db": (300, 300)},
    "rir": {"wet": (0, 0)},
    "rawboost": {"algorithm": 0},
    "band_limit": {"low_hz": (0, 0), "high_hz": (8000, 8000)},
    "sample_rate_reduction": {"rate_hz": (16000, 16000)},
    "mu_law": None,
    "a_law": None,
    "time_shift": {"shift_s": (0, 0)},
    "time_mask": {"duration_s": (0, 0)},
    "frequency_mask": {"width_hz": (0, 0)},
    "speed": {"factor": (1, 1)},
    "pitch": {"semitones": (0, 0)},
}
WITHOUT_DRAWS = {"polarity", "mu_law", "a_law", "sample_rate_reduction"}


def clips() -> np.ndarray:
    rng = np.random.default_rng(0)
    waveform = 0.1 * rng.standard_normal((len(NUM_SAMPLES), LENGTH)).astype(np.float32)
    return np.where(np.arange(LENGTH) < NUM_SAMPLES[:, None], waveform, 0)


@functools.cache
def banks() -> Banks:
    rng = np.random.default_rng(1)
    noises = [rng.standard_normal(n).astype(np.float32) for n in (900, 5000)]
    rooms = [np.exp(-np.arange(n) / 80) * rng.standard_normal(n) for n in range(400, 800, 50)]
    responses = response_bank([room.astype(np.float32) for room in rooms], max_taps=600)
    return Banks(noise_bank(noises, LENGTH), responses)


@functools.cache
def jitted(name: str):
    fields = {"algorithm": 4} if name == "rawboost" else {}
    return jax.jit(make_chain(augment_config({name: fields})).apply, compiler_options=QUICK)


def applied(name: str, seed: int, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    after, length = jitted(name)(banks(), jax.random.key(seed), waveform, NUM_SAMPLES)
    return np.asarray(after), np.asarray(length)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_filler_rows_and_zeros_behind_a_clip(name):
    after, length = applied(name, 0, clips())
    assert after.shape == (4, LENGTH)
    assert after.dtype == np.float32
    assert length.dtype == np.int32
    assert np.isfinite(after).all()
    assert length[2] == 0
    assert length[0] == LENGTH  # a full row stays full
    assert not after[np.arange(LENGTH) >= length[:, None]].any()
    assert (np.abs(after - clips()).max(axis=1)[[0, 1, 3]] > 1e-4).all()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_key_decides(name):
    first, again, other = (applied(name, seed, clips())[0] for seed in (0, 0, 3))
    np.testing.assert_array_equal(first, again)
    assert (name in WITHOUT_DRAWS) == np.array_equal(first, other)
    same_clips = np.tile(clips()[:1], (4, 1))
    alike = [np.array_equal(*applied(name, seed, same_clips)[0][[0, 3]]) for seed in (0, 3)]
    assert (name in WITHOUT_DRAWS) == all(alike)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_row_does_not_see_the_others(name):
    together = applied(name, 0, clips())[0]
    alone = clips()
    alone[[0, 3]] = 7.0
    np.testing.assert_array_equal(applied(name, 0, alone)[0][1], together[1])


@pytest.mark.parametrize("name", [n for n, fields in NO_STRENGTH.items() if fields])
def test_no_strength_is_the_identity(name):
    chain = make_chain(augment_config({name: NO_STRENGTH[name] or {}}))
    run = jax.jit(chain.apply, compiler_options=QUICK)
    after, length = run(banks(), jax.random.key(0), clips(), NUM_SAMPLES)
    np.testing.assert_allclose(after, clips(), atol=1e-6)
    np.testing.assert_array_equal(length, NUM_SAMPLES)


def test_every_augmentation_is_in_the_table():
    assert NO_STRENGTH.keys() == AUGMENTATIONS.keys()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_is_documented(name):
    docs = (REPO / "docs" / "augmentation.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in docs
