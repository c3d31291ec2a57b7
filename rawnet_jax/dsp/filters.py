"""Fixed banks of band-pass filters, as RawNet2 and AASIST put them before their networks.

A bank is designed once on the host in float64 and used as a constant: none of the published systems
trains its filters.
"""

from collections.abc import Callable, Mapping

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ

NYQUIST_HZ = SAMPLE_RATE_HZ / 2


def hz_to_mel(frequency_hz: np.ndarray | float) -> np.ndarray:
    """Return mel = 2595 log10(1 + f / 700), float64, of the same shape."""
    return 2595.0 * np.log10(1.0 + np.asarray(frequency_hz, np.float64) / 700.0)


def mel_to_hz(mel: np.ndarray | float) -> np.ndarray:
    """Return the frequency of a mel value in Hz, float64, of the same shape."""
    return 700.0 * (10.0 ** (np.asarray(mel, np.float64) / 2595.0) - 1.0)


def mel_edges_hz(num_filters: int) -> np.ndarray:
    """Return band edges equally spaced in mel from 0 to 8 kHz.

    ASVspoof 2021's RawNet2 and AASIST.

    Args:
        num_filters: F.

    Returns:
        float64 [F + 1], rising; filter i lies between edges i and i + 1.
    """
    return mel_to_hz(np.linspace(0.0, hz_to_mel(NYQUIST_HZ), num_filters + 1))


def s1_mel_edges_hz(num_filters: int) -> np.ndarray:
    """Return the mel-spaced band edges of the ICASSP 2021 RawNet2, its bank "S1".

    The first F + 1 of F + 3 points between 0 and 8 kHz, so that the last filter ends below 8 kHz
    (7669.2 Hz for 128 filters): the published code drops the last two points.

    Args:
        num_filters: F.

    Returns:
        float64 [F + 1], rising.
    """
    return mel_edges_hz(num_filters + 2)[: num_filters + 1]


def s2_inverse_mel_edges_hz(num_filters: int) -> np.ndarray:
    """Return the band edges that the ICASSP 2021 RawNet2 calls inverse mel, its bank "S2".

    Published as S1's edges in reverse, minus 1 Hz, without sign. That turns the order of the
    filters round and leaves their bandwidths as they are (wide at high frequencies), so S2 is S1
    with its channels renumbered; filters carry a minus sign that the rectification removes. For
    what the paper describes see `inverse_mel_edges_hz`.

    Args:
        num_filters: F.

    Returns:
        float64 [F + 1], falling to 1 Hz.
    """
    return np.abs(s1_mel_edges_hz(num_filters)[::-1] - 1.0)


def s3_linear_edges_hz(num_filters: int) -> np.ndarray:
    """Return the evenly spaced band edges of the ICASSP 2021 RawNet2, its bank "S3".

    The first F + 1 of F + 3 points between 0 and 8 kHz, as in S1.

    Args:
        num_filters: F.

    Returns:
        float64 [F + 1], rising.
    """
    return np.linspace(0.0, NYQUIST_HZ, num_filters + 3)[: num_filters + 1]


def inverse_mel_edges_hz(num_filters: int) -> np.ndarray:
    """Return S1's band edges mirrored at 4 kHz: wide filters at low, narrow ones at high frequency.

    What the ICASSP 2021 paper describes as inverse mel; its code does otherwise
    (`s2_inverse_mel_edges_hz`).

    Args:
        num_filters: F.

    Returns:
        float64 [F + 1], rising to 8 kHz.
    """
    return NYQUIST_HZ - s1_mel_edges_hz(num_filters)[::-1]


def sinc_bank(edges_hz: np.ndarray, num_taps: int) -> np.ndarray:
    """Design a band-pass filter between each two neighbouring edges.

    The difference of two ideal low-pass filters under a symmetric Hamming window. Filters between
    falling edges carry a minus sign.

    Args:
        edges_hz: [F + 1].
        num_taps: odd length of the filters.

    Returns:
        float32 [F, num_taps], in time order.

    Raises:
        ValueError: for an even number of taps.
    """
    if num_taps % 2 == 0:
        raise ValueError(f"a sinc filter has an odd number of taps, not {num_taps}")
    n = np.arange(num_taps) - (num_taps - 1) / 2
    cutoff = 2.0 * np.asarray(edges_hz, np.float64)[:, None] / SAMPLE_RATE_HZ
    low_pass = cutoff * np.sinc(cutoff * n)
    return (np.hamming(num_taps) * np.diff(low_pass, axis=0)).astype(np.float32)


BAND_EDGES_HZ: Mapping[str, Callable[[int], np.ndarray]] = {
    "mel": mel_edges_hz,
    "s1_mel": s1_mel_edges_hz,
    "s2_inverse_mel": s2_inverse_mel_edges_hz,
    "s3_linear": s3_linear_edges_hz,
    "inverse_mel": inverse_mel_edges_hz,
}
"""Name of a filter bank -> its band edges for F filters."""


def bank_named(name: str, num_filters: int, num_taps: int) -> np.ndarray:
    """Design a bank of `BAND_EDGES_HZ`.

    Args:
        name: which band edges.
        num_filters: F.
        num_taps: odd length of the filters.

    Returns:
        float32 [F, num_taps], in time order.

    Raises:
        ValueError: for an unknown name, fewer than one filter or an even number of taps.
    """
    if name not in BAND_EDGES_HZ:
        raise ValueError(f"filter bank {name!r} is none of {', '.join(BAND_EDGES_HZ)}")
    if num_filters < 1:
        raise ValueError(f"a filter bank has at least 1 filter, not {num_filters}")
    return sinc_bank(BAND_EDGES_HZ[name](num_filters), num_taps)
