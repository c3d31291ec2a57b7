"""The digest inside an exported file."""

import io
import zipfile

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.stablehlo import export_stablehlo
from rawnet_jax.export.stamp import BLANK, FIELD, check_file, check_stamp, stamped
from rawnet_jax.export.verify import run_exported
from tests.export.export_cases import small_program

CONTENT = b"0" * 200 + f'head {{"{FIELD}": "{BLANK}"}} weights'.encode()


def noted(content):
    return content.split(b'": "')[1][:64].decode()


def test_a_stamped_file_passes():
    content = stamped(CONTENT)
    assert len(content) == len(CONTENT)
    assert noted(content) != BLANK
    check_stamp(content, noted(content), "m.onnx")


def test_a_file_of_an_older_version_passes():
    check_stamp(b"weights", None, "m.onnx")


@pytest.mark.parametrize("at", [0, 203, 230, len(CONTENT) - 1])
def test_any_flipped_bit_is_noticed(at):
    content = bytearray(stamped(CONTENT))
    content[at] ^= 1
    with pytest.raises(DataError, match=r"^m\.onnx: damaged: .* export the run again$"):
        check_stamp(bytes(content), noted(content), "m.onnx")


def flipped(content, at, bit=1):
    changed = bytearray(content)
    changed[at] ^= bit
    return bytes(changed)


def assert_flips_are_noticed(content, path, more=()):
    name = content.index(FIELD.encode())
    rng = np.random.default_rng(0)
    for at in [*rng.integers(0, len(content), 200).tolist(), *(name + n for n in more)]:
        if not name <= at < name + len(FIELD):  # then it looks like an older file
            with pytest.raises(DataError, match=f"^{path}: damaged"):
                check_file(flipped(content, at), path)


def test_any_flipped_bit_of_an_onnx_file_is_noticed():
    pytest.importorskip("onnx")
    content = export_onnx(small_program())
    check_file(content, "m.onnx")
    assert_flips_are_noticed(content, "m.onnx", more=(12, 40))


def test_any_flipped_bit_of_a_tflite_file_is_noticed():
    pytest.importorskip("ai_edge_litert")
    from rawnet_jax.export.tflite import export_tflite

    content = export_tflite(small_program())
    check_file(content, "m.tflite")
    assert_flips_are_noticed(content, "m.tflite", more=(16, 40))


def test_a_changed_program_of_stablehlo_is_noticed():
    pytest.importorskip("flatbuffers")
    content = export_stablehlo(small_program())
    check_file(content, "m.stablehlo")
    at = content.index(b"program.bin") + 500
    with pytest.raises(DataError, match=r"^m\.stablehlo: damaged: .*CRC"):
        check_file(flipped(content, at), "m.stablehlo")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["program.bin"] = flipped(parts["program.bin"], 500)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(DataError, match=r"the SHA-256 of its program must be the one"):
        check_file(other.getvalue(), "m.stablehlo")


def test_a_damaged_file_is_not_run(tmp_path):
    pytest.importorskip("onnx")
    program = small_program()
    content = export_onnx(program)
    (path := tmp_path / "m.onnx").write_bytes(flipped(content, len(content) // 2))
    with pytest.raises(DataError, match="damaged"):
        run_exported(path, "onnx", program, np.zeros((1, 1)), np.ones(1, np.int32))


@pytest.mark.parametrize("digest", ["", "0", "\udc80" * 64, BLANK])
def test_a_damaged_digest_is_noticed(digest):
    with pytest.raises(DataError, match="damaged"):
        check_stamp(stamped(CONTENT), digest, "m.onnx")
