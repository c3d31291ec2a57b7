"""Speech-like clips from a small source-filter synthesiser.

The voice source is the KLGLOTT88 pulse of Klatt and Klatt, "Analysis, synthesis, and perception of
voice quality variations among female and male talkers", JASA 87 (1990), a polynomial relative of
Rosenberg's pulse (JASA 49, 1971), with jitter, shimmer and aspiration noise. It runs through a
cascade of formant resonators with a nasal pole and zero, as in Klatt, JASA 67 (1980); noise of
fricatives and bursts joins behind it. It is meant to have the structure of speech (harmonics,
moving formants, bursts, pauses), not to be taken for a human voice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, rfft
from scipy.signal import lfilter, resample_poly

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import DataError
from rawnet_jax.simulate.phonemes import NASAL_POLE_HZ, PHONEMES, Phoneme

_FRAME = 80  # samples between updates of the vocal tract: 5 ms
_FFT = 1024  # 64 ms: the narrowest formant has rung out by 100 dB
_OVERSAMPLING = 4  # of the glottal pulse, whose closing edge would alias at 16 kHz
_HIGHER_FORMANTS_HZ = (3500.0, 4500.0, 5500.0, 6500.0)
_BANDWIDTHS_HZ = (60.0, 90.0, 150.0, 220.0, 300.0, 400.0, 500.0)
_NASAL_BANDWIDTH_HZ = 100.0
_MAX_FORMANT_HZ = 7600.0


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker.

    Attributes:
        sex: ``"M"`` or ``"F"``.
        f0_hz: mean fundamental frequency.
        f0_span_st: height of an accent in semitones.
        declination_st: fall of the fundamental over a phrase in semitones.
        tract_scale: factor on all formants; above 1 = a shorter vocal tract.
        formant_offset: factor per formant [3] that makes this speaker's vowels their own.
        bandwidth_scale: factor on all formant bandwidths.
        open_quotient: share of a period with the glottis open.
        tilt: coefficient of a one-pole low-pass on the source, 0 = none.
        breathiness: aspiration noise against voicing, amplitude.
        jitter: standard deviation of the period from one to the next, relative.
        shimmer: the same of the amplitude.
        tremor_hz: rate of a slow wobble of the fundamental.
        tremor_st: its depth in semitones.
        rate: factor on all durations.
        sibilance: factor on all constriction noise.
    """

    sex: str
    f0_hz: float
    f0_span_st: float
    declination_st: float
    tract_scale: float
    formant_offset: tuple[float, float, float]
    bandwidth_scale: float
    open_quotient: float
    tilt: float
    breathiness: float
    jitter: float
    shimmer: float
    tremor_hz: float
    tremor_st: float
    rate: float
    sibilance: float


def draw_voice(sex: str, rng: np.random.Generator) -> Voice:
    """Draw a speaker.

    Args:
        sex: ``"M"`` or ``"F"``; decides the ranges of pitch, tract length and breathiness.
        rng: source of every draw.

    Raises:
        DataError: for another `sex`.
    """
    if sex not in ("M", "F"):
        raise DataError(f"a voice's sex is {sex!r}; it must be 'M' or 'F'")
    female = sex == "F"
    first, second, third = rng.uniform(0.93, 1.07, 3)
    return Voice(
        sex=sex,
        f0_hz=float(rng.uniform(170, 245) if female else rng.uniform(85, 145)),
        f0_span_st=float(rng.uniform(1.5, 5.0)),
        declination_st=float(rng.uniform(1.5, 5.0)),
        tract_scale=float(rng.uniform(1.10, 1.22) if female else rng.uniform(0.93, 1.06)),
        formant_offset=(float(first), float(second), float(third)),
        bandwidth_scale=float(rng.uniform(0.8, 1.5)),
        open_quotient=float(rng.uniform(0.55, 0.75) if female else rng.uniform(0.42, 0.65)),
        tilt=float(rng.uniform(0.70, 0.88)),
        breathiness=float(rng.uniform(0.008, 0.04) if female else rng.uniform(0.004, 0.025)),
        jitter=float(rng.uniform(0.004, 0.015)),
        shimmer=float(rng.uniform(0.03, 0.10)),
        tremor_hz=float(rng.uniform(3.5, 6.5)),
        tremor_st=float(rng.uniform(0.05, 0.3)),
        rate=float(rng.uniform(0.75, 1.1)),
        sibilance=float(rng.uniform(0.6, 1.4)),
    )


def synthesise(phrase: tuple[str, ...], voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """Speak a phrase.

    Args:
        phrase: phoneme names of `PHONEMES`; vowels may end in ``1`` for stress.
        voice: the speaker.
        rng: source of timing, intonation, jitter and noise; same state, same samples.

    Returns:
        float32 [num_samples] at 16 kHz, RMS 0.1, with about 0.1 s of silence before and after.

    Raises:
        DataError: for an empty phrase or an unknown phoneme.
    """
    segments = _segments(phrase, voice, rng)
    num_frames = int(np.ceil(segments[-1].end_s * SAMPLE_RATE_HZ / _FRAME)) + 1
    times_s = np.arange(num_frames) * _FRAME / SAMPLE_RATE_HZ
    num_samples = num_frames * _FRAME

    voicing = _amplitude_track(segments, times_s, "voicing")
    aspiration = _amplitude_track(segments, times_s, "aspiration")
    f0_hz = _intonation(segments, times_s, voice, rng)
    pulses, openness = _glottal_source(_upsample(f0_hz, num_samples), voice, rng)
    breath = rng.standard_normal(num_samples) * (
        voice.breathiness * _upsample(voicing, num_samples) * (0.3 + openness)
        + 0.2 * _upsample(aspiration, num_samples)
    )
    source = pulses * _upsample(voicing, num_samples) + breath
    speech = _vocal_tract(source, segments, times_s, voice)
    speech += _constriction_noise(segments, num_samples, voice, rng) * _voiced_rms(speech, voicing)
    return (speech * (0.1 / np.sqrt(np.mean(speech**2)))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Segment:
    phoneme: Phoneme
    stressed: bool
    start_s: float
    end_s: float

    @property
    def release_s(self) -> float:
        """When the closure of a stop ends; the start for all other sounds."""
        return self.start_s + self.phoneme.closure * (self.end_s - self.start_s)


def _segments(
    phrase: tuple[str, ...], voice: Voice, rng: np.random.Generator
) -> tuple[_Segment, ...]:
    if not phrase:
        raise DataError("a phrase to synthesise has no phonemes")
    segments = []
    start_s = 0.0
    for position, name in enumerate(("PAU", *phrase, "PAU")):
        phoneme = PHONEMES.get(name.rstrip("1"))
        if phoneme is None:
            raise DataError(f"unknown phoneme {name!r}; known: {', '.join(PHONEMES)}")
        stressed = name.endswith("1")
        is_final = position in (len(phrase) - 1, len(phrase))
        factor = voice.rate * rng.lognormal(0.0, 0.10)
        factor *= (1.25 if stressed else 1.0) * (1.35 if is_final else 1.0)
        end_s = start_s + phoneme.duration_s * factor
        segments.append(_Segment(phoneme, stressed, start_s, end_s))
        start_s = end_s
    return tuple(segments)


def _upsample(track: np.ndarray, num_samples: int) -> np.ndarray:
    return np.interp(np.arange(num_samples), np.arange(len(track)) * _FRAME, track)


def _smooth(track: np.ndarray, num_frames: int) -> np.ndarray:
    """Moving average by a Hann window along the first axis, edges held."""
    window = np.hanning(num_frames + 2)[1:-1]
    window /= window.sum()
    padding = [(num_frames // 2, num_frames // 2)] + [(0, 0)] * (track.ndim - 1)
    padded = np.pad(track, padding, mode="edge")
    return np.apply_along_axis(np.convolve, 0, padded, window, "valid")


def _amplitude_track(segments: tuple[_Segment, ...], times_s: np.ndarray, field: str) -> np.ndarray:
    """Amplitude [num_frames] of one source, silent in closures that have no voice bar."""
    track = np.zeros(len(times_s))
    for segment in segments:
        inside = (times_s >= segment.start_s) & (times_s < segment.end_s)
        value = getattr(segment.phoneme, field)
        track[inside] = value * (1.15 if segment.stressed else 1.0)
        if field == "aspiration":
            track[inside & (times_s < segment.release_s)] = 0.0
    return _smooth(track, 5)


def _intonation(
    segments: tuple[_Segment, ...],
    times_s: np.ndarray,
    voice: Voice,
    rng: np.random.Generator,
) -> np.ndarray:
    """Fundamental frequency [num_frames] in Hz: declination, accents, final fall, tremor, drift."""
    end_s = segments[-1].end_s
    semitones = voice.declination_st * (0.5 - times_s / end_s)
    for segment in segments:
        if segment.stressed:
            centre_s = 0.5 * (segment.start_s + segment.end_s) + rng.normal(0.0, 0.02)
            height = voice.f0_span_st * rng.uniform(0.5, 1.2)
            semitones += height * np.exp(-0.5 * ((times_s - centre_s) / 0.09) ** 2)
    semitones += rng.uniform(-3.0, 1.0) * np.clip((times_s - end_s + 0.3) / 0.3, 0.0, 1.0)
    phase = rng.uniform(0.0, 2.0 * np.pi)
    semitones += voice.tremor_st * np.sin(2.0 * np.pi * voice.tremor_hz * times_s + phase)
    semitones += 3.0 * _smooth(rng.normal(0.0, 0.5, len(times_s)), 61)
    return voice.f0_hz * 2.0 ** (semitones / 12.0)


def _glottal_source(
    f0_hz: np.ndarray, voice: Voice, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the glottal flow, and how open the glottis is, both [num_samples].

    KLGLOTT88: flow u(x) = x² − x³ over the open phase x in [0, 1), so u' = 2x − 3x².
    """
    num_samples = len(f0_hz)
    fine = np.repeat(f0_hz, _OVERSAMPLING) / (SAMPLE_RATE_HZ * _OVERSAMPLING)
    period = np.cumsum(fine).astype(np.int64)
    cycles = np.cumsum(fine * (1.0 + voice.jitter * rng.standard_normal(period[-1] + 1))[period])
    period = cycles.astype(np.int64)
    open_quotient = np.clip(
        voice.open_quotient * (1.0 + 0.03 * rng.standard_normal(period[-1] + 1)), 0.3, 0.9
    )
    amplitude = 1.0 + voice.shimmer * rng.standard_normal(period[-1] + 1)
    x = (cycles - period) / open_quotient[period]
    is_open = x < 1.0
    flow_derivative = np.where(is_open, 2.0 * x - 3.0 * x**2, 0.0) * amplitude[period]
    pulses = resample_poly(flow_derivative, 1, _OVERSAMPLING)[:num_samples]
    pulses = lfilter([1.0 - voice.tilt], [1.0, -voice.tilt], pulses)
    openness = np.where(is_open, x**2 - x**3, 0.0)[::_OVERSAMPLING] / 0.15
    return pulses, openness


def _formant_track(segments: tuple[_Segment, ...], times_s: np.ndarray, voice: Voice) -> np.ndarray:
    """All formants [num_frames, 7] in Hz."""
    knot_s: list[float] = []
    targets: list[tuple[float, float, float]] = []
    for segment in segments:
        formants = segment.phoneme.formants_hz
        duration_s = segment.end_s - segment.start_s
        if not formants:
            continue
        # A stop's locus holds until its release; other sounds reach their target in the middle.
        last_share = segment.phoneme.closure or 0.7
        for share, target in zip((0.3, last_share), (formants[0], formants[-1]), strict=True):
            knot_s.append(segment.start_s + share * duration_s)
            targets.append(target)
    if not targets:
        knot_s, targets = [0.0], [(500.0, 1500.0, 2500.0)]
    table = np.array(targets) * np.array(voice.formant_offset)
    track = np.stack([np.interp(times_s, knot_s, column) for column in table.T], axis=1)
    higher = np.tile(_HIGHER_FORMANTS_HZ, (len(times_s), 1))
    track = np.concatenate([_smooth(track, 7), higher], axis=1) * voice.tract_scale
    return np.minimum(track, _MAX_FORMANT_HZ)


def _nasal_zero_track(segments: tuple[_Segment, ...], times_s: np.ndarray) -> np.ndarray:
    track = np.full(len(times_s), NASAL_POLE_HZ)
    for segment in segments:
        inside = (times_s >= segment.start_s) & (times_s < segment.end_s)
        track[inside] = segment.phoneme.nasal_zero_hz
    return _smooth(track, 9)


def _resonator(frequency_hz: np.ndarray | float, bandwidth_hz: float) -> np.ndarray:
    """Denominators [..., 3] of second-order resonators (Klatt 1980, equation 2)."""
    radius = np.exp(-np.pi * bandwidth_hz / SAMPLE_RATE_HZ)
    angle = 2.0 * np.pi * np.asarray(frequency_hz) / SAMPLE_RATE_HZ
    ones = np.ones_like(angle)
    return np.stack([ones, -2.0 * radius * np.cos(angle), ones * radius**2], axis=-1)


def _polynomial(coefficients: np.ndarray) -> np.ndarray:
    """Frequency response [num_frames, bins] of coefficients [num_frames, 3], gain 1 at 0 Hz."""
    normalised = coefficients / coefficients.sum(axis=-1, keepdims=True)
    constant, first, second = normalised.astype(np.float32).T[..., np.newaxis]
    delay = np.exp(-2j * np.pi * np.arange(_FFT // 2 + 1) / _FFT).astype(np.complex64)
    # No matrix product: BLAS would start threads in every worker process.
    return (second * delay + first) * delay + constant


def _vocal_tract(
    source: np.ndarray, segments: tuple[_Segment, ...], times_s: np.ndarray, voice: Voice
) -> np.ndarray:
    """Cascade of seven formants and the nasal pair over the source [num_samples].

    Every 5 ms a windowed piece of the source is filtered by that moment's tract and overlap-added;
    a recursive filter would click when its coefficients change.
    """
    formants_hz = _formant_track(segments, times_s, voice)
    nasal_hz = np.full(len(times_s), NASAL_POLE_HZ)
    zeros = _polynomial(_resonator(_nasal_zero_track(segments, times_s), _NASAL_BANDWIDTH_HZ))
    poles = _polynomial(_resonator(nasal_hz, _NASAL_BANDWIDTH_HZ))
    for column, bandwidth_hz in zip(formants_hz.T, _BANDWIDTHS_HZ, strict=True):
        poles *= _polynomial(_resonator(column, bandwidth_hz * voice.bandwidth_scale))
    response = zeros / poles

    window = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * _FRAME) / _FRAME)
    padded = np.concatenate([np.zeros(_FRAME), source])
    pieces = (sliding_window_view(padded, 2 * _FRAME)[::_FRAME] * window).astype(np.float32)
    filtered = irfft(rfft(pieces, _FFT, axis=1) * response[: len(pieces)], _FFT, axis=1)
    num_hops = _FFT // _FRAME
    hops = filtered[:, : num_hops * _FRAME].reshape(len(pieces), num_hops, _FRAME)
    speech = np.zeros((len(pieces) + num_hops, _FRAME))
    for hop in range(num_hops):
        speech[hop : hop + len(pieces)] += hops[:, hop]
    return speech.reshape(-1)[_FRAME : _FRAME + len(source)]


def _voiced_rms(speech: np.ndarray, voicing: np.ndarray) -> float:
    """Level of the vowels, or 1 where a phrase has none."""
    is_voiced = np.repeat(voicing > 0.8, _FRAME)
    return float(np.sqrt(np.mean(speech[is_voiced] ** 2))) if is_voiced.any() else 1.0


def _constriction_noise(
    segments: tuple[_Segment, ...], num_samples: int, voice: Voice, rng: np.random.Generator
) -> np.ndarray:
    """Noise [num_samples] of fricatives and bursts; amplitude 1 = as loud as a vowel."""
    noise = np.zeros(num_samples)
    for segment in segments:
        phoneme = segment.phoneme
        if phoneme.noise == 0.0:
            continue
        is_burst = phoneme.closure > 0.5
        end_s = segment.release_s + 0.012 if is_burst else segment.end_s
        start, end = int(segment.release_s * SAMPLE_RATE_HZ), int(end_s * SAMPLE_RATE_HZ)
        rise, fall = (0.001, 0.008) if phoneme.closure else (0.03, 0.025)
        length = end - start
        ramp_s = np.arange(length) / SAMPLE_RATE_HZ
        envelope = np.minimum(1.0, (ramp_s + 1e-4) / rise)
        envelope *= np.minimum(1.0, (ramp_s[::-1] + 1e-4) / fall)
        centre_hz, bandwidth_hz = phoneme.noise_hz
        # A short mouth moves its noise up, but less than its formants.
        centre_hz = min(centre_hz * voice.tract_scale**0.5, _MAX_FORMANT_HZ)
        denominator = _resonator(centre_hz, bandwidth_hz)
        shaped = lfilter([1.0, 0.0, -1.0], denominator, rng.standard_normal(length))
        shaped *= voice.sibilance * phoneme.noise * envelope / (np.std(shaped) + 1e-9)
        stop = min(end, num_samples)
        noise[start:stop] += shaped[: stop - start]
    return noise
