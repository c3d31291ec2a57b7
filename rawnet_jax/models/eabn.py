"""EABN: an attention branch marks where to look, a perception branch classifies.

    features [B, H, F]: LFCC (H = 60), log-power spectrogram (513) or constant-Q transform (432)
    slices of 400 frames every 200                                         [B S, H, 400, 1]
    attention: five stages of 3x3 convolutions to q (16 channels); mask M = sigmoid(BN(q 1x1));
        auxiliary logits = mean of (q 1x1)
    perception of (1 + M) x: EfficientNet-A0 or SE-Res2Net50               [B S, embedding]
    Dense 2; the score of a clip is the mean of log P(bonafide) of its slices

Rostami, Homayounpour, Nickabadi, "Efficient Attention Branch Network with Combined Loss Function
for Automatic Speaker Verification Spoof Detection", CSSP 2023 (arXiv 2109.02051).

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``, mean
log probabilities of [spoof, bonafide], ``embedding [B, D]``, also a mean, and `SliceOutput` for the
loss. Any T works; S follows from it: with m = ceil(F / 400), S = 2 m - 1. A clip with fewer frames
of its own than T has repeats them; its score is the mean of as many slices as it alone would have,
so that it does not depend on T. With `variable_length` nothing repeats and nothing is cut: a clip
is one map of its own frames, which both perceptions take at any width, and S is 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput, SliceOutput, is_real
from rawnet_jax.dsp.lfcc import lfcc, tile_frames
from rawnet_jax.dsp.spectrogram import log_power_cqt, log_power_spectrogram
from rawnet_jax.labels import Label
from rawnet_jax.models import efficientnet, res2net
from rawnet_jax.models.res2net import conv_without_bias
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.layers import BatchNorm, check_choice, dense
from rawnet_jax.nn.lengths import Extent, clips_alone

FrontEnd = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
FRONT_ENDS: dict[str, FrontEnd] = {
    "lfcc": lfcc,
    "log_power": log_power_spectrogram,
    "cqt": log_power_cqt,
}
PERCEPTIONS = ("efficientnet_a0", "se_res2net50")


class Classified(NamedTuple):
    """What the network returns for N maps.

    Attributes:
        logits: float32 [N, 2], [spoof, bonafide].
        embedding: float32 [N, D].
        aux_logits: float32 [N, 2], [spoof, bonafide] of the attention branch.
    """

    logits: jax.Array
    embedding: jax.Array
    aux_logits: jax.Array


class AttentionBranch(nn.Module):
    """Small residual network with an output at every point of its input.

    Attributes:
        features: channels of the first convolution and of each block.
    """

    features: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> tuple[jax.Array, jax.Array]:
        """Return the mask [N, H, W, 1] in (0, 1) and the auxiliary logits [N, 2]."""
        first, *blocks = self.features
        mask = extent.mask(x)
        x = conv_without_bias(x.shape[-1], first, 3, name="conv1")(extent.cleared(x))
        x = BatchNorm(activation=nn.relu, name="bn1")(x, mask, train)
        self.sow("intermediates", "attention.conv1_bn_relu", x)
        for i, features in enumerate(blocks):
            x = BasicBlock(features, name=f"block_{i}")(x, extent, train)
            self.sow("intermediates", f"attention.block{i}", x)
        q = conv_without_bias(x.shape[-1], x.shape[-1], 1, name="att_conv")(x)
        q = BatchNorm(activation=nn.relu, name="bn_att2")(q, mask, train)
        self.sow("intermediates", "attention.q", q)
        aux_map = conv_without_bias(q.shape[-1], len(Label), 1, name="att_conv2")(q)
        self.sow("intermediates", "attention.aux_map", aux_map)
        attention = conv_without_bias(q.shape[-1], 1, 1, name="att_conv3")(q)
        attention = BatchNorm(activation=nn.sigmoid, name="bn_att3")(attention, mask, train)
        self.sow("intermediates", "attention.mask", attention)
        return attention, extent.mean(aux_map, (1, 2))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a projected skip, ReLU after the sum.

    Attributes:
        features: channels that go out.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [N, H, W, C], of which `extent` counts, to [N, H, W, features]."""
        mask = extent.mask(x)
        y = conv_without_bias(x.shape[-1], self.features, 3, name="conv1")(extent.cleared(x))
        y = BatchNorm(activation=nn.relu, name="bn1")(y, mask, train)
        y = conv_without_bias(self.features, self.features, 3, name="conv2")(extent.cleared(y))
        y = BatchNorm(name="bn2")(y, mask, train)
        skip = conv_without_bias(x.shape[-1], self.features, 1, name="skip_conv")(x)
        return nn.relu(y + BatchNorm(name="skip_bn")(skip, mask, train))


class Eabn(nn.Module):
    """The whole system.

    Attributes:
        front_end: "lfcc", "log_power" or "cqt".
        perception: "efficientnet_a0" or "se_res2net50"; the fields below that start with a family's
            name are read for that family alone.
        embedding_features: width of the embedding and of the centres.
        attention_features: channels of the attention branch.
        efficientnet_stem: channels of EfficientNet's first convolution.
        efficientnet_kernel_sizes: of each block's depthwise convolution.
        efficientnet_strides: of each block.
        efficientnet_expansions: of each block.
        efficientnet_features: channels that leave each block.
        efficientnet_head: channels of EfficientNet's last convolution.
        efficientnet_dropout: rate before the embedding.
        efficientnet_bn_momentum: share of the old running statistic kept at each step, in
            EfficientNet alone (elsewhere PyTorch's .9).
        res2net_stem: channels of Res2Net's three first convolutions.
        res2net_planes: nominal width of each stage.
        res2net_blocks: blocks of each stage.
        res2net_base_width: channels of a group where the nominal width is 64.
        res2net_scale: number of groups.
        slice_frames: frames of a slice.
        slice_hop: frames from one slice to the next.
        mask_probability: of either mask of SpecAugment in training, drawn slice by slice; 0 = off.
        mask_columns: bound on the width of the mask over time, in frames.
        mask_rows: bound on the height of the mask over frequency, in rows.
        variable_length: a clip is one map of its own frames, however many, in place of slices, and
            padding behind them is not a part of it (`rawnet_jax.nn.lengths`); `slice_frames` and
            `slice_hop` are not read.
    """

    front_end: str = "lfcc"
    perception: str = "se_res2net50"
    embedding_features: int = 128
    attention_features: tuple[int, ...] = (2, 4, 8, 12, 16)
    efficientnet_stem: int = 8
    efficientnet_kernel_sizes: tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3)
    efficientnet_strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1)
    efficientnet_expansions: tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6)
    efficientnet_features: tuple[int, ...] = (8, 8, 16, 24, 32, 48, 80)
    efficientnet_head: int = 320
    efficientnet_dropout: float = 0.4
    efficientnet_bn_momentum: float = 0.99
    res2net_stem: int = 16
    res2net_planes: tuple[int, ...] = (16, 32, 64, 128)
    res2net_blocks: tuple[int, ...] = (3, 4, 6, 3)
    res2net_base_width: int = 26
    res2net_scale: int = 4
    slice_frames: int = 400
    slice_hop: int = 200
    mask_probability: float = 0.25
    mask_columns: int = 80
    mask_rows: int = 20
    variable_length: bool = False

    def setup(self) -> None:
        """Make the branches; `efficientnet` or `res2net` by name, as `TORCH_NAMES` knows them."""
        check_choice("front_end", self.front_end, FRONT_ENDS)
        check_choice("perception", self.perception, PERCEPTIONS)
        self.attention = AttentionBranch(self.attention_features)
        if self.perception == "efficientnet_a0":
            self.efficientnet = efficientnet.EfficientNet(
                self.efficientnet_stem,
                self.efficientnet_kernel_sizes,
                self.efficientnet_strides,
                self.efficientnet_expansions,
                self.efficientnet_features,
                self.efficientnet_head,
                self.embedding_features,
                self.efficientnet_dropout,
                self.efficientnet_bn_momentum,
            )
        else:
            self.res2net = res2net.SERes2Net(
                self.res2net_stem,
                self.res2net_planes,
                self.res2net_blocks,
                self.res2net_base_width,
                self.res2net_scale,
                self.embedding_features,
            )
        self.cls_layer = dense(self.embedding_features, len(Label))
        shape = (len(Label), self.embedding_features)
        self.centers = self.param("centers", nn.initializers.normal(1.0), shape)

    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes."""
        maps, extent, weight = self._maps(waveform, num_samples)
        if train and self.mask_probability > 0:
            maps = self._augmented(maps, extent)
        per_slice = jax.tree.map(
            lambda x: x.reshape(*weight.shape, -1).astype(jnp.float32),
            self.classify(maps[..., None], extent, train),
        )
        logits = jnp.einsum("bs,bsc->bc", weight, nn.log_softmax(per_slice.logits))
        return ModelOutput(
            score=logits[:, Label.BONAFIDE],
            logits=logits,
            embedding=jnp.einsum("bs,bsd->bd", weight, per_slice.embedding),
            slices=SliceOutput(
                per_slice.logits,
                per_slice.embedding,
                per_slice.aux_logits,
                self.centers.astype(jnp.float32),
            ),
        )

    def _maps(
        self, waveform: jax.Array, num_samples: jax.Array
    ) -> tuple[jax.Array, Extent, jax.Array]:
        """Return the maps of all clips.

        Returns:
            Maps float32 [B S, H, W], how much of them is clip, and the weight of each in its clip's
            score, float32 [B, S].
        """
        front_end = FRONT_ENDS[self.front_end]
        if self.variable_length:
            waveform, _ = clips_alone(waveform, num_samples)
            maps, num_frames = front_end(waveform, num_samples)
            weight = jnp.ones((maps.shape[0], 1), jnp.float32)
            return maps, Extent(is_real(num_samples), jnp.maximum(num_frames, 1)), weight
        features, num_frames = front_end(waveform, num_samples)
        slices = cut_slices(features, num_frames, self.slice_frames, self.slice_hop)
        count = slices.shape[1]
        used = num_slices(num_frames, self.slice_frames, self.slice_hop)
        weight = (jnp.arange(count) < used[:, None]) / used[:, None]
        return (
            slices.reshape(-1, *slices.shape[2:]),
            Extent(jnp.repeat(is_real(num_samples), count)),
            weight,
        )

    def classify(self, maps: jax.Array, extent: Extent, train: bool = False) -> Classified:
        """Classify maps, each for itself.

        Args:
            maps: float32 [N, H, W, 1], any H and W.
            extent: how much of each map is clip; filler rows do not touch the statistics.
            train: use the batch's statistics and dropout.
        """
        attention, aux_logits = self.attention(maps, extent, train)
        attended = (1.0 + attention) * maps
        self.sow("intermediates", "perception.input", attended)
        branch = self.efficientnet if self.perception == "efficientnet_a0" else self.res2net
        embedding = branch(attended, extent, train)
        return Classified(self.cls_layer(embedding), embedding, aux_logits)

    def _augmented(self, maps: jax.Array, extent: Extent) -> jax.Array:
        """Zero a few columns (of those that are clip) and a few rows of some maps.

        The original calls its mask of columns "freq" and its mask of rows "time", on maps whose
        columns are time: what it does is kept, and here has its right names.
        """
        column_key, row_key = jax.random.split(self.make_rng("dropout"))
        count, height, width = maps.shape
        own = width if extent.num_frames is None else extent.num_frames[:, None]
        bounds = (self.mask_columns, self.mask_columns // 4)
        columns = self._band(column_key, (count, width), own, *bounds)
        rows = self._band(row_key, (count, height), height, self.mask_rows, self.mask_rows // 3)
        return jnp.where(columns[:, None, :] | rows[:, :, None], 0.0, maps)

    def _band(
        self,
        key: jax.Array,
        shape: tuple[int, int],
        own: int | jax.Array,
        bound: int,
        lowest: int,
    ) -> jax.Array:
        """Draw bands, bool [count, size], each within its first ``own`` (one, or [count, 1]).

        As published in three draws: a largest width in [lowest, bound), a start that leaves room
        for it, and an end between the start and that width (so that a band may be empty).
        """
        draws = jax.random.uniform(key, (shape[0], 4, 1))
        largest = jnp.minimum(lowest + jnp.floor(draws[:, 0] * (bound - lowest)), own - 1)
        start = jnp.floor(draws[:, 1] * (own - largest))
        end = start + jnp.floor(draws[:, 2] * largest)
        position = jnp.arange(shape[1])
        chosen = draws[:, 3] < self.mask_probability
        return chosen & (position >= start) & (position < end)


def num_slices(num_frames: Any, slice_frames: int, slice_hop: int) -> Any:
    """Return how many slices there are of a clip whose frames repeat to fill whole slices.

    Args:
        num_frames: int or int32 [B]; 0 counts as 1.
        slice_frames: frames of a slice.
        slice_hop: frames from one slice to the next.
    """
    tiles = (num_frames + slice_frames - 1) // slice_frames
    return (tiles - (tiles > 0)) * slice_frames // slice_hop + 1


def cut_slices(
    features: jax.Array, num_frames: jax.Array, slice_frames: int, slice_hop: int
) -> jax.Array:
    """Repeat each clip's own frames until they fill whole slices, and cut them.

    Args:
        features: float32 [B, H, F].
        num_frames: int32 [B], frames of a row that are the clip's.
        slice_frames: frames of a slice.
        slice_hop: frames from one slice to the next.

    Returns:
        float32 [B, S, H, slice_frames], S for a clip of F frames.

    Raises:
        ValueError: if the slices would not be of a frame or more, or leave frames out.
    """
    if not 1 <= slice_hop <= slice_frames:
        raise ValueError(
            f"slice_hop is {slice_hop} and slice_frames {slice_frames}; it must be "
            "1 <= slice_hop <= slice_frames"
        )
    count = num_slices(features.shape[2], slice_frames, slice_hop)
    tiled = tile_frames(features, num_frames, (count - 1) * slice_hop + slice_frames)
    starts = range(0, count * slice_hop, slice_hop)
    return jnp.stack([tiled[:, :, start : start + slice_frames] for start in starts], axis=1)


TORCH_NAMES = TorchNames(
    rules=(
        *efficientnet.TORCH_RULES,
        *res2net.TORCH_RULES,
        (r"^attention/block_(\d+)/skip_conv/", r"attention/block_\1/downsample/0/"),
        (r"^attention/block_(\d+)/skip_bn/", r"attention/block_\1/downsample/1/"),
        (r"^attention/block_(\d+)/", r"attention_branch/middle_layers/\1/0/"),
        (r"^attention/", "attention_branch/"),
        (r"^cls_layer/", "perception_branch/cls_layer/"),
    ),
    bonafide_first=(
        r"perception_branch\.cls_layer\.(weight|bias)",
        r"attention_branch\.att_conv2\.weight",
        "centers",
    ),
    # The published code keeps them in its loss, not in the network.
    optional=("centers",),
    in_loss=("centers",),
    aliases={"btc_loss.centers": "centers"},
)
