"""Replay of a recording: loudspeaker, room, microphone.

The loudspeaker is a Hammerstein model, a static nonlinearity followed by a linear response; causes
of such distortion are in Klippel, "Tutorial: loudspeaker nonlinearities", JAES 54 (2006). Replay
as an attack, with environments and devices named in the protocol: Kinnunen et al., "The ASVspoof
2017 challenge", Interspeech 2017.
"""

import numpy as np
from scipy.signal import resample_poly

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import DataError
from rawnet_jax.simulate.devices import PlaybackDevice, RecordingDevice, ReplayChain
from rawnet_jax.simulate.rooms import add_background, reverberate

MAX_PEAK = 0.99
"""No output sample exceeds this; full scale is 1."""

_REFERENCE_RMS = 0.1  # speech level inside the chain
_CLIPPER_OVERSAMPLING = 3  # an amplifier's harmonics above 8 kHz do not fold back
_GAIN_BLOCK = 160  # gain control looks at 10 ms
_GAIN_ATTACK_S, _GAIN_RELEASE_S = 0.02, 0.3
_GAIN_RANGE_DB = 12.0


def replay_waveform(
    waveform: np.ndarray, chain: ReplayChain, rng: np.random.Generator
) -> np.ndarray:
    """Play a recording over a loudspeaker in a room and record it again.

    Args:
        waveform: float32 [num_samples] at 16 kHz, full scale 1.
        chain: devices and place; the default chain is neutral and changes nothing.
        rng: source of placement and noise; same state, same samples.

    Returns:
        float32 [num_samples]: as long, as loud (RMS) and aligned in time to a few samples; scaled
        down where its peak would pass `MAX_PEAK`. Digital silence stays silence.

    Raises:
        DataError: if the waveform is not one-dimensional, is empty or is not finite.
    """
    waveform = np.asarray(waveform)
    if waveform.ndim != 1 or waveform.size == 0:
        raise DataError(f"replay needs a waveform [num_samples], got shape {waveform.shape}")
    if not np.all(np.isfinite(waveform)):
        raise DataError("replay needs finite samples, got NaN or infinity")
    level = rms(waveform)
    if level == 0.0:
        return np.zeros(len(waveform), dtype=np.float32)

    signal = waveform.astype(np.float64) * (_REFERENCE_RMS / level)
    signal = play(signal, chain.playback)
    signal = _at_reference(reverberate(signal, chain.environment, rng))
    signal = add_background(signal, chain.environment, rng)
    signal = _at_reference(record(signal, chain.recording, rng))
    signal *= level / _REFERENCE_RMS
    return limited(signal).astype(np.float32)


def play(waveform: np.ndarray, device: PlaybackDevice) -> np.ndarray:
    """What a loudspeaker radiates, float64 [num_samples] for float [num_samples] of RMS 0.1."""
    signal = np.asarray(waveform, dtype=np.float64)
    if device.drive_db > -np.inf:
        gain = 10.0 ** (device.drive_db / 20.0)
        fine = resample_poly(signal, _CLIPPER_OVERSAMPLING, 1) * gain
        fine = np.tanh(fine + device.asymmetry * fine**2)
        signal = resample_poly(fine, 1, _CLIPPER_OVERSAMPLING)[: len(signal)] / gain
        signal -= np.mean(signal)  # a loudspeaker radiates no constant pressure
    return device.response.apply(signal)


def record(waveform: np.ndarray, device: RecordingDevice, rng: np.random.Generator) -> np.ndarray:
    """What a recorder writes, float64 [num_samples] for float [num_samples] of RMS 0.1."""
    signal = np.asarray(waveform, dtype=np.float64)
    if device.self_noise_db > -np.inf:
        noise_rms = _REFERENCE_RMS * 10.0 ** (device.self_noise_db / 20.0)
        signal = signal + noise_rms * rng.standard_normal(len(signal))
    signal = device.response.apply(signal)
    if device.gain_control > 0.0:
        signal = signal * _control_gain(signal, device.gain_control)
    if device.companding_bits > 0:
        signal = compand(signal, device.companding_bits)
    return signal


def limited(waveform: np.ndarray) -> np.ndarray:
    """Scale a clip down, never up, so that its peak stays within `MAX_PEAK`."""
    peak = float(np.max(np.abs(waveform)))
    return waveform * (MAX_PEAK / peak) if peak > MAX_PEAK else waveform


def rms(waveform: np.ndarray) -> float:
    """Root mean square, summed up in float64."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def _at_reference(waveform: np.ndarray) -> np.ndarray:
    return waveform * (_REFERENCE_RMS / max(rms(waveform), 1e-12))


def _control_gain(signal: np.ndarray, strength: float) -> np.ndarray:
    """Gain [num_samples] that pulls the loudness of 10 ms blocks towards the clip's own."""
    num_blocks = -(-len(signal) // _GAIN_BLOCK)
    padded = np.zeros(num_blocks * _GAIN_BLOCK)
    padded[: len(signal)] = signal
    power = np.mean(padded.reshape(num_blocks, _GAIN_BLOCK) ** 2, axis=1)
    block_s = _GAIN_BLOCK / SAMPLE_RATE_HZ
    attack, release = np.exp(-block_s / _GAIN_ATTACK_S), np.exp(-block_s / _GAIN_RELEASE_S)
    envelope = np.empty(num_blocks)
    state = rms(signal) ** 2
    for block, value in enumerate(power):
        keep = attack if value > state else release
        state = keep * state + (1.0 - keep) * value
        envelope[block] = state
    gain_db = -10.0 * strength * np.log10(np.maximum(envelope, 1e-12) / max(rms(signal), 1e-6) ** 2)
    gain_db = np.clip(gain_db, -_GAIN_RANGE_DB, _GAIN_RANGE_DB)
    middle = (np.arange(num_blocks) + 0.5) * _GAIN_BLOCK
    return 10.0 ** (np.interp(np.arange(len(signal)), middle, gain_db) / 20.0)


def compand(signal: np.ndarray, bits: int, mu: float = 255.0) -> np.ndarray:
    """µ-law companding and back, after ITU-T G.711, with any number of bits."""
    # The smooth law: `augment.channel` has G.711's own steps, which exist for 8 bits alone.
    clipped = np.clip(signal, -1.0, 1.0)
    compressed = np.sign(clipped) * np.log1p(mu * np.abs(clipped)) / np.log1p(mu)
    steps = 2.0 ** (bits - 1) - 1.0
    quantised = np.round(compressed * steps) / steps
    return np.sign(quantised) * np.expm1(np.abs(quantised) * np.log1p(mu)) / mu
