"""Encoders against the slow form of their specification, and against themselves."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.encoders.catalog import ENCODERS, encoder_config
from rawnet_jax.encoders.encoder import SpeechEncoder, encoder_shapes
from rawnet_jax.encoders.features import PositionEmbedding
from rawnet_jax.encoders.transformer import distance_buckets
from rawnet_jax.errors import ConfigError
from rawnet_jax.interop.encoder_weights import state_from_encoder
from rawnet_jax.nn.lengths import Extent
from tests.conftest import REPO
from tests.encoders.every_encoder import ALL, padded
from tests.encoders.small_encoders import (
    FAMILIES,
    LENGTHS,
    MHUBERT,
    SEVEN,
    clips,
    drawn,
    encoded,
    reference,
    slow_form,
)

# --- published sizes


@pytest.mark.parametrize("name", ENCODERS)
def test_published_number_of_parameters(name):
    shapes = encoder_shapes(ENCODERS[name].config)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == ENCODERS[name].num_params


@pytest.mark.parametrize(("samples", "frames"), [(64_600, 201), (16_000, 49), (66_800, 208)])
def test_published_number_of_frames(samples, frames):
    assert encoder_config("xlsr_300m").num_frames(samples) == frames
    assert encoder_config("xlsr_300m").shortest == 400
    assert encoder_config("xlsr_300m").num_frames(1) == 1


def test_the_page_has_the_same_table():
    page = (REPO / "docs" / "encoders.md").read_text("utf-8")
    shown: dict[str, list[int]] = {}
    for line in page.splitlines():
        row = re.fullmatch(r"\| (.*`) \| .* \| ([\d,]+) \| (\d+) .*?of ([\d,]+) \|", line)
        if row:
            numbers = [int(text.replace(",", "")) for text in row.groups()[1:]]
            shown |= dict.fromkeys(re.findall(r"`(\w+)`", row[1]), numbers)
    assert shown == {
        name: [spec.num_params, spec.config.num_layers, spec.config.width]
        for name, spec in ENCODERS.items()
    }


# --- values


@pytest.mark.parametrize("name", FAMILIES)
def test_hidden_states_equal_the_slow_form(shared_data, name):
    """Each clip of a padded batch against the slow form on the clip alone."""
    module, (variables, found) = reference(shared_data), padded(name)
    state = state_from_encoder(variables, FAMILIES[name])
    for row, length in enumerate(LENGTHS):
        last, states = slow_form(module, FAMILIES[name], state, clips()[row : row + 1, :length])
        frames = FAMILIES[name].num_frames(length)
        assert last.shape[1] == frames == found.extent.num_frames[row]
        np.testing.assert_allclose(found.last[row, :frames], last[0], atol=1e-4)
        assert len(found.hidden) == len(states) == 4
        for ours, theirs in zip(found.hidden, states, strict=True):
            np.testing.assert_allclose(ours[row, :frames], theirs[0], atol=1e-4)
            assert np.abs(theirs).max() > 1


def test_seven_convolutions_equal_the_slow_form(shared_data):
    variables, samples = drawn(SEVEN), np.tile(clips()[:1], (1, 3))
    found = encoded(SEVEN, variables, samples, np.array([7_500], np.int32))
    last, _ = slow_form(
        reference(shared_data), SEVEN, state_from_encoder(variables, SEVEN), samples
    )
    assert found.last.shape == (1, 23, 48)
    np.testing.assert_allclose(found.last, last, atol=1e-4)


def test_position_embedding_with_batch_norm(shared_data):
    module, rng = reference(shared_data), np.random.default_rng(1)
    variables = drawn(MHUBERT)
    mine = {kind: tree["network"]["position"] for kind, tree in variables.items()}
    x = rng.standard_normal((1, 30, 48)).astype(np.float32)
    network: Any = PositionEmbedding(MHUBERT)
    found = network.apply(mine, x, Extent(jnp.array([True])), False)
    norm, stats = mine["params"]["batch_norm"], mine["batch_stats"]["batch_norm"]
    y = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * norm["scale"] + norm["bias"]
    conv = mine["params"]["conv"]
    y = np.pad(y, ((0, 0), (8, 7), (0, 0)))
    wanted = module.conv1d(y, conv["kernel"].transpose(2, 1, 0), conv["bias"], groups=4)
    np.testing.assert_allclose(found, module.gelu(wanted), atol=1e-5)


@pytest.mark.parametrize("num_frames", [1, 7, 1700])
def test_buckets_equal_the_slow_form(shared_data, num_frames):
    with np.errstate(invalid="ignore"):
        wanted = reference(shared_data).buckets(num_frames, 320, 800)
    found = distance_buckets(num_frames, 320, 800)
    frame = np.arange(num_frames)
    distance = frame[None] - frame[:, None] + num_frames - 1
    np.testing.assert_array_equal(found[distance], wanted)


@pytest.mark.parametrize(("input_norm", "epsilon"), [("hf", 1e-7), ("layer_norm", 1e-5)])
def test_input_is_normalised_over_the_clip(input_norm, epsilon):
    config = FAMILIES["xlsr"].replaced(input_norm=input_norm)
    # So quiet that the number added to the variance matters, and not around 0.
    waveform = 3e-3 * clips() + np.where(clips() == 0, 0, 0.01).astype(np.float32)
    variables = padded("xlsr")[0]
    found = encoded(config, variables, waveform, LENGTHS)
    for row, length in enumerate(LENGTHS):
        clip = waveform[row : row + 1, :length].astype(np.float64)
        clip = (clip - clip.mean()) / np.sqrt(clip.var() + epsilon)
        alone = encoded(
            FAMILIES["xlsr"], variables, clip.astype(np.float32), LENGTHS[row : row + 1]
        )
        frames = config.num_frames(length)
        np.testing.assert_allclose(found.last[row, :frames], alone.last[0], atol=2e-4)


# --- padding


@pytest.mark.parametrize("name", ALL)
def test_padding_and_other_rows_change_nothing(name):
    """What is behind a clip, more of it, filler rows: all the same."""
    variables, found = padded(name)
    frames = ALL[name].num_frames(1_560)
    alone = encoded(ALL[name], variables, clips()[1:, :1_560], LENGTHS[1:])
    np.testing.assert_allclose(found.hidden[:, 1, :frames], alone.hidden[:, 0], atol=2e-5)
    noisy = np.zeros((3, 3_000), np.float32)
    noisy[:2, :2_500] = clips()
    noisy[1, 1_560:] = 7.0
    batch = encoded(ALL[name], variables, noisy, np.array([2_500, 1_560, 0], np.int32))
    assert np.isfinite(batch.hidden).all()
    assert np.isfinite(batch.last).all()
    np.testing.assert_allclose(batch.last[1, :frames], alone.last[0], atol=2e-5)
    np.testing.assert_allclose(batch.last[0, : found.last.shape[1]], found.last[0], atol=2e-5)
    assert batch.extent.real.tolist() == [True, True, False]


def test_a_clip_shorter_than_a_frame_is_a_frame():
    variables = padded("xlsr")[0]
    waveform = clips()[:, :40]
    found = encoded(FAMILIES["xlsr"], variables, waveform, np.array([40, 11], np.int32))
    alone = encoded(FAMILIES["xlsr"], variables, waveform[1:, :11], np.array([11], np.int32))
    np.testing.assert_array_equal(found.extent.num_frames, [1, 1])
    np.testing.assert_allclose(found.last[1, :1], alone.last[0], atol=1e-5)


# --- forms of the same


@pytest.mark.parametrize("name", ["wav2vec2_base", "xlsr", "wavlm_large", "whisper"])
def test_first_layers_are_those_of_the_whole(name):
    variables, whole = padded(name)
    config = ALL[name].replaced(first_layers=2)
    network = dict(variables["params"]["network"])
    layers = dict(network["layers"])
    layers["layer"] = jax.tree.map(lambda leaf: leaf[:2], layers["layer"])
    fewer = {"params": {"network": {**network, "layers": layers}}}
    found = encoded(config, fewer, clips(), LENGTHS)
    assert len(found.hidden) == 3
    np.testing.assert_allclose(found.hidden, whole.hidden[:3], atol=1e-5)
    if config.norm_first:
        norm, last = network["norm"], whole.hidden[2]
        last = (last - last.mean(-1, keepdims=True)) / np.sqrt(last.var(-1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(found.last, last * norm["scale"] + norm["bias"], atol=1e-4)
    else:
        np.testing.assert_array_equal(found.last, found.hidden[2])


@pytest.mark.parametrize("changes", [{"unroll": 3}, {"remat": True}])
def test_how_the_loop_runs_changes_nothing(changes):
    variables, whole = padded("wavlm_large")
    config = FAMILIES["wavlm_large"].replaced(**changes)
    found = encoded(config, variables, clips(), LENGTHS)
    np.testing.assert_allclose(found.hidden, whole.hidden, atol=1e-5)


def test_hidden_states_only_if_asked_for():
    variables, whole = padded("xlsr")
    found = encoded(FAMILIES["xlsr"], variables, clips(), LENGTHS, hidden=False)
    assert found.hidden is None
    np.testing.assert_allclose(found.last, whole.last, atol=1e-5)


def test_a_program_does_not_grow_with_the_layers():
    def length(num_layers):
        config = FAMILIES["wavlm_large"].replaced(num_layers=num_layers)
        shapes = encoder_shapes(config)
        run = functools.partial(SpeechEncoder(config).apply, hidden=True)
        samples = jax.ShapeDtypeStruct((1, 500), jnp.float32)
        lowered = jax.jit(run).lower(shapes, samples, jax.ShapeDtypeStruct((1,), jnp.int32))
        return len(lowered.as_text().splitlines())

    assert length(2) == length(12)


# --- types


@pytest.mark.parametrize("name", ["wav2vec2_base", "wavlm_large", "whisper"])
def test_bfloat16_by_field_and_by_parameters(name):
    variables, whole = padded(name)
    by_field = encoded(ALL[name].replaced(dtype="bfloat16"), variables, clips(), LENGTHS)
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), variables)
    by_parameters = encoded(ALL[name], cast, clips(), LENGTHS)
    for found in (by_field, by_parameters):
        assert found.last.dtype == found.hidden.dtype == jnp.bfloat16
        error = np.abs(np.float32(found.last[0]) - whole.last[0])
        assert error.mean() < 0.05
    np.testing.assert_array_equal(np.float32(by_field.last), np.float32(by_parameters.last))
    shapes = encoder_shapes(ALL[name].replaced(dtype="bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes["params"])} == {np.dtype(np.float32)}
    assert str(jax.tree.structure(shapes)) == str(jax.tree.structure(variables))


# --- what is wrong with a config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"family": "data2vec"},
            "family is 'data2vec'; it must be one of 'wav2vec2', 'hubert', ",
        ),
        (
            {"input_norm": "peak"},
            "input_norm is 'peak'; it must be one of 'none', 'hf', ",
        ),
        ({"dtype": "float16"}, "dtype is 'float16'; it must be one of '', 'float32', 'bfloat16'"),
        ({"first_layers": 13}, "first_layers is 13; it must be from 1 to the network's 12"),
        ({"first_layers": -1}, "first_layers is -1"),
        ({"heads": 7}, "heads is 7; it must divide the width, 768"),
        ({"width": 0}, "width is 0; it must be at least 1"),
        (
            {"buckets": 10**30},
            "buckets is 1000000000000000000000000000000; it must be at most 10000000",
        ),
        ({"conv_strides": (5, 2, 2, 2, 2, 2, 0)}, "it must be at least 1"),
        ({"conv_strides": (999,) * 7}, "make one frame of [0-9]+ samples; it must be at most"),
        ({"dropout": 1.0}, r"dropout is 1.0; it must be in \[0, 1\)"),
        ({"conv_strides": (5,)}, "conv_kernels has 7 numbers, conv_strides 1"),
        ({"layers": 3}, "an encoder has no field layers; it has family, width"),
    ],
)
def test_wrong_fields_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        encoder_config("wav2vec2_base", **changes)


def test_unknown_encoder_is_named():
    with pytest.raises(
        ConfigError, match="no encoder 'xls-r'; there are wav2vec2_base, wav2vec2_l"
    ):
        encoder_config("xls-r")
