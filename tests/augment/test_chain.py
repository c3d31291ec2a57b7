"""The order, the probabilities and the batch: what a chain adds to its augmentations."""

import json
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from rawnet_jax.augment.bank import Banks, noise_bank, response_bank
from rawnet_jax.augment.chain import Chain, Step, make_chain
from rawnet_jax.augment.registry import augment_config, default_fields
from rawnet_jax.config import AugmentConfig, Config
from rawnet_jax.config_file import from_dict, to_dict, with_overrides
from rawnet_jax.errors import ConfigError
from rawnet_jax.mesh import make_mesh, replicated, split_rows

LENGTH = 1200
NUM_SAMPLES = np.array([LENGTH, 700, 0, LENGTH, 1, LENGTH, LENGTH, 900], np.int32)
KEY = jax.random.key(0)
QUICK: dict[str, str | bool] = {
    "xla_backend_optimization_level": "0"
}  # to compile; what is computed is the same


def clips() -> np.ndarray:
    clip = 0.1 * np.random.default_rng(0).standard_normal((8, LENGTH)).astype(np.float32)
    return np.where(np.arange(LENGTH) < NUM_SAMPLES[:, None], clip, 0)


def banks() -> Banks:
    rng = np.random.default_rng(1)
    noises = [rng.standard_normal(500).astype(np.float32)]
    return Banks(noise_bank(noises, LENGTH), response_bank(noises, max_taps=300))


def test_a_chain_without_steps_adds_no_operation():
    chain = make_chain(AugmentConfig())
    assert not jax.make_jaxpr(chain.apply)(Banks(), KEY, clips(), NUM_SAMPLES).eqns
    assert chain.needs == frozenset()


def test_steps_come_in_the_order_of_the_chain():
    clip, at_16_khz = {"clip": True, "gain_db": (30, 30)}, {"telephone": False}
    quiet: dict[str, dict] = {"rawboost": {"algorithm": 0}, "polarity": {}}
    forward = make_chain(augment_config({"gain": clip, "mu_law": at_16_khz, **quiet}))
    names = ("mu_law", "gain")
    config = augment_config({"gain": clip, "mu_law": at_16_khz})
    config.chain = names
    backward = make_chain(config)
    assert len(forward.steps) == 4
    clipped, _ = jax.jit(backward.apply)(Banks(), KEY, clips(), NUM_SAMPLES)
    coded, _ = jax.jit(forward.apply)(Banks(), KEY, clips(), NUM_SAMPLES)
    assert np.abs(clipped).max() == 1
    assert np.abs(coded).max() == pytest.approx(32124 / 32768)  # mu-law's largest value


def test_needs_names_the_banks():
    assert make_chain(augment_config({"noise": {}, "rir": {}})).needs == {"noise", "rir"}


def test_probability_is_drawn_for_every_clip_and_step():
    fields: dict[str, Any] = {"probability": 0.3}
    chain = make_chain(augment_config({"polarity": fields, "gain": fields | {"gain_db": (20, 20)}}))
    ones = np.ones((4000, 1), np.float32)
    after, _ = jax.jit(chain.apply)(Banks(), KEY, ones, np.ones(4000, np.int32))
    values = np.asarray(after)[:, 0].round(3)
    for value, share in ((1, 0.49), (-1, 0.21), (10, 0.21), (-10, 0.09)):
        assert np.mean(values == value) == pytest.approx(share, abs=0.03)


def test_of_exclusive_steps_a_clip_gets_one_at_most():
    fields: dict[str, dict] = {
        "polarity": {"probability": 0.3},
        "gain": {"probability": 0.5, "gain_db": (20, 20)},
        "clipping": {"probability": 0.2, "share": (0.5, 0.5)},
    }
    chain = make_chain(augment_config(fields, exclusive=("polarity", "clipping")))
    ones = np.ones((4000, 1), np.float32)
    after, _ = jax.jit(chain.apply)(Banks(), KEY, ones, np.ones(4000, np.int32))
    values = np.asarray(after)[:, 0].round(3)
    wanted = {1: 0.25, -1: 0.15, 0.5: 0.1, 10: 0.25, -10: 0.15, 5: 0.1}  # gain goes its own way
    assert set(values.tolist()) == set(wanted)
    for value, share in wanted.items():
        assert np.mean(values == value) == pytest.approx(share, abs=0.03)


def test_exclusive_probabilities_that_leave_no_room_are_refused():
    fields: dict[str, dict] = {"polarity": {"probability": 0.6}, "gain": {"probability": 0.3}}
    fields["clipping"] = {}
    config = augment_config(fields, exclusive=("polarity", "gain"))
    assert len(make_chain(config).steps) == 3
    config.exclusive = ("polarity", "gain", "clipping")
    with pytest.raises(
        ConfigError, match=r"polarity, gain, clipping add up to 1.9; it must be 1 at"
    ):
        make_chain(config)
    config.chain = ("polarity", "gain")  # what the chain lacks is left out
    assert len(make_chain(config).steps) == 2
    with pytest.raises(ConfigError, match="did you mean 'gain'"):
        make_chain(AugmentConfig(exclusive=("gian",)))


def test_a_filler_row_stays_zeros_whatever_an_effect_does():
    louder = Step(1.0, partial(lambda key, waveform, num_samples: waveform + 1), "", False, 0)
    after, _ = jax.jit(Chain((louder,)).apply)(Banks(), KEY, clips(), NUM_SAMPLES)
    assert np.asarray(after != 0).any(axis=1).tolist() == (NUM_SAMPLES > 0).tolist()


def test_probability_zero_changes_nothing():
    chain = make_chain(augment_config({"speed": {"probability": 0.0}}))
    after, length = jax.jit(chain.apply)(Banks(), KEY, clips(), NUM_SAMPLES)
    np.testing.assert_array_equal(after, clips())
    np.testing.assert_array_equal(length, NUM_SAMPLES)


def test_rows_are_the_same_on_any_number_of_devices_under_scan_and_under_vmap():
    config = augment_config(
        {"rir": {"probability": 0.5}, "speed": {}, "rawboost": {"algorithm": 2}}
    )
    mesh = make_mesh(jax.devices()[:4])
    one, split = make_chain(config), make_chain(config, mesh)
    expected, lengths = jax.jit(one.apply, compiler_options=QUICK)(
        banks(), KEY, clips(), NUM_SAMPLES
    )
    assert lengths[2] == 0
    assert not np.any(expected[2])

    def steps(banks, keys, waveform, num_samples):  # two seeds in a vmap, one step in a scan
        def step(carry, key):
            rows = jax.vmap(split.apply, in_axes=(None, None, 0, 0))
            return carry, rows(banks, key, waveform, num_samples)

        return jax.lax.scan(step, 0, keys)[1]

    def sharded(array: np.ndarray) -> jax.Array:
        return jax.device_put(np.stack([array, array]), split_rows(mesh, axis=1))

    arguments = (
        jax.device_put(banks(), replicated(mesh)),
        KEY[None],
        sharded(clips()),
        sharded(NUM_SAMPLES),
    )
    program = jax.jit(steps).lower(*arguments).compile(QUICK)
    assert not [word for word in ("all-gather", "all-to-all") if word in str(program.as_text())]
    after, after_lengths = program(*arguments)
    for seed in (0, 1):
        np.testing.assert_allclose(after[0, seed], expected, atol=1e-5)
        np.testing.assert_array_equal(after_lengths[0, seed], lengths)


def test_a_config_keeps_its_chain_on_disk_and_on_the_command_line():
    config = Config()
    config.augment = augment_config(
        {"speed": {}, "noise": {"snr_db": (3, 9)}, "gain": {}}, noise_dir="n"
    )
    config = with_overrides(
        config,
        [
            "--config.augment.steps.noise.probability=.25",
            "--config.augment.steps.speed.factor=(.8, 1.2)",
            "--config.augment.chain=('noise', 'speed')",
        ],
    )
    again = from_dict(json.loads(json.dumps(to_dict(config))), "test")
    assert to_dict(again) == to_dict(config)
    assert again.augment.chain == ("noise", "speed")
    assert again.augment.steps.noise.snr_db == (3.0, 9.0)
    steps = make_chain(again.augment).steps
    assert [step.probability for step in steps] == [0.25, 1.0]
    assert steps[1].function.keywords == {"factor": (0.8, 1.2)}
    assert not with_overrides(config, ["--config.augment.chain=()"]).augment.chain


def test_a_name_without_fields_takes_the_defaults():
    steps = make_chain(AugmentConfig(chain=("polarity", "gain"))).steps
    assert steps[1].probability == default_fields("gain")["probability"] == 1.0
    assert steps[1].function.keywords == {"gain_db": (-12.0, 6.0), "clip": False}


@pytest.mark.parametrize(
    ("chain", "fields", "message"),
    [
        (("nois",), {}, "unknown config field 'nois'; did you mean 'noise'"),
        ((), {"nois": {}}, "did you mean 'noise'"),
        ((), {"noise": {"snr": (1, 2)}}, "augmentation noise: .* did you mean 'snr_db'"),
        ((), {"noise": {"snr_db": (2, 1)}}, r"snr_db is \(2, 1\); it must be \(lowest, highest\)"),
        ((), {"noise": {"snr_db": 3.0}}, "snr_db is 3.0; it must be"),
        ((), {"noise": {"probability": 1.5}}, "probability is 1.5; it must be from 0 to 1"),
        ((), {"rir": {"wet": (0, 2)}}, "within 0 to 1"),
        ((), {"rawboost": {"algorithm": 9}}, "algorithm is 9; it must be from 0 to 8"),
        ((), {"rawboost": {"algorithm": 1.0}}, "it must be int"),
        ((), {"gain": {"clip": 1}}, "it must be bool"),
        ((), {"clipping": {"share": (0, 2)}}, "within 0 to 1"),
    ],
)
def test_mistakes_are_named(chain, fields, message):
    with pytest.raises(ConfigError, match=message):
        make_chain(AugmentConfig(chain=chain, steps=ConfigDict(fields)))


def test_dtypes_stay():
    chain = make_chain(augment_config({"speed": {}}))
    shapes = jax.eval_shape(chain.apply, Banks(), KEY, jnp.zeros((2, 300)), jnp.ones(2, jnp.int32))
    assert [shape.dtype for shape in shapes] == [jnp.float32, jnp.int32]


def test_both_sides_of_a_pair_get_the_same_draws():
    steps: dict[str, dict[str, Any]] = {"coloured_noise": {"probability": 0.5}, "gain": {}}
    clip = jnp.repeat(clips()[::2], 2, axis=0)
    num_samples = jnp.repeat(NUM_SAMPLES[::2], 2)
    for by_pair in (False, True):
        chain = make_chain(augment_config(steps, by_pair=by_pair))
        out = np.asarray(chain.apply(Banks(), KEY, clip, num_samples)[0])
        alike = [np.array_equal(out[n], out[n + 1]) for n in (0, 4, 6)]
        assert alike == [by_pair] * 3
        assert not np.array_equal(out[4], out[6])
