"""EfficientNet-A0: EfficientNet-B0 at a quarter of its width, each stage one block.

    Conv 3x3, stride 2 - BN - SiLU                                       [N, H/2, W/2, 8]
    seven inverted bottlenecks (MBConv) with squeeze-and-excitation      [N, H/32, W/32, 80]
    Conv 1x1 - BN - SiLU - mean over the map - dropout - Dense 256       [N, 256]

Tan & Le, "EfficientNet", ICML 2019; cut down by Rostami et al. (arXiv 2109.02051). Written after
TensorFlow's: padding is SAME (what does not divide goes to the right and the bottom), BatchNorm has
ε 1e-3 and keeps .99 of its running statistics.
"""

from functools import partial

import flax.linen as nn
import jax

from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import BatchNorm, conv, dense
from rawnet_jax.nn.lengths import Extent

BN_EPSILON = 1e-3
_SQUEEZE = 4  # input channels of a block to one hidden channel of its excitation


class MBConv(nn.Module):
    """Inverted bottleneck: widen, filter each channel, excite, narrow.

    There is no skip connection anywhere. The published code asks whether the stride, a list,
    equals 1, so that the first block of a stage never has one; in A0 every block is the first. Its
    drop-connect, which acts on skips only, does nothing for the same reason.

    Attributes:
        features: channels that go out.
        kernel_size: of the depthwise convolution.
        stride: of the depthwise convolution.
        expansion: inner channels to one that comes in; 1 = no widening convolution.
        bn_momentum: share of the old running statistic kept at each step.
    """

    features: int
    kernel_size: int
    stride: int
    expansion: int
    bn_momentum: float

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [N, H, W, C], of which `extent` counts, to [N, H / stride, W / stride, features]."""
        batch_norm = partial(BatchNorm, BN_EPSILON, self.bn_momentum)
        in_features = x.shape[-1]
        inner = in_features * self.expansion
        if self.expansion != 1:
            x = conv(in_features, inner, (1, 1), bias=False, name="expand_conv")(x)
            x = batch_norm(activation=nn.silu, name="bn0")(x, extent.mask(x), train)
        kernel_size = (self.kernel_size, self.kernel_size)
        x = conv(
            inner,
            inner,
            kernel_size,
            strides=self.stride,
            padding=extent.padding(x, kernel_size, (self.stride, self.stride)),
            bias=False,
            groups=inner,
            name="depthwise_conv",
        )(extent.cleared(x))
        extent = extent.strided(self.stride)
        x = batch_norm(activation=nn.silu, name="bn1")(x, extent.mask(x), train)
        x = x * nn.sigmoid(self._excitation(x, extent, max(1, in_features // _SQUEEZE)))
        x = conv(inner, self.features, (1, 1), bias=False, name="project_conv")(x)
        return batch_norm(name="bn2")(x, extent.mask(x), train)

    def _excitation(self, x: jax.Array, extent: Extent, hidden: int) -> jax.Array:
        inner = x.shape[-1]
        mean = extent.mean(x, (1, 2), keepdims=True)
        mean = nn.silu(conv(inner, hidden, (1, 1), name="se_reduce")(mean))
        return conv(hidden, inner, (1, 1), name="se_expand")(mean)


class EfficientNet(nn.Module):
    """From a map to an embedding; the defaults are A0.

    Attributes:
        stem_features: channels of the first convolution.
        kernel_sizes: of each block's depthwise convolution.
        strides: of each block.
        expansions: of each block.
        features: channels that leave each block.
        head_features: channels of the last convolution.
        embedding_features: width of the embedding.
        dropout: rate before the embedding.
        bn_momentum: share of the old running statistic kept at each step.
    """

    stem_features: int = 8
    kernel_sizes: tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3)
    strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1)
    expansions: tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6)
    features: tuple[int, ...] = (8, 8, 16, 24, 32, 48, 80)
    head_features: int = 320
    embedding_features: int = 256
    dropout: float = 0.4
    bn_momentum: float = 0.99

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Compute embeddings.

        Args:
            x: float32 [N, H, W, 1].
            extent: how much of each map is clip; filler rows do not touch the statistics.
            train: use the batch's statistics and dropout.

        Returns:
            float32 [N, embedding_features].
        """
        batch_norm = partial(BatchNorm, BN_EPSILON, self.bn_momentum)
        x = conv(
            x.shape[-1],
            self.stem_features,
            (3, 3),
            strides=2,
            padding=extent.padding(x, (3, 3), (2, 2)),
            bias=False,
            name="conv_stem",
        )(extent.cleared(x))
        extent = extent.strided(2)
        x = batch_norm(activation=nn.silu, name="bn0")(x, extent.mask(x), train)
        self.sow("intermediates", "perception.stem_bn_silu", x)
        blocks = zip(self.features, self.kernel_sizes, self.strides, self.expansions, strict=True)
        for i, (features, kernel_size, stride, expansion) in enumerate(blocks):
            sizes = (features, kernel_size, stride, expansion, self.bn_momentum)
            x = MBConv(*sizes, name=f"block_{i}")(x, extent, train)
            extent = extent.strided(stride)
            self.sow("intermediates", f"perception.mbconv{i}", x)
        x = conv(x.shape[-1], self.head_features, (1, 1), bias=False, name="conv_head")(x)
        x = batch_norm(activation=nn.silu, name="bn1")(x, extent.mask(x), train)
        self.sow("intermediates", "perception.head_bn_silu", x)
        x = extent.mean(x, (1, 2), keepdims=True)
        self.sow("intermediates", "perception.pooled", x)
        x = Dropout(self.dropout)(x[:, 0, 0], train)
        return dense(self.head_features, self.embedding_features, name="fc")(x)


# Under whatever the whole network calls this part, after `rawnet_jax.models.torch_names`.
TORCH_RULES = (
    (r"^efficientnet/block_(\d+)/", r"perception_branch/feature/_blocks/\1/_"),
    (r"^efficientnet/", "perception_branch/feature/_"),
)
