"""Fusion: against scikit-learn, against affine calibration, and through its file."""

import json
import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.evaluation.fusion import (
    FUSION_KINDS,
    LogisticFusion,
    SvmFusion,
    fit_fusion,
    load_fusion,
    save_fusion,
)
from rawnet_jax.metrics.calibration import fit_affine
from rawnet_jax.metrics.det import eer
from rawnet_jax.metrics.validation import split_by_label

NAMES = ("A", "B", "C")


def systems(num_bonafide=150, num_spoof=400, seed=0):
    """Scores [N, 3] of two systems that err independently and one that knows nothing."""
    rng = np.random.default_rng(seed)
    labels = np.repeat((1, 0), (num_bonafide, num_spoof))
    useful = np.array([2.0, 3.0, 0.0])
    noise = rng.normal(size=(labels.size, 3)) * (1, 2, 5)
    return labels[:, None] * useful + noise, labels


def fitted(kind):
    scores, labels = systems()
    return fit_fusion(kind, scores, labels, NAMES)


def rate(scores, labels):
    return eer(*split_by_label(scores, labels)).eer


@pytest.mark.parametrize("kind", FUSION_KINDS)
def test_fusion_of_independent_systems_beats_each_on_other_trials(kind):
    fusion = fitted(kind)
    scores, labels = systems(1_000, 1_000, seed=1)
    assert rate(fusion.apply(scores), labels) < min(rate(s, labels) for s in scores.T) - 0.01
    assert fusion.apply(scores).dtype == np.float64


def test_logistic_is_the_unregularised_weighted_regression_of_scikit_learn():
    scores, labels = systems()
    fusion = fit_fusion("logistic", scores, labels, NAMES)
    assert isinstance(fusion, LogisticFusion)
    reference = LogisticRegression(C=1e12, class_weight="balanced", tol=1e-10, max_iter=10_000)
    reference.fit(scores, labels)
    np.testing.assert_allclose(fusion.weights, reference.coef_[0], rtol=1e-4)
    np.testing.assert_allclose(fusion.offset, reference.intercept_[0], rtol=1e-4)
    np.testing.assert_allclose(fusion.apply(scores), reference.decision_function(scores), rtol=1e-3)


def test_logistic_gives_true_likelihood_ratios_at_any_prior_and_class_counts():
    # Two unit Gaussians a system, 2 apart: the ratio of a pair is 2 a + 2 b - 4.
    rng = np.random.default_rng(2)
    labels = np.repeat((1, 0), (4_000, 30_000))
    scores = rng.normal(size=(labels.size, 2)) + 2 * labels[:, None]
    for p_bonafide in (0.1, 0.5, 0.9):
        fusion = fit_fusion("logistic", scores, labels, ("A", "B"), p_bonafide)
        np.testing.assert_allclose(
            fusion.apply(np.array([[1, 1], [2, 0], [1.5, 1]])), [0, 0, 1], atol=0.2
        )


def test_logistic_of_one_system_is_affine_calibration():
    scores, labels = systems()
    fused = fit_fusion("logistic", scores[:, :1], labels, ["A"]).apply(scores[:, :1])
    affine = fit_affine(*split_by_label(scores[:, 0], labels))
    np.testing.assert_allclose(fused, affine.apply(scores[:, 0]), rtol=1e-12)


def test_copies_share_their_weight_and_constants_get_none():
    scores, labels = systems()
    one = fit_fusion("logistic", scores[:, :1], labels, ["A"])
    columns = np.column_stack((scores[:, 0], scores[:, 0], np.full(len(scores), 0.1)))
    fusion = fit_fusion("logistic", columns, labels, NAMES)
    assert isinstance(one, LogisticFusion)
    assert isinstance(fusion, LogisticFusion)
    np.testing.assert_allclose(fusion.weights, one.weights[0] * np.array([0.5, 0.5, 0]), atol=1e-6)
    np.testing.assert_allclose(fusion.apply(columns), one.apply(scores[:, :1]), atol=1e-6)


@pytest.mark.parametrize("kind", FUSION_KINDS)
def test_separated_classes_and_constant_systems_stay_finite(kind):
    labels = np.array([1, 1, 1, 0, 0])
    scores = np.column_stack((labels, labels * 1e3, np.full(5, 0.1)))
    fused = fit_fusion(kind, scores, labels, NAMES).apply(scores)
    assert fused[:3].min() > 0 > fused[3:].max()
    assert np.abs(fused).max() < 10


def test_quasi_separated_systems_stay_finite():
    # Only the sum separates, with a tie at the border: scores grow without bound unless stopped.
    scores = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [-1, 1]], float)
    fusion = fit_fusion("logistic", scores, [1, 1, 1, 0, 0, 0], ("A", "B"))
    assert isinstance(fusion, LogisticFusion)
    assert fusion.separable
    assert np.abs(fusion.weights).max() < 10


def test_svm_is_the_standardised_polynomial_of_scikit_learn():
    scores, labels = systems()
    fusion = fit_fusion("svm", scores, labels, NAMES)
    assert isinstance(fusion, SvmFusion)
    reference = make_pipeline(StandardScaler(), SVC(kernel="poly", degree=5, coef0=1.0))
    reference.fit(scores, labels)
    others, _ = systems(3_000, 3_000, seed=3)
    np.testing.assert_allclose(
        fusion.apply(others), reference.decision_function(others), rtol=1e-7, atol=1e-7
    )


def test_svm_says_when_it_gave_up(monkeypatch, caplog):
    monkeypatch.setattr("rawnet_jax.evaluation.fusion.SVM_MAX_STEPS", 20)
    assert np.isfinite(fitted("svm").apply(np.zeros((1, 3)))).all()
    assert "stopped after 20 steps" in caplog.text


@pytest.mark.parametrize("kind", FUSION_KINDS)
def test_saved_and_loaded_gives_the_same_bits(kind, tmp_path):
    fusion = fitted(kind)
    save_fusion(tmp_path / "f.json", fusion)
    loaded = load_fusion(tmp_path / "f.json")
    scores, _ = systems(seed=4)
    assert loaded.names == NAMES
    assert loaded.apply(scores).tobytes() == fusion.apply(scores).tobytes()


@pytest.mark.parametrize("kind", FUSION_KINDS)
@pytest.mark.parametrize("damage", ["names", "kind", "offset", "cut"])
def test_a_damaged_file_is_named(kind, damage, tmp_path):
    path = tmp_path / "f.json"
    save_fusion(path, fitted(kind))
    record = json.loads(path.read_text())
    if damage == "cut":
        record = {name: v[:-1] if isinstance(v, list) else v for name, v in record.items()}
        record["names"].append("D")
    elif damage == "kind":
        record["kind"] = "forest"
    else:
        del record[damage]
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=str(path)):
        load_fusion(path)


@pytest.mark.parametrize(
    ("kind", "scores", "labels", "names", "message"),
    [
        ("forest", [[1.0], [0.0]], [1, 0], ["A"], "'forest' is unknown"),
        ("svm", [[1.0], [0.0]], [1, 1], ["A"], "no spoof trials"),
        ("logistic", [[1.0], [0.0]], [0, 0], ["A"], "no bonafide trials"),
        ("logistic", [[1.0], [math.nan]], [1, 0], ["A"], "a score of A is nan"),
        ("logistic", [1.0, 0.0], [1, 0], ["A"], "one column for each of A"),
        ("logistic", [[1.0], [0.0]], [1, 0, 1], ["A"], "one label per score"),
        ("logistic", [[1.0, 1], [0.0, 1]], [1, 0], ["A", "A"], "different names"),
        ("logistic", [[], []], [1, 0], [], "at least one"),
    ],
)
def test_bad_input_is_refused(kind, scores, labels, names, message):
    with pytest.raises(MetricError, match=message):
        fit_fusion(kind, scores, labels, names)


def test_another_number_of_systems_is_refused():
    fusion = fitted("logistic")
    with pytest.raises(MetricError, match="one column for each of A, B, C"):
        fusion.apply(np.zeros((4, 2)))
    assert len(fusion.apply(np.zeros((0, 3)))) == 0
