"""SE-Res2Net50: a residual network whose 3x3 convolutions work on a ladder of channel groups.

    three Conv 3x3 of 16 (BN - ReLU after each)                  [N, H, W, 16]
    stages of 3, 4, 6, 3 blocks, strides 1, 2, 2, 2              [N, H/8, W/8, 256]
    mean over the map - Dense 128                                [N, 128]

Gao et al., "Res2Net", TPAMI 2021; with squeeze-and-excitation and these widths Li et al., "Replay
and Synthetic Speech Detection with Res2Net", ICASSP 2021.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.nn.layers import BatchNorm, conv, dense
from rawnet_jax.nn.lengths import Extent

HE_NORMAL_FAN_OUT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_EXPANSION = 2  # channels that leave a block to one of its planes
_SQUEEZE = 16  # channels to one hidden channel of an excitation
_REFERENCE_PLANES = 64  # the planes at which `base_width` is the width of a group
_AROUND = ((1, 1), (1, 1))


def conv_without_bias(
    in_features: int,
    features: int,
    size: int,
    *,
    stride: int = 1,
    name: str,
) -> nn.Conv:
    """Return a convolution as torchvision's residual networks have it.

    Square, padded by half its size, without a bias, its kernel drawn by He's rule (fan-out).
    """
    return conv(
        in_features,
        features,
        (size, size),
        strides=stride,
        padding=((size // 2, size // 2), (size // 2, size // 2)),
        bias=False,
        kernel_init=HE_NORMAL_FAN_OUT,
        name=name,
    )


class SERes2Block(nn.Module):
    """One block: narrow, ladder of groups, widen, excite, add.

    The first block of a stage works on its groups side by side and averages the last one; the
    others add each group's result to the next group's input and hand the last group through. Its
    skip path averages and projects. The two averages differ, as published: in the ladder zeros of
    the padding count, in the skip path they do not.

    Attributes:
        planes: nominal width.
        base_width: channels of a group where the nominal width is 64.
        scale: number of groups.
        stride: of the whole block; only a first block has one.
        is_first: whether it is the first of its stage.
    """

    planes: int
    base_width: int
    scale: int
    stride: int
    is_first: bool

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [N, H, W, C], of which `extent` counts, to [N, H / stride, W / stride, 2 planes]."""
        width = self.planes * self.base_width // _REFERENCE_PLANES
        out_features = self.planes * _EXPANSION
        y = conv_without_bias(x.shape[-1], width * self.scale, 1, name="conv1")(x)
        y = BatchNorm(activation=nn.relu, name="bn1")(y, extent.mask(y), train)
        y = self._ladder(extent.cleared(y), width, extent, train)
        end = extent.strided(self.stride)
        y = conv_without_bias(width * self.scale, out_features, 1, name="conv3")(y)
        y = BatchNorm(name="bn3")(y, end.mask(y), train)
        y = y * self._excitation(y, end)
        return nn.relu(y + (self._skip(x, out_features, extent, train) if self.is_first else x))

    def _ladder(self, y: jax.Array, width: int, extent: Extent, train: bool) -> jax.Array:
        end = extent.strided(self.stride)
        *groups, last = jnp.split(y, self.scale, axis=-1)
        done: list[jax.Array] = []
        for i, group in enumerate(groups):
            if done and not self.is_first:
                group = extent.cleared(group + done[-1])
            group = conv_without_bias(width, width, 3, stride=self.stride, name=f"convs_{i}")(group)
            done.append(
                BatchNorm(activation=nn.relu, name=f"bns_{i}")(group, end.mask(group), train)
            )
        if self.is_first:
            last = nn.avg_pool(last, (3, 3), (self.stride, self.stride), _AROUND)
        return jnp.concatenate([*done, last], axis=-1)

    def _skip(self, x: jax.Array, features: int, extent: Extent, train: bool) -> jax.Array:
        if self.stride > 1:
            x = average_of_frames(x, extent, self.stride)
        x = conv_without_bias(x.shape[-1], features, 1, name="skip_conv")(x)
        return BatchNorm(name="skip_bn")(x, extent.strided(self.stride).mask(x), train)

    def _excitation(self, y: jax.Array, extent: Extent) -> jax.Array:
        features = y.shape[-1]
        hidden = max(1, features // _SQUEEZE)
        mean = extent.mean(y, (1, 2), keepdims=True)
        mean = nn.relu(dense(features, hidden, bias=False, name="se_reduce")(mean))
        return nn.sigmoid(dense(hidden, features, bias=False, name="se_expand")(mean))


def average_of_frames(x: jax.Array, extent: Extent, size: int) -> jax.Array:
    """Average [N, H, W, C] over windows of size x size, of each window what is there and counts.

    Returns:
        [N, ceil(H / size), ceil(W / size), C].
    """
    window = (size, size)
    rest = tuple((0, -size_of_axis % size) for size_of_axis in x.shape[1:3])
    average = partial(
        nn.avg_pool, window_shape=window, strides=window, padding=rest, count_include_pad=False
    )
    if extent.num_frames is None:
        return average(x)
    counts = jnp.broadcast_to(extent.frames(x), (*x.shape[:3], 1)).astype(x.dtype)
    share = average(counts)
    return average(extent.cleared(x)) / jnp.where(share > 0, share, 1.0)


class SERes2Net(nn.Module):
    """From a map to an embedding; the defaults are SE-Res2Net50, 26w x 4s.

    Attributes:
        stem_features: channels of the three first convolutions.
        planes: nominal width of each stage.
        blocks: blocks of each stage; every stage but the first halves the map.
        base_width: channels of a group where the nominal width is 64.
        scale: number of groups.
        embedding_features: width of the embedding.
    """

    stem_features: int = 16
    planes: tuple[int, ...] = (16, 32, 64, 128)
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    base_width: int = 26
    scale: int = 4
    embedding_features: int = 128

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Compute embeddings.

        Args:
            x: float32 [N, H, W, 1].
            extent: how much of each map is clip; filler rows do not touch the statistics.
            train: use the batch's statistics.

        Returns:
            float32 [N, embedding_features].
        """
        for i in range(3):
            x = extent.cleared(x)
            x = conv_without_bias(x.shape[-1], self.stem_features, 3, name=f"stem_conv_{i}")(x)
            x = BatchNorm(activation=nn.relu, name=f"stem_bn_{i}")(x, extent.mask(x), train)
        self.sow("intermediates", "perception.stem", x)
        for stage, (planes, blocks) in enumerate(zip(self.planes, self.blocks, strict=True), 1):
            for i in range(blocks):
                block = SERes2Block(
                    planes,
                    self.base_width,
                    self.scale,
                    stride=2 if stage > 1 and i == 0 else 1,
                    is_first=i == 0,
                    name=f"layer_{stage}_{i}",
                )
                x = block(x, extent, train)
                extent = extent.strided(block.stride)
                self.sow("intermediates", f"perception.layer{stage}.{i}", x)
        x = extent.mean(x, (1, 2))
        self.sow("intermediates", "perception.pooled", x)
        return dense(x.shape[-1], self.embedding_features, name="features")(x)


# Under whatever the whole network calls this part, after `rawnet_jax.models.torch_names`.
TORCH_RULES = (
    (r"^res2net/stem_conv_0/", "perception_branch/conv1/0/"),
    (r"^res2net/stem_bn_0/", "perception_branch/conv1/1/"),
    (r"^res2net/stem_conv_1/", "perception_branch/conv1/3/"),
    (r"^res2net/stem_bn_1/", "perception_branch/conv1/4/"),
    (r"^res2net/stem_conv_2/", "perception_branch/conv1/6/"),
    (r"^res2net/stem_bn_2/", "perception_branch/bn1/"),
    (r"^res2net/layer_(\d+)_(\d+)/", r"perception_branch/layer\1/\2/"),
    (r"^res2net/", "perception_branch/"),
    (r"/(convs|bns)_(\d+)/", r"/\1/\2/"),
    (r"(/layer.*)/skip_conv/", r"\1/downsample/1/"),
    (r"(/layer.*)/skip_bn/", r"\1/downsample/2/"),
    (r"(/layer.*)/se_reduce/", r"\1/se/fc/0/"),
    (r"(/layer.*)/se_expand/", r"\1/se/fc/2/"),
)
