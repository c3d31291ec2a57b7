"""A residual network over log spectra whose channel is taken out: what a vocoder leaves.

This project's own. Each bin's mean over the clip is subtracted, which is where microphones, rooms
and levels are; at a resolution that shows harmonics, what is left is how they move. The blocks are
those of `rawnet_jax.models.lfcc_resnet18` (Zhang et al., IEEE SPL 2021), and so is the attention.

    log power of 32 ms every 8 ms, each bin less its mean            [B, 256, W, 1]
    Conv 16, 9 x 5, stride 4 x 2 - BatchNorm - ReLU                  [B, 64, W/2, 16]
    pre-activation blocks, all stages but the first with stride 2    [B, 8, W/16, 96]
    Conv over all rows - BatchNorm - ReLU                            [B, W/16, 96]
    attentive statistics - Dense = embedding - Dense                 [B, 2]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``,
score = log odds of bona fide speech, ``embedding [B, 64]``. Any T works; what is not the clip's is
taken for silence or, with `variable_length`, is not a part of it.
"""

import functools
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.dsp.dft import power, windowed_waves
from rawnet_jax.dsp.lfcc import pre_emphasised
from rawnet_jax.labels import Label
from rawnet_jax.models.lfcc_resnet18 import AttentiveStatistics, PreActivationBlock
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import BatchNorm, conv, dense, in_float32
from rawnet_jax.nn.lengths import Extent, clips_alone

_POWER_FLOOR = 1e-7  # of a bin: 16-bit rounding noise lies below it
_HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_AROUND = ((4, 4), (2, 2))


class SpectralResNet(nn.Module):
    """The network.

    Attributes:
        frame_length: samples of a frame, and points of its DFT.
        hop_length: samples from one frame to the next.
        stem_features: channels of the first convolution.
        channels: of each stage of blocks; all but the first halve rows and columns.
        blocks: in each stage.
        embedding_features: width of the embedding.
        dropout: of the embedding's input.
        variable_length: a clip keeps its own frames, however many, and padding behind them is no
            part of it (`rawnet_jax.nn.lengths`).
    """

    frame_length: int = 512
    hop_length: int = 128
    stem_features: int = 16
    channels: tuple[int, ...] = (16, 32, 64, 96)
    blocks: tuple[int, ...] = (1, 2, 2, 2)
    embedding_features: int = 64
    dropout: float = 0.2
    variable_length: bool = False

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes."""
        x, extent = self._spectra(waveform, num_samples)
        make = partial(conv, bias=False, kernel_init=_HE_NORMAL)
        x = make(1, self.stem_features, (9, 5), strides=(4, 2), padding=_AROUND, name="stem")(x)
        extent = extent.strided(2)
        x = BatchNorm(activation=nn.relu, name="stem_norm")(x, extent.mask(x), train)
        for i, (features, depth) in enumerate(zip(self.channels, self.blocks, strict=True)):
            for j in range(depth):
                stride = 2 if i and not j else 1
                x = PreActivationBlock(features, stride, name=f"stage{i}_{j}")(x, extent, train)
                extent = extent.strided(stride)
        x = BatchNorm(activation=nn.relu, name="last_norm")(x, extent.mask(x), train)
        width = x.shape[-1]
        rows = make(width, width, (x.shape[1], 1), name="over_rows")(extent.cleared(x))
        x = BatchNorm(activation=nn.relu, name="rows_norm")(rows, extent.mask(rows), train)[:, 0]
        pooled = AttentiveStatistics(0.0, name="attention")(x, extent, train)
        pooled = Dropout(self.dropout)(pooled, train)
        embedding = dense(2 * width, self.embedding_features, name="embedding")(pooled)
        logits = dense(self.embedding_features, len(Label), name="classifier")(embedding)
        score = logits[:, Label.BONAFIDE] - logits[:, Label.SPOOF]
        return in_float32(ModelOutput(score, logits, embedding))

    def _spectra(self, waveform: jax.Array, num_samples: jax.Array) -> tuple[jax.Array, Extent]:
        """Return log powers [B, frame / 2, W, 1] less each bin's mean over the clip."""
        waveform, _ = clips_alone(waveform, num_samples, self.frame_length)
        size, hop = self.frame_length, self.hop_length
        count = 1 + (waveform.shape[1] - size) // hop
        emphasised = pre_emphasised(waveform, num_samples)
        at = np.arange(count)[:, None] * hop + np.arange(size)
        powers = power(emphasised[:, at], _waves(size))
        x = jnp.log(powers + _POWER_FLOOR).swapaxes(1, 2)[..., None]
        own = jnp.clip(1 + (num_samples - size) // hop, 1, count)
        extent = Extent(is_real(num_samples), own if self.variable_length else None)
        return extent.cleared(x - extent.mean(x, 2, keepdims=True)), extent


@functools.cache
def _waves(size: int) -> np.ndarray:
    """Return the waves of bins 1 to size / 2 under a Hann window, [size, size]."""
    window = np.hanning(size + 1)[:-1]
    return windowed_waves(window, size, np.arange(1, size // 2 + 1))
