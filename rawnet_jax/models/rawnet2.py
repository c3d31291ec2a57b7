"""RawNet2 for anti-spoofing: fixed sinc filters, residual blocks, a GRU over the whole clip.

Tak et al., "End-to-end anti-spoofing with RawNet2", ICASSP 2021 (arXiv 2011.01108), in three
published forms, which are rows of the registry:

    ``rawnet2_eurecom``       the paper's: 128 filters of 129 taps, 25,433,602 parameters
    ``rawnet2_asvspoof2021``  baseline of ASVspoof 2021: 20 filters of 1,025 taps, 17,621,410
    ``rawnet2_asvspoof5``     baseline of ASVspoof 5: as 2021, with the pre-activation at work

    sinc filters - |.| - max 3 - BatchNorm - SELU              [B, 21490 (2021: 21192), F]
    6 x (residual block - max 3 - filter-wise scaling)         [B, 7163 … 29, C]
    BatchNorm - SELU - GRU 3 x 1024, its last state            [B, 1024]
    Dense 1024 = embedding - Dense 2 = [spoof, bonafide]

The paper's table has LeakyReLU after the first BatchNorm; all published code has SELU, and so has
this.

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]`` and
``embedding [B, 1024]``. T is at least `RawNet2.shortest` samples; the published systems use 64,600
(ASVspoof 5: 64,000). With `variable_length` any T works: a clip below `shortest` is followed by
zeros up to there. The score is the log odds of bona fide speech. ASVspoof 2021's baseline writes
log P(bonafide), the other two P(bonafide): the same order, hence the same EER, but float32 runs out
of numbers near 0 and near 1 and makes ties of what the log odds still tell apart.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.dsp.filtering import filtered
from rawnet_jax.dsp.filters import bank_named
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.layers import (
    BatchNorm,
    InertBatchNorm,
    conv,
    dense,
    in_float32,
    max_pool_1d,
)
from rawnet_jax.nn.lengths import Extent, clips_alone
from rawnet_jax.nn.recurrent import GRU

LEAKY_SLOPE = 0.3


def leaky_relu(x: jax.Array) -> jax.Array:
    """Return x where it is positive, `LEAKY_SLOPE` times x elsewhere."""
    return jnp.where(x > 0, x, LEAKY_SLOPE * x)


class ResidualBlock(nn.Module):
    """Two convolutions around which the input passes unchanged, or through a 1 x 1 convolution.

    Attributes:
        features: channels that go out.
        pre_norm: whether the block begins with a BatchNorm and LeakyReLU (all but the first do).
        active_pre_activation: False = the published slip of ASVspoof 2021's baseline and of AASIST:
            the pre-activation is computed and the raw input is convolved instead, so it is inert.
    """

    features: int
    pre_norm: bool
    active_pre_activation: bool

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, T, C] to [B, T, features]."""
        channels = x.shape[-1]
        mask = extent.mask(x)
        out = x
        if self.pre_norm and self.active_pre_activation:
            out = BatchNorm(activation=leaky_relu, name="norm1")(out, mask, train)
        elif self.pre_norm:
            InertBatchNorm(channels, name="norm1")()
        out = conv(channels, self.features, (3,), padding=1, name="conv1")(extent.cleared(out))
        out = BatchNorm(activation=leaky_relu, name="norm2")(out, mask, train)
        out = extent.cleared(out)
        out = conv(self.features, self.features, (3,), padding=1, name="conv2")(out)
        if channels != self.features:
            x = conv(channels, self.features, (1,), name="downsample")(x)
        return out + x


class RawNet2(nn.Module):
    """RawNet2; the defaults are the paper's network with its mel bank (S1).

    Attributes:
        filterbank: band edges of the sinc filters, a name of `dsp.filters.BAND_EDGES_HZ`.
        num_filters: sinc filters.
        num_taps: their odd length in samples.
        block_features: channels of each residual block.
        pool_size: max-pooling after the filters and after each block.
        active_pre_activation: see `ResidualBlock`.
        gru_features: width of the GRU's state.
        gru_layers: layers of the GRU.
        embedding_features: width of the embedding.
        variable_length: padding is not a part of a clip (`rawnet_jax.nn.lengths`): BatchNorm,
            scaling and the GRU's last state see a clip's own frames.
    """

    filterbank: str = "s1_mel"
    num_filters: int = 128
    num_taps: int = 129
    block_features: tuple[int, ...] = (128, 128, 512, 512, 512, 512)
    pool_size: int = 3
    active_pre_activation: bool = True
    gru_features: int = 1024
    gru_layers: int = 3
    embedding_features: int = 1024
    variable_length: bool = False

    @property
    def shortest(self) -> int:
        """Samples of a clip from which one frame reaches the GRU."""
        return self.num_taps - 1 + self.pool_size ** (1 + len(self.block_features))

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: if T is below `shortest` without `variable_length`, or the filter bank
                cannot be made.
        """
        extent = Extent(is_real(num_samples))
        if self.variable_length:
            waveform, extent = clips_alone(waveform, num_samples, self.shortest)
        elif waveform.shape[1] < self.shortest:
            raise ValueError(
                f"RawNet2 with {self.num_taps} taps and {len(self.block_features)} blocks takes at "
                f"least {self.shortest} samples"
            )
        bank = bank_named(self.filterbank, self.num_filters, self.num_taps)
        x = max_pool_1d(jnp.abs(filtered(waveform, bank)), self.pool_size)
        extent = extent.shortened(self.num_taps - 1).pooled(self.pool_size)
        self.sow("intermediates", "sinc_abs_maxpool", x)
        x = BatchNorm(activation=selu, name="first_norm")(x, extent.mask(x), train)
        self.sow("intermediates", "first_bn_selu", x)
        for i, features in enumerate(self.block_features):
            x = ResidualBlock(features, i > 0, self.active_pre_activation, name=f"block_{i}")(
                x, extent, train
            )
            x, extent = max_pool_1d(x, self.pool_size), extent.pooled(self.pool_size)
            self.sow("intermediates", f"block{i}_out", x)
            x = self._scale_filters(x, extent, i)
        x = BatchNorm(activation=selu, name="gru_norm")(x, extent.mask(x), train)
        self.sow("intermediates", "gru_in", x)
        x = GRU(self.gru_features, self.gru_layers, name="gru")(x)
        self.sow("intermediates", "gru_out", x)
        x = extent.last(x)
        embedding = dense(self.gru_features, self.embedding_features, name="embedding")(x)
        logits = dense(self.embedding_features, 2, name="head")(embedding)
        return in_float32(ModelOutput(logits[:, 1] - logits[:, 0], logits, embedding))

    def _scale_filters(self, x: jax.Array, extent: Extent, i: int) -> jax.Array:
        """Multiply each channel by a weight from all channels' means, and add the weight."""
        logit = dense(x.shape[-1], x.shape[-1], name=f"scaling_{i}")(extent.mean(x, 1))
        self.sow("intermediates", f"fms{i}_logit", logit)
        scale = nn.sigmoid(logit)[:, None]
        x = x * scale + scale
        self.sow("intermediates", f"fms{i}_out", x)
        return x


ASVSPOOF_2021 = {
    "filterbank": "mel",
    "num_filters": 20,
    "num_taps": 1025,
    "block_features": (20, 20, 128, 128, 128, 128),
}
"""Sizes of the baselines of ASVspoof 2021 and ASVspoof 5."""

TORCH_NAMES = TorchNames(
    rules=(
        (r"^first_norm/", "first_bn/"),
        (r"^gru_norm/", "bn_before_gru/"),
        (r"^block_(\d+)/norm", r"block_\1/bn"),
        (r"^block_(\d+)/downsample/", r"block_\1/conv_downsample/"),
        (r"^block_(\d+)/", r"block\1/0/"),
        (r"^scaling_(\d+)/", r"fc_attention\1/0/"),
        (r"^embedding/", "fc1_gru/"),
        (r"^head/", "fc2_gru/"),
    ),
)
