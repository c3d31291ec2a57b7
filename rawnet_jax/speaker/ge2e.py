"""GE2E: the encoder of voices in the package Resemblyzer, whose published weights it takes.

Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018; network, features
and sizes as in Resemblyzer 0.1.4 (github.com/resemble-ai/Resemblyzer, Apache-2.0):

    a clip below -30 dBFS is raised to that
    40 mel powers, not logarithms: 25 ms periodic Hann windows around every 10 ms, zeros beyond the
    ends, Slaney's scale from 0 to 8 kHz, bands of unit area            [F, 40]
    parts of 160 frames, one every 77, the last one if three quarters of it are there  [P, 160, 40]
    LSTM of 3 x 256, its last state; Dense 256; ReLU; length 1          [P, 256]
    mean of the parts; length 1                                         [256]

1,423,616 parameters. Since ReLU comes last, cosines are between 0 and 1.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.mel_bank import mel_bank
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.layers import dense
from rawnet_jax.nn.recurrent import LSTM
from rawnet_jax.speaker.network import unit
from rawnet_jax.speaker.spectra import power_spectra

BANDS = 40
PART_FRAMES = 160
PART_STEP = 77  # 1.3 parts per second, in whole frames
LEVEL_DBFS = -30.0
_WINDOW = 400
_HOP = 160
_LEAST_COVERAGE = 0.75
_BATCHES = (4, 16)  # parts that go through the network at once; compiled once each


class Ge2e(nn.Module):
    """From parts of a spectrogram to a vector each; see the module's docstring.

    Attributes:
        features: width of the LSTM.
        num_layers: of the LSTM.
        embedding_features: width of a vector.
    """

    features: int = 256
    num_layers: int = 3
    embedding_features: int = 256

    @nn.compact
    def __call__(self, mel: jax.Array) -> jax.Array:
        """Return float32 [P, embedding_features] of [P, T, 40], not yet of length 1."""
        state = LSTM(self.features, self.num_layers, name="lstm")(mel)[:, -1]
        return nn.relu(dense(self.features, self.embedding_features, name="linear")(state))


TORCH_NAMES = TorchNames()
NOT_IN_THE_NETWORK = ("similarity_weight", "similarity_bias")
"""What the file holds of the loss."""


class Ge2eNetwork:
    """GE2E with its weights; see `rawnet_jax.speaker.network.VoiceNetwork`."""

    def __init__(self, module: Ge2e, variables: dict[str, Any]) -> None:
        self._module = module
        self._variables = jax.tree.map(jax.numpy.asarray, variables)
        self._forward = jax.jit(module.apply)

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self._module.embedding_features

    def prepared(self, waveform: np.ndarray) -> np.ndarray:
        """Return a clip of at least -30 dBFS."""
        return raised(waveform)

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the vector of a clip, float32 [width]."""
        return unit(self.embed_parts(waveform).mean(axis=0, dtype=np.float64))

    def embed_parts(self, waveform: np.ndarray) -> np.ndarray:
        """Return a vector of length 1 for each part of a clip, float32 [P, width]."""
        starts = part_starts(len(waveform))
        whole = (starts[-1] + PART_FRAMES) * _HOP
        mel = mel_powers(np.pad(waveform, (0, max(whole - len(waveform), 0))))
        parts = np.stack([mel[start : start + PART_FRAMES] for start in starts])
        return unit(self._in_batches(parts))

    def _in_batches(self, parts: np.ndarray) -> np.ndarray:
        size = next((size for size in _BATCHES if size >= len(parts)), _BATCHES[-1])
        found = []
        for start in range(0, len(parts), size):
            batch = parts[start : start + size]
            filled = np.pad(batch, ((0, size - len(batch)), (0, 0), (0, 0)))
            found.append(np.asarray(self._forward(self._variables, filled))[: len(batch)])
        return np.concatenate(found)


def raised(waveform: np.ndarray) -> np.ndarray:
    """Return a clip at -30 dBFS if it was below, as it is if it was not; silence stays silence.

    Args:
        waveform: float32 [n], full scale = 1.
    """
    power = float(np.einsum("n,n->", waveform, waveform, dtype=np.float64)) / max(len(waveform), 1)
    if not power:
        return waveform
    change_db = LEVEL_DBFS - 10 * np.log10(power)
    return waveform if change_db <= 0 else (waveform * 10 ** (change_db / 20)).astype(np.float32)


def part_starts(num_samples: int) -> list[int]:
    """Return the first frame of each part of a clip.

    Args:
        num_samples: of the clip, 1 at least.
    """
    num_frames = -(-(num_samples + 1) // _HOP)
    starts = list(range(0, max(1, num_frames - PART_FRAMES + PART_STEP + 1), PART_STEP))
    covered = (num_samples - starts[-1] * _HOP) / (PART_FRAMES * _HOP)
    return starts[:-1] if covered < _LEAST_COVERAGE and len(starts) > 1 else starts


def mel_powers(waveform: np.ndarray) -> np.ndarray:
    """Return the mel powers of a clip [n], float32 [1 + n // 160, 40]."""
    return (power_spectra(waveform, _hann(), _HOP, mirrored=False) @ _bank()).astype(np.float32)


@functools.cache
def _hann() -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)


@functools.cache
def _bank() -> np.ndarray:
    """Return the mel bands, float64 [201, 40]."""
    top_hz = SAMPLE_RATE_HZ / 2
    return mel_bank(SAMPLE_RATE_HZ, _WINDOW, BANDS, 0.0, top_hz, "slaney", True).T
