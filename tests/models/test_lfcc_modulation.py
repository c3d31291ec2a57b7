"""The two branches of `LfccModulation`: whose score, and who learns from what."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.dsp.modulation import modulation_spectrum
from rawnet_jax.labels import Label
from rawnet_jax.losses import cross_entropy
from rawnet_jax.models.lfcc_resnet18 import LfccResNet18
from tests.models.small_models import CASES, QUICKEST, quickly, small_model

NAME = "lfcc_modulation"
LENGTH = CASES[NAME].num_samples
CLIPS = np.random.default_rng(0).normal(0, 0.1, (4, LENGTH)).astype(np.float32)
NUM_SAMPLES = np.array([LENGTH, LENGTH, 900, 0], np.int32)


@pytest.fixture(scope="module")
def network():
    model = small_model(NAME)
    init = quickly(model.init)
    return model, init(jax.random.key(0, impl="unsafe_rbg"), CLIPS, NUM_SAMPLES)


def scored(model: Any, variables: Any) -> Any:
    """Return the output of a network for all clips."""
    return quickly(model.apply)(variables, CLIPS, NUM_SAMPLES)


def test_score_is_a_mean_of_two_log_odds(network):
    model, variables = network
    output = scored(model, variables)
    assert output.logits.shape == (4, 2, 2)
    log_odds = output.logits[..., Label.BONAFIDE] - output.logits[..., Label.SPOOF]
    wanted = (log_odds[:, 0] + 1.7 * log_odds[:, 1]) / 2.7
    np.testing.assert_allclose(output.score, wanted, rtol=1e-5, atol=1e-6)

    fields = {n: getattr(model, n) for n in LfccResNet18.__dataclass_fields__ if hasattr(model, n)}
    alone = LfccResNet18(**{**fields, "head": "softmax", "name": None, "parent": None})
    spectral = {kind: variables[kind]["spectral"] for kind in variables}
    branch = scored(alone, spectral)
    np.testing.assert_allclose(output.logits[:, 0], branch.logits, rtol=1e-6)
    np.testing.assert_allclose(output.embedding[:, :5], branch.embedding, rtol=1e-6)

    features = quickly(modulation_spectrum)(CLIPS, NUM_SAMPLES).reshape(4, -1)
    params = variables["params"]
    # As it begins, BatchNorm divides by the root of 1 + 1e-5.
    hidden = features / np.sqrt(1 + 1e-5) @ params["hidden"]["kernel"] + params["hidden"]["bias"]
    hidden = np.maximum(hidden / np.sqrt(1 + 1e-5), 0)
    logits = hidden @ params["classifier"]["kernel"] + params["classifier"]["bias"]
    np.testing.assert_allclose(output.embedding[:, 5:], hidden, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output.logits[:, 1], logits, rtol=1e-4, atol=1e-5)


def test_a_branch_learns_as_if_it_were_alone(network):
    """However sure one branch is, the other one's gradient stays."""
    model, variables = network
    label = jnp.array([0, 1, 1, 0])

    def loss(params, batch_stats):
        state = {"params": params, "batch_stats": batch_stats}
        output: Any = model.apply(state, CLIPS, NUM_SAMPLES)
        return cross_entropy(output, label, jnp.ones(4)).sum()

    gradient = jax.jit(jax.grad(loss), compiler_options=QUICKEST)
    before = gradient(variables["params"], variables["batch_stats"])
    sure = jax.tree.map(jnp.array, variables["params"])
    sure["classifier"]["bias"] = jnp.array([-50.0, 50.0])
    after = gradient(sure, variables["batch_stats"])
    jax.tree.map(np.testing.assert_array_equal, before["spectral"], after["spectral"])
    assert np.abs(after["hidden"]["kernel"] - before["hidden"]["kernel"]).max() > 1e-6
    assert np.abs(before["spectral"]["fc"]["kernel"]).max() > 1e-6
