"""A corpus whose audio a manifest lists: tar files and folders, found by name and fetched."""

import dataclasses
import os
import tarfile

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig, Config, DataConfig, ProblemPolicy
from rawnet_jax.config_check import checked
from rawnet_jax.data import fetch
from rawnet_jax.data.cache import open_or_build
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.divided_cache import Share, open_divided
from rawnet_jax.data.health import examine
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.scale.listing import list_sources
from rawnet_jax.storage.rows import write_manifest

NUM_CLIPS = 12
COUNTING = ProblemPolicy(**{f.name: "warn" for f in dataclasses.fields(ProblemPolicy)})


def samples_of(number):
    return np.random.default_rng(number).integers(-3000, 3000, 400 + 50 * number).astype(np.int16)


def write_shards(folder, numbers=range(NUM_CLIPS)):
    """Two tar files in webdataset's form, half of the clips each, beside files of another kind."""
    folder.mkdir(exist_ok=True)
    for shard in range(2):
        with tarfile.open(folder / f"shard-{shard}.tar", "w") as tar:
            for number in list(numbers)[shard::2]:
                path = folder / f"u{number}.flac"
                soundfile.write(path, samples_of(number), 16_000)
                tar.add(path, f"flac/u{number}.flac")
                path.with_suffix(".json").write_text("{}")
                tar.add(path.with_suffix(".json"), f"flac/u{number}.json")
                path.unlink()
                path.with_suffix(".json").unlink()


@pytest.fixture
def corpus(tmp_path):
    """A list of one's own, and a manifest of tar files; there is no audio folder."""
    write_shards(tmp_path / "shards")
    root = tmp_path / "lists"
    root.mkdir()
    lines = [f"u{n}.flac,{('spoof', 'bonafide')[n % 2]},train" for n in range(NUM_CLIPS)]
    (root / "manifest.csv").write_text("\n".join(["path,label,partition", *lines]))
    recordings = tmp_path / "all.jsonl"
    write_manifest(recordings, list_sources([str(tmp_path / "shards")]))
    return DataConfig(
        corpus="manifest", root=str(root), recordings=str(recordings), cache_dir=str(tmp_path / "c")
    )


def clips_of(config, policy=None):
    return load_partition(config, "train", ProblemLedger(policy or ProblemPolicy()))


def opened(config, policy=None):
    ledger = ProblemLedger(policy or ProblemPolicy())
    return open_or_build(load_partition(config, "train", ledger), config, ledger, progress=False)


def names_fetched(monkeypatch):
    """Names of the members that are fetched from now on."""
    asked = []
    fetched = fetch.fetched

    def recording(row):
        asked.append(row.name.rpartition("/")[2])
        return fetched(row)

    monkeypatch.setattr(fetch, "fetched", recording)
    return asked


def assert_right(cache, numbers=range(NUM_CLIPS)):
    assert [trial.audio_name for trial in cache.trials] == [f"u{n}.flac" for n in numbers]
    for position, number in enumerate(numbers):
        np.testing.assert_array_equal(cache.waveform(position), samples_of(number))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_members_of_tar_files_become_the_cache(corpus, num_workers, monkeypatch):
    monkeypatch.setattr("rawnet_jax.data.cache_files.PART_CLIPS", 1)
    config = dataclasses.replace(corpus, num_workers=num_workers)
    assert_right(opened(config))


def test_a_finished_cache_fetches_nothing(corpus, monkeypatch):
    opened(corpus)
    monkeypatch.setattr(fetch, "fetched", None)
    assert_right(opened(corpus))


def test_parquet_gives_the_same(corpus, tmp_path):
    pytest.importorskip("pyarrow", reason="extra scale is not installed")
    recordings = tmp_path / "all.parquet"
    write_manifest(recordings, list_sources([str(tmp_path / "shards")]))
    assert clips_of(dataclasses.replace(corpus, recordings=str(recordings))) == clips_of(corpus)


def test_files_of_a_folder_stay_files(corpus, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    for number in range(NUM_CLIPS):
        soundfile.write(folder / f"u{number}.flac", samples_of(number), 16_000)
    write_manifest(tmp_path / "plain.jsonl", list_sources([str(folder)]))
    config = dataclasses.replace(corpus, recordings=str(tmp_path / "plain.jsonl"))
    assert [clip.path for clip in clips_of(config)] == [
        folder / f"u{number}.flac" for number in range(NUM_CLIPS)
    ]
    assert_right(opened(config))


def test_a_changed_tar_file_is_noticed(corpus, tmp_path):
    opened(corpus)
    write_shards(tmp_path / "shards", range(1, NUM_CLIPS + 1))
    with pytest.raises(DataError, match="changed since the manifest was written"):
        # Other clips are to be cached, for those of before are there already.
        opened(dataclasses.replace(corpus, audio=AudioConfig(max_duration_s=9.0)))
    write_manifest(tmp_path / "all.jsonl", list_sources([str(tmp_path / "shards")]))
    assert_right(opened(corpus, COUNTING), range(1, NUM_CLIPS))


def test_another_etag_is_another_version(corpus, tmp_path, monkeypatch):
    opened(corpus)
    for shard in (tmp_path / "shards").iterdir():
        os.utime(shard, (1, 1))
    write_manifest(tmp_path / "all.jsonl", list_sources([str(tmp_path / "shards")]))
    asked = names_fetched(monkeypatch)
    assert_right(opened(dataclasses.replace(corpus, num_workers=1)))
    assert len(asked) == NUM_CLIPS


def test_what_could_not_be_fetched_is_tried_at_the_next_start(corpus, tmp_path):
    shard = tmp_path / "shards" / "shard-1.tar"
    away = shard.rename(tmp_path / "away")
    cache = opened(corpus, COUNTING)
    assert_right(cache, range(0, NUM_CLIPS, 2))
    assert cache.skipped_reasons == {fetch.NOT_FETCHED: NUM_CLIPS // 2}
    away.rename(shard)
    assert_right(opened(corpus))


def test_each_process_fetches_its_own_part(corpus, monkeypatch):
    asked = names_fetched(monkeypatch)
    clips = clips_of(corpus)
    lengths = np.array([[n, len(samples_of(n))] for n in range(NUM_CLIPS)])
    share = Share(1, 3, lambda own: [lengths[0::3], own, lengths[2::3]])
    config = dataclasses.replace(corpus, num_workers=1, divide_clips=True)
    cache = open_divided(clips, config, ProblemLedger(ProblemPolicy()), share, progress=False)
    assert sorted(asked) == sorted(f"u{n}.flac" for n in range(1, NUM_CLIPS, 3))
    np.testing.assert_array_equal(cache.waveform(4), samples_of(4))


def test_missing_unlisted_and_ambiguous_recordings_are_reported(corpus, tmp_path):
    write_shards(tmp_path / "shards", range(1, NUM_CLIPS + 1))
    with tarfile.open(tmp_path / "shards" / "more.tar", "w") as tar:
        soundfile.write(tmp_path / "u3.flac", samples_of(3), 16_000)
        tar.add(tmp_path / "u3.flac", "other/u3.flac")
    write_manifest(tmp_path / "all.jsonl", list_sources([str(tmp_path / "shards")]))
    ledger = ProblemLedger(COUNTING)
    clips = load_partition(corpus, "train", ledger)
    assert len(clips) == NUM_CLIPS - 2
    assert ledger.counts == {"missing_audio": 2, "unlisted_audio": 3}
    said = "\n".join(ledger.examples["missing_audio"])
    assert f"no u0.flac in {tmp_path / 'all.jsonl'}" in said
    assert f"ambiguous: {tmp_path}/shards/more.tar/other/u3.flac or" in said


def test_check_looks_into_the_recordings(corpus):
    health = examine(corpus, decode=True, progress=False)
    assert health.partitions[0].audio.sample_rates_hz == {16_000: NUM_CLIPS}
    assert health.partitions[0].audio.durations_s.sum() == pytest.approx(
        sum(len(samples_of(n)) for n in range(NUM_CLIPS)) / 16_000
    )


def test_what_does_not_go_together_is_refused(corpus, tmp_path):
    config = Config()
    config.data = dataclasses.replace(corpus, audio_dir="audio")
    with pytest.raises(ConfigError, match="recordings and audio_dir both say"):
        checked(config)
    (tmp_path / "tree" / "train" / "spoof").mkdir(parents=True)
    folders = dataclasses.replace(corpus, corpus="folders", root=str(tmp_path / "tree"))
    with pytest.raises(ConfigError, match="must be a corpus with lists of trials"):
        clips_of(folders)
    with pytest.raises(DataError, match=r"no such file \(config.data.recordings\)"):
        clips_of(dataclasses.replace(corpus, recordings=str(tmp_path / "none.jsonl")))
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"bad.jsonl:1: no row of a manifest"):
        clips_of(dataclasses.replace(corpus, recordings=str(tmp_path / "bad.jsonl")))
