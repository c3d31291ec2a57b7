"""LFCC-ResNet18 against the published network, its heads and its quirks."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import InvalidRngError

from rawnet_jax.dsp.lfcc import lfcc
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.torch_weights import variables_from_torch, variables_to_torch
from rawnet_jax.labels import Label
from rawnet_jax.models.lfcc_resnet18 import (
    TORCH_NAMES,
    AttentiveStatistics,
    LfccResNet18,
    PreActivationBlock,
    unit_rows,
)
from rawnet_jax.models.variables import init_variables, variable_shapes
from rawnet_jax.nn.lengths import Extent
from tests.models.parity_fixture import ParityFixture, channels_second, taps_of
from tests.models.small_models import quickly

WHOLE = Extent(jnp.ones(1, bool))
SMALL: dict[str, Any] = {
    "num_frames": 18,
    "stem_features": 2,
    "channels": (3, 4),
    "blocks": (1, 1),
    "pooled_features": 4,
    "embedding_features": 5,
}


@pytest.fixture(scope="module")
def published(shared_data):
    """The fixture, the network with its weights, and one pass over all its inputs."""
    fixture = ParityFixture(shared_data, "lfcc_resnet18")
    model, variables = fixture.variables("lfcc_resnet18")
    features = np.moveaxis(np.concatenate(list(fixture.inputs().values())), 1, -1)
    run = quickly(
        lambda v, x, n: model.apply(v, x, n, method="from_features", mutable=["intermediates"])
    )
    output, state = jax.device_get(run(variables, features, WHOLE))
    return fixture, model, variables, output, taps_of(state["intermediates"])


def test_outputs_as_published(published):
    fixture, _, _, output, taps = published
    fixture.compare_outputs("embedding", output.embedding)
    fixture.compare_outputs("oc_score", output.score)
    # Theirs is [bonafide, spoof].
    fixture.compare_outputs("fc_mu", taps["fc_mu"][:, ::-1])
    np.testing.assert_array_equal(output.logits, output.score)


def test_taps_as_published(published):
    fixture, _, _, _, taps = published
    time_major = "bn5_relu_time_major"
    found = {k: x if k == time_major else channels_second(x) for k, x in taps.items()}
    assert fixture.compare_taps(found) == 26


def test_state_dict_comes_back(published):
    fixture, _, variables, _, _ = published
    wanted = fixture.state_dict()
    found = variables_to_torch(variables, TORCH_NAMES)
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def drawn(init: Callable[[], Any]) -> Any:
    """Values of the shapes that `init` makes, by numpy: compiling JAX's draws takes longer."""
    rng = np.random.default_rng(1)

    def draw(shape):
        if len(shape) == 1:
            return rng.uniform(0.5, 1.5, shape).astype(np.float32)
        fan_in = np.prod(shape[:-1])
        return (rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)

    return jax.tree.map(lambda x: draw(x.shape), jax.eval_shape(init))


def small(**fields: Any) -> tuple[LfccResNet18, dict[str, Any]]:
    model = LfccResNet18(**(SMALL | fields))
    return model, drawn(lambda: init_variables(model, jax.random.key(0), 4_000))


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(3)
    return [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (1_000, 2_900, 4_000)]


def padded(clips, filler=0.0):
    row = np.full((len(clips), 4_000), filler, np.float32)
    for i, clip in enumerate(clips):
        row[i, : len(clip)] = clip
    return row, jnp.array([len(clip) for clip in clips], jnp.int32)


def test_from_waveform_to_score(clips):
    """A clip's own frames, tiled or cut, whatever is behind it in its row."""
    model, variables = small()
    apply = quickly(model.apply)
    row, num_samples = padded(clips)
    output = apply(variables, row, num_samples)
    assert output.score.shape == output.logits.shape == (3,)
    assert output.embedding.shape == (3, 5)
    lfcc_of = quickly(lfcc)
    own = [np.asarray(lfcc_of(clip[None], np.array([len(clip)]))[0])[0] for clip in clips]
    tiled = np.stack([np.tile(x, -(-18 // x.shape[1]))[:, :18, None] for x in own])
    from_features = quickly(partial(model.apply, method="from_features"))
    wanted = from_features(variables, tiled, WHOLE)
    np.testing.assert_allclose(output.score, wanted.score, atol=1e-5)
    np.testing.assert_array_equal(apply(variables, *padded(clips, 0.5)).score, output.score)
    assert np.abs(np.diff(output.embedding, axis=0)).max(axis=1).min() > 1e-3


def test_am_softmax_head(clips):
    model, variables = small(head="am_softmax")
    output = quickly(model.apply)(variables, *padded(clips))
    centers = variables["params"]["centers"]
    assert centers.shape == (2, 5)
    norms = np.linalg.norm(centers, axis=1) * np.linalg.norm(output.embedding, axis=1)[:, None]
    np.testing.assert_allclose(output.logits, output.embedding @ centers.T / norms, atol=1e-6)
    np.testing.assert_allclose(output.score, output.logits[:, 1] - output.logits[:, 0])
    # The published loss calls it `centers` and has bona fide first.
    state = variables_to_torch(variables, TORCH_NAMES)
    np.testing.assert_array_equal(state["amsoftmax.centers"], centers[::-1])
    state["centers"] = state.pop("amsoftmax.centers")
    again = variables_from_torch(state, TORCH_NAMES, variables)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_softmax_head(clips):
    model, variables = small(head="softmax")
    assert not {"center", "centers"} & set(variables["params"])
    output = quickly(model.apply)(variables, *padded(clips))
    head = variables["params"]["linear_head"]
    np.testing.assert_allclose(
        output.logits, output.embedding @ head["kernel"] + head["bias"], atol=1e-6
    )
    probability = np.exp(output.logits[:, Label.BONAFIDE]) / np.exp(output.logits).sum(axis=1)
    np.testing.assert_allclose(jax.nn.sigmoid(output.score), probability, atol=1e-6)
    # Bona fide is the first class of the published layer.
    state = variables_to_torch(variables, TORCH_NAMES)
    np.testing.assert_array_equal(state["fc_mu.bias"], head["bias"][::-1])
    np.testing.assert_array_equal(state["fc_mu.weight"], head["kernel"].T[::-1])


def test_centre_of_the_published_loss_file():
    _, variables = small()
    state = variables_to_torch(variables, TORCH_NAMES)
    state["center"] = state.pop("ocsoftmax.center")
    again = variables_from_torch(state, TORCH_NAMES, variables)
    np.testing.assert_array_equal(again["params"]["center"], variables["params"]["center"])
    del state["center"]
    with pytest.raises(CheckpointError, match=r"missing: ocsoftmax\.center$"):
        variables_from_torch(state, TORCH_NAMES, variables)


def test_training_alone_draws_noise():
    """Published quirk: noise in the pooling. Ours leaves scoring without."""
    x = np.random.default_rng(0).standard_normal((2, 6, 4)).astype(np.float32)
    variables = {"params": {"att_weights": np.ones((1, 4), np.float32)}}
    apply = quickly(AttentiveStatistics(noise=0.1).apply, static_argnums=3)

    def pooled(seed, train):
        rngs = {"dropout": jax.random.key(seed)}
        return np.asarray(apply(variables, x, WHOLE, train, rngs=rngs))

    quiet, first, second = pooled(1, False), pooled(1, True), pooled(2, True)
    np.testing.assert_array_equal(pooled(2, False), quiet)
    np.testing.assert_array_equal(first[:, :4], quiet[:, :4])
    assert np.abs(first - quiet).max() > 1e-3
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(pooled(1, True), first)


@pytest.mark.parametrize(("noise", "asks"), [(1e-5, True), (0.0, False)])
def test_only_training_asks_for_a_key(clips, noise, asks):
    model, variables = small(pooling_noise=noise)

    def run(train):
        return model.apply(variables, *padded(clips), train=train, mutable=["batch_stats"])

    jax.eval_shape(partial(run, False))
    with pytest.raises(InvalidRngError) if asks else nullcontext():
        jax.eval_shape(partial(run, True))


def test_pooling_is_of_weighted_frames():
    """Published quirk: the unbiased deviation of the frames after weighting."""
    x = np.random.default_rng(0).standard_normal((2, 6, 4)).astype(np.float32)
    vector = np.array([[0.5, -1.0, 0.3, 0.8]], np.float32)
    found: Any = AttentiveStatistics().apply({"params": {"att_weights": vector}}, x, WHOLE, False)
    attention = np.exp(np.tanh(x @ vector[0]))
    weighted = x * (attention / attention.sum(1, keepdims=True))[..., None]
    wanted = np.concatenate([weighted.sum(1), weighted.std(1, ddof=1)], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 6])
def test_pooling_of_equal_frames_has_a_gradient(frames):
    variables = {"params": {"att_weights": np.ones((1, 4), np.float32)}}

    def total(x):
        pooled: Any = AttentiveStatistics().apply(variables, x, WHOLE, False)
        return pooled.sum()

    value, gradient = jax.jit(jax.value_and_grad(total))(np.ones((2, frames, 4), np.float32))
    assert value == pytest.approx(8, abs=1e-5)
    assert bool(jnp.isfinite(gradient).all())


def test_unit_rows_of_nothing_have_a_gradient():
    x = np.array([[3.0, 4.0], [0.0, 0.0], [3e-20, 4e-20]], np.float32)
    np.testing.assert_allclose(
        quickly(unit_rows)(x), [[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]], atol=1e-7
    )
    weight = np.arange(6.0).reshape(3, 2)
    gradient = quickly(jax.grad(lambda x: (unit_rows(x) * weight).sum()))(x)
    assert (np.abs(gradient) < 10).all()


@pytest.mark.parametrize(("features", "stride"), [(3, 1), (4, 1), (3, 2)])
def test_what_a_shortcut_starts_from(features, stride):
    """The raw input where shapes agree, the activated one where they are projected."""
    block = PreActivationBlock(features, stride)
    x = np.random.default_rng(0).standard_normal((1, 5, 6, 3)).astype(np.float32)
    variables = drawn(lambda: block.init(jax.random.key(0), x, WHOLE, False))
    variables["params"]["conv2"]["kernel"][:] = 0
    norm, stats = variables["params"]["bn1"], variables["batch_stats"]["bn1"]
    active = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * norm["scale"] + norm["bias"]
    wanted = x
    if (features, stride) != (3, 1):
        active = np.maximum(active, 0)[:, ::stride, ::stride]
        wanted = active @ variables["params"]["shortcut"]["kernel"][0, 0]
    found = quickly(partial(block.apply, train=False))(variables, x, WHOLE)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_initial_values_are_hes():
    model = LfccResNet18(**(SMALL | {"pooled_features": 64, "embedding_features": 128}))
    # This generator compiles in a tenth of the default one's time.
    key = jax.random.key(0, impl="unsafe_rbg")
    variables = quickly(lambda key: init_variables(model, key, 4_000))(key)
    params = variables["params"]
    for name, variance in (("stem", 2 / (9 * 3 * 2)), ("over_rows", 2 / (9 * 3 * 64))):
        kernel = params[name]["kernel"]
        assert np.std(kernel) == pytest.approx(np.sqrt(variance), rel=0.2)
    for uniform, fan_in in (
        (params["fc"]["kernel"], 128),
        (params["linear_head"]["kernel"], 128),
        (params["center"], 128),
        (params["attention"]["att_weights"], 64),
    ):
        bound = np.sqrt(6 / fan_in)
        assert 0.9 * bound < np.abs(uniform).max() <= bound


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": "cosine"}, "head is 'cosine'; it must be one of oc_softmax, am_softmax, softmax"),
        ({"blocks": (2,)}, r"do not make a LfccResNet18 for clips of 4000 samples"),
        ({"num_frames": 0}, "num_frames is 0; it must be at least 1"),
    ],
)
def test_fields_that_do_not_fit(fields, message):
    model = LfccResNet18(**(SMALL | fields))
    with pytest.raises(ConfigError, match=message):
        variable_shapes(model, 4_000)


@pytest.mark.parametrize("num_samples", [1, 700])
def test_any_length_and_any_depth(num_samples):
    model, variables = small(channels=(3,), blocks=(1,), num_frames=5)
    row, clip = jnp.ones((1, num_samples)), jnp.array([num_samples])
    assert bool(jnp.isfinite(quickly(model.apply)(variables, row, clip).score).all())
    assert variables["params"]["over_rows"]["kernel"].shape == (18, 3, 3, 4)
