"""One contract over the whole registry, and parity with the published networks."""

import dataclasses
import re
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.labels import spoof_probability
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.nn.layers import max_pool_1d
from tests.models.keras_weights import conv1d_from_keras
from tests.models.small_models import CASES, DISTINCT, Case, quickly, small_model

BATCH = 3


def test_every_model_has_a_case():
    assert set(CASES) == set(MODELS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_published_size(name):
    spec = MODELS[name]
    model = build_model(model_config(name))
    shapes = jax.eval_shape(
        model.init, jax.random.key(0), jnp.zeros((1, spec.num_samples)), jnp.ones((1,), jnp.int32)
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == spec.num_params


def test_conv1d_has_as_many_values_as_in_keras():
    shapes = jax.eval_shape(
        build_model(model_config("conv1d")).init,
        jax.random.key(0),
        jnp.zeros((1, 16_000)),
        jnp.ones((1,), jnp.int32),
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 13_409


class Passes:
    """A small model with its two compiled passes; the last of its four rows is filler."""

    def __init__(self, case: Case, model: nn.Module) -> None:
        rng = np.random.default_rng(1)
        waveform = 0.1 * rng.standard_normal((BATCH + 1, case.num_samples))
        waveform[BATCH:] = 0  # as filler is
        self.waveform = waveform.astype(np.float32)
        self.num_samples = np.array([case.num_samples] * BATCH + [0], np.int32)
        # A cheap generator: compiling the usual one for every entry takes longer than the test.
        self.variables = quickly(model.init)(
            jax.random.key(0, impl="unsafe_rbg"), self.waveform, self.num_samples
        )
        self.model = model
        self.score = quickly(model.apply)
        self.train = jax.jit(jax.grad(self._total, has_aux=True), compiler_options=case.quick)

    def _total(self, params: Any, waveform: Any) -> tuple[Any, Any]:
        output, updates = self.model.apply(
            {**self.variables, "params": params},
            waveform,
            self.num_samples,
            train=True,
            rngs={"dropout": jax.random.key(2, impl="unsafe_rbg")},
            mutable=["batch_stats"],
        )
        logits = output.logits[:BATCH]
        total = (logits * jnp.arange(1.0, 1 + logits.size).reshape(logits.shape)).sum()
        return total, updates.get("batch_stats", {})

    def loud_filler(self) -> np.ndarray:
        loud = self.waveform.copy()
        loud[BATCH:] = 100.0
        return loud


# One test a model, so that what it compiles is compiled once, whatever worker runs it.
@pytest.mark.parametrize("name", sorted(DISTINCT.values()))
def test_contract(name):
    case = CASES[name]
    passes = Passes(case, small_model(name))
    check_shapes(passes)
    grads, statistics = passes.train(passes.variables["params"], passes.waveform)
    check_gradients(grads, case)
    check_filler_rows(passes, grads, statistics)
    check_bfloat16(passes)


def check_shapes(passes):
    jitted: Any = passes.score(passes.variables, passes.waveform, passes.num_samples)
    assert jitted.score.shape == (BATCH + 1,)
    assert jitted.logits.shape in ((BATCH + 1,), (BATCH + 1, 2), (BATCH + 1, 2, 2))
    assert jitted.embedding.ndim == 2
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(jitted))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(jitted))


def check_gradients(grads, case):
    """A gradient reaches every parameter, or it is listed as unused or as cancelled."""
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    without = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(grads)
        if not np.any(leaf)
    }
    assert without - set(case.cancelled) == set(case.unused)


def check_filler_rows(passes, grads, statistics):
    """Silent or loud, a filler row changes no score, no gradient and no training statistic."""
    loud = passes.loud_filler()
    loud_grads, loud_statistics = passes.train(passes.variables["params"], loud)
    for a, b in zip(
        jax.tree.leaves((grads, statistics)),
        jax.tree.leaves((loud_grads, loud_statistics)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    quiet = passes.score(passes.variables, passes.waveform, passes.num_samples)
    np.testing.assert_allclose(
        np.asarray(passes.score(passes.variables, loud, passes.num_samples).score)[:BATCH],
        np.asarray(quiet.score)[:BATCH],
        atol=1e-6,
    )


def check_bfloat16(passes):
    """Parameters in bfloat16 make the network compute in it, and answer in float32."""
    params = jax.tree.map(lambda x: np.asarray(x).astype(jnp.bfloat16), passes.variables["params"])
    variables = {**passes.variables, "params": params}
    found: Any = passes.score(variables, passes.waveform, passes.num_samples)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(found))
    wanted: Any = passes.score(passes.variables, passes.waveform, passes.num_samples)
    logits = np.asarray(wanted.logits)[:BATCH]
    np.testing.assert_allclose(
        np.asarray(found.logits)[:BATCH], logits, atol=0.05 * float(np.abs(logits).max())
    )
    program = str(
        jax.make_jaxpr(passes.model.apply)(variables, passes.waveform, passes.num_samples)
    )
    assert re.search(r":bf16\S* = (conv_general_dilated|dot_general)\[", program)


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


@pytest.mark.parametrize("size", [1, 2, 3])
def test_max_pool_gives_its_gradient_to_the_first_of_the_largest(size):
    x = np.random.default_rng(0).integers(0, 3, (2, 7, 3)).astype(np.float32)  # many are equal
    grad = np.random.default_rng(1).standard_normal((2, 7 // size, 3)).astype(np.float32)
    wanted = np.zeros_like(x)
    for row, i, channel in np.ndindex(grad.shape):
        first = i * size + x[row, i * size : (i + 1) * size, channel].argmax()
        wanted[row, first, channel] = grad[row, i, channel]
    found = jax.vjp(lambda x: max_pool_1d(x, size), jnp.asarray(x))[1](jnp.asarray(grad))[0]
    np.testing.assert_array_equal(found, wanted)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="it must be one of conv1d"):
        build_model(dataclasses.replace(model_config("conv1d"), name="resnet"))
    with pytest.raises(ConfigError, match="did you mean 'channels'"):
        model_config("conv1d", chanels=(1, 2))
