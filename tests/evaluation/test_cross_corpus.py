"""Figures of a run on many corpora, and scores that are kept between calls."""

import numpy as np
import pytest

from rawnet_jax.data.score_file import ScoreTable
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.cross_corpus import CorpusRow, CorpusScores, CrossCorpus, measure_corpus
from rawnet_jax.evaluation.kept_scores import KeptScores, fingerprint
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.metrics.thresholds import Threshold
from rawnet_jax.reports.cross_corpus_page import write_cross_corpus_files
from rawnet_jax.reports.cross_corpus_tables import (
    format_cross_corpus,
    format_markdown,
    format_spread,
)
from rawnet_jax.reports.report import ReportContext

NONE = Resampling(0)
ROW = CorpusRow("wild", "in_the_wild", "eval")
THRESHOLD = Threshold(1.0, "given")


def scored(bonafide: list[float], spoof: dict[str, list[float]]) -> CorpusScores:
    attacks = [attack for attack, scores in spoof.items() for _ in scores]
    scores = [*bonafide, *(score for scores in spoof.values() for score in scores)]
    labels = np.repeat([1, 0], [len(bonafide), len(attacks)])
    attack_ids = [*[None] * len(bonafide), *attacks]
    return CorpusScores(np.array(scores), labels, attack_ids, [None] * len(scores))


def test_figures_by_hand():
    trials = scored([2, 2, 0, 3], {"A01": [0, -1], "A02": [2.5, 0.5]})
    row = measure_corpus(ROW, trials, THRESHOLD, frozenset({"A01"}), NONE)
    assert (row.num_bonafide, row.num_spoof) == (4, 4)
    assert (row.p_miss, row.p_fa, row.accuracy) == (0.25, 0.25, 0.75)
    assert row.eer == 0.25
    assert row.auc == pytest.approx(11.5 / 16)  # a tie counts half
    assert (row.num_seen, row.num_unseen) == (2, 2)
    assert row.eer_seen is not None
    assert row.eer_unseen is not None
    assert row.eer_seen < row.eer_unseen
    assert row.eer_low is None


def test_attacks_are_not_set_apart_where_ids_mean_something_else():
    row = measure_corpus(ROW, scored([2, 1], {"A01": [0]}), THRESHOLD, None, Resampling(20))
    assert (row.num_seen, row.eer_unseen) == (None, None)
    assert row.eer_low is not None


def test_one_class_alone_has_its_own_rate():
    row = measure_corpus(ROW, scored([2, 0, 0, 0], {}), THRESHOLD, None, NONE)
    assert (row.p_miss, row.p_fa, row.eer) == (0.75, None, None)
    assert "no spoof trials" in row.problem
    row = measure_corpus(ROW, scored([], {"A01": [2, 0]}), None, frozenset(), NONE)
    assert (row.p_miss, row.p_fa, row.eer) == (None, None, None)


def result() -> CrossCorpus:
    rows = (
        CorpusRow("own", "folders", "eval", num_bonafide=40, num_spoof=40, eer=0.1, auc=0.9),
        CorpusRow("a|b", "folders", "dev", num_bonafide=5, num_spoof=50, eer=0.3, p_miss=0.5),
        CorpusRow("gone", "folders", "eval", problem="/x: <no> such folder", failed=True),
    )
    return CrossCorpus("run", "best, step 3", 0.5, "equal error rate on dev", None, rows)


def test_tables_have_every_corpus_and_what_is_wrong_with_it(tmp_path):
    text = format_cross_corpus(result())
    assert "Mean EER over 2 lists, each counting the same: 20.00 %." in text
    assert "gone: /x: <no> such folder" in text
    assert "a|b, dev: only 5 bona fide trials" in text
    assert "a\\|b, dev" in format_markdown(result())
    files = dict(write_cross_corpus_files(tmp_path, result(), ReportContext("Corpora")))
    page = files["report"].read_text(encoding="utf-8")
    assert "/x: &lt;no&gt; such folder" in page
    assert "<svg" in page
    lines = files["table"].read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("own,folders,eval,,False,40,40,0.1,")


def test_spread_over_seeds():
    text = format_spread([result(), result()])
    assert "own" in text
    assert "gone" not in text


def test_kept_scores_are_found_by_all_that_made_them(tmp_path):
    store = KeptScores(tmp_path / "scores")
    key = fingerprint("network", {"clips": 3})
    assert store.get("noise", key, ["a", "b"]) is None
    table = ScoreTable(["a", "b"], np.array([0.1, np.float32(1 / 3)]))
    path = store.put("noise", key, table)
    np.testing.assert_array_equal(store.get("noise", key, ["a", "b"]), table.scores)
    assert store.get("noise", fingerprint("network", {"clips": 4}), ["a", "b"]) is None
    assert store.get("noise", key, ["b", "a"]) is None
    path.write_text("a bonafide\n")
    assert store.get("noise", key, ["a", "b"]) is None
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="it must be a folder"):
        KeptScores(tmp_path / "file").put("noise", key, table)
