"""Corpora of recordings and their copies: from sources to files, over several runs."""

import csv
import json
import os
import shutil
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
from rawnet_jax.copy_synthesis.table import chosen
from rawnet_jax.copy_synthesis.vocoder import Vocoder
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label
from rawnet_jax.simulate import tasks, vocode_corpus
from rawnet_jax.simulate.corpus_writer import LEVEL_DBFS, write_manifest
from rawnet_jax.simulate.vocode_corpus import VocodeSummary, write_vocoded_corpus
from rawnet_jax.simulate.vocode_plan import plan_copies
from rawnet_jax.simulate.vocode_sources import Source, find_sources
from tests.conftest import REPO, write_tiny_corpus

QUICK = ("phase-zero", "phase-random", "lpc")


def write_source(root: Path, speakers: str = "abcd", num_takes: int = 3) -> Path:
    rng = np.random.default_rng(0)
    for speaker in speakers:
        (root / speaker).mkdir(parents=True)
        for take in range(num_takes):
            noise = 0.02 * rng.standard_normal(2_000 + 100 * take)
            soundfile.write(root / speaker / f"{take}.flac", noise, 16_000)
    return root


def write(
    source: Path, output: Path, names=QUICK, num_workers: int = 1, seed: int = 0, **settings
) -> VocodeSummary:
    find = {k: settings.pop(k) for k in ("corpus", "partition_shares") if k in settings}
    sources = find_sources(source, seed=seed, **find)
    rows = chosen(names) if isinstance(names, tuple) else names
    return write_vocoded_corpus(
        source,
        output,
        sources,
        rows,
        seed=seed,
        num_workers=num_workers,
        progress=False,
        **settings,
    )


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_protocol_is_a_manifest_with_source_and_family(tmp_path):
    source = write_source(tmp_path / "in")
    summary = write(source, tmp_path / "out", copies=2)
    assert sum(summary.counts.values()) == 36
    partition_of: dict[str, str] = {}
    clips = {}
    for partition in ("train", "dev", "eval"):
        config = DataConfig(corpus="manifest", root=str(tmp_path / "out"))
        ledger = ProblemLedger.counting()
        for clip in load_partition(config, partition, ledger):
            clips[clip.trial.utterance_id] = clip
            assert clip.trial.speaker_id is not None
            assert partition_of.setdefault(clip.trial.speaker_id, partition) == partition
        assert not ledger.counts
    assert set(partition_of.values()) == {"train", "dev", "eval"}
    details = {row["utterance_id"]: row for row in table(tmp_path / "out" / "clips.csv")}
    assert set(details) == set(clips)
    for name, clip in clips.items():
        of = clips[clip.trial.metadata["source"]]
        assert of.trial.label == Label.BONAFIDE
        assert of.trial.speaker_id == clip.trial.speaker_id
        assert (clip.trial.attack_id or "") == details[name]["vocoder"]
        assert soundfile.info(clip.path).frames == soundfile.info(of.path).frames
        assert (soundfile.info(clip.path).format, soundfile.info(clip.path).samplerate) == (
            "FLAC",
            16_000,
        )
        assert details[name]["original"].startswith(f"{clip.trial.speaker_id}/")
        if clip.trial.label == Label.SPOOF:
            drawn = json.loads(details[name]["settings"])
            assert set(drawn) == {
                setting.name for setting in chosen([details[name]["vocoder"]])[0].settings
            }


def test_a_pair_has_one_level_and_no_mean_and_levels_fill_the_law(tmp_path):
    write(write_source(tmp_path / "in", "abcdef"), tmp_path / "out", copies=2)
    levels: dict[str, set[float]] = {}
    for row in table(tmp_path / "out" / "manifest.csv"):
        samples, _ = soundfile.read(tmp_path / "out" / row["path"])
        level = 20 * np.log10(np.std(samples))
        levels.setdefault(row["source"], set()).add(round(float(level), 1))
        assert abs(np.mean(samples)) < 1e-5
    assert all(max(values) - min(values) < 0.11 for values in levels.values())
    low, high = LEVEL_DBFS
    every = [value for values in levels.values() for value in values]
    assert low - 0.1 < min(every) < max(every) < high + 0.1
    assert max(every) - min(every) > 4.0


def peaky(waveform, _settings, _rng):
    made = np.zeros(len(waveform))
    made[500] = 1.0
    return made


def test_a_copy_that_would_be_clipped_brings_its_source_down(tmp_path):
    rows = [Vocoder("peaky", "test", peaky, (), "", "")]
    write(write_source(tmp_path / "in"), tmp_path / "out", rows)
    for row in table(tmp_path / "out" / "manifest.csv"):
        samples, _ = soundfile.read(tmp_path / "out" / row["path"])
        assert np.max(np.abs(samples)) < 0.91
        assert np.std(samples) < 0.021  # 0.9 / sqrt(2,000)


def hiss(waveform, _settings, rng):
    return rng.standard_normal(len(waveform))


def test_nothing_is_written_above_the_band_of_a_telephone(tmp_path):
    for speaker in "abc":
        (tmp_path / "in" / speaker).mkdir(parents=True)
        noise = 0.1 * np.random.default_rng(0).standard_normal(2_000)
        soundfile.write(tmp_path / "in" / speaker / "a.wav", noise, 8_000)
    write(tmp_path / "in", tmp_path / "out", [Vocoder("hiss", "test", hiss, (), "", "")])
    for row in table(tmp_path / "out" / "manifest.csv"):
        samples, _ = soundfile.read(tmp_path / "out" / row["path"])
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        assert np.mean(power[len(power) // 2 :]) * 1e4 < np.mean(power[: len(power) // 3])


def test_the_seed_decides_everything_and_processes_nothing(tmp_path):
    source = write_source(tmp_path / "in")
    write(source, tmp_path / "a", copies=1.5, seed=1)
    write(source, tmp_path / "b", copies=1.5, seed=1, num_workers=2)
    write(source, tmp_path / "c", copies=1.5, seed=2)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    same = {k for k, v in content(tmp_path / "a").items() if content(tmp_path / "c").get(k) == v}
    assert same == {"README.txt"}


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


def test_what_cannot_be_read_is_left_out_with_its_copies(tmp_path):
    source = write_source(tmp_path / "in")
    (source / "a" / "0.flac").write_bytes(b"not audio")
    soundfile.write(source / "b" / "1.flac", np.zeros(2_000), 16_000)
    summary = write(source, tmp_path / "out")
    assert len(summary.problems) == 2
    assert sum(summary.counts.values()) == 20
    listed = (tmp_path / "out" / "left_out.txt").read_text()
    assert "a/0.flac: not audio" in listed
    assert "b/1.flac: silent" in listed
    assert write(source, tmp_path / "out").problems == summary.problems


def mute(waveform, _settings, _rng):
    return 0 * waveform


def test_a_corpus_of_nothing_is_not_written(tmp_path):
    source = write_source(tmp_path / "in")
    with pytest.raises(
        DataError, match=r"none of its 12 recordings can be used; first: .*0\.flac: mute:"
    ):
        write(source, tmp_path / "out", [Vocoder("mute", "test", mute, (), "", "")])
    assert not (tmp_path / "out").exists()


def test_bona_fide_trials_of_a_corpus_keep_partition_and_speaker(tmp_path):
    root = write_tiny_corpus(tmp_path / "tiny")
    for name, ending in (("train", "trn"), ("dev", "trl"), ("eval", "trl")):
        (root / f"{name}.txt").rename(root / f"ASVspoof2019.LA.cm.{name}.{ending}.txt")
        (root / f"ASVspoof2019_LA_{name}").symlink_to(root / "flac")
    sources = find_sources(root)
    assert sources.corpus == "asvspoof2019_la"
    assert Counter(one.partition for one in sources.recordings) == {
        "train": 22,
        "dev": 8,
        "eval": 10,
    }
    summary = write(root, tmp_path / "out", ("phase-zero",), max_clips=9)
    assert summary.by_vocoder == {"phase-zero": 9}
    for row in table(tmp_path / "out" / "manifest.csv"):
        assert row["speaker"].startswith(f"SPK_{row['partition']}_")
    details = table(tmp_path / "out" / "clips.csv")
    assert all(int(row["original"].split("_")[1]) % 2 == 0 for row in details)


def test_its_own_output_is_a_corpus_that_it_reads(tmp_path):
    write(write_source(tmp_path / "in"), tmp_path / "out")
    sources = find_sources(tmp_path / "out")
    assert sources.corpus == "manifest"
    assert len(sources.recordings) == 12


def test_spoofs_are_not_taken_for_bona_fide(tmp_path):
    write_source(tmp_path / "in" / "bonafide")
    write_source(tmp_path / "in" / "spoof")
    with pytest.raises(DataError, match="has the folders bonafide and spoof; give the bona fide"):
        find_sources(tmp_path / "in")
    assert find_sources(tmp_path / "in", corpus="recordings", partition_shares=(0.5, 0.5, 0.0))
    (tmp_path / "all").mkdir()
    (tmp_path / "in").rename(tmp_path / "all" / "train")
    sources = find_sources(tmp_path / "all")
    assert (sources.corpus, len(sources.recordings)) == ("folders", 12)


def test_a_folder_that_is_divided_stays_divided(tmp_path):
    write_source(tmp_path / "in" / "train", "ab")
    write_source(tmp_path / "in" / "eval", "c")
    found = find_sources(tmp_path / "in").recordings
    speakers = {(one.partition, one.speaker) for one in found}
    assert speakers == {("train", "a"), ("train", "b"), ("eval", "c")}
    assert {one.name.split("/")[0] for one in found} == {"train", "eval"}


def test_names_that_are_no_text_or_a_formula_pass_through(tmp_path):
    for folder in ("=cmd()", "b\n,b", os.fsdecode(b"c\xff")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        noise = 0.1 * np.random.default_rng(0).standard_normal(2_000)
        with open(tmp_path / "in" / folder / "a.wav", "wb") as file:
            soundfile.write(file, noise, 16_000, format="WAV")
    (tmp_path / "in" / folder / "b.wav").write_bytes(b"no audio")
    summary = write(tmp_path / "in", tmp_path / "out", ("lpc",))
    assert len(summary.problems) == 1
    found = find_sources(tmp_path / "out").recordings
    assert sorted(one.speaker for one in found) == ["'=cmd()", "b_,b", "c\\udcff"]
    assert write(tmp_path / "in", tmp_path / "out", ("lpc",)).was_written is False


def plan(num_sources: int, num_vocoders: int, copies: float, **settings):
    rows = [Vocoder(f"v{n}", "test", mute, (), "", "") for n in range(num_vocoders)]
    sources = [Source(Path(str(n)), str(n), "", "train") for n in range(num_sources)]
    return plan_copies(sources, rows, copies=copies, **{"max_clips": None, "seed": 0, **settings})


@pytest.mark.parametrize("copies", [0.3, 1.0, 2.5, 7.0])
def test_vocoders_are_balanced_and_differ_within_a_recording(copies):
    planned = plan(50, 5, copies)
    names = [[copy.vocoder.name for copy in one.copies] for one in planned]
    assert sum(map(len, names)) == round(50 * copies)
    number = Counter(name for of in names for name in of)
    assert max(number.values()) - min(number.values()) <= 2
    for of in names:
        assert len(set(of)) == min(5, len(of))
    assert len({copy.seed for one in planned for copy in one.copies}) == round(50 * copies)


def test_max_clips_takes_some_of_all():
    planned = plan(100, 2, 1.0, max_clips=10)
    taken = [int(one.source.name) for one in planned]
    assert len(taken) == 10
    assert taken == sorted(taken)
    assert max(taken) > 50


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"copies": 0.0}, "--copies is 0; it must be above 0"),
        ({"copies": float("nan")}, "--copies is nan"),
        ({"copies": 1e9}, "at most 1,000"),
        ({"copies": 1, "max_clips": 0}, "--max-clips is 0"),
        ({"copies": 1, "seed": -1}, "--seed is -1"),
        ({"copies": 1, "num_vocoders": 0}, "no vocoder to draw from"),
    ],
)
def test_numbers_that_cannot_be(settings, message):
    with pytest.raises(DataError, match=message):
        plan(3, settings.pop("num_vocoders", 2), **settings)


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
