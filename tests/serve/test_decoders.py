"""Processes that decode: sealed, bounded, replaced; a death costs one recording."""

import concurrent.futures as futures
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import Encoded
from rawnet_jax.scoring.decoded import decode
from rawnet_jax.serve import decode_process
from rawnet_jax.serve.decode_process import MEDIA, SOUND, DecodeProcess, Limits, WorkerDied
from rawnet_jax.serve.decode_worker import HEAD
from rawnet_jax.serve.seal import can_seal
from tests.serve.running import RATE, noise, running, stub_service, wav

GOOD = wav(noise(6_000))
AUDIO, GATE = AudioConfig(), GateConfig(speech="off")


def decoded(process, content, **bounds):
    return process.decode(content, AudioConfig(**bounds), GATE, None)


@pytest.fixture(scope="module")
def process():
    found = DecodeProcess(SOUND, Limits())
    yield found
    found.close()


@pytest.mark.parametrize(
    "form",
    [
        {"format": "WAV", "subtype": "PCM_24"},
        {"format": "FLAC", "subtype": "PCM_16"},
        {"format": "OGG", "subtype": "VORBIS"},
        {"format": "OGG", "subtype": "OPUS"},
        {"format": "MP3", "subtype": "MPEG_LAYER_III"},
        {"format": "AIFF", "subtype": "PCM_16"},
        {"format": "AU", "subtype": "ULAW"},
    ],
    ids=lambda form: form["subtype"],
)
def test_a_process_decodes_as_scoring_does(process, form):
    content = wav(noise(30_000, 2), 48_000, **form)
    here, there = decode(Encoded(content, "x"), AUDIO, GATE), decoded(process, content)
    assert there.decoded.error is None
    assert np.array_equal(here.waveform, there.decoded.waveform)
    assert there.decoded.notes == here.notes
    assert there.seen["rate_hz"] == 48_000
    assert there.seen["channels"] == 2
    assert process.is_sealed == can_seal()


def test_what_is_wrong_comes_as_scoring_says_it(process):
    silent_half = wav(noise(9_000, 2) * [1, 0])
    not_finite = wav(np.full(5_000, np.nan), subtype="FLOAT")
    for content in (b"no audio", GOOD[:3_000], silent_half, not_finite, wav(noise(0))):
        here, there = decode(Encoded(content, "x"), AUDIO, GATE), decoded(process, content).decoded
        assert there.refusal == here.refusal
        assert (there.error and (there.error.reason, there.error.detail)) == (
            here.error and (here.error.reason, here.error.detail)
        )
    assert decoded(process, wav(noise(RATE)), max_duration_s=0.5).decoded.error.reason == "too long"


def test_recordings_for_the_extra_media_are_read_by_the_other_kind(process):
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(48_000)[None], format="flt", layout="mono")
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    content = file.getvalue()
    assert "media" in decoded(process, content).decoded.error.detail
    other = DecodeProcess(MEDIA, Limits())
    try:
        found = decoded(other, content)
        assert np.array_equal(
            found.decoded.waveform, decode(Encoded(content, "x"), AUDIO, GATE).waveform
        )
        assert found.seen["codec"] == "opus"
    finally:
        other.close()


SEALED = """
import ctypes, os, signal, socket, subprocess, sys, threading
from rawnet_jax.serve.seal import limit, seal
limit(2**30, 20, 0, 0)
assert seal()
libc = ctypes.CDLL(None, use_errno=True)
attempts = {
    "open": lambda: os.open("/etc/hostname", os.O_RDONLY),
    "socket": lambda: socket.socket(),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "thread": lambda: threading.Thread(target=print).start(),
    "kill": lambda: os.kill(os.getppid(), 0),
    "list": lambda: os.listdir("/"),
    "unlink": lambda: os.unlink("x"),
    "memfd": lambda: os.memfd_create("x"),
    "raise a limit": lambda: __import__("resource").setrlimit(7, (9, 9)),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except (OSError, RuntimeError, ValueError) as error:
        print(name, type(error).__name__, getattr(error, "errno", None))
    else:
        print(name, "was possible")
print("still writes")
"""


@pytest.mark.skipif(not can_seal(), reason="this system has no such filter")
def test_a_sealed_process_can_do_nothing_else():
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SEALED)],
        env={"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "still writes"
    assert "was possible" not in done.stdout
    for name in ("open", "socket", "fork", "exec", "kill", "list", "memfd"):
        assert f"{name} PermissionError 1" in lines


def test_a_process_has_no_environment_and_few_files(process):
    if not Path("/proc").is_dir():
        pytest.skip("no /proc")
    folder = Path("/proc") / str(process.pid)
    names = {word.partition(b"=")[0] for word in (folder / "environ").read_bytes().split(b"\0")}
    assert names - {b"", b"LD_LIBRARY_PATH"} == {
        b"OPENBLAS_NUM_THREADS",
        b"OMP_NUM_THREADS",
        b"MKL_NUM_THREADS",
    }
    kinds = [os.readlink(one).partition(":")[0] for one in (folder / "fd").iterdir()]
    assert {kind for kind in kinds if not kind.startswith("/dev/null")} == {"pipe"}
    limits = (folder / "limits").read_text()
    assert "Max address space         1073741824           1073741824" in limits
    assert "Max open files            0                    0" in limits


def test_memory_has_a_bound(process):
    small = DecodeProcess(SOUND, Limits(memory_bytes=350 * 2**20))
    try:
        content = wav(np.zeros(60 * 192_000, np.int16), 192_000)
        found = decoded(small, content + content)
        assert found.decoded.error is not None
    except WorkerDied:
        pass
    finally:
        small.close()


def test_a_process_that_has_worked_long_is_worn(monkeypatch):
    one = DecodeProcess(SOUND, Limits())
    try:
        decoded(one, GOOD)
        assert not one.is_worn
        monkeypatch.setattr(decode_process, "LIFE", 0.001)
        decoded(one, GOOD)
        assert one.is_worn
    finally:
        one.close()


def test_a_process_that_hangs_is_given_up():
    slow = DecodeProcess(SOUND, Limits(wall_s=0.3))
    os.kill(slow.pid, signal.SIGSTOP)
    begin_s = time.monotonic()
    with pytest.raises(WorkerDied, match="took more than"):
        decoded(slow, GOOD + bytes(3_000_000))
    assert time.monotonic() - begin_s < 2
    slow.close()
    assert not slow.is_alive


def test_answers_that_break_the_protocol_are_not_believed(monkeypatch):
    monkeypatch.setattr(
        decode_process,
        "_RUN",
        "import os, sys, time\n{path!r}\nos.write(1, HEAD)".replace(
            "HEAD", repr(HEAD.pack(2**31, 0))
        ),
    )
    with pytest.raises(WorkerDied, match="broke its protocol"):
        DecodeProcess(SOUND, Limits())


@pytest.fixture(scope="module")
def server():
    with running(stub_service(decode_workers=2, decode_files=5, decode_s=3.0)) as found:
        yield found


def test_processes_are_replaced_after_some_recordings(server):
    first = set(server.service.pool.pids)
    for _ in range(14):
        assert server.score(GOOD).status_code == 200
    until_s = time.monotonic() + 10
    while server.service.pool.num_idle < 2 and time.monotonic() < until_s:
        time.sleep(0.02)
    assert not first & set(server.service.pool.pids)
    assert server.service.pool.num_died == 0


def test_kill_9_in_mid_request_costs_that_request_alone(server):
    pool = server.service.pool
    stopped = pool.pids[0]
    os.kill(stopped, signal.SIGSTOP)  # so that it is in the middle of a recording
    url, num_died = f"{server.url}/v1/score", pool.num_died
    with futures.ThreadPoolExecutor(8) as threads:
        found = [threads.submit(httpx.post, url, content=GOOD, timeout=30) for _ in range(6)]
        while sum(one.done() for one in found) < 5:  # the other process takes them meanwhile
            time.sleep(0.01)
        os.kill(stopped, signal.SIGKILL)
        answers = [one.result() for one in found]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [422]
    [lost] = [answer.json() for answer in answers if answer.status_code == 422]
    assert lost["reason"] == "decoding failed"
    assert "verdict" not in lost
    assert pool.num_died == num_died + 1
    registry = server.service.meters.registry
    assert registry.get_sample_value("rawnet_jax_decode_workers_died_total") == pool.num_died
    assert stopped not in pool.pids
    until_s = time.monotonic() + 10
    while pool.num_idle < 2 and time.monotonic() < until_s:
        time.sleep(0.02)
    assert pool.num_idle == 2
    assert server.client.get("/readyz").status_code == 200


def test_kill_9_of_every_idle_process_costs_nothing(server):
    for pid in server.service.pool.pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert server.score(GOOD).status_code == 200
