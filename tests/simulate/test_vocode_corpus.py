"""Corpora of recordings and their copies: from sources to files, over several runs."""

import json
import os
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
from rawnet_jax.simulate.corpus_writer import LEVEL_DBFS
from rawnet_jax.simulate.vocode_plan import plan_copies
from rawnet_jax.simulate.vocode_sources import Source, find_sources
from tests.conftest import write_tiny_corpus
from tests.simulate.vocoded import content, table, write, write_source


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
