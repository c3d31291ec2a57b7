import io
import os
import stat
import tempfile

import pytest
import soundfile

from rawnet_jax.data.inputs import find_inputs, stdin_as_file
from rawnet_jax.data.protocols import AUDIO_EXTENSIONS
from rawnet_jax.errors import AudioError, ConfigError, DataError


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
    found = find_inputs(words)
    assert (found.paths, found.problems, found.num_unreadable) == (wanted, [], 0)


def test_nothing_found_is_said(folder):
    found = find_inputs(["empty", "in/*.ogg", "in/b.flac"])
    assert found.paths == ["in/b.flac"]
    assert found.num_unreadable == 2
    assert found.problems == ["empty: no audio file in this folder", "in/*.ogg: no file matches"]


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
    with stdin_as_file(4, io.BytesIO(b"RIFF")) as path:
        assert path.read_bytes() == b"RIFF"
    assert not path.exists()


def test_standard_input_is_kept_for_its_owner_alone():
    with stdin_as_file(4, io.BytesIO(b"RIFF")) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_standard_input_without_end_is_refused(tmp_path, monkeypatch):
    class Endless(io.BytesIO):
        def read(self, size=-1, /):
            return bytes(size)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with (
        pytest.raises(AudioError, match=r"-: too large: more than 0\.00488281 GiB .*--max-stdin"),
        stdin_as_file(5 * 2**20, Endless()),
    ):
        pytest.fail("it is not a file")
    assert not list(tmp_path.iterdir())


def test_what_is_passed_over_is_counted_by_kind(folder):
    for name in ("1.avi", "sub/2.AVI", "sub/3.flv", "4.dsf", "5", "6.json"):
        (folder / "in" / name).write_bytes(b"\0\1\2\3")
    (folder / "in" / "README").write_text("Calls of März.\n")
    (folder / "in" / "gone").symlink_to("nowhere")
    found = find_inputs(["in", "in/sub"])
    assert len(found.paths) == 4
    assert found.num_unreadable == 6
    assert found.problems == [
        "passed over: 2 .avi, 1 .dsf, 1 .flv, 1 broken link, 1 without extension: "
        "not audio that can be read, such as in/1.avi"
    ]
    assert found.notes == ("passed over: 1 .json, 1 .txt, 1 without extension: not recordings",)
    assert find_inputs(["in/4.dsf"]).paths == ["in/4.dsf"]


def test_every_extension_that_can_be_read_is_found(folder):
    known = {"WAV": ".wav", "W64": ".w64", "CAF": ".Caf", "RF64": ".RF64", "NIST": ".sph"}
    known |= {"AIFF": ".aifc", "AU": ".snd", "OGG": ".oga", "VOC": ".voc", "PVF": ".pvf"}
    for form, extension in known.items():
        soundfile.write(folder / "in" / f"tone{extension}", [0.1] * 800, 16_000, format=form)
    found = find_inputs(["in"])
    assert len(found.paths) == 4 + len(known)
    assert not found.problems
    assert all(extension == extension.lower() for extension in AUDIO_EXTENSIONS)


@pytest.mark.parametrize("words", [["in"], ["in/**/*.*"], ["**/*.[!t]*"], ["in/sub", "i*"]])
def test_links_to_folders_are_followed_and_loops_end(folder, words):
    (folder / "store").mkdir()
    (folder / "store" / "d.wav").write_bytes(b"x")
    (folder / "store" / "up").symlink_to("..")
    (folder / "in" / "more").symlink_to("../store")
    for loop in ("loop", "loop2"):
        (folder / "in" / "sub" / loop).symlink_to("..")
    (folder / "in" / "gone.wav").symlink_to("nowhere")
    (folder / "in" / "notes.txt").unlink()
    paths = find_inputs(words).paths
    names = ["a.WAV", "b.flac", "c.mp3", "d.wav", "gone.wav", "odd[1].wav"]
    assert sorted(map(os.path.basename, paths)) == names
    assert "in/sub/c.mp3" in paths


def test_a_list_holds_names_that_are_no_text(folder):
    name = os.fsdecode(b"in/caf\xe9.wav")
    (folder / name).write_bytes(b"x")
    (folder / "list.txt").write_bytes(os.fsencode(name) + b"\nin/b.flac\n")
    assert find_inputs([], ["list.txt"]).paths == [name, "in/b.flac"]
    assert name in find_inputs(["in"]).paths
