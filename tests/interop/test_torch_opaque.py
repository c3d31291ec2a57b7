"""Files of training scripts that hold objects of their own classes beside the state dict."""

import pickle

import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_file import read_state_dict
from tests.interop.torch_bytes import BLOCK, VALUES, integer, tensor, write_legacy, write_zip


def text(word):
    return pickle.dumps(word, 2)[2:-1]


MODEL = b"}" + text("w") + tensor((12,), (1,)) + b"s"
# argparse.Namespace(a=1), as protocol 2 writes it, and what else such files were seen to hold.
NAMESPACE = b"cargparse\nNamespace\n)\x81}" + text("a") + integer(1) + b"sb"
OLD_OBJECT = b"ccopyreg\n_reconstructor\n(cfairseq.x\nC\nc__builtin__\nobject\nNtR}b"
OPAQUE = {
    "namespace": NAMESPACE,
    "old_object": OLD_OBJECT,
    "enum": b"cfairseq.choices\nKind\n(" + text("a") + b"tR",
    "dict": b"ccollections\ndefaultdict\n(c__builtin__\nlist\ntR" + text("k") + integer(2) + b"s",
    "list": b"cthe.lists\nOwn\n)\x81" + integer(2) + b"a(" + integer(3) + b"e",
    "call": b"cos\nsystem\n(" + text("touch harmed") + b"tR",
    "called_twice": b"c__builtin__\ngetattr\n(cos\npath\n" + text("join") + b"tR(" + b"tR",
    "type": b"ctyping\nAny\n",
    "keys": b"}(" + NAMESPACE + integer(3) + b"u",
}


def content(beside, last=MODEL):
    return b"\x80\x02}(" + text("cfg") + beside + text("model") + last + b"u."


@pytest.mark.parametrize("kind", OPAQUE)
def test_objects_beside_the_weights_are_passed_over(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    data = content(OPAQUE[kind])
    zipped = write_zip(tmp_path / "a.pt", data, BLOCK)
    old = write_legacy(tmp_path / "b.pt", data, {"0": (12, BLOCK["0"])})
    for path in (zipped, old):
        found = read_state_dict(path, opaque=True)
        assert list(found) == ["w"]
        np.testing.assert_array_equal(found["w"], VALUES)
        with pytest.raises(CheckpointError):
            read_state_dict(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "b.pt"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (content(NAMESPACE, NAMESPACE), "these are not tensors with a name: cfg, model"),
        (content(NAMESPACE, b"}" + text("w") + NAMESPACE + b"s"), "not tensors with a name: w"),
        (b"\x80\x02" + NAMESPACE + b".", "holds an object of a class; it must be a state dict"),
        (b"\x80\x02\x81.", "damaged pickle"),
        (b"\x80\x02R.", "damaged pickle"),
        (b"\x80\x02)R.", "damaged pickle"),
        (b"\x80\x02)b.", "damaged pickle"),
        (b"\x80\x02" + integer(1) + b"a.", "damaged pickle"),
    ],
)
def test_objects_in_their_place_are_refused(tmp_path, data, message):
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(write_zip(tmp_path / "a.pt", data, BLOCK), opaque=True)
