"""The process that decodes: what it may do, and what happens when it fails."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.config import AudioConfig
from rawnet_jax.data import media_process
from rawnet_jax.data.audio import Encoded, open_audio, read_waveform
from rawnet_jax.data.media_process import MediaProcess
from rawnet_jax.errors import AudioError
from tests.conftest import REPO
from tests.data.media_samples import encoded, tone

pytest.importorskip("av", reason="the extra `media` is not installed")

CONFIG = AudioConfig()


@pytest.fixture(scope="module")
def minute():
    """Return a minute of AAC: more than a pipe holds."""
    return encoded("m4a", tone(60, 48_000))


@contextlib.contextmanager
def process_of(path, demuxer, stop=None):
    with open(path, "rb") as file:
        process = MediaProcess(file.fileno(), "clip", demuxer, 600.0, stop)
    try:
        yield process
    finally:
        process.close()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def ends_soon(pid: int) -> bool:
    until_s = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < until_s:
        time.sleep(0.02)
    return not is_running(pid)


TRY_DOORS = """
import os, resource, socket, sys
from rawnet_jax.data.media_worker import _close_doors
_close_doors(600.0)
for name, door in {
    "read": lambda: open("/etc/hostname"),
    "write": lambda: open("left_behind", "w"),
    "socket": lambda: socket.socket(),
    "pipe": lambda: os.pipe(),
    "duplicate": lambda: os.dup(1),
    "memory": lambda: bytearray(2**30),
}.items():
    try:
        door()
    except (OSError, MemoryError) as error:
        print(name, type(error).__name__, getattr(error, "errno", 0))
    else:
        print(name, "is open")
print(resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_FSIZE))
"""


def test_all_doors_are_closed(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", TRY_DOORS]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines()[:-1])
    assert lines.pop("duplicate").startswith("OSError ")
    assert lines.pop("memory").startswith("MemoryError")
    assert lines == dict.fromkeys(("read", "write", "socket", "pipe"), "OSError 24")  # EMFILE
    assert done.stdout.splitlines()[-1] == "(80, 81) (0, 0)"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("demuxer", "text"),
    [
        ("concat", "ffconcat version 1.0\nfile secret.m4a\n"),  # it would take this one
        ("concat", "ffconcat version 1.0\nfile file:{0}\n"),
        ("hls", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n"),
        ("sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"),
        ("dash", '<MPD type="static"><Period><BaseURL>{0}</BaseURL></Period></MPD>'),
    ],
)
def test_no_other_file_is_opened_even_by_a_demuxer_of_playlists(
    tmp_path, monkeypatch, demuxer, text
):
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret.m4a"
    secret.write_bytes(encoded("m4a", tone(0.2, 48_000)))
    playlist = tmp_path / "list.m4a"
    playlist.write_text(text.format(secret))
    with process_of(playlist, demuxer) as process, pytest.raises(AudioError):
        process.receive()
    with pytest.raises(AudioError, match="not audio"):
        read_waveform(playlist, CONFIG)


def test_a_file_is_not_read_beyond_its_stop(tmp_path):
    content = encoded("aac", tone(0.5, 48_000))
    path = tmp_path / "a.aac"
    path.write_bytes(content * 2)
    sizes = []
    for stop in (None, len(content)):
        with process_of(path, "aac", stop) as process:
            while (message := process.receive())[0] != b"Z":
                sizes.append((stop, len(message[1]) if message[0] == b"B" else 0))
    both, one = (sum(size for stop, size in sizes if stop == key) for key in (None, len(content)))
    assert both == 2 * one > 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU])
def test_a_decoder_that_dies_is_one_error(minute, number):
    with open_audio(Encoded(minute, "clip"), CONFIG) as file:
        assert len(file.read(1_000)) == 1_000
        pid = file._process.pid
        os.kill(pid, number)
        with pytest.raises(AudioError) as caught:
            file.read(2**23)
    assert caught.value.reason == "decoding failed"
    what = "took too much time" if number == signal.SIGXCPU else signal.Signals(number).name
    assert what in caught.value.detail
    assert not is_running(pid)


def test_a_decoder_that_hangs_is_ended(minute, monkeypatch):
    with open_audio(Encoded(minute, "clip"), CONFIG) as file:
        monkeypatch.setattr(media_process, "WAIT_S", 0.2)
        os.kill(file._process.pid, signal.SIGSTOP)
        pid = file._process.pid
        with pytest.raises(AudioError, match=r"decoding failed: the decoder sent nothing for 0\.2"):
            file.read(2**23)
    assert not is_running(pid)


def test_the_package_need_not_be_on_the_path(minute, monkeypatch):
    """As in an editable install, where a hook finds it."""
    kept = [entry for entry in sys.path if not (Path(entry) / "rawnet_jax").is_dir()]
    monkeypatch.setattr(sys, "path", kept)
    with open_audio(Encoded(minute, "clip"), CONFIG) as file:
        assert len(file.read(10)) == 10


def test_a_decoder_ends_when_its_file_is_closed_early(minute):
    with open_audio(Encoded(minute, "clip"), CONFIG) as file:
        pid = file._process.pid
        assert is_running(pid)
    assert not is_running(pid)


def test_a_decoder_ends_with_the_pipe_at_its_input(minute, tmp_path):
    path = tmp_path / "a.m4a"
    path.write_bytes(minute)
    with process_of(path, "mov") as process:
        process.receive()
        process._process.stdin.close()  # its output stays open, and full
        assert process._process.wait(10) == -signal.SIGIO


OPEN = """
import sys, time
from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import open_audio
file = open_audio(sys.argv[1], AudioConfig())
print(file._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_decoder_does_not_outlive_a_parent_that_is_killed(minute, tmp_path):
    path = tmp_path / "a.m4a"
    path.write_bytes(minute)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPO), *sys.path])}
    command = [sys.executable, "-c", OPEN, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    assert ends_soon(pid)


def test_a_header_that_asks_for_all_memory_is_refused(minute):
    at = minute.index(b"stsz") + 8  # size of each sample, number of samples
    content = bytearray(minute)
    content[at : at + 8] = (1).to_bytes(4, "big") + (0x7FFF_FFFF).to_bytes(4, "big")
    began_s = time.monotonic()
    with pytest.raises(AudioError):
        read_waveform(Encoded(bytes(content), "clip"), CONFIG)
    assert time.monotonic() - began_s < 20


def message(letter: bytes, content: bytes, size: int | None = None) -> bytes:
    return letter + (len(content) if size is None else size).to_bytes(4, "little") + content


HEADER = b'{"rate": 16000, "channels": 1, "audio_streams": 1, "place": 0, "codec": "x"}'


@pytest.mark.parametrize(
    "sent",
    [
        message(b"H", b"{}"),
        message(b"H", b"[" * 100_000),
        message(b"H", HEADER.replace(b"16000", b"-5")),
        message(b"H", HEADER.replace(b"16000", b"NaN")),
        message(b"H", HEADER.replace(b"16000", b"1e400")),
        message(b"B", bytes(8)),
        message(b"H", HEADER) + message(b"B", bytes(7)),
        message(b"H", HEADER) + message(b"B", b"", 2**31),
        message(b"H", HEADER) + message(b"X", b""),
        message(b"H", HEADER) + message(b"Z", b"[]"),
        message(b"H", HEADER) + message(b"Z", b'{"said": 5, "frames": "x"}'),
        message(b"E", b'["\\u001b[2J", 5]'),
        message(b"E", b'["decoding failed", "\\u001b[2J"]'),
        message(b"E", b"{}"),
        b"",
        b"H\1",
    ],
)
def test_a_decoder_that_was_taken_over_gives_an_error_and_nothing_else(sent, monkeypatch):
    code = f"import os; os.write(1, {sent!r})"
    monkeypatch.setattr(media_process, "_RUN", code)
    with pytest.raises(AudioError) as caught:
        read_waveform(Encoded(b"#!AMR\n\x04" + bytes(12), "clip"), CONFIG)
    assert caught.value.reason == "decoding failed"
    assert "\x1b" not in str(caught.value)


def test_many_at_once_leave_nothing_behind(minute):
    from concurrent.futures import ThreadPoolExecutor

    content = encoded("m4a", tone(0.2, 48_000))
    before = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: read_waveform(Encoded(content), CONFIG), range(8)))
    for waveform in found[1:]:
        np.testing.assert_array_equal(waveform, found[0])
    assert len(os.listdir("/proc/self/fd")) == before
