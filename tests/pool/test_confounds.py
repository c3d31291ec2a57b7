"""The confound report: it finds what was planted, and nothing where there is nothing."""

import json

import numpy as np
import pytest

from rawnet_jax.csv_text import csv_text
from rawnet_jax.errors import DataError
from rawnet_jax.metrics.det import auc
from rawnet_jax.pool.build import write_confounds
from rawnet_jax.pool.confounds import (
    Measured,
    confound_report,
    matched,
    propensity,
    separation,
)
from rawnet_jax.pool.features import FEATURES, measured

NUM = 600
LEVEL = FEATURES.index("level_dbfs")


def data(seed: int = 0, **planted: float) -> Measured:
    """Return features without a difference but those planted, in spreads, of bona fide."""
    rng = np.random.default_rng(seed)
    is_bonafide = np.arange(NUM) % 2 == 0
    values = rng.standard_normal((NUM, len(FEATURES)))
    for name, spreads in planted.items():
        values[is_bonafide, FEATURES.index(name)] += spreads
    speaker = np.array([f"s{number // 2 % 60}{'rf'[number % 2]}" for number in range(NUM)])
    repository = np.array([f"r{number // 2 % 12}{'rf'[number % 2]}" for number in range(NUM)])
    return Measured(is_bonafide, repository, speaker, values)


def test_louder_real_speech_is_found_by_its_feature_and_by_all():
    areas = separation(data(level_dbfs=2.0))
    assert areas["level_dbfs"] > 0.9
    assert areas["all, new sources"] > 0.85
    assert areas["all, new speakers"] > 0.85
    others = [areas[name] for name in FEATURES if name != "level_dbfs"]
    assert np.abs(np.array(others) - 0.5).max() < 0.08


def test_nothing_is_found_where_there_is_nothing():
    areas = separation(data())
    assert np.abs(np.array(list(areas.values())) - 0.5).max() < 0.08


def test_a_difference_in_spread_alone_is_found_by_all():
    planted = data()
    planted.values[planted.is_bonafide, LEVEL] *= 4
    areas = separation(planted)
    assert abs(areas["level_dbfs"] - 0.5) < 0.08
    assert areas["all, new speakers"] > 0.75


def test_what_one_source_alone_has_does_not_hold_for_new_sources():
    planted = data()
    rng = np.random.default_rng(1)
    for name in np.unique(planted.repository):  # of one class each
        planted.values[planted.repository == name] += 5 * rng.standard_normal(len(FEATURES))
    areas = separation(planted)
    assert areas["all, new speakers"] > 0.9
    assert areas["all, new sources"] < 0.75


def test_classes_with_one_group_are_not_told_apart():
    planted = data()
    assert propensity(planted, planted.is_bonafide.astype(str)) is None
    assert "all, new sources" not in separation(
        Measured(planted.is_bonafide, planted.is_bonafide, planted.speaker, planted.values)
    )


def test_matched_lists_have_as_many_of_each_class_and_no_difference():
    planted = data(level_dbfs=1.0)
    names = [f"u{number}" for number in range(NUM)]
    scores = propensity(planted, planted.speaker)
    assert scores is not None
    assert auc(scores[planted.is_bonafide], scores[~planted.is_bonafide]) > 0.7
    kept = planted.of(matched(names, planted.is_bonafide, scores))
    assert kept.is_bonafide.sum() == (~kept.is_bonafide).sum() > 100
    assert abs(separation(kept)["level_dbfs"] - 0.5) < 0.08


def test_features_follow_what_they_are_called_for():
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal(32_000)
    half = np.where(np.arange(32_000) < 16_000, noise, 1e-5 * noise)
    plain, loud, silent = (measured(wave) for wave in (noise, 4 * noise, half))
    assert loud["level_dbfs"] - plain["level_dbfs"] == pytest.approx(12.04, abs=0.01)
    assert silent["silence_share"] == pytest.approx(0.5, abs=0.01)
    assert silent["edge_pause_s"] == pytest.approx(1.0, abs=0.02)
    assert silent["noise_floor_db"] == -90.0
    assert plain["codec_holes"] < 0.01


def write_pool(folder, planted: float) -> None:
    """Write the two tables that a report is made from, pieces of both classes in every part."""
    (folder / "protocols").mkdir(parents=True)
    side = data(level_dbfs=planted)
    places = ["train", "train", "dev", "train", "test"]
    rows = []
    for number in range(NUM):
        part = places[number // 2 % 5]
        folds = ("test",) * 3 if part == "test" else (part, "train", "dev")
        label = "bonafide" if side.is_bonafide[number] else "spoof"
        own = (
            label,
            "" if label == "bonafide" else "A001",
            side.repository[number],
            side.speaker[number],
        )
        rows.append((f"u{number}", *own, *folds))
    header = ("utterance", "label", "attack", "repository", "speaker", "fold1", "fold2", "fold3")
    (folder / "manifest.csv").write_text(csv_text([header, *rows]))
    names = [f"{kind}_{name}" for kind in ("source", "piece") for name in FEATURES]
    values = [(f"u{n}", *side.values[n], *data().values[n]) for n in range(NUM)]
    (folder / "features.csv").write_text(csv_text([("utterance", *names), *values]))


def test_the_report_tells_recordings_from_pieces(tmp_path):
    write_pool(tmp_path / "pool", 2.0)
    record = confound_report(tmp_path / "pool")
    areas = record["area"]
    assert areas["as recorded"]["level_dbfs"] > 0.9
    assert abs(areas["pool"]["level_dbfs"] - 0.5) < 0.08
    assert set(areas) >= {"fold1 train", "fold1 dev", "fold2 train", "test", "fold1 train, matched"}
    text = write_confounds(tmp_path / "pool")
    assert (tmp_path / "pool/confounds.txt").read_text() == text
    kept = json.loads((tmp_path / "pool/confounds.json").read_text())
    assert kept["area"]["pool"] == pytest.approx(areas["pool"])
    lines = (tmp_path / "pool/protocols/fold1.dev.matched.trl.txt").read_text().splitlines()
    keys = [line.split()[-1] for line in lines]
    assert {tuple(line.split()[2:]) for line in lines} == {
        ("-", "-", "bonafide"),
        ("-", "A001", "spoof"),
    }
    assert keys.count("bonafide") == keys.count("spoof") > 20
    row = next(line for line in text.splitlines() if line.startswith("level_dbfs"))
    assert row.split()[1].endswith("*")  # as recorded
    assert not row.split()[2].endswith("*")


def test_a_folder_that_is_no_pool(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.csv: cannot be read"):
        confound_report(tmp_path)
    write_pool(tmp_path / "pool", 0.0)
    (tmp_path / "pool/features.csv").write_text("utterance,a\nu0,1\n")
    with pytest.raises(DataError, match="is not that of a pool"):
        confound_report(tmp_path / "pool")
