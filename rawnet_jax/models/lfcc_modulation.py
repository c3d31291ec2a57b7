"""LFCC-ResNet18 beside a small network over modulation spectra, each with its own classifier.

This project's own: an LFCC-ResNet18 sees what a spectrum looks like, modulation spectra how it
moves (`rawnet_jax.dsp.modulation`), and they err on different attacks. Each branch is trained by
its own cross-entropy, as if the other were not there; the score is a weighted mean of their log
odds, in which both count. Results, also of each branch alone: docs/results.md.

    LFCC-ResNet18 with the softmax head                                   [B, 2]
    modulation spectra, one row of them                                     [B, 540]
    BatchNorm - dropout - Dense 64 - BatchNorm - ReLU - dropout - Dense   [B, 2]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2, 2]``
(branch, class) and ``embedding [B, 64 + 64]``. Only the samples that are the clip's count.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.dsp.modulation import NUM_BANDS, NUM_FILTERS, modulation_spectrum
from rawnet_jax.labels import Label
from rawnet_jax.models.lfcc_resnet18 import LfccResNet18
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import BatchNorm, dense, in_float32


class LfccModulation(nn.Module):
    """The network.

    Attributes:
        num_frames, stem_features, channels, blocks, pooled_features, embedding_features,
            pooling_noise, variable_length: of the `LfccResNet18`.
        hidden_features: of the modulation branch.
        feature_dropout: of its features.
        hidden_dropout: of what it makes of them.
        modulation_weight: of its log odds in the score; LFCC-ResNet18's have 1. The larger network
            is surer than it is right: on the dev clips of the small speech corpus its log odds
            deviate 1.7 times as much, and would outvote the other one's.
    """

    num_frames: int = 150
    stem_features: int = 16
    channels: tuple[int, ...] = (16, 32, 64, 128)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    pooled_features: int = 128
    embedding_features: int = 64
    pooling_noise: float = 1e-5
    hidden_features: int = 64
    feature_dropout: float = 0.2
    hidden_dropout: float = 0.5
    modulation_weight: float = 1.7
    variable_length: bool = False

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes."""
        spectral = LfccResNet18(
            num_frames=self.num_frames,
            stem_features=self.stem_features,
            channels=self.channels,
            blocks=self.blocks,
            pooled_features=self.pooled_features,
            embedding_features=self.embedding_features,
            head="softmax",
            pooling_noise=self.pooling_noise,
            variable_length=self.variable_length,
            name="spectral",
        )(waveform, num_samples, train=train)
        hidden, logits = self._modulation(waveform, num_samples, train)
        branches = jnp.stack([spectral.logits, logits], axis=1)
        log_odds = branches[..., Label.BONAFIDE] - branches[..., Label.SPOOF]
        weight = np.array([1.0, self.modulation_weight], np.float32)
        score = log_odds @ (weight / weight.sum())
        embedding = jnp.concatenate([spectral.embedding, hidden], axis=-1)
        return in_float32(ModelOutput(score, branches, embedding))

    def _modulation(
        self, waveform: jax.Array, num_samples: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Return what the other branch makes of clips: hidden layer [B, 64] and logits [B, 2]."""
        real = is_real(num_samples)[:, None]
        x = modulation_spectrum(waveform, num_samples).reshape(-1, NUM_FILTERS * NUM_BANDS)
        x = BatchNorm(name="feature_norm")(x, real, train)
        x = Dropout(self.feature_dropout)(x, train)
        x = dense(NUM_FILTERS * NUM_BANDS, self.hidden_features, name="hidden")(x)
        x = BatchNorm(activation=nn.relu, name="hidden_norm")(x, real, train)
        dropped = Dropout(self.hidden_dropout)(x, train)
        return x, dense(self.hidden_features, len(Label), name="classifier")(dropped)
