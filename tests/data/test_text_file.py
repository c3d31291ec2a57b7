"""Text files that people made on all kinds of machines."""

import pytest

from rawnet_jax.data.text_file import read_lines
from rawnet_jax.errors import DataError


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffa\u2028b\r\nc\x0bd\re\n".encode())
    assert read_lines(path) == ["a\u2028b", "c\x0bd", "e"]


@pytest.mark.parametrize("mark", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_by_its_mark(tmp_path, mark):
    text = "" if mark == "utf-16" else "\ufeff"
    (tmp_path / "list.txt").write_bytes((text + "März\r\nb\r\n").encode(mark))
    assert read_lines(tmp_path / "list.txt") == ["März", "b"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"list\.txt: the file is empty"),
        (b" \r\n", r"list\.txt: the file is empty"),
        (
            b"a\r\nb\rc \xe9 d\n",
            r"list\.txt:3: not UTF-8 \(byte 0xE9, byte 3 of the line\); save the file as UTF-8",
        ),
        (b"\xef\xbb\xbfa\n\xe9", r"list\.txt:2: not UTF-8"),
        (b"\xff\xfea\0\x00\xd8", r"list\.txt: not UTF-16, as its first bytes say \(byte 0x00 at 4"),
        ("a\nb".encode("utf-32"), r"list\.txt:1: not a text file"),
        (b"\xef\xbb\xbf \n", r"list\.txt: the file is empty"),
        (b"fLaC\n\x00\x01", r"list\.txt:2: not a text file"),
    ],
)
def test_a_file_that_is_not_utf8_text_is_named_by_line(tmp_path, data, message):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_lines(path)


def test_an_absent_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: cannot be read: No such file"):
        read_lines(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_lines(tmp_path)
