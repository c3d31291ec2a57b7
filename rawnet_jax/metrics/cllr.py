"""How much scores, read as log-likelihood ratios, cost: C_llr and what calibration could save.

A score s is read as the natural log-likelihood ratio of bona fide speech against spoof. C_llr is in
bits: 0 for a perfect system, 1 for one that always gives s = 0, above 1 for scores that mislead.

Source: Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer
Speech & Language 20, 2006, C_llr in its equation for two equally weighted classes and min C_llr by
the PAV algorithm; as a secondary metric in the ASVspoof 5 evaluation plan.
"""

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.metrics.det import DetCurve, det_curve
from rawnet_jax.metrics.validation import validate_scores


def cllr(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> float:
    """Compute the cost of the log-likelihood ratios as they are.

    C_llr = ½ [mean over bona fide of log2(1 + e^−s) + mean over spoof of log2(1 + e^s)].

    Args:
        bonafide_scores: [Nb], natural log-likelihood ratios, higher = more bona fide.
        spoof_scores: [Ns].

    Returns:
        Bits, at least 0; lower is better. There is no overflow where e^s would have one.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    missed, accepted = np.logaddexp(0.0, -bonafide).mean(), np.logaddexp(0.0, spoof).mean()
    return float(missed + accepted) / (2 * np.log(2.0))


def cllr_of_curve(curve: DetCurve) -> float:
    """Compute `cllr` from a DET curve with equal scores kept together."""
    scores = curve.thresholds[:-1]
    missed = np.dot(np.diff(curve.frr), np.logaddexp(0.0, -scores))
    accepted = np.dot(-np.diff(curve.far), np.logaddexp(0.0, scores))
    return float(missed + accepted) / (2 * np.log(2.0))


def min_cllr(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> float:
    """Compute the C_llr that the best rising map of the scores to likelihood ratios would give.

    The map is the isotonic regression of the classes on the scores (pool adjacent violators), with
    equal scores kept together and both classes weighted alike. It is fitted on the trials that it
    is measured on, so this is a bound and not a promise.

    Args:
        bonafide_scores: [Nb], higher = more bona fide; any strictly rising map of them gives the
            same number.
        spoof_scores: [Ns].

    Returns:
        Bits in [0, 1], at most `cllr`; lower is better. Constant scores give 1.

    Raises:
        MetricError: see `validate_scores`.
    """
    return min_cllr_of_curve(det_curve(bonafide_scores, spoof_scores))


def min_cllr_of_curve(curve: DetCurve) -> float:
    """Compute `min_cllr` from a DET curve with equal scores kept together."""
    bonafide, spoof = _pooled(np.diff(curve.frr), -np.diff(curve.far))
    # A block's likelihood ratio is bonafide / spoof; a class that is absent from it costs nothing.
    return (_bits(bonafide, bonafide + spoof) + _bits(spoof, bonafide + spoof)) / 2


def _bits(part: np.ndarray, whole: np.ndarray) -> float:
    there = part > 0
    return float(np.dot(part[there], np.log2(whole[there] / part[there])))


def _pooled(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pool neighbours until bona fide's share rises from block to block.

    Args:
        bonafide: [K], mass of bona fide trials at each distinct score, rising scores.
        spoof: [K], mass of spoof trials there.

    Returns:
        The masses of the blocks, two arrays [B].
    """
    occupied = (bonafide > 0) | (spoof > 0)
    bonafide, spoof = bonafide[occupied], spoof[occupied]
    # Runs of one class need no decision; this leaves little for the loop.
    pure = np.where(spoof == 0, 1, np.where(bonafide == 0, -1, 0))
    starts = np.flatnonzero(np.append(True, (pure[1:] != pure[:-1]) | (pure[1:] == 0)))
    blocks: list[tuple[float, float]] = []
    for b, s in zip(
        np.add.reduceat(bonafide, starts).tolist(),
        np.add.reduceat(spoof, starts).tolist(),
        strict=True,
    ):
        while blocks and blocks[-1][0] * s >= b * blocks[-1][1]:
            lower_b, lower_s = blocks.pop()
            b, s = b + lower_b, s + lower_s
        blocks.append((b, s))
    pooled = np.array(blocks)
    return pooled[:, 0], pooled[:, 1]
