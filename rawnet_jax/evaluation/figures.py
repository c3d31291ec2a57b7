"""Every figure over all thresholds, in one table: name, how it is written, how it is computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rawnet_jax.evaluation.analysis import Estimate
from rawnet_jax.metrics.asv import AsvOperatingPoint, AsvScores
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.dcf import CostModel
from rawnet_jax.metrics.det import CurveFigure, det_curve, eer_official
from rawnet_jax.metrics.figures import act_dcf_figure, min_dcf_figure, standard_figures
from rawnet_jax.metrics.tandem import t_eer


@dataclass(frozen=True, slots=True)
class FigureKind:
    """One row of `FIGURES`.

    Attributes:
        name: in ``metrics.json`` and in CSV tables.
        title: in tables for people.
        is_rate: written in per cent; else a plain number.
        unit: range, unit and direction.
        needs_asv: computed only beside a speaker verification system.
        reads_llr: the scores are read as log-likelihood ratios, so that calibration changes it.
    """

    name: str
    title: str
    is_rate: bool
    unit: str
    needs_asv: bool = False
    reads_llr: bool = False

    def text(self, value: float) -> str:
        """Write a value without its unit."""
        return f"{100 * value:.2f} %" if self.is_rate else f"{value:.4f}"

    def text_of(self, estimate: Estimate) -> str:
        """Write a value and, where there is one, its interval."""
        text = self.text(estimate.value)
        if estimate.interval is None:
            return text
        low, high = (
            f"{100 * end:.2f}" if self.is_rate else f"{end:.4f}"
            for end in (estimate.interval.low, estimate.interval.high)
        )
        return f"{text} [{low}, {high}]"


_ERROR = "fraction from 0 to 1, lower is better"
_COST = "normalised cost, lower is better; 1 = deciding without the scores"

FIGURES: tuple[FigureKind, ...] = (
    FigureKind("eer", "EER", True, f"{_ERROR}; equal scores kept together"),
    FigureKind(
        "eer_official",
        "EER, official",
        True,
        f"{_ERROR}; as the ASVspoof scripts do; no interval, since resampling makes ties",
    ),
    FigureKind("auc", "ROC-AUC", False, "fraction from 0 to 1, higher is better, 0.5 = chance"),
    FigureKind(
        "min_tdcf_legacy", "min t-DCF, legacy", False, f"{_COST}; ASVspoof 2019", needs_asv=True
    ),
    FigureKind(
        "min_tdcf_revised", "min t-DCF, revised", False, f"{_COST}; ASVspoof 2021", needs_asv=True
    ),
    FigureKind("t_eer", "t-EER", True, f"{_ERROR}; concurrent, no interval", needs_asv=True),
    FigureKind("min_dcf", "minDCF", False, f"{_COST}; at the best threshold"),
    FigureKind("act_dcf", "actDCF", False, f"{_COST}; at the Bayes threshold", reads_llr=True),
    FigureKind(
        "cllr", "C_llr", False, "bits, lower is better, 1 = knowing nothing", reads_llr=True
    ),
    FigureKind("min_cllr", "min C_llr", False, "bits from 0 to 1, lower is better"),
)

KIND_OF = {kind.name: kind for kind in FIGURES}


def curve_figures(costs: CostModel, asv: AsvOperatingPoint | None = None) -> dict[str, CurveFigure]:
    """Return how the figures are computed, by name; all but the official EER and the t-EER.

    Args:
        costs: of minDCF and actDCF.
        asv: the speaker verification system of the tandem figures, which are left out without it.

    Raises:
        MetricError: the ASV system is so weak that a t-DCF is not defined.
    """
    known = standard_figures(asv)
    known |= {"min_dcf": min_dcf_figure(costs), "act_dcf": act_dcf_figure(costs)}
    return {kind.name: known[kind.name] for kind in FIGURES if kind.name in known}


def measure(
    bonafide: np.ndarray,
    spoof: np.ndarray,
    figures: Mapping[str, CurveFigure],
    intervals: Mapping[str, Interval] | None = None,
    asv_scores: AsvScores | None = None,
) -> dict[str, Estimate]:
    """Compute figures, the official EER and, with ASV scores, the t-EER.

    Args:
        bonafide: [Nb], higher = more bona fide.
        spoof: [Ns].
        figures: see `curve_figures`.
        intervals: of some of them.
        asv_scores: of the speaker verification system.

    Raises:
        MetricError: see `validate_scores`.
    """
    curve = det_curve(bonafide, spoof)
    found = {name: figure.of_curve(curve) for name, figure in figures.items()}
    found["eer_official"] = eer_official(bonafide, spoof).eer
    if asv_scores is not None:
        found["t_eer"] = t_eer(bonafide, spoof, asv_scores).eer
    known = intervals or {}
    return {
        kind.name: Estimate(found[kind.name], known.get(kind.name))
        for kind in FIGURES
        if kind.name in found
    }
