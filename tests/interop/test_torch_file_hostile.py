"""PyTorch files that are damaged or hostile: one line, and nothing of them is run."""

import io
import os
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop import torch_pickle
from rawnet_jax.interop.torch_file import read_state_dict
from tests.interop.torch_bytes import (
    BLOCK,
    PLAIN,
    VALUES,
    dict_of,
    message_of,
    tensor,
    write_legacy,
    write_zip,
)

BLOCK_OF_1024 = {"0": bytes(4 * 1024)}

# --- nothing is run


class Reduce:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Module:
    """Stands for a network that was pickled whole."""

    def __init__(self):
        self.training = True


def touch(tmp_path) -> str:
    return f"touch {tmp_path / 'executed'}"


ATTACKS = {
    "os.system": (lambda p: pickle.dumps(Reduce(os.system, touch(p)), 2), r"call posix.system"),
    "eval": (
        lambda p: pickle.dumps(Reduce(eval, f"open({str(p / 'executed')!r}, 'w')"), 2),
        r"call __builtin__.eval",
    ),
    "stack global": (
        lambda p: pickle.dumps({"w": Reduce(os.system, touch(p))}, 4),
        r"call posix.system",
    ),
    "in a list inside": (
        lambda p: pickle.dumps({"w": [1, (Reduce(exec, "1"),)]}, 2),
        r"call __builtin__.exec",
    ),
    "named but not called": (lambda p: dict_of(w=b"cos\nsystem\n"), r"names os.system"),
    "named, then thrown away": (lambda p: b"\x80\x02cos\nsystem\n0" + PLAIN[2:], r"names os.sys"),
    "inst opcode": (lambda p: b"\x80\x02(X\x02\0\0\0lsios\nsystem\n.", r"the step INST"),
    "obj opcode": (lambda p: b"\x80\x02(cos\nsystem\nX\x02\0\0\0lso.", r"the step OBJ"),
    "newobj": (lambda p: b"\x80\x02cos\nsystem\n)\x81.", r"class os.system"),
    "newobj of a friend": (lambda p: b"\x80\x02ccollections\nOrderedDict\n)\x81.", r"OrderedDict"),
    "newobj_ex": (lambda p: b"\x80\x04cos\nsystem\n)}\x92.", r"the step NEWOBJ_EX"),
    "extension": (lambda p: b"\x80\x02\x82\x01.", r"the step EXT1"),
    "persistent text": (lambda p: b"\x80\x02Pabc\n.", r"the step PERSID"),
    "attribute of a friend": (
        lambda p: b"\x80\x04\x8c\x0ctorch._utils\x8c\x12os.system.__call__\x93)R.",
        r"call torch._utils.os.system",
    ),
    "storage of another module": (
        lambda p: dict_of(w=tensor((1,), (1,), kind=b"os\nsystemStorage")),
        r"holds a os.systemStorage",
    ),
    "unknown storage": (
        lambda p: dict_of(w=tensor((1,), (1,), kind=b"torch\nEvilStorage")),
        r"holds a EvilStorage",
    ),
    "build on a tensor": (
        lambda p: dict_of(w=tensor((12,), (1,)) + b"}X\x01\0\0\0ai\0sb"),
        r"damaged pickle",
    ),
    "build on a function": (
        lambda p: b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
        r"damaged pickle",
    ),
    "whole module": (
        lambda p: pickle.dumps(Module(), 2),
        r"test_torch_file_hostile.Module.*whole module",
    ),
    "whole module, first protocol": (
        lambda p: b"\x80\x02" + pickle.dumps(Module(), 1),
        r"test_torch_file_hostile.Module.*torch.save\(model.state_dict\(\), 'FILE.pth'\)",
    ),
    "whole module, old file": (
        lambda p: b"\x80\x02(X\x06\0\0\0modulecnets\nAASIST\nX\x01\0\0\0fX\x01\0\0\0stQ)\x81.",
        r"class nets.AASIST.*whole module",
    ),
    "very long name": (lambda p: b"\x80\x02c" + b"a" * 9999 + b"\nb\n)R.", r"call aaaa"),
    "control characters": (lambda p: b"\x80\x02c\x1b[31mos\nsystem\n)R.", r"\?\[31mos"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("form", ["zip", "old", "old pickle alone"])
def test_nothing_is_run(tmp_path, name, form):
    make, expected = ATTACKS[name]
    path = tmp_path / "bad.pth"
    if form == "zip":
        write_zip(path, make(tmp_path), BLOCK)
    elif form == "old":
        write_legacy(path, make(tmp_path), {"0": (12, BLOCK["0"])})
    else:
        path.write_bytes(make(tmp_path))
        expected += "|a pickle, but not one"
    message = message_of(path)
    assert not (tmp_path / "executed").exists()
    assert re.search(expected, message), message


def test_the_attacks_are_real(tmp_path):
    """Python's own unpickler does run them."""
    pickle.loads(ATTACKS["os.system"][0](tmp_path))
    assert (tmp_path / "executed").exists()


# --- damage and bombs


# Every level lists the one below ten times; spelt out it would be 10^200 items.
LAUGHS = b"q\x000" + (b"(" + 10 * b"h\x00" + b"lq\x000") * 200 + b"h\x00"

BROKEN_PICKLES = {
    "stops early": (PLAIN[:-5], r"damaged pickle"),
    "empty": (b"", r"damaged pickle"),
    "one byte": (b"\x80", r"damaged pickle"),
    "unknown opcode": (b"\x80\x02\xff.", r"damaged pickle"),
    "empty stack": (b"\x80\x02.", r"no single result"),
    "tuple of nothing": (b"\x80\x02\x87.", r"damaged pickle"),
    "no mark": (b"\x80\x02t.", r"damaged pickle"),
    "left on the stack": (b"\x80\x02NN.", r"no single result"),
    "mark left": (b"\x80\x02(N.", r"no single result"),
    "unknown memo": (b"\x80\x02h\x05.", r"unknown memo"),
    "key without value": (b"\x80\x02}(K\x01u.", r"damaged pickle"),
    "items of a list": (b"\x80\x02](K\x01K\x02u.", r"damaged pickle"),
    "string of 4 GB": (b"\x80\x02X\xff\xff\xff\xffabc.", r"damaged pickle"),
    "string of 2^63": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7fabc.", r"damaged pickle"),
    "number of 2 GB": (b"\x80\x02\x8b\xff\xff\xff\x7fabc.", r"damaged pickle"),
    "decimal of 10,000 digits": (b"\x80\x02L" + b"9" * 10_000 + b"L\n.", r"damaged pickle"),
    "memo at 2^32": (b"\x80\x02Nr\xff\xff\xff\xff.", r"holds a NoneType"),
    "tuple as a key": (b"\x80\x02}NN\x86Ns.", r"tuple as a key"),
    "deeply nested key": (b"\x80\x02}" + b"(" * 90_000 + b"t" * 90_000 + b"Ns.", r"as a key"),
    "deeply nested": (b"\x80\x02" + b"(" * 90_000 + b"l" * 90_000 + b".", r"holds a list"),
    "inside itself": (b"\x80\x02}q\x00X\x05\0\0\0modelh\x00s.", r"not a state dict.*model"),
    "lists of one list, ten times": (
        b"\x80\x02]" + LAUGHS + b".",
        r"holds a list",
    ),
    "set": (b"\x80\x04\x8f.", r"the step EMPTY_SET"),
    "out-of-band buffer": (b"\x80\x05\x97.", r"the step NEXT_BUFFER"),
    "a list": (b"\x80\x02].", r"holds a list"),
    "a number": (b"\x80\x02K\x01.", r"holds a int"),
    "one tensor": (b"\x80\x02" + tensor((12,), (1,)) + b".", r"holds one tensor"),
    "empty dict": (b"\x80\x02}.", r"empty state dict"),
    "beside tensors": (
        dict_of(w=tensor((), ()), epoch=b"K\x05"),
        r"not tensors with a name: epoch",
    ),
    "numbers as names": (b"\x80\x02}K\x07" + tensor((), ()) + b"s.", r"not tensors .* 7"),
    "reaches out": (dict_of(w=tensor((3, 4), (5, 1))), r"'w' reaches value 13 of a storage of 12"),
    "offset out": (dict_of(w=tensor((), (), offset=12)), r"reaches value 12"),
    "negative offset": (dict_of(w=tensor((2,), (1,), offset=-1)), r"impossible storage offset"),
    "negative stride": (dict_of(w=tensor((2,), (-1,), offset=5)), r"impossible strides"),
    "negative shape": (dict_of(w=tensor((-2,), (1,))), r"impossible shape"),
    "huge shape": (dict_of(w=tensor((2**60,), (0,))), r"impossible shape"),
    "product too large": (dict_of(w=tensor((2**40, 2**40), (0, 0))), r"impossible shape"),
    "empty but huge": (dict_of(w=tensor((0, 2**40, 2**40), (0, 0, 0))), r"impossible shape"),
    "too many axes": (dict_of(w=tensor((1,) * 65, (1,) * 65)), r"impossible shape"),
    "fewer strides": (dict_of(w=tensor((3, 4), (1,))), r"as many strides"),
    "number of a lie": (dict_of(w=tensor((), (), numel=13)), r"48 bytes, its tensors need 13"),
    "no such storage": (dict_of(w=tensor((), (), key=b"../0")), r"no record 'data/../0'"),
    "one storage, two kinds": (
        dict_of(a=tensor((), ()), b=tensor((), (), kind=b"torch\nIntStorage")),
        r"storage of two kinds",
    ),
    "storage as text": (dict_of(w=tensor((), ()).replace(b"Q", b"")), r"without a storage"),
    "tensor of nothing": (dict_of(w=b"ctorch._utils\n_rebuild_tensor_v2\n)R"), r"0 arguments"),
    "parameter of text": (
        dict_of(w=b"ctorch._utils\n_rebuild_parameter\n(X\1\0\0\0ttR"),
        r"without a tensor",
    ),
    "pairs of nothing": (b"\x80\x02ccollections\nOrderedDict\n(](NeatR.", r"damaged pickle"),
}


@pytest.mark.parametrize("name", BROKEN_PICKLES)
def test_broken_pickle(tmp_path, name):
    pickled, expected = BROKEN_PICKLES[name]
    message = message_of(write_zip(tmp_path / "a.pth", pickled, BLOCK))
    assert re.search(expected, message), message


def test_a_huge_but_legal_shape_takes_no_memory(tmp_path):
    made = tensor((2**30, 2**10), (0, 1), numel=1024)
    state = read_state_dict(write_zip(tmp_path / "a.pth", dict_of(w=made), BLOCK_OF_1024))
    assert state["w"].shape == (2**30, 2**10)


def test_endless_pickle(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_pickle, "MOST_OPCODES", 1_000)
    path = write_zip(tmp_path / "a.pth", b"\x80\x02" + b"N0" * 1_000 + b"N.", BLOCK)
    assert "more than 1,000 steps" in message_of(path)


def text(content: bytes):
    return lambda path: path.write_bytes(content)


def zipped(**options):
    return lambda path: write_zip(path, PLAIN, BLOCK, **options)


def changed(old: bytes, new: bytes):
    """Write a good archive, then change bytes of it."""

    def make(path):
        data = write_zip(path, PLAIN, BLOCK).read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new))

    return make


def cut(share: float, write=lambda path: write_zip(path, PLAIN, BLOCK)):
    def make(path):
        data = write(path).read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return make


def old_file(**storages):
    return lambda path: write_legacy(path, PLAIN, storages)


def good_old(path):
    return write_legacy(path, PLAIN, {"0": (12, BLOCK["0"])})


def renamed(path):
    """Two records that would be the same one."""
    with zipfile.ZipFile(path, "w") as archive:
        for top in ("a", "b"):
            archive.writestr(f"{top}/data.pkl", PLAIN)


def torch_script(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/net.py"):
            archive.writestr(f"net/{name}", PLAIN)


def overlapping(path):
    """The pickle's record is said to be as long as the file, twice."""
    write_zip(path, PLAIN, BLOCK)
    data = bytearray(path.read_bytes())
    for start in [m.start() for m in re.finditer(b"PK\x01\x02", data)]:
        struct.pack_into("<II", data, start + 20, len(data) - 60, len(data) - 60)
    path.write_bytes(data)


def numpy_file(path):
    buffer = io.BytesIO()
    np.savez(buffer, w=VALUES)
    path.write_bytes(buffer.getvalue())


HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'

BROKEN_FILES = {
    "empty": (text(b""), r"empty file"),
    "text": (text(b"hello world, no weights"), r"not a PyTorch checkpoint"),
    "web page": (text(b"<!DOCTYPE html><html>"), r"not a PyTorch checkpoint"),
    "git lfs pointer": (text(b"version https://git-lfs"), r"not a PyTorch checkpoint"),
    "keras": (text(b"\x89HDF\r\n\x1a\n" + bytes(64)), r"not a PyTorch checkpoint"),
    "safetensors": (text(struct.pack("<Q", len(HEADER)) + HEADER + bytes(4)), r"safetensors file"),
    "numpy": (numpy_file, r"zip archive, but not a PyTorch checkpoint"),
    "torchscript": (torch_script, r"TorchScript"),
    "truncated": (cut(0.6), r"truncated or damaged zip"),
    "only the first bytes": (cut(0.05), r"truncated or damaged zip"),
    "a bit flipped in a storage": (changed(BLOCK["0"], BLOCK["0"][:-1] + b"\1"), r"'data/0'"),
    "record moved": (changed(b"PK\3\4", b"PK\3\5"), r"not a PyTorch checkpoint"),
    "compressed": (zipped(compression=zipfile.ZIP_DEFLATED), r"compressed or encrypted"),
    "same names": (renamed, r"records of the same name"),
    "overlapping": (overlapping, r"lie over each other"),
    "byte order of a lie": (zipped(byteorder=b"middle"), r"byte order"),
    "old, truncated": (cut(0.9, good_old), r"truncated, or damaged among"),
    "old, cut in the pickle": (cut(0.4, good_old), r"damaged pickle"),
    "old, other number": (old_file(**{"0": (11, BLOCK["0"])}), r"truncated, or damaged among"),
    "old, storage missing": (old_file(), r"list of storages is not"),
    "old, storage too many": (
        old_file(**{"0": (12, BLOCK["0"]), "1": (1, bytes(4))}),
        r"list of storages is not",
    ),
    "other pickle": (text(pickle.dumps({"a": 1}, 2)), r"not one that torch.save wrote"),
    "magic alone": (text(pickle.dumps(0x1950A86A20F9469CFC6C, 2)), r"damaged"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_broken_file(tmp_path, name):
    make, expected = BROKEN_FILES[name]
    path = tmp_path / "a.pth"
    make(path)
    message = message_of(path)
    assert re.search(expected, message), message


def test_files_that_are_none(tmp_path):
    assert "No such file" in message_of(tmp_path / "nowhere.pth")
    assert "it must be a regular file" in message_of(tmp_path)


def test_archive_without_check_sums(tmp_path):
    """torch.serialization.set_crc32_options(False) writes zeros."""
    path = write_zip(tmp_path / "a.pth", PLAIN, BLOCK)
    data = bytearray(path.read_bytes())
    for start in [m.start() for m in re.finditer(b"PK\x01\x02", data)]:
        struct.pack_into("<I", data, start + 16, 0)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_state_dict(path)["w"], VALUES.reshape(3, 4))


@pytest.mark.parametrize("write", [lambda p: write_zip(p, PLAIN, BLOCK), good_old])
def test_random_damage_never_ends_in_a_traceback(tmp_path, write):
    path = tmp_path / "a.pth"
    good = write(path).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for position in rng.integers(len(data), size=rng.integers(1, 4)):
            data[position] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, 2 * len(data))])
        try:
            read_state_dict(path)
        except CheckpointError:
            refused += 1
    assert refused > 200


def test_a_key_of_thousands_of_digits(tmp_path):
    digits = b"\x8b" + struct.pack("<i", 5000) + b"\x7f" * 5000
    path = write_zip(tmp_path / "a.pth", b"\x80\x02}" + digits + b"K\x01s.")
    assert "not tensors with a name: one int;" in message_of(path)
