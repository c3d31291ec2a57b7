"""Small files: whole or not at all, on disk before they get their name."""

import json
import os

import pytest

from rawnet_jax.atomic_file import (
    temporary_beside,
    write_files,
    write_synced,
    write_text_atomically,
)
from rawnet_jax.errors import DataError


def test_content_is_on_disk_before_the_file_gets_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        calls.append("fsync")
        fsync(handle)

    def replaced(old, new):
        calls.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_text_atomically(tmp_path / "a.json", "{}")
    assert calls == ["fsync", "replace", "fsync"]
    assert (tmp_path / "a.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_no_link_is_followed(tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "a.json").symlink_to(other)
    write_text_atomically(tmp_path / "a.json", "{}")
    assert other.read_text() == "mine"
    assert not (tmp_path / "a.json").is_symlink()
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(FileExistsError):
        write_synced(tmp_path / "link", b"{}")
    assert other.read_text() == "mine"


def test_a_temporary_name_cannot_be_guessed_and_fits_beside_a_long_one(tmp_path):
    names = {temporary_beside(tmp_path / "a.json") for _ in range(100)}
    assert len(names) == 100
    assert {name.parent for name in names} == {tmp_path}
    path = tmp_path / ("é" * 120 + ".json")
    write_text_atomically(path, "{}")
    assert os.listdir(tmp_path) == [path.name]


def test_a_name_that_is_no_text_can_stand_in_a_file(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_text_atomically(tmp_path / "a.json", json.dumps({"path": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"path": name}
    [(_, path)] = write_files(tmp_path, [("page", "a.html", name)])
    assert path.read_bytes() == b"caf\\udce9"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"a\.json: cannot be written: it must be a regular file"):
        write_text_atomically(tmp_path / "a.json", "{}")
    assert (tmp_path / "a.json").is_fifo()
    assert os.listdir(tmp_path) == ["a.json"]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(DataError, match=r"a\.json: cannot be written"):
        write_text_atomically(tmp_path / "a.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
