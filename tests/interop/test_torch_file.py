"""PyTorch files: reading and writing gives the right values."""

import json
import pickletools
import zipfile

import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_writer import write_state_dict
from tests.interop.torch_bytes import (
    BLOCK,
    PLAIN,
    STATE,
    VALUES,
    dict_of,
    integer,
    message_of,
    storage,
    tensor,
    write_legacy,
    write_zip,
)

# --- the real thing


def test_published_weights(shared_data):
    state = read_state_dict(shared_data / "weights" / "AASIST.pth")
    entries = json.loads((shared_data / "parity" / "aasist.json").read_text("utf-8"))["entries"]
    assert {e["name"]: tuple(e["shape"]) for e in entries} == {
        name: array.shape for name, array in state.items()
    }
    floats = [array for name, array in state.items() if "num_batches" not in name]
    assert {array.dtype for array in floats} == {np.dtype(np.float32)}
    # Between the first and the last training step of a real network.
    assert 0 < np.mean([np.abs(array).mean() for array in floats]) < 1
    assert all(state[n] > 0 for n in state if n.endswith("num_batches_tracked"))


# --- layouts


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (tensor((3, 4), (4, 1)), VALUES.reshape(3, 4)),
        (tensor((4, 3), (1, 4)), VALUES.reshape(3, 4).T),
        (tensor((2, 2), (4, 1), offset=5), VALUES.reshape(3, 4)[1:, 1:3]),
        (tensor((3, 2), (1, 0), offset=9), np.repeat(VALUES[9:, None], 2, 1)),
        (tensor((), (), offset=11), VALUES[11]),
        (tensor((0, 4), (4, 1)), np.zeros((0, 4), np.float32)),
        (b"ctorch._utils\n_rebuild_parameter\n(" + tensor((12,), (1,)) + b"\x88NtR", VALUES),
    ],
    ids=["plain", "transposed", "slice", "expanded", "scalar", "empty", "parameter"],
)
def test_strides_and_offsets(tmp_path, made, wanted):
    zipped = write_zip(tmp_path / "a.pth", dict_of(w=made), BLOCK)
    old = write_legacy(tmp_path / "b.pth", dict_of(w=made), {"0": (12, BLOCK["0"])})
    for path in (zipped, old):
        found = read_state_dict(path)["w"]
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == np.float32


def test_tensors_of_one_storage_share_it(tmp_path):
    pickled = dict_of(a=tensor((12,), (1,)), b=tensor((4, 3), (1, 4)))
    state = read_state_dict(write_zip(tmp_path / "a.pth", pickled, BLOCK))
    assert np.shares_memory(state["a"], state["b"])
    assert not state["a"].flags.writeable


def test_bfloat16_keeps_its_values(tmp_path):
    bits = np.array([0x3FC0, 0xC000, 0x7F80], np.uint16)  # 1.5, -2, infinity
    made = tensor((3,), (1,), kind=b"torch\nBFloat16Storage", numel=3)
    state = read_state_dict(write_zip(tmp_path / "a.pth", dict_of(w=made), {"0": bits.tobytes()}))
    np.testing.assert_array_equal(state["w"], np.array([1.5, -2, np.inf], np.float32))


def test_byte_order_is_read(tmp_path):
    data = {"0": VALUES.astype(">f4").tobytes()}
    path = write_zip(tmp_path / "a.pth", PLAIN, data, byteorder=b"big")
    np.testing.assert_array_equal(read_state_dict(path)["w"], VALUES.reshape(3, 4))
    without = write_zip(tmp_path / "b.pth", PLAIN, BLOCK, byteorder=None)
    np.testing.assert_array_equal(read_state_dict(without)["w"], VALUES.reshape(3, 4))


def test_view_of_an_old_storage(tmp_path):
    """Files of the first versions name a part of a storage."""
    part = storage(b"torch\nFloatStorage", b"0", 12)
    viewed = part.replace(b"tQ", b"(X\x01\x00\x00\x00v" + integer(4) + integer(6) + b"ttQ")
    made = tensor((2, 3), (3, 1)).replace(part, viewed)
    path = write_legacy(tmp_path / "a.pth", dict_of(w=made), {"0": (12, BLOCK["0"])})
    np.testing.assert_array_equal(read_state_dict(path)["w"], VALUES[4:10].reshape(2, 3))
    beyond = made.replace(integer(4) + integer(6), integer(4) + integer(5))
    path = write_legacy(tmp_path / "a.pth", dict_of(w=beyond), {"0": (12, BLOCK["0"])})
    assert "reaches value 5 of a storage of 5" in message_of(path)


# --- wrappers


def test_module_prefix_is_removed(tmp_path):
    path = tmp_path / "a.pth"
    write_state_dict(path, {"module.a.weight": VALUES, "module.b": VALUES})
    assert list(read_state_dict(path)) == ["a.weight", "b"]
    write_state_dict(path, {"module.a.weight": VALUES, "b": VALUES})
    assert list(read_state_dict(path)) == ["module.a.weight", "b"]


@pytest.mark.parametrize(
    "wrapper", ["model", "state_dict", "model_state_dict", "model_state", "net"]
)
def test_wrapped_state_dict(tmp_path, wrapper):
    inner = PLAIN[2:-1]
    optimizer = dict_of(state=b"}", step=tensor((), ()), lr=b"G?\xf0\0\0\0\0\0\0")[2:-1]
    pickled = dict_of(epoch=integer(7), **{wrapper: inner}, optimizer=optimizer)
    assert list(read_state_dict(write_zip(tmp_path / "a.pth", pickled, BLOCK))) == ["w"]
    twice = dict_of(net=dict_of(**{wrapper: inner})[2:-1])
    assert list(read_state_dict(write_zip(tmp_path / "a.pth", twice, BLOCK))) == ["w"]


def test_several_state_dicts_are_not_guessed_between(tmp_path):
    pickled = dict_of(model=PLAIN[2:-1], net=PLAIN[2:-1])
    assert "several state dicts (model, net)" in message_of(
        write_zip(tmp_path / "a.pth", pickled, BLOCK)
    )


# --- writing


def test_what_was_written_comes_back_bit_for_bit(tmp_path):
    path = tmp_path / "a.pth"
    write_state_dict(path, STATE)
    found = read_state_dict(path)
    assert list(found) == list(STATE)
    for name, array in STATE.items():
        wanted = array.astype(array.dtype.newbyteorder("="))
        assert found[name].dtype == wanted.dtype, name
        assert found[name].shape == wanted.shape
        np.testing.assert_array_equal(found[name], wanted)
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_written_pickle_names_only_what_a_state_dict_needs(tmp_path):
    write_state_dict(tmp_path / "a.pth", STATE)
    with zipfile.ZipFile(tmp_path / "a.pth") as archive:
        assert archive.testzip() is None
        pickled = archive.read("archive/data.pkl")
        starts = [
            info.header_offset + 30 + len(info.filename) + len(info.extra)
            for info in archive.infolist()
        ]
    named = {str(arg) for op, arg, _ in pickletools.genops(pickled) if op.name == "GLOBAL"}
    modules = {name.split()[0] for name in named}
    assert modules == {"collections", "torch._utils", "torch"}
    assert all(n.endswith("Storage") for n in named if n.startswith("torch "))
    assert not [start for start in starts if start % 64]


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pth"
    write_state_dict(path, {"w": VALUES})
    with pytest.raises(CheckpointError, match="w: PyTorch has no storage for <U1"):
        write_state_dict(path, {"w": np.array(["a"])})
    assert list(read_state_dict(path)) == ["w"]
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_state_dict(tmp_path / "no" / "a.pth", {"w": VALUES})
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]
