"""The cache, built by processes that are killed, or two at once."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data import cache_build, cache_files
from rawnet_jax.data.trial import Clip
from rawnet_jax.errors import DataError
from tests.conftest import REPO
from tests.data.cached_clips import assert_right, open_cache, parts_made, write_clips


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(cache_files, "PART_CLIPS", 3)  # parts of 3, 3, 3 and 1 clips


@pytest.fixture
def clips(tmp_path) -> list[Clip]:
    return write_clips(tmp_path / "flac")


@pytest.fixture
def config(tmp_path) -> DataConfig:
    return DataConfig(cache_dir=str(tmp_path / "cache"), num_workers=1)


def threads_named(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


@pytest.mark.slow
def test_processes_make_the_same_cache(tmp_path, config, monkeypatch):
    clips = write_clips(tmp_path / "flac", 30)
    clips[7].path.write_bytes(b"not audio")
    warn = ProblemPolicy(bad_audio="warn")
    alone = open_cache(clips, config, warn).folder
    monkeypatch.setattr(cache_build, "_PARTS_A_WORKER", 2)
    config.cache_dir += "2"
    config.num_workers = 3
    made_here = parts_made(monkeypatch)
    together = open_cache(clips, config, warn)
    assert not made_here
    assert_right(together, [n for n in range(30) if n != 7])
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in together.folder.iterdir())
    for name in names:
        assert (alone / name).read_bytes() == (together.folder / name).read_bytes()


@pytest.mark.slow
def test_bad_audio_stops_processes_too(tmp_path, config, monkeypatch):
    clips = write_clips(tmp_path / "flac", 30)
    clips[7].path.write_bytes(b"")
    monkeypatch.setattr(cache_build, "_PARTS_A_WORKER", 2)
    config.num_workers = 2
    with pytest.raises(DataError, match=r"u7\.flac: empty"):
        open_cache(clips, config)
    assert not list(Path(config.cache_dir).glob("*/*.tmp"))
    assert not threads_named("cache-build")


BUILDER = """
import sys, time
sys.path.insert(0, {repo!r})
from pathlib import Path
from rawnet_jax.config import DataConfig
from rawnet_jax.data import cache_build, cache_files
from rawnet_jax.data.trial import Clip, Trial
from tests.conftest import REPO
from tests.data.cached_clips import assert_right, open_cache

cache_files.PART_CLIPS = 3
build_part = cache_build.build_part

def slow(folder, part, *rest):
    time.sleep({pause})
    print("part", flush=True)
    return build_part(folder, part, *rest)

cache_build.build_part = slow
cache_build._PARTS_A_WORKER = {parts_a_worker}
folder = Path({folder!r})
clips = [Clip(Trial(f"u{{n}}", None, ""), folder / f"u{{n}}.flac") for n in range({num_clips})]
config = DataConfig(cache_dir={cache_dir!r}, num_workers={num_workers})
assert_right(open_cache(clips, config), range({num_clips}))
print("right", flush=True)
"""


def start_builder(clips, config, pause: float = 0.0) -> subprocess.Popen:
    program = BUILDER.format(
        repo=str(REPO),
        pause=pause,
        parts_a_worker=cache_build._PARTS_A_WORKER,
        folder=str(clips[0].path.parent),
        num_clips=len(clips),
        cache_dir=config.cache_dir,
        num_workers=config.num_workers,
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_goes_on_after_sigkill(clips, config, monkeypatch):
    with start_builder(clips, config, pause=0.3) as builder:
        assert builder.stdout is not None
        for _ in range(3):  # the third is in hand
            assert builder.stdout.readline() == "part\n"
        builder.kill()
    (folder,) = Path(config.cache_dir).iterdir()
    assert not (folder / "index.json").exists()
    (folder / "part-00002.i16.123.tmp").write_bytes(b"cut off")
    made = parts_made(monkeypatch)
    assert_right(open_cache(clips, config))
    assert made in (["part-00002", "part-00003"], ["part-00003"])
    assert not list(folder.glob("*.tmp"))


@pytest.mark.slow
def test_two_builders_at_once(clips, config):
    builders = [start_builder(clips, config, pause=0.1) for _ in range(2)]
    outputs = [builder.communicate(timeout=60)[0].split() for builder in builders]
    assert [output[-1] for output in outputs] == ["right", "right"]
    assert sum(output.count("part") for output in outputs) == 4  # one did it all


def children_of(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for children in /proc")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_behind(tmp_path, config, monkeypatch, by):
    monkeypatch.setattr(cache_build, "_PARTS_A_WORKER", 2)
    config.num_workers = 2
    clips = write_clips(tmp_path / "flac", 90)
    with start_builder(clips, config) as builder:
        deadline = time.monotonic() + 30
        while len(workers := children_of(builder.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        while builder.poll() is None and time.monotonic() < deadline:
            builder.send_signal(by)  # again if a finaliser swallowed the first KeyboardInterrupt
            time.sleep(0.2)
        assert builder.wait(30) != 0
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not any(map(is_running, workers))


@pytest.mark.slow
def test_a_process_that_dies_is_one_line(tmp_path, config, monkeypatch):
    clips = write_clips(tmp_path / "flac", 12)
    monkeypatch.setattr(cache_build, "_PARTS_A_WORKER", 2)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    config.num_workers = 2
    with pytest.raises(DataError, match=r"ended with status 1 between .*num_workers=1"):
        open_cache(clips, config)
