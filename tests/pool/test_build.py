"""Pools from tiny repositories: the same bits however they are built, and what they say."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.csv_text import csv_rows
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError
from rawnet_jax.pool import build as build_module
from rawnet_jax.pool.build import build
from rawnet_jax.pool.pieces import PieceMaker, close_readers
from rawnet_jax.pool.plan import make_plan
from rawnet_jax.pool.table import read_table
from tests.conftest import REPO
from tests.pool.small_clones import (
    FAKE,
    REAL,
    commit,
    needs_git,
    recordings,
    table_text,
    write_clones,
    write_table,
)

pytestmark = needs_git


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clones, their commits, and a pool that one process built."""
    root = tmp_path_factory.mktemp("pool")
    commits = write_clones(root / "clones")
    table = write_table(root / "table.toml", commits)
    plan = make_plan(table, root / "clones", allow_missing=False)
    built = build(plan, root / "pool", num_workers=1, progress=False)
    return root, commits, plan, built


def digests(pool: Path) -> dict[str, str]:
    return {
        path.relative_to(pool).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(pool.rglob("*"))
        if path.is_file()
    }


def table_of(path: Path) -> list[dict[str, str]]:
    header, *rows = csv_rows(path.read_text(encoding="utf-8"))
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_pieces_are_flac_of_16_khz_in_the_range_of_lengths(made):
    root, _, _, built = made
    files = sorted((root / "pool/flac").iterdir())
    assert len(files) == sum(built.num_pieces.values()) >= 40
    for path in files:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert 1.2 <= info.duration <= 3.2


def test_two_processes_write_the_same_bits(made):
    root, _, plan, built = made
    again = build(plan, root / "two", num_workers=2, progress=False)
    assert again.digest == built.digest
    assert digests(root / "two") == digests(root / "pool")


def test_the_manifest_says_of_each_piece_where_it_is_from(made):
    root, commits, _, _ = made
    rows = table_of(root / "pool/manifest.csv")
    for row in rows:
        path = root / "pool" / row["path"]
        assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row["licence"] == ("CC0-1.0" if row["repository"] == REAL else "MIT")
        assert row["commit"] == commits[row["repository"]]
        assert row["law_codec"] in ("none", "mp3", "vorbis", "opus")
        assert row["source_path"].endswith(".wav")
    assert {row["label"] for row in rows} == {"bonafide", "spoof"}
    assert {row["attack"] == "" for row in rows if row["label"] == "bonafide"} == {True}
    record = json.loads((root / "pool/corpus.json").read_text())
    assert record["kind"] == "pool"
    assert record["differs_from_table"] == []


def test_licences_are_named_and_their_texts_kept(made):
    root, _, _, _ = made
    page = (root / "pool/LICENCES.md").read_text()
    for repository, licence in ((REAL, "CC0-1.0"), (FAKE, "MIT")):
        assert f"## {repository}" in page
        assert f"- {repository} and friends" in page
        assert f"- {licence}: " in page
        text = root / "pool/licences" / f"{repository.replace('/', '+')}.txt"
        assert "Do what you like." in text.read_text()


def test_the_sums_are_those_of_all_files(made):
    root, _, _, _ = made
    lines = (root / "pool/SHA256SUMS").read_text().splitlines()
    told = dict(line.split("  ", 1)[::-1] for line in lines)
    found = digests(root / "pool")
    assert told == {n: d for n, d in found.items() if n not in ("SHA256SUMS", "corpus.json")}


def test_protocols_are_read_and_folds_share_no_speaker_and_no_system(made):
    root, _, _, _ = made
    ledger = ProblemLedger(ProblemPolicy())
    for fold in ("fold1", "fold2", "fold3"):
        config = DataConfig(
            corpus="asvspoof2019_la",
            root=str(root / "pool"),
            audio_dir="flac",
            train_protocol=f"protocols/{fold}.train.trn.txt",
            dev_protocol=f"protocols/{fold}.dev.trl.txt",
            eval_protocol="protocols/test.trl.txt",
        )
        parts = [
            [clip.trial for clip in load_partition(config, name, ledger)]
            for name in ("train", "dev", "eval")
        ]
        for part in parts:
            assert {trial.label is not None for trial in part} == {True}
            assert len({trial.label for trial in part}) == 2
        for values in (
            [{trial.speaker_id for trial in part} for part in parts],
            [{trial.attack_id for trial in part} - {None} for part in parts],
        ):
            assert sum(map(len, values)) == len(set.union(*values))
        assert len(parts[0]) > len(parts[1])


def test_the_clear_list_has_the_pieces_with_a_whole_band_and_little_noise(made):
    root, _, _, _ = made
    header, *rows = csv_rows((root / "pool/manifest.csv").read_text(encoding="utf-8"))
    laws = {r[4]: dict(zip(header, r, strict=True)) for r in rows}
    lists = root / "pool/protocols"
    names = [line.split()[1] for line in (lists / "fold1.train.trn.txt").read_text().splitlines()]
    clear = [
        line.split()[1] for line in (lists / "fold1.train.clear.trn.txt").read_text().splitlines()
    ]
    wanted = [
        name
        for name in names
        if float(laws[name]["law_noise_db"]) < -45 and float(laws[name]["law_band_hz"]) == 8_000
    ]
    assert clear == wanted
    assert 0.3 < len(clear) / len(names) < 0.9
    assert len(csv_rows((lists / "fold1.train.clear.csv").read_text())) == len(clear) + 1


def test_the_page_says_what_shares_a_channel(made):
    root, _, _, _ = made
    page = (root / "pool/README.md").read_text()
    assert "| studio | train " in page  # both classes, in one row
    row = next(line for line in page.splitlines() if line.startswith("| studio |"))
    assert row.count("train ") == 2


def test_swapped_labels_give_the_same_samples(made):
    root, commits, _, _ = made
    (root / "swapped.toml").write_text(table_text(commits, swapped=True))
    table = read_table(root / "swapped.toml")
    plan = make_plan(table, root / "clones", allow_missing=False)
    build(plan, root / "swapped", num_workers=1, progress=False)
    pieces = [
        {row["utterance"]: row["sha256"] for row in table_of(root / name / "manifest.csv")}
        for name in ("pool", "swapped")
    ]
    assert pieces[0] == pieces[1]
    labels = [
        {row["utterance"]: row["label"] for row in table_of(root / name / "manifest.csv")}
        for name in ("pool", "swapped")
    ]
    assert all(labels[0][name] != labels[1][name] for name in labels[0])


class _Stopped(PieceMaker):
    """Stops after some recordings, as a kill does."""

    left = 7

    def __call__(self, recording):
        if _Stopped.left == 0:
            raise KeyboardInterrupt
        _Stopped.left -= 1
        return super().__call__(recording)


def test_a_build_that_was_stopped_goes_on(made, monkeypatch):
    root, _, plan, _ = made
    monkeypatch.setattr(build_module, "PieceMaker", _Stopped)
    with pytest.raises(KeyboardInterrupt):
        build(plan, root / "resumed", num_workers=1, progress=False)
    close_readers()
    partial, journal_path = (
        root / ".resumed.partial/corpus",
        root / ".resumed.partial/journal.jsonl",
    )
    assert not (root / "resumed").exists()
    journal = journal_path.read_text()
    assert len(journal.splitlines()) == 7
    # A line that a kill cut short, a piece that a disk spoilt, and one of nobody.
    journal_path.write_text(journal[:-40])
    files = sorted((partial / "flac").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-100])
    (partial / "flac/P_other_0.flac").write_bytes(b"")
    seen = []

    class Counting(PieceMaker):
        def __call__(self, recording):
            seen.append(recording.name)
            return super().__call__(recording)

    monkeypatch.setattr(build_module, "PieceMaker", Counting)
    build(plan, root / "resumed", num_workers=1, progress=False)
    assert len(seen) == len(plan.recordings) - 5
    assert digests(root / "resumed") == digests(root / "pool")
    assert not (root / ".resumed.partial").exists()


@pytest.mark.slow
def test_a_killed_command_goes_on(made):
    root, _, _, built = made
    words = [sys.executable, "-m", "rawnet_jax", "build-pool", "--clones", str(root / "clones")]
    words += ["--table", str(root / "table.toml"), "--output", str(root / "killed")]
    words += ["--no-progress", "--num-workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    journal = root / ".killed.partial/journal.jsonl"
    while process.poll() is None:
        if journal.exists() and len(journal.read_text().splitlines()) > 4:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    assert process.wait() == -signal.SIGKILL
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert built.digest in done.stdout
    assert digests(root / "killed") == digests(root / "pool")


def test_what_another_plan_left_behind_is_not_taken(made):
    root, _, plan, _ = made
    partial = root / ".fresh.partial"
    (partial / "corpus/flac").mkdir(parents=True)
    (partial / "request.json").write_text('{"plan": "another"}')
    (partial / "journal.jsonl").write_text('[0, {"name": "x", "pieces": []}]\n')
    (partial / "corpus/flac/P_x_0.flac").write_bytes(b"old")
    with pytest.raises(DataError, match="holds an unfinished run with another made_with, plan"):
        build(plan, root / "fresh", num_workers=1, progress=False)
    build(plan, root / "fresh", num_workers=1, progress=False, overwrite=True)
    assert digests(root / "fresh") == digests(root / "pool")


def test_a_pool_that_is_there_is_left_alone_and_another_is_not_replaced(made, tmp_path):
    root, commits, plan, built = made
    again = build(plan, root / "pool", num_workers=1, progress=False)
    assert not again.was_written
    assert again.digest == built.digest
    (tmp_path / "t.toml").write_text(table_text(commits).replace("seed = 5", "seed = 6"))
    other = make_plan(read_table(tmp_path / "t.toml"), root / "clones", allow_missing=False)
    with pytest.raises(DataError, match="exists and is not empty"):
        build(other, root / "pool", num_workers=1, progress=False)


def test_a_damaged_recording_is_left_out_and_named(tmp_path):
    files = recordings()
    files["train/s00_0.wav"] = b"RIFF" + bytes(5_000)
    files["train/s00_1.wav"] = files["train/s00_1.wav"][:600]
    commits = {REAL: commit(tmp_path / "clones/real-speech", files)}
    table = write_table(tmp_path / "t.toml", commits)
    plan = make_plan(table, tmp_path / "clones", allow_missing=False)
    build(plan, tmp_path / "pool", num_workers=1, progress=False)
    told = (tmp_path / "pool/left_out.txt").read_text().splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        [REAL, "train/s00_0.wav"],
        [REAL, "train/s00_1.wav"],
    ]
    sources = {row["source_path"] for row in table_of(tmp_path / "pool/manifest.csv")}
    assert len(sources) == 18
