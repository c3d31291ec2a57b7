"""Files of encoders: what is read, what is written, what is refused."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from rawnet_jax.encoders.config import Wav2Vec2Config
from rawnet_jax.errors import CheckpointError, DataError
from rawnet_jax.flat_weights import packed, published_arrays
from rawnet_jax.interop.encoder_files import (
    read_encoder_config,
    read_encoder_weights,
    write_encoder_weights,
)
from rawnet_jax.interop.encoder_weights import state_from_encoder
from rawnet_jax.interop.torch_writer import write_state_dict
from tests.docs_examples import DOCS, run_python
from tests.encoders.small_encoders import FAMILIES, LENGTHS, MHUBERT, clips, drawn

CONFIG = FAMILIES["xlsr"]
ALL = {**FAMILIES, "mhubert": MHUBERT}


def assert_same(found, wanted):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_number_stays_a_number():
    found = published_arrays(packed({"a": np.int64(3)}, {"format": "pt"}))
    assert list(found) == ["a"]
    assert found["a"].shape == ()
    assert found["a"] == 3


def sharded(folder, state, count=3):
    """Write shards with their index; returns the index."""
    names = sorted(state)
    place = {name: f"model-{i % count}.safetensors" for i, name in enumerate(names)}
    for file in set(place.values()):
        save_file({n: state[n] for n in names if place[n] == file}, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": place}), "utf-8")
    return index


@pytest.mark.parametrize("name", ALL)
def test_what_was_written_is_read(tmp_path, name):
    config = ALL[name].replaced(input_norm="hf", dropout=0.1, layer_drop=0.05)
    variables = drawn(config)
    write_encoder_weights(tmp_path / "out", variables, config)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    found = read_encoder_weights(tmp_path / "out")
    assert found.config == config
    assert_same(found.variables, variables)
    assert_same(read_encoder_weights(tmp_path / "out" / "model.safetensors").variables, variables)


def test_layers_that_are_not_kept_are_not_written(tmp_path):
    config = CONFIG.replaced(first_layers=2)
    write_encoder_weights(tmp_path / "out", drawn(config), config)
    found = read_encoder_weights(tmp_path / "out")
    assert found.config == CONFIG.replaced(num_layers=2)
    assert_same(found.variables, drawn(config))


def test_shards_pytorch_files_and_folders_are_read(tmp_path):
    variables = drawn(CONFIG)
    state = state_from_encoder(variables, CONFIG)
    index = sharded(tmp_path, state)
    write_state_dict(
        tmp_path / "fine_tuned.pth", {f"module.m_ssl.{n}": a for n, a in state.items()}
    )
    (tmp_path / "other").mkdir()
    write_state_dict(tmp_path / "other" / "pytorch_model.bin", state)
    for path in (index, tmp_path, tmp_path / "fine_tuned.pth", tmp_path / "other"):
        assert_same(read_encoder_weights(path, CONFIG).variables, variables)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([[1.5, -2.0, 3.140625]], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"a.b": {"dtype": "BF16", "shape": [1, 3], "data_offsets": [0, 6]}}
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + data
    found = published_arrays(content)
    np.testing.assert_array_equal(found["a.b"], values)
    assert found["a.b"].dtype == np.float32
    assert not found["a.b"].flags.writeable
    other = text.replace(b"BF16", b"F8_E4M3")
    content = len(other).to_bytes(8, "little") + other + data[:3]
    with pytest.raises(ValueError, match=r"a\.b"):
        published_arrays(content.replace(b"[0, 6]", b"[0, 3]"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"a": "../model-0.safetensors"}, "weight_map names '../model-0.safetensors'; it must be"),
        ({"a": ["x"]}, "weight_map names .*; it must be a file beside it"),
        ({"a": 3}, "weight_map names '3'; it must be a file beside it"),
        ({"a": "lost.safetensors"}, "these files are missing beside it: lost.safetensors"),
        ({"a": "model-0.safetensors"}, "not in the file that it names: a"),
        ({}, "no weight_map"),
        ([], "no weight_map"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path, place, message):
    index = sharded(tmp_path, {"b": np.ones(2, np.float32)})
    index.write_text(json.dumps({"weight_map": place}), "utf-8")
    with pytest.raises(CheckpointError, match=message):
        read_encoder_weights(index, CONFIG)


def test_damaged_files_are_refused(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file(state_from_encoder(drawn(CONFIG), CONFIG), file)
    whole = file.read_bytes()
    for content in (whole[:-4], b"", b"\xff" * 40, whole[:20]):
        file.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.safetensors: no whole safetensors file"):
            read_encoder_weights(file, CONFIG)
    with pytest.raises(CheckpointError, match=r"none\.safetensors: No such file"):
        read_encoder_weights(tmp_path / "none.safetensors", CONFIG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        CheckpointError, match=r"empty: no weights; there must be one of model\.safet"
    ):
        read_encoder_weights(tmp_path / "empty", CONFIG)
    with pytest.raises(CheckpointError, match=r"config\.json: not there, so the encoder's sizes"):
        read_encoder_weights(tmp_path / "empty")


def test_the_error_names_the_file(tmp_path):
    save_file(state_from_encoder(drawn(CONFIG), CONFIG), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not the weights of this enc"):
        read_encoder_weights(tmp_path / "model.safetensors", CONFIG.replaced(num_layers=2))


def test_a_folder_in_use_is_not_written_to(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    with pytest.raises(DataError, match="something is there already"):
        write_encoder_weights(tmp_path, drawn(CONFIG), CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_page_runs(tmp_path):
    write_encoder_weights(tmp_path / "wav2vec2-xls-r-300m", drawn(CONFIG), CONFIG)
    given = {"waveform": clips(), "num_samples": LENGTHS}
    space = run_python(DOCS / "encoders.md", tmp_path, given)
    assert space["found"].hidden.shape == (4, 2, 124, 48)


# --- config.json


def test_what_a_config_does_not_say_is_as_in_the_classes(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}', "utf-8")
    rates = {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1}
    wanted = Wav2Vec2Config(**rates, layer_drop=0.1)  # type: ignore[arg-type]
    assert read_encoder_config(tmp_path) == wanted
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": true}', "utf-8")
    assert read_encoder_config(tmp_path / "any file") == wanted.replaced(input_norm="hf")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must hold an object"),
        ('{"model_type": "data2vec-audio"}', "model_type is 'data2vec-audio'; it must be one of"),
        ('{"model_type": "hubert", "hidden_act": "relu"}', "hidden_act is 'relu'; only 'gelu'"),
        ('{"model_type": "wav2vec2", "add_adapter": true}', "add_adapter is True; only False"),
        ('{"model_type": "hubert", "hidden_size": "wide"}', "hidden_size is 'wide'; it must be"),
        ('{"model_type": "hubert", "hidden_size": true}', "hidden_size is True; it must be"),
        ('{"model_type": "hubert", "conv_dim": [4, 8]}', "conv_dim has several numbers"),
        ('{"model_type": "hubert", "conv_stride": [4.5]}', r"conv_stride is \[4.5\]; it must be"),
        ('{"model_type": "hubert", "conv_stride": [4]}', "conv_strides 1; they must be as many"),
        ('{"model_type": "hubert", "num_hidden_layers": 0}', "num_layers is 0; it must be"),
    ],
)
def test_a_wrong_config_is_refused(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content, "utf-8")
    with pytest.raises(CheckpointError, match=message) as raised:
        read_encoder_weights(tmp_path)
    assert str(raised.value).count("config.json") == 1
