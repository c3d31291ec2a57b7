"""What stands where a file must be: nothing waits for ever, and each reader says so in one line."""

import os
import socket
import threading

import pytest

from rawnet_jax.config_file import FILE_NAME, read_config
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.errors import RawnetError
from rawnet_jax.fitted_file import read_fitted
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.regular_file import check_regular, read_regular
from rawnet_jax.training.writer import LOG_NAME, read_log

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def a_pipe(path):
    os.mkfifo(path)


def a_folder(path):
    path.mkdir()


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        here = os.open(path.parent, os.O_RDONLY)
        try:
            one.bind(f"/proc/self/fd/{here}/{path.name}")  # its name may be too long otherwise
        finally:
            os.close(here)


def a_device(path):
    path.symlink_to("/dev/zero")


KINDS = [a_pipe, a_folder, a_socket, a_device]
READERS = {
    "a.pth": read_state_dict,
    "threshold.json": lambda path: read_fitted(path, "threshold"),
    FILE_NAME: lambda path: read_config(path.parent),
    LOG_NAME: lambda path: read_log(path.parent),
}


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_readers_of_files(tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(RawnetError, match=r"must be a regular file") as caught:
        READERS[name](tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", KINDS)
def test_lists(tmp_path, make):
    make(tmp_path / "a.txt")
    with pytest.raises(RawnetError, match=r"a\.txt: (cannot be read: |the file is empty)"):
        read_lines(tmp_path / "a.txt")


def test_a_list_from_a_pipe_is_read_to_its_end(tmp_path):
    end, start = os.pipe()
    text = "".join(f"line {number}\n" for number in range(50_000))

    def write():
        with os.fdopen(start, "w") as file:
            file.write(text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read_lines(f"/dev/fd/{end}") == text.splitlines()
    finally:
        writer.join()
        os.close(end)


def test_a_plain_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert check_regular(tmp_path / "a") == 3
    assert read_regular(tmp_path / "a") == b"abc"
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "b")
