"""Spans of time and bands of frequency: the parts that a waveform is taken to pieces by.

Spans overlap in short cross-fades and bands in soft edges, so that cutting one out adds no click
and no ringing of its own. Both are partitions: all spans, all bands, or all of their cells together
are the waveform again, sample by sample.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.filters import NYQUIST_HZ
from rawnet_jax.errors import ConfigError

DEFAULT_BAND_EDGES_HZ = (0, 250, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000)
MIN_SPAN_S = 0.01
MIN_BAND_HZ = 20.0

_FADE_S = 0.01
_EDGE_HZ = 100.0
_MARGIN_S = 0.1  # beyond it, what an edge of that width makes a filter ring has died away


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """S spans and B bands.

    Attributes:
        span_edges_s: float64 [S + 1], rising from 0 to the length of the waveform.
        band_edges_hz: float64 [B + 1], rising from 0 to 8,000.
        weights: float32 [S, n], each span's share of every sample; they sum to 1.
    """

    span_edges_s: np.ndarray
    band_edges_hz: np.ndarray
    weights: np.ndarray

    @property
    def num_spans(self) -> int:
        """S."""
        return len(self.weights)

    @property
    def num_bands(self) -> int:
        """B."""
        return len(self.band_edges_hz) - 1

    def bands_of(self, waveform: np.ndarray) -> np.ndarray:
        """Divide a waveform into its bands, with zero-phase filters.

        Args:
            waveform: [n].

        Returns:
            float32 [B, n]; the sum over bands is the waveform.
        """
        length = next_fast_len(len(waveform) + int(_MARGIN_S * SAMPLE_RATE_HZ), real=True)
        spectrum = rfft(np.asarray(waveform, np.float64), length)
        bin_hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
        shares = _shares(bin_hz, self.band_edges_hz, _EDGE_HZ)
        return irfft(spectrum * shares, length)[:, : len(waveform)].astype(np.float32)


def make_parts(num_samples: int, num_spans: int, band_edges_hz: tuple[float, ...]) -> Parts:
    """Lay out equal spans, and bands.

    Args:
        num_samples: n, of the waveform.
        num_spans: how many; fewer where they would be shorter than `MIN_SPAN_S`.
        band_edges_hz: rising from 0 to 8,000.

    Raises:
        ConfigError: there is no span, or the edges of bands make no sense.
    """
    if num_spans < 1 or num_samples < 1:
        raise ConfigError(f"{num_spans} spans over {num_samples} samples: there must be at least 1")
    edges_hz = np.asarray(band_edges_hz, np.float64)
    rising = len(edges_hz) > 1 and bool(np.all(np.diff(edges_hz) >= MIN_BAND_HZ))
    if not rising or edges_hz[0] != 0 or edges_hz[-1] != NYQUIST_HZ:
        raise ConfigError(
            f"bands with edges at {', '.join(f'{hz:g}' for hz in edges_hz)} Hz: they must rise "
            f"from 0 to {NYQUIST_HZ:g} Hz, {MIN_BAND_HZ:g} Hz or more apart"
        )
    duration_s = num_samples / SAMPLE_RATE_HZ
    count = min(num_spans, max(1, int(duration_s / MIN_SPAN_S)))
    edges_s = np.linspace(0, duration_s, count + 1)
    middle_s = (np.arange(num_samples) + 0.5) / SAMPLE_RATE_HZ
    return Parts(edges_s, edges_hz, _shares(middle_s, edges_s, _FADE_S).astype(np.float32))


def parse_bands(text: str) -> tuple[float, ...]:
    """Read bands as a user writes them: how many equally wide ones, or their edges in Hz.

    Args:
        text: such as ``16``, or ``0,300,3400,8000``; a missing 0 or 8000 is added.

    Raises:
        ConfigError: it is neither.
    """
    problem = ConfigError(
        f"--bands {text}: it must be a number of bands, or edges in Hz such as 0,300,3400,8000"
    )
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise problem from None
    if not np.isfinite(numbers).all():
        raise problem
    if len(numbers) == 1:
        if numbers[0] != int(numbers[0]) or not 1 <= numbers[0] <= NYQUIST_HZ / MIN_BAND_HZ:
            raise problem
        return tuple(np.linspace(0, NYQUIST_HZ, int(numbers[0]) + 1).tolist())
    if numbers[0] > 0:
        numbers.insert(0, 0.0)
    if numbers[-1] < NYQUIST_HZ:
        numbers.append(NYQUIST_HZ)
    return tuple(numbers)


def _shares(position: np.ndarray, edges: np.ndarray, width: float) -> np.ndarray:
    """Return the share that each part has of each place, float64 [parts, places].

    At an inner edge one part fades into the next as a raised cosine does, over `width` or, where a
    part is smaller than that, over as much as it has.
    """
    sizes = np.diff(edges)
    above = np.ones((len(sizes) + 1, len(position)))  # share of all that lies above an edge
    above[-1] = 0
    for i, edge in enumerate(edges[1:-1], 1):
        fade = min(width, sizes[i - 1], sizes[i])
        place = np.clip((position - edge) / fade, -0.5, 0.5)
        above[i] = 0.5 + 0.5 * np.sin(np.pi * place)
    return above[:-1] - above[1:]
