"""ECAPA-TDNN: channel attention, propagation and aggregation in a time-delay network.

Desplanques et al., "ECAPA-TDNN: emphasized channel attention, propagation and aggregation in TDNN
based speaker verification", Interspeech 2020; features, sizes and names of weights as in
github.com/TaoRuijie/ECAPA-TDNN (MIT), whose state dicts it takes. For C channels:

    pre-emphasis .97; periodic Hamming windows of 400 samples in 512 points around every 10 ms, the
    clip mirrored beyond its ends; 80 mel bands of height 1 from 20 to 7600 Hz (HTK's scale);
    ln(power + 1e-6); each band's mean over time off                    [F, 80]
    Conv 5 - ReLU - BatchNorm                                           [F, C]
    3 SE-Res2 blocks, dilation 2, 3, 4, each fed with the sum of all before it
    their results side by side; Conv 1, 1536; ReLU                      [F, 1536]
    attentive statistics, which see mean and deviation of the clip too  [3072]
    BatchNorm - Dense 192 - BatchNorm; length 1                         [192]

C = 1024 has 15.44 million parameters, C = 512 has 6.98 million.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.mel_bank import mel_bank
from rawnet_jax.models.nes2net import Block
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.layers import BatchNorm, conv, dense
from rawnet_jax.nn.lengths import Extent
from rawnet_jax.speaker.network import mean_voice, unit
from rawnet_jax.speaker.spectra import power_spectra

BANDS = 80
_FFT = 512
_WINDOW = 400
_HOP = 160
_PRE_EMPHASIS = 0.97
_FLOOR = 1e-6
_LEAST_VARIANCE = 1e-4
_LENGTHS = (200, 400, 800, 1600, 3200)  # frames that rows are filled to; compiled once each


class AttentiveStatistics(nn.Module):
    """Mean and deviation over time, weighted for each channel by what it sees of the whole clip.

    Attributes:
        features: inside the network of the weights.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, T, C] to [B, 2 C]."""
        channels = x.shape[-1]
        mean = extent.mean(x, 1, keepdims=True)
        count = extent.frames(x).sum(1, keepdims=True) if extent.num_frames is not None else None
        # PyTorch's variance is the unbiased one.
        squares = jnp.square(x - mean)
        num = x.shape[1] if count is None else count
        variance = extent.mean(squares, 1, keepdims=True) * num / jnp.maximum(num - 1, 1)
        deviation = jnp.sqrt(jnp.maximum(variance, _LEAST_VARIANCE))
        whole = jnp.concatenate([mean, deviation], axis=-1)
        seen = jnp.concatenate([x, jnp.broadcast_to(whole, (*x.shape[:2], 2 * channels))], axis=-1)
        inside = nn.relu(conv(3 * channels, self.features, (1,), name="attention_0")(seen))
        inside = BatchNorm(name="attention_2")(inside, extent.mask(inside), train)
        weight = conv(self.features, channels, (1,), name="attention_4")(jnp.tanh(inside))
        weight = extent.softmax(weight)
        mean = (weight * x).sum(1)
        variance = (weight * jnp.square(x)).sum(1) - jnp.square(mean)
        deviation = jnp.sqrt(jnp.maximum(variance, _LEAST_VARIANCE))
        return jnp.concatenate([mean, deviation], axis=-1)


class EcapaTdnn(nn.Module):
    """From log-mel frames to a vector; see the module's docstring.

    Attributes:
        channels: C.
        scale: groups of channels in a block.
        squeezed: channels inside a block's squeeze and excitation.
        aggregated: channels that the blocks' results are mixed to.
        attention_features: inside the network of the statistics' weights.
        embedding_features: width of a vector.
    """

    channels: int = 1024
    scale: int = 8
    squeezed: int = 128
    aggregated: int = 1536
    attention_features: int = 256
    embedding_features: int = 192

    @nn.compact
    def __call__(
        self, features: jax.Array, num_frames: jax.Array, *, train: bool = False
    ) -> jax.Array:
        """Compute vectors, not yet of length 1.

        Args:
            features: float32 [B, T, 80].
            num_frames: int32 [B], at least 1: how many frames of a row are the clip's.
            train: use the batch's statistics.

        Returns:
            float32 [B, embedding_features].

        Raises:
            ValueError: if groups or squeezed channels do not divide the channels.
        """
        if self.channels % self.scale or self.channels % self.squeezed:
            raise ValueError(
                f"channels is {self.channels}; scale, {self.scale}, and squeezed, "
                f"{self.squeezed}, must divide it"
            )
        extent = Extent(num_frames > 0, num_frames)
        x = extent.cleared(features)
        x = nn.relu(conv(x.shape[-1], self.channels, (5,), padding=((2, 2),), name="conv1")(x))
        x = BatchNorm(name="bn1")(x, extent.mask(x), train)
        results: list[jax.Array] = []
        for i, dilation in enumerate((2, 3, 4), 1):
            block = Block(
                self.scale, dilation, self.channels // self.squeezed, False, name=f"layer{i}"
            )
            results.append(block(sum(results, x), extent, train))
        x = jnp.concatenate(results, axis=-1)
        x = nn.relu(conv(3 * self.channels, self.aggregated, (1,), name="layer4")(x))
        x = AttentiveStatistics(self.attention_features, name="pooling")(x, extent, train)
        rows = (num_frames > 0)[:, None]
        x = BatchNorm(name="bn5")(x, rows, train)
        x = dense(2 * self.aggregated, self.embedding_features, name="fc6")(x)
        return BatchNorm(name="bn6")(x, rows, train)


TORCH_NAMES = TorchNames(
    rules=(
        (r"/(convs|bns)_(\d+)/", r"/\1/\2/"),
        (r"/se_([13])/", r"/se/\1/"),
        (r"^pooling/attention_(\d)/", r"attention/\1/"),
    )
)
PREFIX = "speaker_encoder."
"""What may stand before the names."""

NOT_IN_THE_NETWORK = ("torchfbank.", "speaker_loss.")
"""First words of what a file may hold besides: tables of the features, the loss."""


class EcapaNetwork:
    """ECAPA-TDNN with its weights; see `rawnet_jax.speaker.network.VoiceNetwork`.

    A clip of more than 32 s is cut into equal pieces; its vector is the mean of theirs.
    """

    def __init__(self, module: EcapaTdnn, variables: dict[str, Any]) -> None:
        self._module = module
        self._variables = jax.tree.map(jnp.asarray, variables)
        self._forward = jax.jit(module.apply)

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self._module.embedding_features

    def prepared(self, waveform: np.ndarray) -> np.ndarray:
        """Return the clip as it is."""
        return waveform

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the vector of a clip, float32 [width]."""
        pieces = -(-len(waveform) // (_LENGTHS[-1] * _HOP - _HOP))
        found = [self._embed_piece(piece) for piece in np.array_split(waveform, pieces)]
        return found[0] if len(found) == 1 else mean_voice(np.stack(found))

    def _embed_piece(self, waveform: np.ndarray) -> np.ndarray:
        frames = log_mel(waveform)
        length = next(length for length in _LENGTHS if length >= len(frames))
        filled = np.pad(frames, ((0, length - len(frames)), (0, 0)))[None]
        num_frames = np.array([len(frames)], np.int32)
        return unit(np.asarray(self._forward(self._variables, filled, num_frames))[0])


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Return a clip's features, float32 [1 + n // 160, 80], each band's mean over time off.

    Args:
        waveform: float32 [n], n >= 1, full scale = 1.
    """
    before = np.concatenate([waveform[1:2], waveform[:-1]])  # the first is mirrored
    before = before if len(before) == len(waveform) else waveform
    emphasised = np.asarray(waveform, np.float64) - _PRE_EMPHASIS * before
    levels = np.log(power_spectra(emphasised, _hamming(), _HOP, mirrored=True) @ bank() + _FLOOR)
    return (levels - levels.mean(axis=0)).astype(np.float32)


@functools.cache
def _hamming() -> np.ndarray:
    """Return the window in the middle of the DFT's points, float64 [512]."""
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    return np.pad(window, (_FFT - _WINDOW) // 2)


@functools.cache
def bank() -> np.ndarray:
    """Return the mel bands, float64 [257, 80]."""
    return mel_bank(SAMPLE_RATE_HZ, _FFT, BANDS, 20.0, 7600.0, "htk", False).T
