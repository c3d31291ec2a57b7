"""What is known of a system beside the seed's table: results only, computed by `assess`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rawnet_jax.evaluation.columns import By
from rawnet_jax.metrics.asv import AsvOperatingPoint
from rawnet_jax.metrics.bootstrap import Interval, PairedResult
from rawnet_jax.metrics.breakdown import GroupRow
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.dcf import CostModel
from rawnet_jax.metrics.fairness import FairnessTable
from rawnet_jax.metrics.thresholds import Rates, Threshold


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its uncertainty.

    Attributes:
        value: computed on all trials.
        interval: from the bootstrap; None where none was made.
    """

    value: float
    interval: Interval | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedScores:
    """Log-likelihood ratios of the evaluated trials.

    Attributes:
        calibration: fitted on dev scores.
        bonafide_scores: float64 [Nb], in nats.
        spoof_scores: float64 [Ns].
        figures: by name, see `rawnet_jax.evaluation.figures.FIGURES`.
    """

    calibration: Calibration
    bonafide_scores: np.ndarray
    spoof_scores: np.ndarray
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen threshold and what it does.

    Attributes:
        threshold: with its rule in words.
        is_calibrated: whether it applies to calibrated scores instead of the scores as they are.
        from_dev: whether dev scores had a say: in the threshold or in the calibration under it.
        eval_rates: what it does to the evaluated trials.
        dev_rates: what it does to the dev trials; None without dev scores.
        miss_interval: within which its false rejections of new bona fide speech are expected, by
            the number of dev trials; None but for a one-class threshold.
    """

    threshold: Threshold
    is_calibrated: bool
    from_dev: bool
    eval_rates: Rates
    dev_rates: Rates | None
    miss_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The figures by one column or by a pair of columns, at the chosen threshold."""

    by: By
    rows: tuple[GroupRow, ...]

    @property
    def name(self) -> str:
        """The columns in one word, such as ``attack × codec``."""
        return " × ".join(self.by)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of two systems on the same trials.

    Attributes:
        system: whose figure minus that of `reference` is the difference.
        reference: the first system.
        figure: name, see `rawnet_jax.evaluation.figures.FIGURES`.
        result: difference, its interval and its p value.
    """

    system: str
    reference: str
    figure: str
    result: PairedResult


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Everything that `rawnet_jax.evaluation.assess.assess` finds.

    Attributes:
        figures: of the scores as they are, by name, see `rawnet_jax.evaluation.figures.FIGURES`.
        calibrated: None without dev scores.
        decision: the chosen threshold.
        costs: of minDCF, actDCF and the Bayes threshold.
        asv: the speaker verification system beside it; None without ASV scores.
        breakdowns: in the order asked for.
        fairness: by column.
        resampling: how the intervals were made, in words; "" without.
    """

    figures: Mapping[str, Estimate]
    calibrated: CalibratedScores | None
    decision: Decision
    costs: CostModel
    asv: AsvOperatingPoint | None
    breakdowns: tuple[Breakdown, ...]
    fairness: Mapping[str, FairnessTable]
    resampling: str = ""
