"""The cache: complete or made good, whatever happened to it; never wrong samples."""

import errno
import logging
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig, DataConfig, ProblemPolicy
from rawnet_jax.data import cache_files
from rawnet_jax.data.cache import open_or_build
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError
from tests.data.cached_clips import (
    NUM_CLIPS,
    assert_right,
    open_cache,
    parts_made,
    samples_of,
    write_clips,
)
from tests.data.media_samples import encoded


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(cache_files, "PART_CLIPS", 3)  # parts of 3, 3, 3 and 1 clips


@pytest.fixture
def clips(tmp_path) -> list[Clip]:
    return write_clips(tmp_path / "flac")


@pytest.fixture
def config(tmp_path) -> DataConfig:
    return DataConfig(cache_dir=str(tmp_path / "cache"), num_workers=1)


def test_build_and_open_again(clips, config, monkeypatch):
    made = parts_made(monkeypatch)
    first = open_cache(clips, config)
    assert_right(first)
    assert len(made) == 4
    again = open_cache(clips, config)
    assert_right(again)
    assert again.folder == first.folder
    assert len(made) == 4
    assert not list(first.folder.glob("*.tmp"))


def test_where_caches_lie(config, monkeypatch, tmp_path):
    monkeypatch.setenv("RAWNET_JAX_CACHE", "/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_files.cache_root(config) == tmp_path / "cache"
    assert cache_files.cache_root(DataConfig()) == Path("/somewhere")
    monkeypatch.delenv("RAWNET_JAX_CACHE")
    assert cache_files.cache_root(DataConfig()) == tmp_path / ".cache/rawnet_jax"
    assert cache_files.cache_root(DataConfig(cache_dir="~/x")) == tmp_path / "x"


def flip_byte(path: Path, where: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("damage", "name", "num_made"),
    [
        (flip_byte, "part-00001.i16", 1),
        (cut, "part-00003.i16", 1),
        (Path.unlink, "part-00000.i16", 1),
        (flip_byte, "index.npy", 0),
        (cut, "index.npy", 0),
        (Path.unlink, "index.npy", 0),
        (flip_byte, "index.json", 0),
        (cut, "index.json", 0),
        (Path.unlink, "part-00002.json", 0),
    ],
)
def test_damage_is_seen_and_made_good(clips, config, monkeypatch, caplog, damage, name, num_made):
    folder = open_cache(clips, config).folder
    sound = {path.name: path.read_bytes() for path in folder.iterdir()}
    made = parts_made(monkeypatch)
    damage(folder / name)
    with caplog.at_level(logging.WARNING):
        assert_right(open_cache(clips, config))
    assert len(made) == num_made
    if name != "part-00002.json":  # of no use once the index is there
        assert [name in record.getMessage() for record in caplog.records] == [True]
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == sound


def test_damage_while_it_is_not_finished(clips, config, monkeypatch):
    folder = open_cache(clips, config).folder
    (folder / "index.json").unlink()
    flip_byte(folder / "part-00000.i16")
    flip_byte(folder / "part-00001.json")
    made = parts_made(monkeypatch)
    assert_right(open_cache(clips, config))
    assert made == ["part-00000", "part-00001"]


def test_index_of_other_utterances_is_not_used(clips, config):
    folder = open_cache(clips, config).folder
    path = folder / "index.npy"
    index = np.load(path)
    index["clip"] = index["clip"][::-1].copy()
    np.save(path, index)
    body = cache_files.read_json(folder / "index.json")
    body["index_crc32"] = zlib.crc32(path.read_bytes())
    cache_files.write_json(folder / "index.json", body)
    assert_right(open_cache(clips, config))


def test_changed_file_is_decoded_again(clips, config, monkeypatch, caplog):
    opened_before = open_cache(clips, config)
    made = parts_made(monkeypatch)
    changed = samples_of(4)[::-1]
    soundfile.write(clips[4].path, changed, 16_000)
    os.utime(clips[4].path, ns=(1, 1))
    with caplog.at_level(logging.WARNING):
        cache = open_cache(clips, config)
    np.testing.assert_array_equal(cache.waveform(4), changed)
    np.testing.assert_array_equal(cache.waveform(5), samples_of(5))
    assert made == ["part-00001"]
    assert "have changed" in caplog.text
    assert_right(opened_before)  # a run that goes on keeps what it opened


def test_touched_file_is_decoded_again(clips, config, monkeypatch):
    open_cache(clips, config)
    made = parts_made(monkeypatch)
    os.utime(clips[0].path, ns=(1, 1))
    assert_right(open_cache(clips, config))
    assert made == ["part-00000"]


def test_other_settings_have_another_cache(clips, config):
    folder = open_cache(clips, config).folder
    config.audio = AudioConfig(max_duration_s=5)
    assert open_cache(clips, config).folder != folder
    assert open_cache(clips[:-1], config).folder != folder
    assert open_cache(clips[::-1], config).folder != folder


def test_bad_audio_is_counted_each_time(clips, config, caplog):
    clips[2].path.write_bytes(b"")
    clips[9].path.unlink()
    soundfile.write(clips[4].path, np.zeros(1000), 16_000)
    for _ in range(2):
        ledger = ProblemLedger(ProblemPolicy(bad_audio="warn"))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            cache = open_or_build(clips, config, ledger, progress=False)
        assert_right(cache, [0, 1, 3, 5, 6, 7, 8])
        assert ledger.counts == {"bad_audio": 3}
        assert [message.split(": ")[0] for message in ledger.examples["bad_audio"]] == [
            "list.txt:3",
            "list.txt:5",
            "list.txt:10",
        ]
        assert cache.skipped_reasons == {"empty": 1, "silent": 1, "missing": 1}
        assert "3 of 10 clips left out: " in caplog.text


def test_bad_audio_stops_if_the_policy_says_so(clips, config, monkeypatch):
    clips[4].path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(DataError, match=r"list.txt:5: .*u4.flac: empty"):
            open_cache(clips, config)
    made = parts_made(monkeypatch)
    soundfile.write(clips[4].path, samples_of(4), 16_000)
    assert_right(open_cache(clips, config))
    assert made == ["part-00001", "part-00002", "part-00003"]


def test_no_audio_at_all(clips, config):
    with pytest.raises(DataError, match="no clips"):
        open_cache([], config)
    for clip in clips:
        clip.path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(DataError, match="none of 10 clips"):
            open_cache(clips, config, ProblemPolicy(bad_audio="warn"))


def test_what_the_extra_media_reads_is_read_once_it_is_there(clips, config, monkeypatch):
    clips[4].path.write_bytes(encoded("flac.ogg", samples_of(4)))
    warn = ProblemPolicy(bad_audio="warn")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "av", None)
        for _ in range(2):
            cache = open_cache(clips, config, warn)
            assert_right(cache, [n for n in range(NUM_CLIPS) if n != 4])
            assert cache.skipped_reasons == {"not audio this install can read": 1}
    made = parts_made(monkeypatch)
    assert_right(open_cache(clips, config, warn))
    assert made == ["part-00001"]


def test_samples_beyond_full_scale_are_clipped_and_counted(tmp_path, config, caplog):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.5, 1.5, -2, 0] * 100, np.float32), 16_000, subtype="FLOAT")
    with caplog.at_level(logging.WARNING):
        cache = open_cache([Clip(Trial("a", None, "a"), path)], config)
    assert cache.waveform(0)[:4].tolist() == [16384, 32767, -32768, 0]
    assert "200 samples beyond full scale" in caplog.text


def test_full_disk_is_one_line_and_leaves_nothing_half_written(clips, config, monkeypatch):
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(
        DataError, match=r"No space left on device; make room there or set"
    ) as caught:
        open_cache(clips, config)
    assert "\n" not in str(caught.value)
    assert not list(Path(config.cache_dir).glob("*/*.tmp"))
    monkeypatch.undo()
    monkeypatch.setattr(cache_files, "PART_CLIPS", 3)
    assert_right(open_cache(clips, config))


def test_cache_dir_that_is_no_folder(clips, config, tmp_path):
    (tmp_path / "file").touch()
    config.cache_dir = str(tmp_path / "file")
    with pytest.raises(DataError, match=r"config.data.cache_dir"):
        open_cache(clips, config)


@pytest.mark.skipif(os.name != "posix", reason="no such modes here")
@pytest.mark.parametrize("num_workers", [1, 2])
def test_decoded_audio_is_its_owners_alone(clips, config, num_workers):
    config.num_workers = num_workers
    open_cache(clips, config)
    files = [path for path in Path(config.cache_dir).rglob("*") if path.is_file()]
    folders = {path.parent for path in files}
    assert [oct(path.stat().st_mode & 0o777) for path in folders] == ["0o700"]
    assert {path.stat().st_mode & 0o077 for path in files if path.name != "lock"} == {0}
