"""What a reader of a system's metrics must be told."""

from collections.abc import Mapping

from rawnet_jax.evaluation.decision import Classes, Decision
from rawnet_jax.evaluation.summary import percent, trials
from rawnet_jax.metrics.breakdown import FEW_TRIALS
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.table import Estimate

NO_SPOOF_IN_DEV = (
    "Dev has no spoof trials: nothing is calibrated, and of the thresholds chosen on dev there is "
    "only the one-class one (--threshold-rule one-class=RATE)."
)


def of_scores(scores: Classes, metrics: Mapping[str, Estimate], negated: float) -> list[str]:
    """Return warnings on the scores themselves: sign, ties, range, few trials.

    Args:
        scores: bona fide [Nb] and spoof [Ns].
        metrics: of them; both EERs are read.
        negated: the EER that the negated scores would have.
    """
    warnings = []
    grouped, official = metrics["eer"].value, metrics["eer_official"].value
    lowest = min(part.min() for part in scores)
    highest = max(part.max() for part in scores)
    if negated < grouped:
        warnings.append(
            f"The scores would do better with their sign reversed (EER {percent(negated)} instead "
            f"of {percent(grouped)}). Higher must mean more bona fide; nothing was flipped."
        )
    if grouped != official:
        warnings.append(
            f"There are ties among the scores: the official algorithm gives an EER of "
            f"{percent(official)}, keeping equal scores together gives {percent(grouped)}."
        )
    if lowest == highest:
        warnings.append("All scores are equal: the system tells nothing apart.")
    elif lowest >= 0 and highest <= 1:
        warnings.append(
            "All scores lie between 0 and 1, as probabilities do. Decisions at a threshold on "
            "P(spoof) read scores as log odds and mean little here; EER and AUC are not touched."
        )
    for name, part in zip(("bona fide", "spoof"), scores, strict=True):
        if part.size < FEW_TRIALS:
            warnings.append(
                f"Only {trials(part.size, name)}: one of them moves a rate by "
                f"{percent(1 / part.size)}."
            )
    return warnings


def of_decision(
    scores: Classes, decision: Decision, dev: Classes | None, calibration: Calibration | None
) -> list[str]:
    """Return warnings on the calibration and on the chosen threshold."""
    warnings = [f"On dev: {warning}." for warning in (calibration.warnings if calibration else ())]
    rates = decision.eval_rates
    errors = (rates.num_bonafide_rejected, rates.num_spoof_accepted)
    if scores[0].size and errors in ((0, rates.num_spoof), (rates.num_bonafide, 0)):
        verb = "accepts" if not errors[0] else "rejects"
        warnings.append(
            f"The chosen threshold {decision.threshold.value:.6g} ({decision.threshold.rule}) "
            f"{verb} every trial, so decisions, breakdowns and fairness at it say nothing. Give "
            "dev scores to choose one, or --threshold-rule value=SCORE."
        )
    if dev is not None and calibration is None:
        warnings.append(NO_SPOOF_IN_DEV)
    return warnings
