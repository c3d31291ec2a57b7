"""One contract over the whole registry, and parity with the published networks."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.keras import conv1d_from_keras
from rawnet_jax.labels import spoof_probability
from rawnet_jax.models.layers import max_pool_1d
from rawnet_jax.models.registry import MODELS, build_model, model_config

BATCH = 3


@dataclasses.dataclass
class Case:
    """A small form of a registered model, to keep the contract test fast."""

    num_samples: int
    fields: dict
    unused: tuple[str, ...] = ()  # parameters that reach no output, by design


# A registered model that is missing here fails `test_every_model_has_a_case`.
CASES = {
    "conv1d": Case(640, {"channels": (4, 6), "hidden_features": 5}),
}


def test_every_model_has_a_case():
    assert set(CASES) == set(MODELS)


@pytest.fixture(scope="module", params=sorted(CASES))
def built(request):
    case = CASES[request.param]
    model = build_model(model_config(request.param, **case.fields))
    waveform = jax.random.normal(jax.random.key(1), (BATCH, case.num_samples)) * 0.1
    num_samples = jnp.full((BATCH,), case.num_samples, jnp.int32)
    variables = jax.jit(model.init)(jax.random.key(0), waveform, num_samples)
    return case, model, variables, waveform, num_samples


@pytest.mark.parametrize("name", sorted(MODELS))
def test_published_size(name):
    spec = MODELS[name]
    model = build_model(model_config(name))
    shapes = jax.eval_shape(
        model.init, jax.random.key(0), jnp.zeros((1, spec.num_samples)), jnp.ones((1,), jnp.int32)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == spec.num_values


def test_shapes_and_finite(built):
    _, model, variables, waveform, num_samples = built
    output = model.apply(variables, waveform, num_samples)
    assert output.score.shape == (BATCH,)
    assert output.logits.shape in ((BATCH,), (BATCH, 2))
    assert output.embedding.ndim == 2
    assert output.embedding.shape[0] == BATCH
    assert all(bool(jnp.isfinite(x).all()) for x in output)


def test_jit_equals_eager(built):
    _, model, variables, waveform, num_samples = built
    eager = model.apply(variables, waveform, num_samples)
    jitted = jax.jit(model.apply)(variables, waveform, num_samples)
    np.testing.assert_allclose(jitted.score, eager.score, rtol=1e-5, atol=1e-6)


def test_gradient_reaches_every_parameter(built):
    case, model, variables, waveform, num_samples = built

    def total(params):
        output, _ = model.apply(
            {**variables, "params": params},
            waveform,
            num_samples,
            train=True,
            rngs={"dropout": jax.random.key(2)},
            mutable=["batch_stats"],
        )
        return (
            output.logits * jnp.arange(1.0, 1 + output.logits.size).reshape(output.logits.shape)
        ).sum()

    grads = jax.jit(jax.grad(total))(variables["params"])
    without = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(grads)
        if not bool(jnp.any(leaf != 0))
    }
    assert without == set(case.unused)


def test_filler_rows_change_nothing(built):
    """Rows with num_samples 0 leave the other rows' scores and all training statistics alone."""
    _, model, variables, waveform, num_samples = built
    loud = jnp.concatenate([waveform, 100 * jnp.ones_like(waveform[:1])])
    with_filler = jnp.concatenate([num_samples, jnp.zeros((1,), jnp.int32)])

    @jax.jit
    def run(waveform, num_samples):
        return model.apply(
            variables,
            waveform,
            num_samples,
            train=True,
            rngs={"dropout": jax.random.key(2)},
            mutable=["batch_stats"],
        )[1]

    plain, padded = run(waveform, num_samples), run(loud, with_filler)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(padded), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    scored = jax.jit(model.apply)
    np.testing.assert_allclose(
        scored(variables, loud, with_filler).score[:BATCH],
        scored(variables, waveform, num_samples).score,
        atol=1e-6,
    )


@pytest.mark.parametrize("num_samples", [16_000, 40_001])
def test_conv1d_matches_keras(shared_data, num_samples):
    reference = np.load(shared_data / "parity" / "conv1d_keras.npz")
    model = build_model(model_config("conv1d"))
    waveform = reference[f"input_{num_samples}"]
    output: Any = model.apply(
        conv1d_from_keras(reference), waveform, np.full(len(waveform), num_samples)
    )
    found = spoof_probability(output.score)
    assert np.abs(found - reference[f"p_spoof_{num_samples}"]).max() < 1e-6


def test_keras_import_names_what_is_missing(shared_data):
    reference = np.load(shared_data / "parity" / "conv1d_keras.npz")
    partial = {name: reference[name] for name in reference if "dense_1" not in name}
    with pytest.raises(CheckpointError, match=r"1 dense layers; wanted"):
        conv1d_from_keras(partial)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_max_pool_drops_the_rest(size):
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    wanted = np.stack([x[:, i * size : (i + 1) * size].max(1) for i in range(7 // size)], 1)
    np.testing.assert_array_equal(max_pool_1d(jnp.asarray(x), size), wanted)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="it must be one of conv1d"):
        build_model(dataclasses.replace(model_config("conv1d"), name="resnet"))
    with pytest.raises(ConfigError, match="did you mean 'channels'"):
        model_config("conv1d", chanels=(1, 2))
