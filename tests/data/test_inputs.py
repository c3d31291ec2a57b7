import io

import pytest

from rawnet_jax.data.inputs import find_inputs, stdin_as_file
from rawnet_jax.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three audio files, one of them below, and things that are none."""
    for name in ("b.flac", "a.WAV", "sub/c.mp3", "notes.txt", "._b.flac", "odd[1].wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["in"], ["in/a.WAV", "in/b.flac", "in/odd[1].wav", "in/sub/c.mp3"]),
        (["in/notes.txt"], ["in/notes.txt"]),  # a file that is named is taken at its word
        (["in/*.flac"], ["in/b.flac"]),
        (["in/**/*.mp3"], ["in/sub/c.mp3"]),
        (["in/odd[1].wav"], ["in/odd[1].wav"]),  # a name, not a pattern
        (["in/s*"], ["in/sub/c.mp3"]),  # a folder that matches stands for what is in it
        (["in/b.flac", "./in/b.flac", "in"], None),
        (["in/gone.wav"], ["in/gone.wav"]),  # whoever opens it reports what is wrong
        (["-", "in/b.flac"], ["-", "in/b.flac"]),
    ],
)
def test_words_stand_for_files(folder, words, wanted):
    if wanted is None:  # each file once, where it was named first
        wanted = ["in/b.flac", "in/a.WAV", "in/odd[1].wav", "in/sub/c.mp3"]
    assert find_inputs(words) == (wanted, [])


def test_nothing_found_is_said(folder):
    paths, problems = find_inputs(["empty", "in/*.ogg", "in/b.flac"])
    assert paths == ["in/b.flac"]
    assert problems == ["empty: no audio file in this folder", "in/*.ogg: no file matches"]


def test_lists(folder, monkeypatch):
    (folder / "list.txt").write_text("in/b.flac\r\n\n  in/sub  \n")
    assert find_inputs(["in/a.WAV"], ["list.txt"])[0] == ["in/a.WAV", "in/b.flac", "in/sub/c.mp3"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"in/b.flac\n")))
    assert find_inputs([], ["-"])[0] == ["in/b.flac"]


def test_standard_input_is_read_once(folder):
    with pytest.raises(ConfigError, match="given twice"):
        find_inputs(["-"], ["-"])
    (folder / "list.txt").write_text("in/b.flac\n-\n")
    with pytest.raises(DataError, match=r"list\.txt:2: standard input cannot"):
        find_inputs([], ["list.txt"])


def test_standard_input_is_a_file_meanwhile():
    with stdin_as_file(io.BytesIO(b"RIFF")) as path:
        assert path.read_bytes() == b"RIFF"
    assert not path.exists()
