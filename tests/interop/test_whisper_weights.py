"""Weights of Whisper's encoder: Hugging Face's and OpenAI's go in, Hugging Face's come out."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.encoder_files import (
    read_encoder_config,
    read_encoder_weights,
    write_encoder_weights,
)
from rawnet_jax.interop.encoder_weights import encoder_from_state, state_from_encoder
from rawnet_jax.interop.torch_writer import write_state_dict
from tests.encoders.small_encoders import drawn
from tests.encoders.small_whisper import WHISPER

IN_A_BLOCK = {
    "self_attn.q_proj": "attn.query",
    "self_attn.k_proj": "attn.key",
    "self_attn.v_proj": "attn.value",
    "self_attn.out_proj": "attn.out",
    "self_attn_layer_norm": "attn_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
}
PAIR = {"a": np.ones((2, 2), np.float32)}


def assert_same(found, wanted):
    assert str(jax.tree.structure(found)) == str(jax.tree.structure(wanted))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)


def openai_names(state):
    """Rename, each tensor by hand."""
    found = {}
    for name, array in state.items():
        match name.removeprefix("encoder.").split("."):
            case ["layers", i, *inner]:
                new = f"blocks.{i}.{IN_A_BLOCK['.'.join(inner[:-1])]}.{inner[-1]}"
            case ["layer_norm", leaf]:
                new = f"ln_post.{leaf}"
            case ["embed_positions", _]:
                new = "positional_embedding"
            case other:
                new = ".".join(other)
        found["encoder." + new] = array
    return found


@pytest.fixture(scope="module")
def known():
    variables = drawn(WHISPER)
    return variables, state_from_encoder(variables, WHISPER)


def test_names_are_those_of_hugging_face(known):
    variables, state = known
    assert len(state) == 4 + 1 + 2 + 3 * 15
    assert state["encoder.embed_positions.weight"].shape == (100, 48)
    assert "encoder.layers.0.self_attn.k_proj.bias" not in state
    kernel = variables["params"]["network"]["layers"]["layer"]["attention"]["k_proj"]["kernel"]
    np.testing.assert_array_equal(state["encoder.layers.1.self_attn.k_proj.weight"], kernel[1].T)
    assert_same(encoder_from_state(state, WHISPER).variables, variables)


@pytest.mark.parametrize("prefix", ["", "encoder.", "model.encoder.", "module.frontend.whisper."])
def test_every_prefix_is_found_and_a_head_kept(known, prefix):
    variables, state = known
    mine = {prefix + name.removeprefix("encoder."): array for name, array in state.items()}
    head = {"head.conv1.weight": PAIR["a"], "head.layers.0.bias": PAIR["a"]}
    found = encoder_from_state(mine | (head if prefix else {}), WHISPER)
    assert_same(found.variables, variables)
    assert list(found.rest) == (list(head) if prefix else [])
    assert found.unused == []


def test_the_decoder_is_passed_over(known):
    variables, state = known
    names = ["model.decoder.layers.0.self_attn.k_proj.weight", "model.decoder.embed_tokens.weight"]
    theirs = {"model." + name: array for name, array in state.items()}
    found = encoder_from_state(
        theirs | dict.fromkeys([*names, "proj_out.weight"], PAIR["a"]), WHISPER
    )
    assert_same(found.variables, variables)
    assert found.unused == [*names, "proj_out.weight"]
    first = encoder_from_state(state, WHISPER.replaced(first_layers=2))
    assert len(first.unused) == 15
    assert all(name.startswith("encoder.layers.2.") for name in first.unused)


def test_openai_s_file_gives_the_same_parameters(known, tmp_path):
    variables, state = known
    decoder = {
        "decoder.blocks.0.attn.key.weight": PAIR["a"],
        "decoder.token_embedding.weight": PAIR["a"],
    }
    write_state_dict(tmp_path / "small.pt", openai_names(state) | decoder)
    found = read_encoder_weights(tmp_path / "small.pt", WHISPER)
    assert_same(found.variables, variables)
    assert found.unused == list(decoder)
    assert not found.rest


def test_what_was_written_is_read(known, tmp_path):
    variables, state = known
    config = WHISPER.replaced(dropout=0.1, layer_drop=0.05)
    write_encoder_weights(tmp_path / "out", variables, config)
    found = read_encoder_weights(tmp_path / "out")
    assert found.config == config
    assert_same(found.variables, variables)
    few = WHISPER.replaced(first_layers=1)
    some = encoder_from_state(state, few).variables
    write_encoder_weights(tmp_path / "few", some, few)
    found = read_encoder_weights(tmp_path / "few")
    assert found.config == WHISPER.replaced(num_layers=1)
    assert_same(found.variables, some)


def test_shards_and_pytorch_files_are_read(known, tmp_path):
    variables, state = known
    place = {name: f"model-{i % 2}.safetensors" for i, name in enumerate(state)}
    for file in set(place.values()):
        save_file({n: state[n] for n in state if place[n] == file}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": place}), "utf-8")
    (tmp_path / "other").mkdir()
    write_state_dict(tmp_path / "other" / "pytorch_model.bin", state)
    for path in (tmp_path, tmp_path / "other"):
        assert_same(read_encoder_weights(path, WHISPER).variables, variables)


def test_everything_that_is_wrong_is_listed_at_once(known):
    state = dict(known[1])
    del state["encoder.conv2.bias"]
    for i in (0, 1, 2):
        del state[f"encoder.layers.{i}.fc1.bias"]
    state["encoder.layers.1.self_attn.k_proj.bias"] = np.ones(48, np.float32)
    state["encoder.embed_positions.weight"] = np.ones((50, 48), np.float32)
    with pytest.raises(CheckpointError) as raised:
        encoder_from_state(state, WHISPER)
    assert str(raised.value) == (
        "missing: conv2.bias, layers.{0-2}.fc1.bias; "
        "left over: layers.1.self_attn.k_proj.bias; "
        "wrong: embed_positions.weight is (50, 48), must be (100, 48)"
    )


def test_other_networks_are_refused(known):
    with pytest.raises(CheckpointError, match=r"no encoder of the Whisper kind: .* conv1\.weight"):
        encoder_from_state({"encoder.layers.0.self_attn.k_proj.weight": PAIR["a"]}, WHISPER)
    two = {p + name: array for p in ("student.", "teacher.") for name, array in known[1].items()}
    with pytest.raises(
        CheckpointError, match=r"holds 2 encoders, under 'student\.encoder\.', 'tea"
    ):
        encoder_from_state(two, WHISPER)


def test_what_a_config_does_not_say_is_as_in_their_class(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}', "utf-8")
    assert read_encoder_config(tmp_path) == type(WHISPER)()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config", {"activation_function": "relu"}, "activation_function is 'relu'; only 'gelu'"),
        ("config", {"d_model": "wide"}, "d_model is 'wide'; it must be like 384"),
        ("config", {"encoder_layers": 0}, "num_layers is 0; it must be at least 1"),
        ("preprocessor_config", {"do_normalize": True}, "do_normalize is True; only False is read"),
    ],
)
def test_a_wrong_config_is_refused(tmp_path, file, content, message):
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}', "utf-8")
    text = json.dumps({"model_type": "whisper", **content})
    (tmp_path / f"{file}.json").write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=message) as raised:
        read_encoder_config(tmp_path)
    assert str(raised.value).count(".json") == 1
