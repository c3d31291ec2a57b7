"""Names of an encoder's weights: everybody's go in, Hugging Face's come out."""

import jax
import numpy as np
import pytest

from rawnet_jax.encoders.names import grouped
from rawnet_jax.encoders.wav2vec2_names import WAV2VEC2_NAMES
from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.encoder_weights import encoder_from_state, state_from_encoder
from tests.encoders.small_encoders import FAMILIES, MHUBERT, drawn

ALL = {**FAMILIES, "mhubert": MHUBERT}


def assert_same(found, wanted):
    assert str(jax.tree.structure(found)) == str(jax.tree.structure(wanted))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)


def fairseq_names(state, config):
    """Rename, each tensor by hand, and add what pre-training leaves in a file."""
    flat = {}
    for name, array in state.items():
        part = name.split(".")
        match part:
            case ["feature_extractor", _, i, "conv", leaf]:
                new = f"feature_extractor.conv_layers.{i}.0.{leaf}"
            case ["feature_extractor", _, i, "layer_norm", leaf]:
                place = "2.1" if config.conv_norm == "layer" else "2"
                new = f"feature_extractor.conv_layers.{i}.{place}.{leaf}"
            case ["feature_projection", "layer_norm", leaf]:
                new = f"layer_norm.{leaf}"
            case ["feature_projection", "projection", leaf]:
                new = f"post_extract_proj.{leaf}"
            case ["encoder", "pos_conv_embed", "batch_norm", leaf]:
                new = f"encoder.pos_conv.0.{leaf}"
            case ["encoder", "pos_conv_embed", "conv", leaf]:
                new = f"encoder.pos_conv.{int(config.position_batch_norm)}.{leaf}"
            case ["encoder", "layer_norm", leaf]:
                new = f"encoder.layer_norm.{leaf}"
            case ["encoder", "layers", i, *inner]:
                new = f"encoder.layers.{i}.{IN_A_LAYER['.'.join(inner[:-1])]}{inner[-1]}"
                new = new.replace("gru_rel_pos_const", "grep_a")
        flat[new] = array
    pre_training = ("mask_emb", "quantizer.vars", "project_q.weight", "final_proj.bias")
    return flat | {name: np.ones(3, np.float32) for name in pre_training}


IN_A_LAYER = {
    "attention.q_proj": "self_attn.q_proj.",
    "attention.k_proj": "self_attn.k_proj.",
    "attention.v_proj": "self_attn.v_proj.",
    "attention.out_proj": "self_attn.out_proj.",
    "attention.gru_rel_pos_linear": "self_attn.grep_linear.",
    "attention": "self_attn.",
    "attention.rel_attn_embed": "self_attn.relative_attention_bias.",
    "layer_norm": "self_attn_layer_norm.",
    "final_layer_norm": "final_layer_norm.",
    "feed_forward.intermediate_dense": "fc1.",
    "feed_forward.output_dense": "fc2.",
}


@pytest.mark.parametrize("name", ALL)
def test_names_and_layouts_come_back(name):
    variables = drawn(ALL[name])
    state = state_from_encoder(variables, ALL[name])
    found = encoder_from_state(state, ALL[name])
    assert_same(found.variables, variables)
    assert found.config == ALL[name]
    assert not found.rest
    counters = [n for n in state if n.endswith("num_batches_tracked")]
    assert found.unused == counters
    kernel = variables["params"]["network"]["layers"]["layer"]["attention"]["q_proj"]["kernel"]
    np.testing.assert_array_equal(state["encoder.layers.1.attention.q_proj.weight"], kernel[1].T)


@pytest.mark.parametrize("prefix", ["", "module.", "module.ssl_model.model.", "m_ssl.model."])
@pytest.mark.parametrize("name", ALL)
def test_fairseq_names_give_the_same_parameters(name, prefix):
    variables = drawn(ALL[name])
    theirs = fairseq_names(state_from_encoder(variables, ALL[name]), ALL[name])
    state = {prefix + n: array for n, array in theirs.items()}
    head = {"head.LL.weight": np.ones((2, 2), np.float32)} if prefix else {}
    found = encoder_from_state(state | head, ALL[name])
    assert_same(found.variables, variables)
    assert list(found.rest) == list(head)
    assert {prefix + "mask_emb", prefix + "quantizer.vars"} <= set(found.unused)


def test_both_spellings_of_weight_norm_give_the_same_parameters():
    variables = drawn(ALL["xlsr"])
    new = {
        "wav2vec2."
        + name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): array
        for name, array in state_from_encoder(variables, ALL["xlsr"]).items()
    }
    assert sum("original" in name for name in new) == 2
    head = {"lm_head.weight": np.ones(3, np.float32)}
    found = encoder_from_state(new | head, ALL["xlsr"])
    assert_same(found.variables, variables)
    assert list(found.rest) == ["lm_head.weight"]


def test_layers_that_are_not_kept_are_passed_over():
    variables = drawn(ALL["wavlm_large"])
    config = ALL["wavlm_large"].replaced(first_layers=2)
    found = encoder_from_state(state_from_encoder(variables, config), config)
    layers = found.variables["params"]["network"]["layers"]["layer"]
    whole = variables["params"]["network"]["layers"]["layer"]
    assert_same(layers, jax.tree.map(lambda leaf: leaf[:2], whole))
    assert len(found.unused) == 19  # the gate's too
    assert all(name.startswith("encoder.layers.2.") for name in found.unused)


def test_bias_of_the_convolutions_is_as_in_the_file():
    without = ALL["xlsr"].replaced(conv_bias=False)
    found = encoder_from_state(state_from_encoder(drawn(without), without), ALL["xlsr"])
    assert found.config == without
    assert_same(found.variables, drawn(without))


def test_norm_before_the_projection_is_as_in_the_file_of_hubert():
    without = ALL["hubert_large"].replaced(projection_norm=False)
    state = state_from_encoder(drawn(without), without)
    assert encoder_from_state(state, ALL["hubert_large"]).config == without
    with pytest.raises(CheckpointError, match=r"missing: feature_projection\.layer_norm\.bias"):
        encoder_from_state(state, ALL["xlsr"].replaced(conv_bias=False))


def test_float16_becomes_float32():
    variables = drawn(ALL["xlsr"])
    half = {
        n: array.astype(np.float16)
        for n, array in state_from_encoder(variables, ALL["xlsr"]).items()
    }
    found = encoder_from_state(half, ALL["xlsr"]).variables
    assert_same(found, jax.tree.map(lambda leaf: np.float32(np.float16(leaf)), variables))


def test_everything_that_is_wrong_is_listed_at_once():
    six = ALL["wav2vec2_base"].replaced(num_layers=6)
    state = state_from_encoder(drawn(six), six)
    del state["encoder.layer_norm.bias"]
    del state["feature_extractor.conv_layers.2.conv.weight"]
    for i in (0, 1, 2, 5):
        del state[f"encoder.layers.{i}.attention.k_proj.bias"]
    state["encoder.extra"] = np.ones(1, np.float32)
    state["encoder.layers.7.attention.q_proj.bias"] = np.ones(1, np.float32)
    state["encoder.layers.8.attention.q_proj.bias"] = np.ones(1, np.float32)
    state["feature_projection.projection.bias"] = np.ones(5, np.float32)
    state["encoder.layer_norm.weight"] = np.full(48, np.nan, np.float32)
    state["encoder.layers.0.layer_norm.weight"] = np.ones(48, np.int64)
    with pytest.raises(CheckpointError) as raised:
        encoder_from_state(state, six)
    assert str(raised.value) == (
        "missing: feature_extractor.conv_layers.2.conv.weight, "
        "encoder.layers.{0-2,5}.attention.k_proj.bias, encoder.layer_norm.bias; "
        "left over: encoder.extra, encoder.layers.{7-8}.attention.q_proj.bias; "
        "wrong: feature_projection.projection.bias is (5,), must be (48,), "
        "encoder.layers.0.layer_norm.weight is int64, must be floats, "
        "encoder.layer_norm.weight is not finite"
    )


def test_a_smaller_network_misses_layers_a_larger_one_leaves_some():
    state = state_from_encoder(drawn(ALL["xlsr"]), ALL["xlsr"])
    with pytest.raises(CheckpointError) as raised:
        encoder_from_state(state, ALL["xlsr"].replaced(num_layers=24))
    assert "encoder.layers.{3-23}.final_layer_norm.bias" in str(raised.value)
    assert "left over" not in str(raised.value)
    with pytest.raises(CheckpointError, match=r"left over: encoder\.layers\.2\.att") as raised:
        encoder_from_state(state, ALL["xlsr"].replaced(num_layers=2))
    assert "missing" not in str(raised.value)


def test_no_encoder_several_and_tensors_twice():
    state = state_from_encoder(drawn(ALL["xlsr"]), ALL["xlsr"])
    with pytest.raises(CheckpointError, match=r"no encoder of the wav2vec 2\.0 kind"):
        encoder_from_state({"conv.weight": np.ones(3)}, ALL["xlsr"])
    two = {p + name: array for p in ("student.", "teacher.") for name, array in state.items()}
    with pytest.raises(CheckpointError, match=r"holds 2 encoders, under 'student\.', 'teacher\.'"):
        encoder_from_state(two, ALL["xlsr"])
    with pytest.raises(CheckpointError, match=r"two names: post_extract_proj\.bias"):
        encoder_from_state(state | {"post_extract_proj.bias": np.ones(48)}, ALL["xlsr"])


def test_divided_takes_anything_by_name():
    used, rest, unused = WAV2VEC2_NAMES.divided(
        {"a.feature_extractor.conv_layers.0.0.weight": 1, "b": 2, "a.mask_emb": 3}, 2, 3
    )
    assert used == {"feature_extractor.conv_layers.0.conv.weight": 1}
    assert rest == {"b": 2}
    assert unused == ["a.mask_emb"]


def test_names_of_layers_are_put_together():
    names = ["x.layers.3.b", "x.layers.1.b", "y", "x.layers.0.b", "x.layers.0.a", "y.layers.z"]
    assert grouped(names) == ["x.layers.{0-1,3}.b", "y", "x.layers.0.a", "y.layers.z"]
