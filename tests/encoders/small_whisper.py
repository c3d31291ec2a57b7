"""Whisper's encoder in miniature, and the slow form of it and of its spectrogram in float64."""

import math
from typing import Any

import numpy as np

from rawnet_jax.encoders.config import WhisperConfig

WHISPER = WhisperConfig(
    width=48, heads=4, feed_forward=96, num_layers=3, mel_bands=20, positions=100
)
# 32 frames of the spectrogram, 21 (odd: the second convolution sees what is behind), a filler row.
LENGTHS = np.array([5_120, 3_400, 0], np.int32)

_erf = np.vectorize(math.erf)


def clips() -> np.ndarray:
    """Two clips and a filler row; what stands behind them is loud."""
    rng = np.random.default_rng(3)
    waveform = 0.1 * rng.standard_normal((3, LENGTHS[0])).astype(np.float32)
    # Quiet at the end, so that the spectrogram's lower bound is reached.
    waveform[:, 1_500:] *= 1e-5
    return np.where(np.arange(LENGTHS[0]) < LENGTHS[:, None], waveform, 7.0).astype(np.float32)


def slow_mel(clip: np.ndarray, bands: int) -> np.ndarray:
    """Return the spectrogram [frames, bands] of one clip: frame by frame, triangle by triangle."""
    around = np.pad(clip.astype(np.float64), 200, mode="reflect")
    hann = np.sin(np.pi * np.arange(400) / 400) ** 2
    count = len(clip) // 160  # the last frame is dropped
    power = np.array(
        [np.abs(np.fft.rfft(around[160 * t : 160 * t + 400] * hann)) ** 2 for t in range(count)]
    )
    # Slaney: 200/3 Hz a mel up to 1 kHz, which is mel 15, then 27 mels for a factor of 6.4.
    mel = np.linspace(0, 15 + 27 * math.log(8) / math.log(6.4), bands + 2)
    edge = np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))
    hz = 40.0 * np.arange(201)
    found = np.zeros((count, bands))
    for m in range(bands):
        low, middle, high = edge[m : m + 3]
        triangle = np.interp(hz, [low, middle, high], [0, 1, 0], 0, 0)
        found[:, m] = power @ triangle * 2 / (high - low)
    found = np.log10(np.maximum(found, 1e-10))
    return (np.maximum(found, found.max() - 8) + 4) / 4


def slow_form(
    config: WhisperConfig, state: dict[str, np.ndarray], clip: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the last state [frames, width] of one clip, and all of them."""
    S = {name.removeprefix("encoder."): array.astype(np.float64) for name, array in state.items()}
    x = slow_mel(clip, config.mel_bands)
    for name, stride in (("conv1", 1), ("conv2", 2)):
        padded = np.pad(x, ((1, 1), (0, 0)))
        parts = [padded[t : t + 3].T for t in range(0, len(padded) - 2, stride)]
        x = _gelu(np.tensordot(parts, S[name + ".weight"], ([1, 2], [1, 2])) + S[name + ".bias"])
    x = x + S["embed_positions.weight"][: len(x)]
    states = [x]
    for i in range(config.kept_layers):
        x = x + _attended(S, f"layers.{i}.", x, config.heads)
        y = _linear(S, f"layers.{i}.fc1", _normed(S, f"layers.{i}.final_layer_norm", x))
        x = x + _linear(S, f"layers.{i}.fc2", _gelu(y))
        states.append(x)
    return _normed(S, "layer_norm", x), states


def _attended(S: Any, layer: str, x: np.ndarray, heads: int) -> np.ndarray:
    y = _normed(S, layer + "self_attn_layer_norm", x)
    q, k, v = (_linear(S, f"{layer}self_attn.{kind}_proj", y) for kind in "qkv")
    size = x.shape[1] // heads
    parts = []
    for h in range(heads):
        own = slice(h * size, (h + 1) * size)
        weight = np.exp(q[:, own] @ k[:, own].T / math.sqrt(size))
        parts.append(weight / weight.sum(1, keepdims=True) @ v[:, own])
    return _linear(S, layer + "self_attn.out_proj", np.concatenate(parts, 1))


def _linear(S: Any, name: str, x: np.ndarray) -> np.ndarray:
    return x @ S[name + ".weight"].T + S.get(name + ".bias", 0.0)


def _normed(S: Any, name: str, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(1, keepdims=True)
    scale = np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
    return centred / scale * S[name + ".weight"] + S[name + ".bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))
