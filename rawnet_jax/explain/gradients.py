"""The score's gradient by the waveform, and each sample's share in the score by it.

Integrated gradients: Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", ICML 2017,
equation 1. SmoothGrad: Smilkov, Thorat, Kim, Viégas, Wattenberg, "SmoothGrad: removing noise by
adding noise", 2017 (arXiv 1706.03825).

Both end in a mean gradient ḡ, and a sample's share is (waveform - baseline) ḡ. Shares of bands
follow from the same product, since a waveform is the sum of its bands.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rawnet_jax.explain.parts import Parts
from rawnet_jax.explain.spectra import FRAME, short_spectra

GradientOfScore = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From waveforms, float32 [K, n], to their scores, [K], and gradients of each score by its own
waveform, [K, n]."""

INTEGRATED, SMOOTH = "integrated", "smooth"

MAX_GRADIENTS = 64
TOLERANCE = 0.01
_FIRST_POINTS = 9
_RANGE = 1000.0  # the first step from the baseline is that much finer than the last to the clip
_SMALLEST_STEP = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """How a score divides among the samples of a waveform.

    Attributes:
        method: "integrated" or "smooth".
        score: of the waveform.
        baseline_score: of the baseline.
        difference: float32 [n], waveform - baseline.
        gradient: float64 [n], the mean gradient of the score by the waveform, per unit of full
            scale.
        num_gradients: how many the mean is of.
    """

    method: str
    score: float
    baseline_score: float
    difference: np.ndarray
    gradient: np.ndarray
    num_gradients: int

    @property
    def samples(self) -> np.ndarray:
        """float64 [n], each sample's share; above 0: toward bona fide."""
        return self.difference * self.gradient

    @property
    def total(self) -> float:
        """Sum of all shares."""
        return float(self.samples.sum())

    @property
    def unexplained(self) -> float:
        """How far the sum of the shares is from score - baseline_score.

        For integrated gradients of a smooth network, only the error of the integration. More where
        a network switches (which nodes a graph keeps): its score jumps, and jumps have no gradient.
        """
        return self.score - self.baseline_score - self.total

    def by_parts(self, parts: Parts) -> np.ndarray:
        """Return the share of each span of each band, float64 [S, B]; they sum to `total`."""
        by_band = parts.bands_of(self.difference) * self.gradient
        return parts.weights.astype(np.float64) @ by_band.T

    def by_frames(self) -> np.ndarray:
        """Return shares by short frames and narrow bands, through a Fourier transform.

        The product of two signals is the sum of the products of their spectra (Parseval), frame by
        frame under windows whose squares sum to 1.

        Returns:
            float64 [F, 257]: frames of 32 ms every 16 ms, the first centred at sample 0; bins of
            31.25 Hz. They sum to `total`.
        """
        spectra = [short_spectra(signal) for signal in (self.difference, self.gradient)]
        shares = (spectra[0] * spectra[1].conj()).real / FRAME
        shares[:, 1:-1] *= 2  # a real signal's other half
        return shares


def integrated_gradients(
    waveform: np.ndarray,
    baseline: np.ndarray,
    gradient: GradientOfScore,
    *,
    max_gradients: int = MAX_GRADIENTS,
    tolerance: float = TOLERANCE,
    batch_size: int = 4,
) -> Attribution:
    """Average the gradient along the straight line from a baseline to a waveform.

    Shares sum to the difference of the two scores. So, between any two points of the line, it is
    known what the trapezoidal rule should come to; points are added where it comes to something
    else, until the error is small everywhere. (Near the baseline a front end with a logarithm
    changes fast, near the waveform one without.)

    Args:
        waveform: float32 [n].
        baseline: float32 [n].
        gradient: of the score.
        max_gradients: points at most.
        tolerance: of the sum of errors, as a share of the way that the score goes up and down.
        batch_size: points that are added at once.
    """
    difference = waveform - baseline

    def at(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = _share(place)[:, None].astype(np.float32)
        scores, gradients = gradient(baseline + share * difference)
        return np.asarray(scores, np.float64), np.asarray(gradients, np.float32)

    place = np.linspace(0, 1, min(_FIRST_POINTS, max(max_gradients, 2)))
    scores, gradients = at(place)
    while len(place) < max_gradients:
        worst = _worst_steps(place, scores, gradients @ difference, tolerance)
        worst = worst[: min(batch_size, max_gradients - len(place))]
        if not len(worst):
            break
        added = (place[worst] + place[worst + 1]) / 2
        found = at(added)
        order = np.argsort(np.concatenate((place, added)), kind="stable")
        place = np.concatenate((place, added))[order]
        scores = np.concatenate((scores, found[0]))[order]
        gradients = np.concatenate((gradients, found[1]))[order]
    steps = np.diff(_share(place))
    weight = (np.append(steps, 0) + np.append(0, steps)) / 2
    mean = weight @ gradients.astype(np.float64)
    ends = float(scores[-1]), float(scores[0])
    return Attribution(INTEGRATED, *ends, difference, mean, len(place))


def smooth_gradients(
    waveform: np.ndarray,
    baseline: np.ndarray,
    gradient: GradientOfScore,
    *,
    num_draws: int = 16,
    noise_db: float = -30.0,
    seed: int = 0,
) -> Attribution:
    """Average the gradient over noisy copies of a waveform.

    It tells what a small change would do to the score as it is; shares do not sum to anything.

    Args:
        waveform: float32 [n].
        baseline: float32 [n].
        gradient: of the score.
        num_draws: noisy copies.
        noise_db: level of the noise against that of the waveform.
        seed: of the noise.
    """
    rms = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
    noise = np.random.default_rng(seed).standard_normal((num_draws, len(waveform)))
    copies = waveform + (rms * 10 ** (noise_db / 20) * noise).astype(np.float32)
    _, gradients = gradient(copies)
    (score, baseline_score), _ = gradient(np.stack([waveform, baseline]))
    mean = np.asarray(gradients, np.float64).mean(axis=0)
    ends = float(score), float(baseline_score)
    return Attribution(SMOOTH, *ends, waveform - baseline, mean, num_draws)


def _share(place: np.ndarray) -> np.ndarray:
    """Return how much of the difference there is at a place of the line, both from 0 to 1."""
    return np.expm1(np.log(_RANGE) * place) / (_RANGE - 1)


def _worst_steps(
    place: np.ndarray, scores: np.ndarray, slopes: np.ndarray, tolerance: float
) -> np.ndarray:
    """Return the steps to divide, the worst first; none where all together are good enough."""
    steps = np.diff(_share(place))
    rises = np.diff(scores)
    error = np.abs(steps * (slopes[:-1] + slopes[1:]) / 2 - rises)
    if error.sum() <= tolerance * np.abs(rises).sum():
        return np.zeros(0, np.int64)
    order = np.argsort(-error, kind="stable")
    return order[(np.diff(place) > _SMALLEST_STEP)[order] & (error > 0)[order]]
