"""Making copies by vocoders: stopped, killed, resumed; workers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.simulate import tasks, vocode_corpus
from rawnet_jax.simulate.corpus_writer import write_manifest
from tests.conftest import REPO
from tests.simulate.vocoded import content, write, write_source


def stop_after(monkeypatch, number: int) -> None:
    """Let Ctrl-C come when so many recordings are written."""
    write_source_clips = vocode_corpus._write_source
    done: list[None] = []

    def stopped(*args):
        if len(done) == number:
            raise KeyboardInterrupt
        done.append(None)
        return write_source_clips(*args)

    monkeypatch.setattr(vocode_corpus, "_write_source", stopped)


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bits(tmp_path, monkeypatch):
    source = write_source(tmp_path / "in")
    write(source, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            write(source, tmp_path / "out")
    partial = tmp_path / ".out.partial"
    assert not (tmp_path / "out").exists()
    journal = partial / "journal.jsonl"
    lines = journal.read_text().splitlines()
    assert len(lines) == 7
    # A kill may cut a line, and a power cut a file.
    journal.write_text("\n".join([*lines[:6], lines[6][:20]]))
    damaged = next(iter(json.loads(lines[2])[1]["files"]))
    (partial / "corpus" / damaged).write_bytes(b"")
    with monkeypatch.context() as patch:
        stop_after(patch, 7)  # of 12: 5 are still good
        summary = write(source, tmp_path / "out")
    assert summary.num_resumed == 5
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert not partial.exists()


def test_an_unfinished_run_of_another_request_is_not_mixed_in(tmp_path, monkeypatch):
    source = write_source(tmp_path / "in")
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            write(source, tmp_path / "out")
    (source / "a" / "0.flac").touch()
    message = r"unfinished run with another copies, modified.*--overwrite"
    with pytest.raises(DataError, match=message):
        write(source, tmp_path / "out", copies=2)
    summary = write(source, tmp_path / "out", copies=2, overwrite=True)
    assert summary.num_resumed == 0
    assert not (tmp_path / ".out.partial").exists()


def test_a_corpus_that_is_there_already_is_told_and_another_is_not_overwritten(tmp_path):
    source = write_source(tmp_path / "in")
    first = write(source, tmp_path / "out")
    before = content(tmp_path / "out")
    again = write(source, tmp_path / "out")
    assert not again.was_written
    assert again.counts == first.counts
    assert "there already" in str(again)
    with pytest.raises(DataError, match="exists and is not empty"):
        write(source, tmp_path / "out", seed=1)
    assert content(tmp_path / "out") == before
    assert write(source, tmp_path / "out", seed=1, overwrite=True).was_written


def test_an_output_inside_the_input_is_refused(tmp_path):
    source = write_source(tmp_path / "in")
    with pytest.raises(DataError, match="lies in the source folder"):
        write(source, source / "out")


def test_an_output_that_holds_the_input_is_refused_even_with_overwrite(tmp_path):
    source = write_source(tmp_path / "out" / "in")
    write_manifest(tmp_path / "out", {"kind": "vocode"})
    before = content(tmp_path / "out")
    with pytest.raises(DataError, match="holds the source folder"):
        write(source, tmp_path / "out", overwrite=True)
    assert content(tmp_path / "out") == before


def test_a_full_disk_stops_the_run_and_keeps_what_is_done(tmp_path, monkeypatch):
    source = write_source(tmp_path / "in")

    def full(path: Path, content: bytes) -> None:
        if "D_" in path.name:
            raise DataError(f"{path}: cannot be written: No space left on device")
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(vocode_corpus, "write_bytes", full)
        with pytest.raises(DataError, match="No space left"):
            write(source, tmp_path / "out")
    assert write(source, tmp_path / "out").num_resumed == 6


@pytest.mark.slow
def test_a_killed_run_leaves_no_process_and_is_gone_on_with(tmp_path):
    source = write_source(tmp_path / "in", num_takes=15)
    shutil.copytree(source, tmp_path / "same", copy_function=shutil.copy)
    command = [
        *(sys.executable, "-m", "rawnet_jax", "vocode", "--input", str(source)),
        *("--output", str(tmp_path / "out"), "--vocoder", "lpc", "--num-workers", "2"),
    ]
    journal = tmp_path / ".out.partial" / "journal.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    with subprocess.Popen([*command, "--no-progress"], env=environment) as process:
        while process.poll() is None and not (journal.exists() and journal.stat().st_size):
            time.sleep(0.01)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = children.read_text().split() if children.exists() else []
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    summary = write(source, tmp_path / "out", ("lpc",))
    assert summary.num_resumed > 0
    write(tmp_path / "same", tmp_path / "whole", ("lpc",))
    assert content(tmp_path / "out") == content(tmp_path / "whole") | {
        "README.txt": (tmp_path / "out" / "README.txt").read_bytes(),
    }
    deadline_s = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline_s, "a worker outlived its parent"
        time.sleep(0.05)


def test_workers_leave_ctrl_c_to_the_parent(monkeypatch):
    monkeypatch.setattr(tasks, "threadpool_limits", lambda number: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    before = signal.getsignal(signal.SIGINT)
    try:
        tasks._prepare_worker()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_worker_has_one_thread():
    found = tasks.run_tasks(
        os.getenv, ["NPROC"] * 8, num_workers=2, progress=False, description="threads"
    )
    assert found == ["1"] * 8
