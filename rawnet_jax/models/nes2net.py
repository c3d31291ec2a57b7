"""Nes2Net and Nes2Net-X: nested Res2Nets on a self-supervised encoder, without a projection.

Liu et al., Nes2Net: a lightweight nested architecture for foundation model driven speech
anti-spoofing, 2025 (arXiv 2504.05657); github.com/Liu-Tianchi/Nes2Net_ASVspoof_ITW, and for singing
github.com/Liu-Tianchi/Nes2Net. With XLS-R 300M and T = 64,600:

    encoder, the last state, or all states fused            [B, 201, 1024]
    8 groups of 128: 7 blocks, each on its group and what the block before gave; the last group as
    it is; BatchNorm, ReLU                                  [B, 201, 1024]
    mean over time, or attentive statistics                 [B, 1024 | 2048]
    Dense 2 (in singing 1)                                  [B, 2]

A block does the same with 8 groups of 16 and convolutions over time. In Nes2Net-X a convolution
runs over all that the ones before gave, side by side, and a weighted sum of these comes out. ReLU
is before BatchNorm throughout. Nes2Net-X has 512,039 trained values with two logits.

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``
([spoof, bonafide]) and ``score`` = the bona fide logit, as published, or ``logits [B]``, the score;
``embedding [B, 1024 | 2048]``.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput
from rawnet_jax.encoders.encoder import EncoderOutput
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder, mixed, states_of
from rawnet_jax.nn.layers import BatchNorm, check_choice, conv, dense, in_float32
from rawnet_jax.nn.lengths import Extent

FUSIONS = ("last", "sea")
POOLINGS = ("mean", "astp")
_KERNEL = 3
_SEA_RATIO = 3
_LEAST_VARIANCE = 1e-10


class SqueezeExcite(nn.Module):
    """Scale each channel by a number from 0 to 1 that follows from the means over time.

    Attributes:
        ratio: channels to those inside.
    """

    ratio: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent) -> jax.Array:
        """Map [B, T, C] to the same shape."""
        channels = x.shape[-1]
        inside = channels // self.ratio
        mean = extent.mean(x, 1, keepdims=True)
        mean = nn.relu(conv(channels, inside, (1,), name="se_1")(mean))
        return x * nn.sigmoid(conv(inside, channels, (1,), name="se_3")(mean))


class Block(nn.Module):
    """A Res2Net block that keeps its channels: "Bottle2neck" in the published code.

    Attributes:
        scale: groups of channels.
        dilation: frames from one tap to the next.
        se_ratio: of its squeeze and excitation.
        weighted: whether all earlier results go on, as in Nes2Net-X.
    """

    scale: int
    dilation: int
    se_ratio: int
    weighted: bool

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, T, C] to the same shape."""
        channels = x.shape[-1]
        width = channels // self.scale
        inner = width * self.scale
        y = nn.relu(conv(channels, inner, (1,), name="conv1")(x))
        y = BatchNorm(name="bn1")(y, extent.mask(y), train)
        groups = jnp.split(y, self.scale, axis=-1)
        results = self._all_earlier if self.weighted else self._one_earlier
        y = jnp.concatenate([*results(groups, extent, train), groups[-1]], axis=-1)
        y = nn.relu(conv(inner, channels, (1,), name="conv3")(y))
        y = BatchNorm(name="bn3")(y, extent.mask(y), train)
        return SqueezeExcite(self.se_ratio, name="se")(y, extent) + x

    def _one_earlier(self, groups: list[jax.Array], extent: Extent, train: bool) -> list[jax.Array]:
        """Nes2Net: a group and the result before it are added, convolved, normalised."""
        width, padding = groups[0].shape[-1], ((self.dilation, self.dilation),)
        results: list[jax.Array] = []
        for i, group in enumerate(groups[:-1]):
            x = extent.cleared(results[-1] + group if results else group)
            x = nn.relu(
                conv(
                    width,
                    width,
                    (_KERNEL,),
                    padding=padding,
                    dilation=self.dilation,
                    name=f"convs_{i}",
                )(x)
            )
            results.append(BatchNorm(name=f"bns_{i}")(x, extent.mask(x), train))
        return results

    def _all_earlier(self, groups: list[jax.Array], extent: Extent, train: bool) -> list[jax.Array]:
        """Nes2Net-X: a column for the last group and for each one so far; [B, columns, T, C]."""
        width, results = groups[0].shape[-1], []
        padding = ((self.dilation, self.dilation), (0, 0))
        columns = groups[-1][:, None]
        for i, group in enumerate(groups[:-1]):
            columns = extent.cleared(jnp.concatenate([columns, group[:, None]], axis=1))
            over_time = conv(
                width,
                width,
                (_KERNEL, 1),
                padding=padding,
                dilation=(self.dilation, 1),
                name=f"convs_{i}",
            )
            columns = nn.relu(over_time(columns.swapaxes(1, 2))).swapaxes(1, 2)
            columns = BatchNorm(name=f"bns_{i}")(columns, extent.mask(columns), train)
            count = i + 2
            weight = self.param(
                f"weighted_sum_{i}", nn.initializers.constant(1 / count), (1, 1, 1, count)
            )
            results.append((columns * weight.reshape(count, 1, 1)).sum(1))
        return results


class AttentiveStatistics(nn.Module):
    """Mean and deviation over time, each channel with weights of its own.

    Attributes:
        features: inside the network of the weights.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent) -> jax.Array:
        """Map [B, T, C] to [B, 2 C]."""
        channels = x.shape[-1]
        inside = jnp.tanh(conv(channels, self.features, (1,), name="linear1")(x))
        weight = extent.softmax(conv(self.features, channels, (1,), name="linear2")(inside))
        mean = (weight * x).sum(1)
        # Not as a difference of two means, which is mostly rounding where frames are alike.
        variance = (weight * jnp.square(x - mean[:, None])).sum(1)
        deviation = jnp.sqrt(jnp.maximum(variance, _LEAST_VARIANCE))
        return jnp.concatenate([mean, deviation], axis=-1)


class StateFusion(nn.Module):
    """Squeeze-and-excitation aggregation (SEA): a weight for each hidden state of a clip.

    A state's mean over frames and channels stands for it; the weights do not sum to 1.
    """

    @nn.compact
    def __call__(self, found: EncoderOutput) -> jax.Array:
        """Return the weighted sum [B, T, C] of `states_of`."""
        states = states_of(found)
        count = states.shape[0]
        mean = found.extent.mean(states.swapaxes(0, 1), (2, 3))
        inside = nn.relu(dense(count, count // _SEA_RATIO, bias=False, name="merge_0")(mean))
        weight = dense(count // _SEA_RATIO, count, bias=False, name="merge_2")(inside)
        return mixed(states, nn.sigmoid(weight).T)


class Nes2Net(WithEncoder):
    """Nested Res2Nets; every number of the published networks is a field.

    Attributes:
        weighted: Nes2Net-X.
        fusion: "last", or all hidden states by "sea".
        pooling: over time: "mean", or "astp" = attentive statistics.
        scales: groups of channels, of the whole and of a block.
        dilation: frames from one tap to the next.
        se_ratio: channels to those inside squeeze and excitation.
        attention_features: inside attentive statistics.
        num_logits: 2, or 1 as in the published network for singing.
    """

    weighted: bool = False
    fusion: str = "last"
    pooling: str = "mean"
    scales: tuple[int, int] = (8, 8)
    dilation: int = 2
    se_ratio: int = 1
    attention_features: int = 128
    num_logits: int = 2

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: for a wrong `fusion`, `pooling` or `num_logits`, or an encoder whose width
                the groups do not divide.
        """
        check_choice("fusion", self.fusion, FUSIONS)
        check_choice("pooling", self.pooling, POOLINGS)
        if self.num_logits not in (1, 2):
            raise ValueError(f"num_logits is {self.num_logits}; it must be 1 or 2")
        fused = self.fusion == "sea"
        found = self.encoded(waveform, num_samples, train=train, hidden=fused)
        x, extent = found.last, found.extent
        if fused:
            x = StateFusion(name="fusion")(found)
        x = self._nested(x, extent, train)
        if self.pooling == "astp":
            embedding = AttentiveStatistics(self.attention_features, name="pooling")(x, extent)
        else:
            embedding = extent.mean(x, 1)
        logits = dense(embedding.shape[-1], self.num_logits, name="fc")(embedding)
        score = logits[:, -1]
        logits = logits if self.num_logits > 1 else score
        return in_float32(ModelOutput(score=score, logits=logits, embedding=embedding))

    def _nested(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Run the blocks over the groups of [B, T, C]."""
        outer, inner = self.scales
        if min(outer, inner) < 2 or x.shape[-1] % (outer * inner):
            raise ValueError(
                f"scales are {self.scales}; both must be at least 2, and their product must divide "
                f"the encoder's width, {x.shape[-1]}"
            )
        groups = jnp.split(x, outer, axis=-1)
        results: list[jax.Array] = []
        for i, group in enumerate(groups[:-1]):
            block = Block(inner, self.dilation, self.se_ratio, self.weighted, name=f"block_{i}")
            y = nn.relu(block(results[-1] + group if results else group, extent, train))
            results.append(BatchNorm(name=f"bns_{i}")(y, extent.mask(y), train))
        x = jnp.concatenate([*results, groups[-1]], axis=-1)
        return BatchNorm(activation=nn.relu, name="bn")(x, extent.mask(x), train)


TORCH_NAMES = TorchNames(
    rules=(
        (r"/(convs|bns|weighted_sum)_(\d+)", r"/\1/\2"),
        (r"/se_([13])/", r"/se/\1/"),
        (r"^block_(\d+)/", r"Nested_Res2Net_TDNN/Build_in_Res2Nets/\1/"),
        (r"^bns_(\d+)/", r"Nested_Res2Net_TDNN/bns/\1/"),
        (r"^(bn|fc|pooling)/", r"Nested_Res2Net_TDNN/\1/"),
        (r"^fusion/merge_([02])/", r"ssl_model/fc_att_merge/\1/"),
    ),
    encoder="ssl_model.model.",
)
TORCH_NAMES_S3PRL = dataclasses.replace(TORCH_NAMES, encoder="ssl_model.model.model.")
