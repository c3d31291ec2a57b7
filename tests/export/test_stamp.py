"""The digest inside an exported file."""

import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.export.stamp import BLANK, FIELD, check_stamp, stamped

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


@pytest.mark.parametrize("digest", ["", "0", "\udc80" * 64, BLANK])
def test_a_damaged_digest_is_noticed(digest):
    with pytest.raises(DataError, match="damaged"):
        check_stamp(stamped(CONTENT), digest, "m.onnx")
