"""Copies by vocoders in a pool: matched to their sources, in the fold of vocoder and speaker."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.csv_text import csv_rows
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.pairs import source_positions
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.pool.build import build
from rawnet_jax.pool.plan import make_plan
from rawnet_jax.pool.table import Table, read_table
from tests.pool.small_clones import needs_git, table_text, write_clones

pytestmark = needs_git

ROWS = """
[[vocoder]]
name = "phase-zero"
family = "fam-fold1"

[[vocoder]]
name = "lpc"
family = "fam-train"
"""


def table_with(path: Path, commits: dict[str, str], rows: str) -> Table:
    path.write_text(table_text(commits) + rows, encoding="utf-8")
    return read_table(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("copies")
    commits = write_clones(root / "clones")
    table = table_with(root / "table.toml", commits, ROWS)
    plan = make_plan(table, root / "clones", allow_missing=False)
    build(plan, root / "pool", num_workers=1, progress=False)
    header, *rows = csv_rows((root / "pool/manifest.csv").read_text(encoding="utf-8"))
    return root, commits, {r[4]: dict(zip(header, r, strict=True)) for r in rows}


def test_a_copy_goes_through_the_laws_of_its_source(made):
    root, _, rows = made
    copies = [row for row in rows.values() if row["system"] in ("phase-zero", "lpc")]
    # Test speech has no part in the folds of these vocoders.
    real = [r for r in rows.values() if r["label"] == "bonafide" and r["group"] != "test"]
    assert len(copies) == 2 * len(real) > 30
    for copy in copies:
        source = rows[copy["source"]]
        assert source["label"] == "bonafide"
        assert source["source"] == source["utterance"]
        same = [name for name in copy if name.startswith("law_")] + [
            "speaker",
            "start_s",
            "licence",
        ]
        assert [copy[name] for name in same] == [source[name] for name in same]
        assert copy["settings"]
        assert not source["settings"]
        a, b = (soundfile.read(root / "pool" / row["path"])[0] for row in (source, copy))
        assert len(a) == len(b)
        assert not np.array_equal(a, b)
        assert 0.5 < np.std(b) / np.std(a) < 2.0


def test_a_copy_is_where_both_its_vocoder_and_its_speaker_may_be(made):
    _, _, rows = made
    found = Counter(
        (rows[row["source"]]["group"], row["fold1"], row["fold2"], row["fold3"])
        for row in rows.values()
        if row["system"] == "phase-zero"  # of the families of fold 1
    )
    assert set(found) == {
        ("train", "", "train", "train"),
        ("fold1", "dev", "train", "train"),
        ("fold2", "", "", "train"),
        ("fold3", "", "train", ""),
    }


def test_the_lists_name_the_source_of_each_copy(made):
    root, _, rows = made
    config = DataConfig(
        corpus="manifest",
        root=str(root / "pool"),
        train_protocol="protocols/fold2.train.csv",
        problems=ProblemPolicy(unlisted_audio="warn"),
    )
    clips = load_partition(config, "train", ProblemLedger.counting())
    trials = [clip.trial for clip in clips]
    source = source_positions(trials, "source")
    assert sum(source >= 0) > 10
    for trial, position in zip(trials, source, strict=True):
        if position >= 0:
            assert rows[trial.utterance_id]["source"] == trials[position].utterance_id


def test_vocoders_share_the_recordings_by_their_parts(made, tmp_path):
    root, commits, _ = made
    first, second = ROWS.replace('fam-fold1"', 'fam-fold1"\npart = [0.0, 0.4]').split("\n\n")
    rows = f"{first}\n\n{second.rstrip()}\npart = [0.4, 1.0]\n"
    plan = make_plan(
        table_with(tmp_path / "a.toml", commits, rows), root / "clones", allow_missing=False
    )
    taken = plan.recordings
    by_vocoder = {
        name: {one.key for one in taken if one.vocoder == name} for name in ("phase-zero", "lpc")
    }
    real = {one.key for one in taken if one.label == "bonafide"}
    assert by_vocoder["phase-zero"] | by_vocoder["lpc"] == real
    assert not by_vocoder["phase-zero"] & by_vocoder["lpc"]
    assert 0 < len(by_vocoder["phase-zero"]) < len(by_vocoder["lpc"])


def test_models_are_named_where_they_are_missing_or_wrong(made, tmp_path):
    root, commits, _ = made
    model = '[[vocoder]]\nname = "ours"\nfamily = "fam-train"\nmodel = "ours"\n'
    table = table_with(tmp_path / "a.toml", commits, model)
    with pytest.raises(DataError, match="vocoder ours: no ours in a folder of vocoders"):
        make_plan(table, root / "clones", allow_missing=False)
    plan = make_plan(table, root / "clones", allow_missing=True)
    assert plan.problems == ("vocoder ours: no ours in a folder of vocoders (--vocoders)",)
    (tmp_path / "ours").mkdir()
    with pytest.raises(DataError, match=r"vocoder ours: .*is not a vocoder"):
        make_plan(table, root / "clones", allow_missing=True, vocoders=tmp_path)
    for rows, told in (
        ('[[vocoder]]\nname = "x"\nfamily = "fam-train"\n', "x: it must have a model, or be one"),
        ('[[vocoder]]\nname = "lpc"\nfamily = "nobody"\n', "family 'nobody' is not in"),
        (ROWS + "part = [0.5, 0.5]\n", "vocoder lpc: part is .*two numbers that rise"),
        (ROWS + "part = 0.5\n", "part is 0.5; it must be a list of numbers"),
        ('[[vocoder]]\nname = "a b"\nfamily = "fam-train"\n', "the name must be one word"),
    ):
        with pytest.raises(ConfigError, match=told):
            make_plan(
                table_with(tmp_path / "b.toml", commits, rows), root / "clones", allow_missing=True
            )
    shutil.rmtree(tmp_path / "ours")


def test_a_clean_pool_is_genuine_speech_before_the_laws(made, tmp_path):
    root, commits, rows = made
    table = table_with(tmp_path / "c.toml", commits, ROWS)
    plan = make_plan(table, root / "clones", allow_missing=False, is_clean=True)
    built = build(plan, tmp_path / "clean", num_workers=1, progress=False)
    real = {n for n, r in rows.items() if r["label"] == "bonafide" and r["group"] != "test"}
    assert built.num_pieces == {"bonafide": len(real)}
    assert {path.stem for path in (tmp_path / "clean/flac").iterdir()} == real
    for name in real:
        clean = soundfile.read(tmp_path / f"clean/flac/{name}.flac")[0]
        assert len(clean) == len(soundfile.read(root / "pool" / rows[name]["path"])[0])
        assert np.sqrt(np.mean(clean**2)) == pytest.approx(10 ** (-26 / 20), rel=0.01)
    header, row, *_ = csv_rows((tmp_path / "clean/manifest.csv").read_text(encoding="utf-8"))
    said = {name: value for name, value in zip(header, row, strict=True) if "law_" in name}
    assert [name for name, value in said.items() if value] == ["law_length_s"]
