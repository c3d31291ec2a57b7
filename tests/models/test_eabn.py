"""EABN against the published networks; its slices, masks and quirks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.dsp.lfcc import lfcc
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.torch_weights import variables_from_torch, variables_to_torch
from rawnet_jax.labels import Label
from rawnet_jax.models.eabn import TORCH_NAMES, Eabn, cut_slices, num_slices
from rawnet_jax.models.efficientnet import EfficientNet, MBConv
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.res2net import SERes2Block
from rawnet_jax.models.variables import init_variables, variable_shapes
from rawnet_jax.nn.lengths import Extent
from tests.models.parity_fixture import ParityFixture, channels_second, taps_of
from tests.models.small_models import QUICKEST, quickly

ROW = Extent(jnp.ones(1, bool))
SMALL: dict[str, Any] = {
    "perception": "efficientnet_a0",
    "embedding_features": 3,
    "attention_features": (1, 2),
    "efficientnet_stem": 2,
    "efficientnet_kernel_sizes": (3,),
    "efficientnet_strides": (2,),
    "efficientnet_expansions": (2,),
    "efficientnet_features": (2,),
    "efficientnet_head": 4,
    "slice_frames": 8,
    "slice_hop": 4,
}


@pytest.fixture(scope="module", params=["eabn_efficientnet_a0", "eabn_se_res2net50"])
def published(request, shared_data):
    """The fixture, the network's variables with its weights, and one pass over all its inputs."""
    fixture = ParityFixture(shared_data, request.param)
    spec = MODELS[request.param]
    model = build_model(model_config(request.param))
    template = variable_shapes(model, spec.num_samples)
    centers = np.random.default_rng(2).standard_normal(template["params"]["centers"].shape)
    state = fixture.state_dict() | {"centers": centers.astype(np.float32)}
    variables = variables_from_torch(state, TORCH_NAMES, template)
    maps = np.moveaxis(np.concatenate(list(fixture.inputs().values())), 1, -1)
    run = quickly(lambda v, x: model.apply(v, x, ROW, method="classify", mutable=["intermediates"]))
    output, shown = jax.device_get(run(variables, maps))
    taps = {name: channels_second(x) for name, x in taps_of(shown["intermediates"]).items()}
    # Theirs is [bonafide, spoof].
    taps["attention.aux_map"] = taps["attention.aux_map"][:, ::-1]
    return fixture, state, variables, output, taps


def test_outputs_as_published(published):
    fixture, _, _, output, taps = published
    mask = taps["attention.mask"][:, 0]
    found = {
        "embedding": output.embedding,
        "logits": output.logits[:, ::-1],
        "log_softmax": jax.nn.log_softmax(output.logits)[:, ::-1],
        "aux_log_softmax": jax.nn.log_softmax(output.aux_logits)[:, ::-1],
        "mask_mean": mask.mean(axis=(1, 2)),
        "mask_row_mean": mask.mean(axis=2),
        "mask_column_mean": mask.mean(axis=1),
    }
    assert set(found) == set(fixture.about["tolerance"]) - {"taps"}
    for name, values in found.items():
        fixture.compare_outputs(name, values)


def test_taps_as_published(published):
    fixture, _, _, _, taps = published
    assert fixture.compare_taps(taps) == len(taps) * len(fixture.about["inputs"])


def test_state_dict_comes_back(published):
    """With the centres, which the published code keeps in its loss, bonafide first."""
    _, state, variables, _, _ = published
    found = variables_to_torch(variables, TORCH_NAMES)
    assert set(found) == set(state)
    for name, array in state.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    np.testing.assert_array_equal(variables["params"]["centers"], state["centers"][::-1])


@functools.cache
def small_variables() -> dict[str, Any]:
    """Drawn by numpy: compiling the initial draws takes longer than any test here."""
    template = jax.eval_shape(lambda: init_variables(Eabn(**SMALL), jax.random.key(0), 700))
    rng = np.random.default_rng(0)
    drawn = {
        "params": lambda leaf: rng.uniform(-0.5, 1.0, leaf.shape),
        "batch_stats": lambda leaf: 0.5 + rng.random(leaf.shape),
    }
    variables = {
        name: jax.tree.map(lambda leaf, draw=draw: draw(leaf).astype(np.float32), template[name])
        for name, draw in drawn.items()
    }
    variables["params"]["cls_layer"]["kernel"] *= 100  # or slices differ too little to tell
    return variables


def small(**fields: Any) -> tuple[Eabn, dict[str, Any]]:
    return Eabn(**(SMALL | fields)), small_variables()


def scored(model: Eabn, variables: Any, clips: Any) -> tuple[Any, dict[str, Any]]:
    """Outputs and taps, one compilation."""
    run = quickly(lambda *given: model.apply(*given, mutable=["intermediates"]))
    output, shown = jax.device_get(run(variables, *clips))
    return output, taps_of(shown["intermediates"])


@pytest.fixture(scope="module")
def clips():
    """Clips of 19, 11 and 5 LFCC frames: noise whose level jumps, and goes on behind their ends."""
    rng = np.random.default_rng(3)
    level = np.repeat(10.0 ** rng.uniform(-4, 0, (3, 16)), 200, axis=1)
    waveform = (level * rng.standard_normal((3, 3_200))).astype(np.float32)
    return waveform, np.array([3_200, 1_920, 860], np.int32)


@pytest.fixture(scope="module")
def small_scored(clips):
    """At scoring there are no masks, however probable."""
    return scored(*small(mask_probability=1.0), clips)


def test_a_missing_weight_is_named():
    variables = small_variables()
    state = variables_to_torch(variables, TORCH_NAMES)
    del state["centers"]
    del state["attention_branch.att_conv.weight"]
    with pytest.raises(CheckpointError, match=r"missing: attention_branch\.att_conv\.weight$"):
        variables_from_torch(state, TORCH_NAMES, variables)


@pytest.mark.parametrize(
    ("num_frames", "wanted"), [(0, 1), (1, 1), (400, 1), (401, 3), (800, 3), (801, 5)]
)
def test_number_of_slices(num_frames, wanted):
    assert num_slices(num_frames, 400, 200) == wanted
    assert num_slices(jnp.array([num_frames]), 400, 200).tolist() == [wanted]


def test_slices_repeat_a_clips_own_frames():
    """Tiled to m * 8 frames and cut every 4, by numpy, for each clip alone."""
    features = np.arange(2 * 3 * 13.0).reshape(2, 3, 13)
    found = quickly(lambda x, num: cut_slices(x, num, 8, 4))(features, np.array([13, 5]))
    assert found.shape == (2, 3, 3, 8)
    for row, own in enumerate((13, 5)):
        tiles = -(-own // 8)
        tiled = np.tile(features[row, :, :own], 8)[:, : 8 * tiles]
        for s in range(2 * tiles - 1):
            np.testing.assert_array_equal(found[row, s], tiled[:, 4 * s : 4 * s + 8])


def shapes_of(**fields: Any) -> Any:
    model = Eabn(**(SMALL | fields))
    return jax.eval_shape(lambda: init_variables(model, jax.random.key(0), 2_000))


def test_a_hop_beyond_the_slice_is_refused():
    with pytest.raises(ConfigError, match=r"slice_hop is 9 and slice_frames 8; it must be 1 <="):
        shapes_of(slice_hop=9)


@pytest.mark.parametrize("field", ["front_end", "perception"])
def test_unknown_parts_are_refused(field):
    with pytest.raises(ConfigError, match=rf"{field} is 'mel'; it must be one of"):
        shapes_of(**{field: "mel"})


def test_score_is_the_mean_over_a_clips_slices(clips, small_scored):
    """Each clip's slices, each classified for itself, log probabilities averaged, no masks."""
    model, variables = small()
    output, taps = small_scored
    every = output.slices
    assert every.logits.shape == (3, 5, 2)
    log_p = np.asarray(jax.nn.log_softmax(every.logits))
    assert np.ptp(log_p[..., 0], axis=1).min() > 1e-3
    maps = quickly(lambda *given: cut_slices(*lfcc(*given), 8, 4))(*clips)
    maps = np.asarray(maps).reshape(-1, 60, 8, 1)
    np.testing.assert_allclose(
        taps["perception.input"], (1 + taps["attention.mask"]) * maps, atol=1e-4
    )
    classify = quickly(lambda *given: model.apply(*given, method="classify"))
    alone = jax.device_get(classify(variables, maps, ROW))
    np.testing.assert_allclose(every.logits, alone.logits.reshape(3, 5, 2), atol=1e-5)
    np.testing.assert_allclose(every.aux_logits, alone.aux_logits.reshape(3, 5, 2), atol=1e-5)
    np.testing.assert_allclose(every.embedding, alone.embedding.reshape(3, 5, 3), atol=1e-5)
    for row, slices in enumerate((5, 3, 1)):
        np.testing.assert_allclose(output.logits[row], log_p[row, :slices].mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(
            output.embedding[row], every.embedding[row, :slices].mean(axis=0), atol=1e-5
        )
    np.testing.assert_array_equal(output.score, output.logits[:, Label.BONAFIDE])
    np.testing.assert_array_equal(every.centers, variables["params"]["centers"])


def test_score_does_not_depend_on_what_follows_a_clip(clips, small_scored):
    model, variables = small()
    waveform, num_samples = clips
    together, _ = small_scored
    alone, _ = scored(model, variables, (waveform[1:2, : num_samples[1]], num_samples[1:2]))
    np.testing.assert_allclose(alone.logits[0], together.logits[1], atol=1e-5)


@pytest.mark.parametrize(
    ("front_end", "rows", "frames"), [("log_power", 513, 20), ("cqt", 432, 13)]
)
def test_front_ends(front_end, rows, frames, clips):
    model, variables = small(front_end=front_end)
    output, taps = scored(model, variables, clips)
    assert taps["attention.mask"].shape == (3 * num_slices(frames, 8, 4), rows, 8, 1)
    assert np.isfinite(output.score).all()


def augmented(model: Eabn, variables: Any, maps: np.ndarray, extent: Extent) -> np.ndarray:
    """What the masks leave of maps."""
    run = quickly(functools.partial(model.apply, method="_augmented"))
    return np.asarray(run(variables, maps, extent, rngs={"dropout": jax.random.key(1)}))


def zeroed(probability: float) -> np.ndarray:
    """What the masks take of 2,000 maps, bool [2000, 30, 40]."""
    model, variables = small(mask_probability=probability, mask_columns=16, mask_rows=6)
    return augmented(model, variables, np.ones((2_000, 30, 40), np.float32), ROW) == 0


def test_masks_are_of_columns_and_of_rows():
    """Each with its own probability; their widths as the published draws make them."""
    zero = zeroed(1.0)
    columns, rows = np.asarray(zero.all(axis=1)), np.asarray(zero.all(axis=2))
    np.testing.assert_array_equal(zero, columns[:, None, :] | rows[:, :, None])
    for band, bound, lowest in ((columns, 16, 4), (rows, 6, 2)):
        edges = np.abs(np.diff(band.astype(int), axis=1)).sum(axis=1)
        assert edges.max() <= 2  # one band each
        width = band.sum(axis=1)
        assert width.min() == 0
        assert width.max() == bound - 2  # end < start + largest, largest < bound
        # largest ~ U{lowest .. bound - 1}, width ~ U{0 .. largest - 1}
        wanted = np.mean([(largest - 1) / 2 for largest in range(lowest, bound)])
        assert width.mean() == pytest.approx(wanted, rel=0.05)
    both = zeroed(0.25).any(axis=(1, 2)).mean()
    touched = [1 - np.mean([1 / n for n in range(low, high)]) for low, high in ((4, 16), (2, 6))]
    assert both == pytest.approx(1 - np.prod([1 - 0.25 * p for p in touched]), abs=0.04)


def test_masks_of_columns_stay_within_a_clips_own_frames():
    """So that what is drawn does not depend on the row's length, but on the clip's."""
    model, variables = small(mask_probability=1.0, mask_columns=16, mask_rows=1)
    found = []
    for width in (20, 40):
        extent = Extent(jnp.ones(1, bool), jnp.full(300, 12))
        maps = np.ones((300, 5, width), np.float32)
        found.append(augmented(model, variables, maps, extent) == 0)
        assert found[-1][:, :, :12].any(axis=(0, 1)).sum() >= 10
        assert not found[-1][:, :, 12:].any()
    np.testing.assert_array_equal(found[0][:, :, :12], found[1][:, :, :12])


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_masks_in_training(probability, clips):
    model, variables = small(mask_probability=probability, efficientnet_dropout=0.0)

    @quickly
    def score(key):
        rngs = {"dropout": key}
        return model.apply(variables, *clips, train=True, rngs=rngs, mutable=["batch_stats"])[
            0
        ].score

    differ = bool((score(jax.random.key(1)) != score(jax.random.key(2))).any())
    assert differ is (probability > 0)


def test_filler_rows_have_finite_gradients(clips):
    waveform, num_samples = (given.copy() for given in clips)
    waveform[2], num_samples[2] = 0.0, 0
    model, variables = small()

    @functools.partial(jax.jit, compiler_options=QUICKEST)
    @jax.grad
    def gradient(params):
        output, _ = model.apply(
            {**variables, "params": params},
            waveform,
            num_samples,
            train=True,
            rngs={"dropout": jax.random.key(0)},
            mutable=["batch_stats"],
        )
        return output.logits.sum() + output.slices.logits.sum() + output.slices.aux_logits.sum()

    grads = gradient(variables["params"])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))


def test_efficientnet_has_no_skip_and_keeps_99_percent():
    """A block with a dead output is 0, whatever came in; its BatchNorm is TensorFlow's."""
    block = MBConv(2, 3, 1, 1, 0.99)
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 2)).astype(np.float32)
    variables = quickly(block.init, static_argnums=3)(jax.random.key(1), x, ROW, False)
    dead = jax.tree.map(np.zeros_like, variables["params"]["bn2"])
    params = {**variables["params"], "bn2": dead}
    found: Any = quickly(block.apply, static_argnums=3)(
        {**variables, "params": params}, x, ROW, False
    )
    assert not np.any(found)
    train = quickly(functools.partial(block.apply, train=True, mutable=["batch_stats"]))
    _, after = train(variables, x, ROW)
    y = jax.lax.conv_general_dilated(
        jnp.asarray(x),
        variables["params"]["depthwise_conv"]["kernel"],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=2,
    )
    np.testing.assert_allclose(
        after["batch_stats"]["bn1"]["mean"], 0.01 * y.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-7
    )


def test_same_padding_goes_to_the_end():
    """Of two columns with stride 2, the stem's window starts at the first column."""
    model = EfficientNet(1, (1,), (1,), (1,), (1,), 1, 1)
    x = np.zeros((1, 2, 2, 1), np.float32)
    x[0, 1, 1, 0] = 1.0
    variables = quickly(model.init, static_argnums=3)(jax.random.key(0), x, ROW, False)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1.0  # reads row 1, column 1 of its window
    params = {**variables["params"], "conv_stem": {"kernel": kernel}}
    shown = functools.partial(model.apply, train=False, mutable=["intermediates"])
    _, state = quickly(shown)({**variables, "params": params}, x, ROW)
    assert float(taps_of(state["intermediates"])["perception.stem_bn_silu"][0, 0, 0, 0]) > 0.5


def res2_block(x: Any, kernels: dict[str, Any], **fields: Any) -> np.ndarray:
    """Output of a block with identity BatchNorms and all kernels 0 but the given, first channel."""
    block = SERes2Block(planes=32, base_width=2, **fields)
    variables: Any = jax.eval_shape(lambda: block.init(jax.random.key(0), x, ROW, False))
    params = {
        name: {"kernel": np.broadcast_to(kernels.get(name, 0.0), part["kernel"].shape)}
        if "kernel" in part
        else {"scale": np.ones(part["scale"].shape), "bias": np.zeros(part["bias"].shape)}
        for name, part in variables["params"].items()
    }
    stats = {
        name: {"mean": np.zeros(part["mean"].shape), "var": np.ones(part["var"].shape)}
        for name, part in variables["batch_stats"].items()
    }
    found = quickly(lambda v, x: block.apply(v, x, ROW, False))(
        {"params": params, "batch_stats": stats}, x
    )
    return np.asarray(found[0, :, :, 0])


FIRST, SECOND = np.eye(2)
PASS = {"conv1": np.eye(2)}  # channel 0 of the input is group 0, channel 1 is group 1


def test_averages_of_a_first_block():
    """In the ladder the zeros of the padding count, in the skip path they do not."""
    x = jnp.ones((1, 5, 5, 2))
    first: dict[str, Any] = {"scale": 2, "stride": 2, "is_first": True}
    ladder = res2_block(x, PASS | {"conv3": SECOND[:, None]}, **first)
    wanted = np.array([[4, 6, 4], [6, 9, 6], [4, 6, 4]]) / 9
    np.testing.assert_allclose(ladder, wanted / 2, rtol=1e-4)  # an idle excitation is a half
    skip = res2_block(x, {"skip_conv": FIRST[:, None]}, **first)
    np.testing.assert_allclose(skip, np.ones((3, 3)), rtol=1e-4)


@pytest.mark.parametrize("is_first", [True, False])
def test_the_ladder_climbs_in_later_blocks_only(is_first):
    """Group 0 alone has an input; group 1 has it from its neighbour where the block is later."""
    fields: dict[str, Any] = {"stride": 1, "is_first": is_first}
    kernels = {
        "conv1": FIRST[None] * np.ones((64, 1)),
        "convs_0": 1.0,
        "convs_1": 1.0,
        "conv3": np.array([[0.0], [1.0], [0.0]]),
    }
    kernels["conv1"] = np.concatenate([kernels["conv1"], np.zeros((64, 1))], axis=1)
    x = jnp.ones((1, 3, 3, 64))
    found = res2_block(x, kernels, scale=3, **fields)
    added = found if is_first else found - 1.0  # the skip path
    assert bool((np.abs(added) > 0.1).all()) is not is_first
