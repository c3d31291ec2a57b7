"""The speaker verification (ASV) side of tandem metrics: scores, error rates, operating point.

An ASV score is higher = more likely the claimed speaker; a trial is accepted where its score is at
least the threshold. Three kinds of trial lead to three error rates, all fractions in [0, 1]:

- ``p_miss``: share of *target* trials (bona fide, the claimed speaker) that are rejected;
- ``p_fa``: share of *nontarget* trials (bona fide, another speaker) that are accepted;
- ``p_fa_spoof``: share of *spoof* trials that are accepted.

The same three classes describe a single system that both verifies and detects spoofing (SASV).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.det import eer_official
from rawnet_jax.metrics.validation import validate_class_scores


@dataclass(frozen=True, slots=True, eq=False)
class AsvScores:
    """Scores of an ASV system on the three kinds of trial.

    Attributes:
        target: float64 [Nt], higher = more likely the claimed speaker.
        nontarget: float64 [Nn].
        spoof: float64 [Ns].
        attack_ids: Ns entries, the attack of each spoof trial; None where not known.

    Raises:
        MetricError: a class is empty or has a score that is not finite, or there is not one attack
            per spoof trial.
    """

    target: np.ndarray
    nontarget: np.ndarray
    spoof: np.ndarray
    attack_ids: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ("target", "nontarget", "spoof"):
            checked = validate_class_scores(getattr(self, name), f"ASV {name}")
            object.__setattr__(self, name, checked)
        if self.attack_ids is not None and len(self.attack_ids) != self.spoof.size:
            raise MetricError(
                f"{self.spoof.size} ASV spoof scores and {len(self.attack_ids)} attack ids; "
                "give one per score"
            )

    def of_attack(self, attack_id: str) -> "AsvScores":
        """Return the same scores with the spoof trials of one attack only.

        The threshold of `operating_point` stays, as spoof trials have no part in it.

        Raises:
            MetricError: attacks are not known, or none of the trials has this one.
        """
        if self.attack_ids is None:
            raise MetricError("the ASV scores name no attacks")
        chosen = np.array([attack == attack_id for attack in self.attack_ids])
        if not chosen.any():
            known = ", ".join(sorted(set(self.attack_ids)))
            raise MetricError(f"no ASV spoof trial of attack {attack_id!r}; there are: {known}")
        spoof = self.spoof[chosen]
        return AsvScores(self.target, self.nontarget, spoof, [attack_id] * spoof.size)


@dataclass(frozen=True, slots=True)
class AsvOperatingPoint:
    """An ASV system at its fixed threshold; all that t-DCF needs to know of it.

    Attributes:
        threshold: a trial is accepted at ``score >= threshold``.
        p_miss: share of target trials that are rejected.
        p_fa: share of nontarget trials that are accepted.
        p_fa_spoof: share of spoof trials that are accepted.
        eer: equal error rate of targets against nontargets.

    Raises:
        MetricError: a rate is not in [0, 1].
    """

    threshold: float
    p_miss: float
    p_fa: float
    p_fa_spoof: float
    eer: float

    def __post_init__(self) -> None:
        for name in ("p_miss", "p_fa", "p_fa_spoof", "eer"):
            rate = getattr(self, name)
            if not 0.0 <= rate <= 1.0:
                raise MetricError(f"{name} of the ASV system is {rate}; it must be a fraction")


@dataclass(frozen=True, slots=True)
class TripleCurve:
    """The three error rates at every threshold that matters, equal scores kept together.

    Attributes:
        thresholds: float64 [K], rising: the distinct scores of all classes and, last, infinity. A
            trial is accepted at ``score >= threshold``.
        p_miss: float64 [K], rising from 0 to 1.
        p_fa: float64 [K], falling from 1 to 0.
        p_fa_spoof: float64 [K], falling from 1 to 0.
    """

    thresholds: np.ndarray
    p_miss: np.ndarray
    p_fa: np.ndarray
    p_fa_spoof: np.ndarray


def operating_point(asv: AsvScores) -> AsvOperatingPoint:
    """Set the ASV system to its EER threshold, targets against nontargets.

    Threshold and EER come from the official steps, `eer_official`, because published t-DCFs depend
    on them; accepting at ``score >= threshold`` then gives the three rates.

    Source: ASVspoof 2019 and 2021 evaluation plans, and their evaluation packages
    (``obtain_asv_error_rates``).
    """
    point = eer_official(asv.target, asv.nontarget)
    return AsvOperatingPoint(
        threshold=point.threshold,
        p_miss=float(np.mean(asv.target < point.threshold)),
        p_fa=float(np.mean(asv.nontarget >= point.threshold)),
        p_fa_spoof=float(np.mean(asv.spoof >= point.threshold)),
        eer=point.eer,
    )


def triple_curve(target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike) -> TripleCurve:
    """Compute the three error rates of an ASV or SASV system over all thresholds.

    Args:
        target: [Nt], higher = more likely to be accepted.
        nontarget: [Nn].
        spoof: [Ns].

    Raises:
        MetricError: a class is empty or has a score that is not finite.
    """
    target = np.sort(validate_class_scores(target, "target"))
    nontarget = np.sort(validate_class_scores(nontarget, "nontarget"))
    spoof = np.sort(validate_class_scores(spoof, "spoof"))
    thresholds = np.append(np.unique(np.concatenate((target, nontarget, spoof))), np.inf)
    return TripleCurve(
        thresholds,
        np.searchsorted(target, thresholds) / target.size,
        (nontarget.size - np.searchsorted(nontarget, thresholds)) / nontarget.size,
        (spoof.size - np.searchsorted(spoof, thresholds)) / spoof.size,
    )
