"""Published state dicts of detectors with an encoder: in and out, whatever the prefixes."""

import re
from typing import Any

import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.encoder_weights import state_from_encoder
from rawnet_jax.interop.model_weights import variables_from_published, variables_to_published
from rawnet_jax.interop.torch_weights import variables_to_torch
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.models.with_encoder import WithEncoder
from tests.models.small_models import CASES
from tests.models.test_variable_length import drawn

PUBLISHED = [
    name
    for name, spec in MODELS.items()
    if issubclass(spec.module, WithEncoder) and spec.torch_names is not None
]
# Names that the published descriptions give, of every kind of layer.
EXPECTED = {
    "ssl_linear": ("m_ssl.model.post_extract_proj.weight", "proj_fc.weight", "proj_fc.bias"),
    "ssl_aasist": (
        "ssl_model.model.feature_extractor.conv_layers.0.0.weight",
        "ssl_model.model.feature_extractor.conv_layers.0.2.1.weight",
        "ssl_model.model.encoder.pos_conv.0.weight_g",
        "ssl_model.model.encoder.layers.1.self_attn.k_proj.bias",
        "ssl_model.model.encoder.layers.1.self_attn_layer_norm.weight",
        "ssl_model.model.encoder.layers.1.fc2.weight",
        "ssl_model.model.encoder.layer_norm.weight",
        "ssl_model.model.layer_norm.bias",
        "LL.weight",
        "first_bn.running_mean",
        "first_bn1.num_batches_tracked",
        "encoder.0.0.conv1.weight",
        "encoder.1.0.bn1.running_var",
        "encoder.1.0.conv_downsample.bias",
        "attention.0.weight",
        "attention.2.running_mean",
        "attention.3.bias",
        "pos_S",
        "master1",
        "GAT_layer_S.att_proj.weight",
        "GAT_layer_T.att_weight",
        "HtrgGAT_layer_ST11.proj_type1.weight",
        "HtrgGAT_layer_ST12.att_weightM",
        "HtrgGAT_layer_ST21.proj_without_attM.bias",
        "pool_S.proj.weight",
        "pool_hT2.proj.bias",
        "out_layer.weight",
    ),
    "nes2net": (
        "ssl_model.model.model.encoder.layers.0.fc1.weight",
        "ssl_model.fc_att_merge.0.weight",
        "ssl_model.fc_att_merge.2.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.convs.0.weight",
    ),
    "nes2net_x": (
        "ssl_model.model.encoder.layers.0.fc1.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.conv1.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.bn1.running_mean",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.convs.0.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.bns.0.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.weighted_sum.0",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.conv3.bias",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.bn3.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.se.se.1.weight",
        "Nested_Res2Net_TDNN.Build_in_Res2Nets.0.se.se.3.bias",
        "Nested_Res2Net_TDNN.bns.0.weight",
        "Nested_Res2Net_TDNN.bn.running_var",
        "Nested_Res2Net_TDNN.fc.weight",
        "Nested_Res2Net_TDNN.pooling.linear1.weight",
        "Nested_Res2Net_TDNN.pooling.linear2.bias",
    ),
    "ssl_sls": ("first_bn.weight", "fc0.weight", "fc1.weight", "fc3.bias"),
    "ssl_tcm": (
        "LL.weight",
        "first_bn.bias",
        "conformer.positional_emb",
        "conformer.class_token",
        "conformer.encoder_blocks.0.ff1.fn.norm.weight",
        "conformer.encoder_blocks.0.ff2.fn.fn.net.3.bias",
        "conformer.encoder_blocks.0.attn.norm.bias",
        "conformer.encoder_blocks.0.attn.fn.qkv.weight",
        "conformer.encoder_blocks.0.attn.fn.proj.bias",
        "conformer.encoder_blocks.0.attn.fn.ht_proj.weight",
        "conformer.encoder_blocks.0.attn.fn.ht_norm.weight",
        "conformer.encoder_blocks.0.attn.fn.pos_embed",
        "conformer.encoder_blocks.0.conv.net.0.weight",
        "conformer.encoder_blocks.0.conv.net.2.weight",
        "conformer.encoder_blocks.0.conv.net.4.conv.weight",
        "conformer.encoder_blocks.0.conv.net.5.running_mean",
        "conformer.encoder_blocks.0.conv.net.7.bias",
        "conformer.encoder_blocks.0.post_norm.weight",
        "conformer.fc5.weight",
    ),
}


def published(name: str) -> tuple[Any, Any, dict[str, Any], dict[str, np.ndarray]]:
    """Return a small network, its names, variables, and the state dict of them."""
    fields = CASES[name].padded.fields | {"variable_length": True}
    if name == "ssl_aasist":
        fields = CASES[name].fields
    model = build_model(model_config(name, **fields))
    variables = drawn(model, 300)
    names = MODELS[name].torch_names
    assert names is not None
    return model, names, variables, variables_to_published(variables, model, names)


def assert_same(found: Any, wanted: Any) -> None:
    import jax

    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_every_published_head_has_expected_names():
    assert set(PUBLISHED) == set(EXPECTED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_out_and_in_again_bit_for_bit(name):
    model, names, variables, state = published(name)
    assert set(EXPECTED[name]) <= set(state)
    shapes = variable_shapes(model, 300)
    assert_same(variables_from_published(state, model, names, shapes).variables, variables)
    # What a file has beside it: pre-training's parts, and a prefix of a wrapper.
    prefix = names.encoder
    more = {f"{prefix}mask_emb": np.zeros(8), f"{prefix}quantizer.vars": np.zeros((1, 2))}
    wrapped = {f"module.{key}": array for key, array in (state | more).items()}
    found = variables_from_published(wrapped, model, names, shapes)
    assert_same(found.variables, variables)
    assert {name.removeprefix("module.") for name in found.unused} == set(more)


def test_an_encoder_with_other_names_and_another_prefix_is_found():
    model, names, variables, state = published("ssl_linear")
    encoder = state_from_encoder(
        {part: entries.get("encoder", {}) for part, entries in variables.items()},
        model.encoder_config,
    )
    renamed = {f"net.backbone.{key}": array for key, array in encoder.items()}
    renamed |= {f"net.{key}": array for key, array in state.items() if key.startswith("proj")}
    found = variables_from_published(renamed, model, names, variable_shapes(model, 300))
    assert_same(found.variables, variables)


def test_all_that_is_wrong_is_in_one_error():
    model, names, _, state = published("ssl_linear")
    del state["proj_fc.bias"], state["m_ssl.model.encoder.layers.1.fc1.bias"]
    state["m_ssl.model.encoder.layers.0.fc1.bias"] = np.full(8, np.nan, np.float32)
    state["more.weight"] = np.zeros(3, np.float32)
    said = (
        r"encoder: missing: encoder\.layers\.1\.feed_forward\.intermediate_dense\.bias; wrong: .*"
        r"is not finite; head: missing: proj_fc\.bias; left over: more\.weight"
    )
    with pytest.raises(CheckpointError, match=said):
        variables_from_published(state, model, names, variable_shapes(model, 300))


def test_a_file_without_encoder_says_so():
    model, names, _, state = published("ssl_linear")
    alone = {key: array for key, array in state.items() if key.startswith("proj")}
    with pytest.raises(CheckpointError, match=r"^encoder: no encoder of the wav2vec 2.0 kind"):
        variables_from_published(alone, model, names, variable_shapes(model, 300))


def test_convolutions_without_bias_are_a_field():
    model, names, _, state = published("ssl_linear")
    plain = {key: a for key, a in state.items() if not re.search(r"conv_layers\.\d\.0\.bias", key)}
    said = r"conv_bias is False in the file; set --config\.model\.fields\.encoder\.conv_bias=False"
    with pytest.raises(CheckpointError, match=said):
        variables_from_published(plain, model, names, variable_shapes(model, 300))


def test_the_table_of_positions_must_be_the_published_one():
    model, names, _, state = published("ssl_tcm")
    table = state["conformer.positional_emb"]
    assert table.shape == (1, 10_000, 4)
    for p, i in ((0, 0), (7, 1), (207, 2), (207, 3)):
        angle = p / 10_000 ** (2 * (i // 2) / 4)
        assert table[0, p, i] == pytest.approx(np.cos(angle) if i % 2 else np.sin(angle), abs=1e-4)
    other = state | {"conformer.positional_emb": table + 0.01}
    with pytest.raises(CheckpointError, match="positional_emb is not the published table"):
        variables_from_published(other, model, names, variable_shapes(model, 300))
    del other["conformer.positional_emb"]
    variables_from_published(other, model, names, variable_shapes(model, 300))


def test_models_without_encoder_go_as_before():
    model = build_model(model_config("rawnet2_asvspoof5", **CASES["rawnet2_asvspoof5"].fields))
    names = MODELS["rawnet2_asvspoof5"].torch_names
    assert names is not None
    variables = drawn(model, 300)
    state = variables_to_published(variables, model, names)
    assert set(state) == set(variables_to_torch(variables, names))
    found = variables_from_published(state, model, names, variable_shapes(model, 300))
    assert_same(found.variables, variables)
    assert found.unused == []
