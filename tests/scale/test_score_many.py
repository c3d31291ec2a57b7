"""``score-many``: shards that workers score, die on, split and resume."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.score_many_status import ScoreManyStatusOptions, show_status
from rawnet_jax.metrics.source import SourceRule
from rawnet_jax.run import Run
from rawnet_jax.scale.listing import list_sources
from rawnet_jax.scoring.sources import SOURCES_FILE, save_source_rule
from rawnet_jax.storage.rows import write_manifest
from rawnet_jax.storage.stores import FolderStore
from tests.conftest import REPO
from tests.scale.fake_worker import LOG, PAUSE, run
from tests.small_run import STEP, write_run

NUM_FILES = 22


@pytest.fixture(autouse=True)
def _fake_workers_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPO))


def write_clips(folder: Path, count: int = NUM_FILES) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(900), 16_000)
    return folder


def manifest_of(folder: Path, path: Path) -> Path:
    write_manifest(path, list_sources([str(folder)]))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("many") / "clips")


@pytest.fixture(scope="module")
def manifest(clips):
    return manifest_of(clips, clips.parent / "all.jsonl")


def results(output: Path) -> dict[str, dict]:
    """Return all results by path; each once."""
    lines = [
        json.loads(line)
        for path in sorted([*output.glob("part-*.jsonl"), *output.glob("retry-*.jsonl")])
        for line in path.read_text().splitlines()
    ]
    found = {line["path"]: line for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.fixture(scope="module")
def whole(clips, manifest, tmp_path_factory):
    """What comes of all clips where nothing goes wrong."""
    output = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPO))
        assert run(manifest, output) == 0
    return output


def test_every_file_has_a_result(whole, clips):
    found = results(whole)
    assert len(found) == NUM_FILES
    for path, record in found.items():
        samples = soundfile.read(path, dtype="float32")[0][:800]
        assert record["score"] == pytest.approx(100 * samples.mean(), abs=1e-4)
        assert record["verdict"] == ("bonafide" if record["score"] >= 0 else "spoof")
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["finished"]
    assert summary["done"] == sum(summary["verdicts"].values()) == NUM_FILES
    assert {
        folder[-1]: sum(f[v] for v in ("bonafide", "spoof"))
        for folder, f in summary["folders"].items()
    } == {"a": 11, "b": 11}
    assert f"{clips}/a" in (whole / "summary.html").read_text()


def test_a_second_start_scores_nothing(whole, manifest, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("part-*")}
    assert run(manifest, whole) == 0
    assert not (tmp_path / "log").exists()
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("part-*")} == before
    assert "22 of 22 files done" in capsys.readouterr().err


def test_other_settings_are_refused(whole, manifest, clips, tmp_path):
    with pytest.raises(DataError, match=r"--output was made otherwise \(threshold was 0.0 and is"):
        run(manifest, whole, threshold=0.5)
    with pytest.raises(DataError, match=r"max_duration_s was 60.0 and is 30.0"):
        run(manifest, whole, max_duration=30.0)
    fewer = manifest_of(clips / "a", tmp_path / "fewer.jsonl")
    with pytest.raises(DataError, match="manifest was"):
        run(fewer, whole)


def test_files_that_kill_are_found_and_the_rest_is_scored(tmp_path, monkeypatch):
    folder = write_clips(tmp_path / "clips", 9)
    (folder / "a" / "005killer.wav").write_bytes(b"x")
    (folder / "a" / "text.wav").write_text("no audio")
    rows = manifest_of(folder, tmp_path / "m.jsonl")
    assert run(rows, tmp_path / "out", shard_files=8, workers=1) == 1
    found = results(tmp_path / "out")
    assert len(found) == 11
    bad = {Path(p).name: r["reason"] for p, r in found.items() if r["verdict"] == "unreadable"}
    assert bad.keys() == {"005killer.wav", "text.wav"}
    assert bad["005killer.wav"].startswith("it ends the process that reads it: was ended by signal")
    errors = (tmp_path / "out" / "errors").iterdir()
    tables = [json.loads(line) for path in errors for line in path.read_text().splitlines()]
    assert {Path(one["uri"]).name: one["fatal"] for one in tables} == {
        "005killer.wav": True,
        "text.wav": False,
    }
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    assert run(rows, tmp_path / "out", shard_files=8, workers=1) == 1
    assert not (tmp_path / "log").exists()  # nothing is tried again
    assert results(tmp_path / "out") == found


def test_a_shard_that_takes_too_long_is_split(tmp_path):
    folder = write_clips(tmp_path / "clips", 3)
    (folder / "a" / "slow.wav").write_bytes(b"x")
    rows = manifest_of(folder, tmp_path / "m.jsonl")
    assert run(rows, tmp_path / "out", shard_timeout=0.5, workers=1) == 1
    found = results(tmp_path / "out")
    assert len(found) == 4
    assert [r["reason"] for r in found.values() if r["verdict"] == "unreadable"] == [
        "it takes more than 0.5 s; --shard-timeout allows more"
    ]
    assert not (tmp_path / "out" / "part-00000.jsonl").exists()


def _children(pid: int) -> list[int]:
    """Return the processes that a process, or one of its threads, has started."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_kills_of_workers_and_runner_lose_nothing(manifest, whole, tmp_path):
    output, log = tmp_path / "out", tmp_path / "log"
    environment = {**os.environ, LOG: str(log), PAUSE: "0.1"}
    command = [sys.executable, "-m", "tests.scale.fake_worker", str(manifest), str(output)]
    rng, num_lost = random.Random(3), 0
    for number in range(4):
        runner = subprocess.Popen(
            [*command, '{"shard_files": 2}'],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(2 if number < 3 else 0):  # the last start is left alone
                size = log.stat().st_size if log.exists() else 0
                while runner.poll() is None and (not log.exists() or log.stat().st_size == size):
                    time.sleep(0.01)
                time.sleep(rng.uniform(0, 0.2))
                for child in _children(runner.pid)[:1]:
                    num_lost += 1
                    os.kill(child, signal.SIGKILL)
            if number < 3:
                time.sleep(rng.uniform(0, 0.3))
                num_lost += 1
                runner.kill()
        finally:
            status = runner.wait(60)
    assert status == 0
    assert results(output) == results(whole)
    names = [line.split()[0] for line in log.read_text().splitlines()]
    assert {name.partition(".")[0] for name in names} == {
        f"part-{number:05d}" for number in range(NUM_FILES // 2)
    }
    # A shard that a worker died with is done once more, after two deaths as halves.
    assert 0 < len(names) - NUM_FILES // 2 <= 2 * num_lost


def test_one_line_of_what_is_wrong(manifest, tmp_path, capsys, monkeypatch):
    (tmp_path / "bad.jsonl").write_text('{"uri": "a.wav", "size": 3}\n{"uri": 3}\n')
    with pytest.raises(DataError, match=r"bad.jsonl:2: no row of a manifest"):
        run(tmp_path / "bad.jsonl", tmp_path / "out")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="has no row"):
        run(tmp_path / "empty.jsonl", tmp_path / "out")
    with pytest.raises(DataError, match=r"none.jsonl: cannot be read: No such file"):
        run(tmp_path / "none.jsonl", tmp_path / "out")
    with pytest.raises(ConfigError, match=r"must end in .jsonl or .parquet"):
        run(tmp_path / "none.csv", tmp_path / "out")
    with pytest.raises(ConfigError, match="--share 3/3"):
        run(manifest, tmp_path / "out", share="3/3")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"Not a directory|must be a folder"):
        run(manifest, tmp_path / "file" / "out")
    assert main(["score-many-status", f"--output={tmp_path / 'nothing'}"]) == 2
    assert re.match(r"error: .*job.json: cannot be read", capsys.readouterr().err)


def test_a_full_disk_is_one_line_and_goes_on_later(manifest, whole, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "part-00001.jsonl").mkdir()  # cannot be written, whoever runs the test
    with pytest.raises(DataError, match=r"part-00001.jsonl"):
        run(manifest, output, workers=1)
    assert (output / "part-00000.jsonl").is_file()
    (output / "part-00001.jsonl").rmdir()
    assert run(manifest, output) == 0
    assert results(output) == results(whole)


def test_shares_of_one_output_and_its_status(manifest, whole, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(manifest, output, share="0/2", workers=1) == 0
    assert not (output / "summary.json").exists()
    show_status(ScoreManyStatusOptions(output=str(output), json=False, summary=False))
    assert "12 of 22 files done" in capsys.readouterr().out
    assert run(manifest, output, share="1/2", workers=1) == 0
    assert results(output) == results(whole)


def test_results_in_parquet(manifest, whole, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="extra scale is not installed")
    prom = tmp_path / "x.prom"
    assert run(manifest, tmp_path / "out", format="parquet", textfile=prom) == 0
    rows = [
        row
        for path in sorted((tmp_path / "out").glob("part-*.parquet"))
        for row in parquet.read_table(path).to_pylist()
    ]
    assert {row["path"]: row["score"] for row in rows} == {
        path: record["score"] for path, record in results(whole).items()
    }
    assert "rawnet_jax_score_many_files_done 22\n" in prom.read_text()


def test_a_new_file_never_replaces_one(tmp_path):
    store = FolderStore(tmp_path)
    assert store.create("a/b.json", b"1")
    assert not store.create("a/b.json", b"2")
    assert store.read("a/b.json") == b"1"
    assert [one.path for one in store.list("a/")] == ["a/b.json"]


@pytest.mark.slow
@pytest.mark.parametrize("traced", [False, True])
def test_scores_are_those_of_score(tmp_path, monkeypatch, capsys, traced):
    workdir = write_run(tmp_path / "run", num_samples=800)
    if traced:
        run = Run.open(workdir)
        width = run.embed_batch(np.zeros((8, 800), np.float32), np.full(8, 800)).shape[1] - 1
        save_source_rule(workdir, SourceRule(("a", "b"), np.eye(2, width), np.eye(width)), STEP)
    write_clips(tmp_path / "clips")
    (tmp_path / "clips" / "text.wav").write_text("no audio")
    monkeypatch.chdir(tmp_path)
    assert main(["manifest", "clips", "--output=m.jsonl"]) == 0
    many = ["score-many", f"--workdir={workdir}", "--manifest=m.jsonl", "--output=out"]
    assert main([*many, "--shard-files=5", "--workers=1", "--no-progress"]) == 1
    assert main(["score", f"--workdir={workdir}", "clips", "--output=s.jsonl"]) == 1
    scored = [json.loads(line) for line in Path("s.jsonl").read_text().splitlines()]
    assert results(Path("out")) == {record["path"]: record for record in scored}
    assert any("source" in record for record in scored) == traced
    if traced:
        (workdir / SOURCES_FILE).unlink()
        assert main([*many, "--shard-files=5", "--workers=1", "--no-progress"]) == 2
        assert "--output was made otherwise (sources was" in capsys.readouterr().err
