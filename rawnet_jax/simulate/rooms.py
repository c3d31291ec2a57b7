"""Rooms: impulse responses between a source and a microphone, and background noise.

A shoebox room's early part comes from the image-source method (Allen and Berkley, JASA 65, 1979) as
pyroomacoustics computes it (Scheibler, Bezzam and Dokmanić, ICASSP 2018); its late part is decaying
noise, after the idea of Lehmann and Johansson, "Diffuse reverberation model for efficient
image-source simulation of room impulse responses", IEEE TASLP 18 (2010).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import lfilter, oaconvolve

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import DataError

SPEED_OF_SOUND_M_S = 343.0
_IMAGE_ORDER = 10  # reflections that are computed one by one
_CROSSFADE_S = 0.02  # from images to the diffuse tail
_WALL_MARGIN_M = 0.3


@dataclass(frozen=True, slots=True)
class Environment:
    """Where something is recorded: a room, how far the microphone is, how noisy it is.

    Attributes:
        environment_id: name in protocols.
        description: for people.
        size_m: length, width, height; None for no room at all.
        rt60_s: time in which reverberation falls by 60 dB.
        distance_m: least and greatest distance between source and microphone.
        snr_db: least and greatest level of the source over the background noise; infinite = none.
        noise_slope_db: fall of the noise's spectrum per octave.
        hum_db: mains hum against the rest of the noise; minus infinity = none.
        impulse_response: a measured response float [num_taps] instead of a simulated one.
        held_out: kept for the eval partition of written corpora.
    """

    environment_id: str
    description: str
    size_m: tuple[float, float, float] | None = None
    rt60_s: float = 0.3
    distance_m: tuple[float, float] = (0.2, 0.6)
    snr_db: tuple[float, float] = (math.inf, math.inf)
    noise_slope_db: float = 4.0
    hum_db: float = -math.inf
    impulse_response: np.ndarray | None = None
    held_out: bool = False


def room_impulse_response(
    environment: Environment, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Impulse response for one random placement in a shoebox room.

    Args:
        environment: its `size_m` must be given.
        rng: source of the placement and of the diffuse tail.

    Returns:
        float64 [num_taps] at 16 kHz with the strongest tap ±1, and the index of that tap.
    """
    assert environment.size_m is not None
    source, microphone = _placement(environment.size_m, environment.distance_m, rng)
    absorption, order = _room_simulator().inverse_sabine(environment.rt60_s, environment.size_m)
    response = _image_sources(
        environment.size_m, absorption, min(order, _IMAGE_ORDER), source, microphone
    )
    if order > _IMAGE_ORDER:
        complete_s = _IMAGE_ORDER * min(environment.size_m) / SPEED_OF_SOUND_M_S
        response = _with_diffuse_tail(response, complete_s, environment.rt60_s, rng)
    direct = int(np.argmax(np.abs(response)))
    return response / abs(response[direct]), direct


def reverberate(
    waveform: np.ndarray, environment: Environment, rng: np.random.Generator
) -> np.ndarray:
    """Put a clip into a room; direct sound stays where it was in time.

    Args:
        waveform: float [num_samples] at 16 kHz.
        environment: without a room and a measured response, the clip comes back as it is.
        rng: source of the placement.

    Returns:
        float64 [num_samples].
    """
    if environment.impulse_response is not None:
        response = np.asarray(environment.impulse_response, dtype=np.float64)
        direct = int(np.argmax(np.abs(response)))
        response = response / abs(response[direct])
    elif environment.size_m is not None:
        response, direct = room_impulse_response(environment, rng)
    else:
        return np.asarray(waveform, dtype=np.float64)
    wet = oaconvolve(np.asarray(waveform, dtype=np.float64), response)
    return wet[direct : direct + len(waveform)]


def add_background(
    waveform: np.ndarray, environment: Environment, rng: np.random.Generator
) -> np.ndarray:
    """Add the noise of a place at a signal-to-noise ratio drawn from its range.

    Args:
        waveform: float [num_samples] at 16 kHz.
        environment: names level and colour of the noise.
        rng: source of level and noise.

    Returns:
        float64 [num_samples].
    """
    waveform = np.asarray(waveform, dtype=np.float64)
    if math.isinf(environment.snr_db[0]):
        return waveform
    noise = coloured_noise(len(waveform), environment.noise_slope_db, rng)
    if environment.hum_db > -math.inf:
        noise += _hum(len(waveform), rng) * 10.0 ** (environment.hum_db / 20.0)
    snr_db = rng.uniform(*environment.snr_db)
    rms = np.sqrt(np.mean(waveform**2))
    return waveform + noise * (rms * 10.0 ** (-snr_db / 20.0))


def coloured_noise(
    num_samples: int, slope_db: float, rng: np.random.Generator, corner_hz: float = 60.0
) -> np.ndarray:
    """Gaussian noise [num_samples] of RMS 1 that falls by `slope_db` per octave above a corner."""
    # Other draws than `augment.noise`, whose are JAX's: no JAX is imported here.
    num_fft = next_fast_len(num_samples, real=True)
    spectrum = rfft(rng.standard_normal(num_fft))
    frequency_hz = np.maximum(rfftfreq(num_fft, 1.0 / SAMPLE_RATE_HZ), corner_hz)
    spectrum *= (frequency_hz / corner_hz) ** (-slope_db / (20.0 * math.log10(2.0)))
    spectrum[0] = 0.0
    noise = irfft(spectrum, num_fft)[:num_samples]
    return noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12)


def _hum(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    times_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    mains_hz = 50.0 + rng.normal(0.0, 0.05)
    hum = np.zeros(num_samples)
    for harmonic, amplitude in ((1, 1.0), (2, 0.7), (3, 0.5), (5, 0.3), (7, 0.15)):
        phase = rng.uniform(0.0, 2.0 * np.pi)
        hum += amplitude * np.sin(2.0 * np.pi * harmonic * mains_hz * times_s + phase)
    return hum


def _placement(
    size_m: tuple[float, float, float],
    distance_m: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Two points at table height, in a random direction, both clear of the walls."""
    distance = rng.uniform(*distance_m)
    azimuth = rng.uniform(0.0, 2.0 * np.pi)
    half = 0.5 * distance * np.array([np.cos(azimuth), np.sin(azimuth)])
    clearance = _WALL_MARGIN_M + 0.5 * distance
    middle = np.array([rng.uniform(clearance, side - clearance) for side in size_m[:2]])
    heights = rng.uniform(0.8, 1.5, 2)
    return np.append(middle - half, heights[0]), np.append(middle + half, heights[1])


def _room_simulator() -> Any:
    try:
        import pyroomacoustics
    except ImportError as error:
        raise DataError(
            "simulated rooms need pyroomacoustics: pip install 'rawnet_jax[simulate]'; measured "
            "impulse responses need nothing"
        ) from error
    return pyroomacoustics


def _image_sources(
    size_m: tuple[float, float, float],
    absorption: float,
    order: int,
    source: np.ndarray,
    microphone: np.ndarray,
) -> np.ndarray:
    # One thread: the library adds per-thread sums, so the last bit would depend on the machine.
    pyroomacoustics = _room_simulator()
    num_threads = pyroomacoustics.constants.get("num_threads")
    pyroomacoustics.constants.set("num_threads", 1)
    try:
        room = pyroomacoustics.ShoeBox(
            size_m,
            fs=SAMPLE_RATE_HZ,
            materials=pyroomacoustics.Material(absorption),
            max_order=order,
        )
        room.add_source(source)
        room.add_microphone(microphone)
        room.compute_rir()
    finally:
        pyroomacoustics.constants.set("num_threads", num_threads)
    return np.asarray(room.rir[0][0], dtype=np.float64)


def _with_diffuse_tail(
    response: np.ndarray, complete_s: float, rt60_s: float, rng: np.random.Generator
) -> np.ndarray:
    """Replace what the images miss by noise that decays at the room's rate."""
    fade = int(_CROSSFADE_S * SAMPLE_RATE_HZ)
    end = max(int(complete_s * SAMPLE_RATE_HZ), fade)
    num_taps = max(end, int(1.1 * rt60_s * SAMPLE_RATE_HZ))
    early = np.zeros(num_taps)
    early[: min(len(response), num_taps)] = response[:num_taps]

    decay = 10.0 ** (-3.0 * np.arange(num_taps) / (rt60_s * SAMPLE_RATE_HZ))
    # Walls and air take high frequencies first.
    tail = lfilter([0.4], [1.0, -0.6], rng.standard_normal(num_taps)) * decay
    window = slice(end - fade, end)
    tail *= np.sqrt(np.sum(early[window] ** 2) / np.sum(tail[window] ** 2))

    weight = np.interp(np.arange(num_taps), [end - fade, end], [0.0, 1.0])
    return early * np.sqrt(1.0 - weight) + tail * np.sqrt(weight)
