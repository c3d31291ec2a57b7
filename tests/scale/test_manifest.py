"""Manifests: what sources hold, in both forms, and their shards."""

import os
import tarfile

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.data.fetch import fetched
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.scale.ledger import Task
from rawnet_jax.scale.listing import list_sources
from rawnet_jax.scale.plan import plan_shards
from rawnet_jax.scale.tallies import OTHERS, Tally
from rawnet_jax.scale.todo import Todo
from rawnet_jax.storage.rows import Row, member_of, member_uri, read_rows, sizes, write_manifest

ROWS = [Row(f"s3://bucket/{number}.flac", 10 * number, f"{number:x}") for number in range(1, 26)]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_shards_hold_every_row_once(form, tmp_path):
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="extra scale is not installed")
    path = tmp_path / f"m.{form}"
    assert write_manifest(path, iter(ROWS)) == (25, sum(row.size for row in ROWS))
    plan = plan_shards(path, shard_bytes=300, shard_files=7)
    assert (plan.rows, plan.num_bytes) == (25, sum(row.size for row in ROWS))
    found = [read_rows(path, at, 0, count) for at, count, _ in plan.shards]
    assert [row for shard in found for row in shard] == ROWS
    for shard, (_, count, size) in zip(found, plan.shards, strict=True):
        assert count <= 7
        assert size == sum(row.size for row in shard)
        assert sum(row.size for row in shard[:-1]) < 300
    before = plan.shards[0][1]
    assert read_rows(path, plan.shards[1][0], 2, 3) == ROWS[before + 2 : before + 5]
    with pytest.raises(DataError, match="shorter"):
        read_rows(path, plan.shards[-1][0], 0, 1000)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('{"uri": "a/b c.wav", "size": 0, "etag": "x"}', Row("a/b c.wav", 0, "x")),
        ('{"uri": "\\u00e4\\".wav", "size": 7, "etag": ""}', Row('ä".wav', 7, "")),
        ('{"size":7,"uri":"ä.wav"}', Row("ä.wav", 7, "")),
        ('{"uri": "a", "size": 9, "etag": "x", "more": 1}', Row("a", 9, "x")),
        ('{"uri": "", "size": 9, "etag": "x"}', None),
        ('{"uri": "a", "size": 09, "etag": "x"}', None),
        ('{"uri": "a", "size": -9, "etag": "x"}', None),
        ('{"uri": "a", "size": 9, "etag": "x"} ]', None),
        ('{"uri": "a\x01", "size": 9, "etag": "x"}', None),
    ],
)
def test_a_line_is_planned_as_it_is_read(tmp_path, line, row):
    path = tmp_path / "m.jsonl"
    path.write_text(line, "utf-8")
    if row is None:
        with pytest.raises(DataError, match=r"m.jsonl:1: no row of a manifest"):
            list(sizes(path))
        with pytest.raises(DataError, match=r"m.jsonl:1: no row of a manifest"):
            read_rows(path, 0, 0, 1)
    else:
        assert list(sizes(path)) == [(0, row.size)]
        assert read_rows(path, 0, 0, 1) == [row]


def test_members_of_tar_files_are_read_where_they_lie(tmp_path):
    names = ["a b/ä.wav", "x#y&z.wav", b"\xff.wav".decode(errors="surrogateescape")]
    waveform = 0.1 * np.random.default_rng(0).standard_normal(300)
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name in [*names, "x.json"]:
            soundfile.write(tmp_path / "one.wav", waveform[: 100 + len(name)], 16_000)
            tar.add(tmp_path / "one.wav", name)
    rows = list(list_sources([str(tmp_path / "s.tar")]))
    assert [found.name for row in rows if (found := member_of(row.uri))] == names
    with tarfile.open(tmp_path / "s.tar") as tar:
        for row, name in zip(rows, names, strict=True):
            member = tar.extractfile(name)
            assert member is not None
            assert fetched(row) == member.read()
    os.utime(tmp_path / "s.tar", (1, 1))
    with pytest.raises(DataError, match="changed since the manifest was written"):
        fetched(rows[0])
    assert member_of(str(tmp_path / "a#b.wav")) is None
    assert member_of(member_uri("a#b.tar", 1, 2, "c#d")) == ("a#b.tar", 1, 2, "c#d")


def test_what_cannot_be_listed_is_one_line(tmp_path, capsys):
    output = tmp_path / "m.jsonl"
    (tmp_path / "no.tar").write_bytes(b"x" * 1000)
    (tmp_path / "empty").mkdir()
    for words, said in (
        ([tmp_path / "none"], "none: cannot be read: No such file"),
        ([tmp_path / "no.tar"], "no.tar: is not a tar file that can be read"),
        ([tmp_path / "x.tar.gz"], "must be a plain .tar"),
        ([tmp_path / "empty"], "there is no recording"),
        ([f"--list={tmp_path / 'none.txt'}"], "none.txt: cannot be read"),
        (["http://127.0.0.1/"], "a web server has no list"),
        ([], "give a folder"),
    ):
        assert main(["manifest", *map(str, words), f"--output={output}", "--no-progress"]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
        assert not output.exists()
    assert main(["manifest", str(tmp_path), "--output=/dev/full/m.jsonl", "--no-progress"]) == 2
    with pytest.raises(ConfigError, match=r"must end in .jsonl or .parquet"):
        write_manifest(tmp_path / "m.txt", ROWS)


def test_halves_cover_a_task():
    task = Task("part-00003", 100, 2, 5, deaths=2)
    first, second = task.halves()
    assert (first.name, first.skip, first.rows) == ("part-00003.0", 2, 2)
    assert (second.name, second.skip, second.rows) == ("part-00003.1", 4, 3)
    todo = Todo([])
    assert todo.died(Task("part-00001", 0, 0, 2))[0].deaths == 1
    assert [half.rows for half in todo.died(Task("part-00001", 0, 0, 2, deaths=1))] == [1, 1]
    assert todo.died(Task("part-00001", 0, 0, 1, deaths=1))[0].deaths == 2
    assert todo.died(Task("part-00001", 0, 0, 1, deaths=2)) == ()


def test_tallies_stay_small_and_add_up():
    parts = []
    for start in range(0, 900, 300):
        tally = Tally()
        for number in range(start, start + 300):
            tally.add(
                {
                    "path": f"d{number}/x.wav",
                    "verdict": "spoof",
                    "score": float(number),
                    "duration_s": 1.0,
                    "reason": None,
                }
            )
        parts.append(tally.record)
    whole = Tally()
    for part in parts:
        whole.merge(part)
    assert whole.files == whole.verdicts["spoof"] == 900
    assert len(whole.folders) == 201
    assert sum(folder["spoof"] for folder in whole.folders.values()) == 900
    assert whole.folders[OTHERS]["highest"] == 899.0
    assert sum(folder["sum"] for folder in whole.folders.values()) == sum(range(900))
