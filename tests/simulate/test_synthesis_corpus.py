"""Corpora of sentences by engines: from a text to files, over several runs."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import DataConfig
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label
from rawnet_jax.simulate.corpus_writer import LEVEL_DBFS
from rawnet_jax.simulate.sentences import Sentence
from rawnet_jax.simulate.synthesis_corpus import SynthesisSummary, write_synthesis_corpus
from rawnet_jax.simulate.synthesis_plan import plan_clips
from rawnet_jax.text_to_speech.table import look_for
from tests.conftest import REPO
from tests.text_to_speech.fake_engines import put_on_path, spoken

TEXT = [Sentence(f"s{number}", f"Sentence number {number}.") for number in range(6)]


def write(output: Path, engines=("flite",), text=TEXT, **settings) -> SynthesisSummary:
    given = {"num_workers": 1, "progress": False, **settings}
    return write_synthesis_corpus("text.txt", text, look_for(engines), output, **given)


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_protocol_is_a_manifest_of_spoofs(tmp_path, monkeypatch):
    put_on_path(tmp_path / "bin", monkeypatch, "slt clb", pico=True)
    summary = write(tmp_path / "out", ("flite", "pico"), copies=2, partition="train")
    assert summary.by_engine == {"flite": 6, "pico": 6}
    assert str(summary).endswith("written: 12 spoof: flite 6, pico 6")
    ledger = ProblemLedger.counting()
    config = DataConfig(corpus="manifest", root=str(tmp_path / "out"))
    clips = {one.trial.utterance_id: one for one in load_partition(config, "train", ledger)}
    assert not ledger.counts
    details = table(tmp_path / "out" / "clips.csv")
    assert set(clips) == {row["utterance_id"] for row in details}
    for row in details:
        clip = clips[row["utterance_id"]]
        assert clip.trial.label == Label.SPOOF
        assert clip.trial.attack_id == row["engine"]
        assert clip.trial.speaker_id == f"{row['engine']}:{row['voice']}"
        assert clip.trial.metadata["sentence"] == row["sentence"]
        samples, rate = soundfile.read(clip.path, dtype="float32")
        assert (rate, soundfile.info(clip.path).subtype) == (16_000, "PCM_16")
        assert len(samples) == int(row["samples"]) == pytest.approx(16_000 * 16_000 / 22_050, abs=2)
        level = 20 * np.log10(np.std(samples))
        assert level == pytest.approx(float(row["level_dbfs"]), abs=0.1)
        assert LEVEL_DBFS[0] - 0.1 <= level <= LEVEL_DBFS[1] + 0.1
    assert {row["text"] for row in details} == {one.text for one in TEXT}


def test_the_same_request_gives_the_same_bytes_on_any_number_of_processes(tmp_path, monkeypatch):
    put_on_path(tmp_path / "bin", monkeypatch, "slt clb")
    text = [Sentence(str(number), f"This is {number}.") for number in range(9)]
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    write(tmp_path / "one", text=text)
    write(tmp_path / "two", text=text, num_workers=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    write(tmp_path / "other", text=text, seed=1)
    assert content(tmp_path / "one") != content(tmp_path / "other")


def test_one_engine_that_fails_takes_nothing_from_the_others(tmp_path, monkeypatch):
    folder = put_on_path(tmp_path / "bin", monkeypatch, "rms awb kal mute", pico=True)
    summary = write(tmp_path / "out", ("flite", "pico"), copies=2, timeout_s=2.0)
    assert summary.by_engine == {"pico": 6}
    assert len(summary.problems) == 6
    said = (tmp_path / "out" / "left_out.txt").read_text(encoding="utf-8")
    assert tuple(said.splitlines()) == summary.problems
    for voice, reason in (
        ("rms", "flite failed (exit status 3): no such unit"),
        ("awb", "silent: no sample exceeds"),
        ("kal", "flite took more than 2 s and was stopped"),
        ("mute", "flite wrote no audio"),
    ):
        assert any(
            f"flite:{voice}, sentence s" in line and reason in line for line in said.split("\n")
        )
    assert len(table(tmp_path / "out" / "manifest.csv")) == 6
    num_spoken = len(spoken(folder))
    again = write(tmp_path / "out", ("flite", "pico"), copies=2, timeout_s=2.0)
    assert not again.was_written
    assert again.problems == summary.problems
    assert len(spoken(folder)) == num_spoken


def test_nothing_is_left_where_all_fail(tmp_path, monkeypatch):
    put_on_path(tmp_path / "bin", monkeypatch, "rms")
    with pytest.raises(DataError, match=r"none of 6 clips could be made: flite:rms, sentence"):
        write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies": 0}, "--copies is 0; it must be 1 to 1,000"),
        ({"seed": -1}, "--seed is -1; it must be 0 or more"),
        ({"timeout_s": 0.0}, "--timeout is 0; it must be above 0"),
        ({"timeout_s": float("nan")}, "--timeout is nan; it must be above 0"),
        ({"partition": "test"}, "--partition test: must be one of train, dev, eval"),
    ],
)
def test_an_impossible_number_is_one_line(tmp_path, monkeypatch, settings, message):
    put_on_path(tmp_path / "bin", monkeypatch)
    with pytest.raises(DataError, match=message):
        write(tmp_path / "out", **settings)


def num_lines(path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_run_that_was_killed_is_resumed(tmp_path, monkeypatch):
    folder = put_on_path(tmp_path / "bin", monkeypatch)
    script = folder / "flite"
    script.write_text(script.read_text().replace('case "$voice', '/bin/sleep 0.1\ncase "$voice'))
    text = tmp_path / "text.txt"
    text.write_text("".join(f"Number {number}.\n" for number in range(12)))
    words = ["-m", "rawnet_jax", "synthesise", f"--text={text}", "--no-progress", "--processes=1"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    journal = tmp_path / ".out.partial" / "journal.jsonl"
    command = [sys.executable, *words, f"--output={tmp_path / 'out'}"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and num_lines(journal) < 3:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    sentences = [Sentence(str(number + 1), f"Number {number}.") for number in range(12)]
    summary = write(tmp_path / "out", text=sentences)
    assert 3 <= summary.num_resumed < 12
    # The clip in work at the kill is spoken again, no other: its worker may outlive the parent.
    times = Counter(spoken(folder))
    assert len(times) == 12
    assert sum(times.values()) <= 13
    assert all(times[f"slt Number {number}."] == 1 for number in range(summary.num_resumed))
    write(tmp_path / "whole", text=sentences)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_engines_and_voices_get_equal_shares(tmp_path, monkeypatch):
    put_on_path(tmp_path / "bin", monkeypatch, "slt clb bdl", pico=True)
    found = look_for(("flite", "pico"))
    text = [Sentence(str(number), "x") for number in range(60)]
    plan = plan_clips(text, found, copies=1, partition="eval", seed=0)
    assert Counter(one.voice.engine for one in plan) == {"flite": 30, "pico": 30}
    voices = Counter(one.voice.name for one in plan if one.voice.engine == "flite")
    assert voices == {"slt": 10, "clb": 10, "bdl": 10}
    both = plan_clips(text, found, copies=2, partition="eval", seed=0)
    engines = Counter((one.sentence.name, one.voice.engine) for one in both)
    assert set(engines.values()) == {1}
    assert len({one.utterance_id for one in both}) == 120
