"""Training of speech encoders: gradients, draws, frozen layers."""

import functools
import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from rawnet_jax.encoders.config import Wav2Vec2Config
from rawnet_jax.encoders.encoder import SpeechEncoder
from rawnet_jax.encoders.transformer import Layers
from rawnet_jax.encoders.wav2vec2 import scaled_gradient
from tests.encoders.every_encoder import ALL, padded
from tests.encoders.small_encoders import (
    FAMILIES,
    LENGTHS,
    MHUBERT,
    SIZES,
    clips,
    drawn,
    encoded,
)


def mean_of_last(config, variables, **options):
    """The mean of what an encoder makes of a short clip, as a function of parameters."""
    samples, count = clips()[:1, :500], np.array([500], np.int32)

    network: Any = SpeechEncoder(config)

    def value(params):
        found = network.apply({**variables, "params": params}, samples, count, **options)
        return jnp.square(found.last).mean()

    return value


@pytest.mark.parametrize("name", ["wavlm_base", "whisper"])
def test_gradients_reach_every_parameter_also_with_remat(name):
    variables = padded(name)[0]
    grads = [
        jax.jit(jax.grad(mean_of_last(ALL[name].replaced(remat=remat), variables)))(
            variables["params"]
        )
        for remat in (False, True)
    ]
    flat = jax.tree_util.tree_leaves_with_path(grads[0])
    # A key's bias shifts all of a query's products alike, which softmax does not see.
    dead = [jax.tree_util.keystr(path) for path, leaf in flat if np.abs(leaf).max() < 1e-9]
    assert all("k_proj" in name and "bias" in name for name in dead), dead
    for (_, plain), again in zip(flat, jax.tree.leaves(grads[1]), strict=True):
        np.testing.assert_allclose(again, plain, atol=1e-5)


def test_factor_of_the_convolutions_gradient():
    x = jnp.array([0.1, 3.3])
    for factor in (0.0, 0.1, 1.0):
        value, grad = jax.vjp(lambda x, factor=factor: scaled_gradient(x, factor), x)
        np.testing.assert_array_equal(value, x)
        np.testing.assert_allclose(grad(jnp.ones(2))[0], factor)
    variables = padded("xlsr")[0]
    frozen = FAMILIES["xlsr"].replaced(conv_gradient=0.0)
    grads = jax.jit(jax.grad(mean_of_last(frozen, variables)))(variables["params"])["network"]
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads["feature_extractor"]))
    assert np.abs(grads["feature_projection"]["projection"]["kernel"]).max() > 0


RATES = ("dropout", "attention_dropout", "activation_dropout", "input_dropout", "layer_drop")


@pytest.mark.parametrize(
    ("name", "rate"), [*(("xlsr", rate) for rate in RATES), ("whisper", "dropout")]
)
def test_dropout_is_random_in_training_alone(name, rate):
    config = ALL[name].replaced(**{rate: 0.5})
    variables = padded(name)[0]

    @jax.jit
    def trained(key):
        run = mean_of_last(config, variables, train=True, rngs={"dropout": key})
        return run(variables["params"])

    values = {float(trained(jax.random.key(seed))) for seed in range(6)}
    assert len(values) > 1
    # Without draws there is no stream to draw from: not training needs none.
    plain = encoded(config, variables, clips()[:1, :500], np.array([500], np.int32))
    off = encoded(ALL[name], variables, clips()[:1, :500], np.array([500], np.int32))
    np.testing.assert_array_equal(plain.last, off.last)


def test_layers_draw_of_their_own():
    """With layers that are equal, equal draws would leave out all layers or none."""
    config = Wav2Vec2Config(**SIZES, norm_first=True, layer_drop=0.5).replaced(num_layers=6)
    variables = drawn(config)
    samples, count = clips()[:1, :500], np.array([500], np.int32)

    network: Any = SpeechEncoder(config)

    @jax.jit
    def states(key):
        rngs = {"dropout": key}
        return network.apply(variables, samples, count, train=True, hidden=True, rngs=rngs).hidden

    skipped = [
        [bool((a == b).all()) for a, b in itertools.pairwise(h)]
        for h in (np.asarray(states(jax.random.key(seed))) for seed in range(4))
    ]
    assert any(0 < sum(row) < 6 for row in skipped)


def test_batch_norm_moves_in_training_by_the_clips_frames():
    variables = padded("mhubert")[0]
    count = np.array([500, 300, 0], np.int32)

    @functools.partial(jax.jit, static_argnames="rows")
    def moved(samples, rows):
        run = SpeechEncoder(MHUBERT).apply
        _, changed = run(variables, samples, count[:rows], train=True, mutable=["batch_stats"])
        return changed["batch_stats"]["network"]["position"]["batch_norm"]

    samples = np.zeros((3, 500), np.float32)
    samples[:2] = clips()[:, :500]
    samples[1, 300:] = 0
    first = moved(samples[:2], 2)
    samples[1:, 300:] = 5.0
    again = moved(samples, 3)
    for name in ("mean", "var"):
        np.testing.assert_allclose(again[name], first[name], atol=1e-5)
        before = variables["batch_stats"]["network"]["position"]["batch_norm"][name]
        assert np.abs(first[name] - before).max() > 1e-3


def test_first_layers_without_a_gradient():
    """Two loops give the states of one; the later layers have the gradient that they had."""
    config = FAMILIES["wavlm_base"]
    params = drawn(config)["params"]["network"]["layers"]
    x = np.random.default_rng(2).standard_normal((2, 9, config.width)).astype(np.float32)
    keys = np.arange(9) < np.array([[9], [5]])

    def seen(params, x, frozen):
        last, hidden = Layers(config).apply(
            {"params": params}, x, keys, train=False, hidden=True, frozen=frozen
        )
        return jnp.where(keys[..., None], jnp.sin(last), 0.0).sum(), hidden

    def graded(frozen):
        grad = jax.jit(jax.grad(functools.partial(seen, frozen=frozen), (0, 1), has_aux=True))
        return jax.device_get(grad(params, x))

    (whole, states), (cut, again) = graded(0), graded(2)
    np.testing.assert_allclose(states, again, atol=1e-5)
    assert not cut[1].any()
    for path, leaf in flatten_dict(cut[0]["layer"]).items():
        wanted = flatten_dict(whole[0]["layer"])[path]
        np.testing.assert_allclose(leaf[2:], wanted[2:], atol=1e-5)
        assert not leaf[:2].any()
    kernel = whole[0]["layer"]["output"]["kernel"]
    assert np.abs(kernel).max(axis=(1, 2)).min() > 1e-2


def test_frozen_layers_drop_and_cast_as_the_others_do():
    config = FAMILIES["xlsr"].replaced(dtype="bfloat16", dropout=0.5)

    def state(frozen):
        def call(method, args, kwargs, context):
            is_loop = isinstance(context.module, Layers) and context.method_name == "__call__"
            more = {"frozen": frozen} if is_loop else {}
            return method(*args, **kwargs, **more)

        draws = {"dropout": jax.random.key(0)}
        with nn.intercept_methods(call):
            found: Any = SpeechEncoder(config).apply(
                drawn(config), clips(), LENGTHS, train=True, rngs=draws
            )
        return found.last

    shapes = [jax.eval_shape(functools.partial(state, frozen)) for frozen in (0, 2)]
    assert shapes[0].dtype == jnp.bfloat16
    assert shapes[0] == shapes[1]
    drawn_at = jax.make_jaxpr(functools.partial(state, 2))()
    assert str(drawn_at).count("random_bits") > 0
