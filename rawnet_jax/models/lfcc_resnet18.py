"""LFCC-ResNet18: a two-dimensional network over cepstra, scored by its distance from one class.

Zhang, Jiang, Duan, "One-class learning towards synthetic voice spoofing detection", IEEE SPL 2021
(arXiv 2010.13995): 12,450,290 parameters, and the centres of its loss.

    LFCC, clip repeated or cut to 750 frames                  [B, 60, 750, 1]
    Conv 16, 9 x 3, stride 3 x 1 - BatchNorm - ReLU           [B, 18, 750, 16]
    2 pre-activation blocks of 64                             [B, 18, 750, 64]
    2 of 128, 2 of 256, 2 of 512, each pair with stride 2     [B,  3,  94, 512]
    Conv 256 over all rows - BatchNorm - ReLU                 [B, 94, 256]
    attentive statistics - Dense = embedding                  [B, 256]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``embedding [B, 256]``.
Any T works; `num_samples` tells how much of a row is the clip, and only that is tiled to 750 frames
(pad with zeros in the loader). With `variable_length` it keeps its own frames, however many. Three
heads, each what its published loss reads:

    oc_softmax   logits [B]: cosine between embedding and `center`, which is also the score
    am_softmax   logits [B, 2]: cosines to `centers`, score = bona fide's minus spoof's (the
                 published score is a softmax of the two, which rises with their difference)
    softmax      logits [B, 2]: a linear layer, score = log odds of bona fide speech

Scales and margins are the loss's (`rawnet_jax.losses`).
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.dsp.lfcc import lfcc, tile_frames
from rawnet_jax.labels import Label
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.layers import BatchNorm, check_choice, conv, dense, in_float32, safe_sqrt
from rawnet_jax.nn.lengths import Extent, clips_alone

HEADS = ("oc_softmax", "am_softmax", "softmax")

_HE_NORMAL = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# Centres and attention are [classes, features], which is where Torch looks for the fan-in.
_HE_UNIFORM_ROWS = nn.initializers.variance_scaling(2.0, "fan_out", "uniform")
_AROUND = ((1, 1), (1, 1))


class PreActivationBlock(nn.Module):
    """Residual block with BatchNorm and ReLU in front of its convolutions.

    Attributes:
        features: channels that go out.
        stride: of the first convolution, in both directions.
    """

    features: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, H, W, C], of which `extent` counts, to [B, H / stride, W / stride, features]."""
        make = partial(conv, bias=False, kernel_init=_HE_NORMAL)
        channels = x.shape[-1]
        active = BatchNorm(activation=nn.relu, name="bn1")(x, extent.mask(x), train)
        if self.stride != 1 or channels != self.features:
            # A projection starts from the activated input, an identity from the raw one.
            x = make(channels, self.features, (1, 1), strides=self.stride, name="shortcut")(active)
        out = make(
            channels, self.features, (3, 3), strides=self.stride, padding=_AROUND, name="conv1"
        )(extent.cleared(active))
        extent = extent.strided(self.stride)
        out = BatchNorm(activation=nn.relu, name="bn2")(out, extent.mask(out), train)
        out = extent.cleared(out)
        return x + make(self.features, self.features, (3, 3), padding=_AROUND, name="conv2")(out)


class AttentiveStatistics(nn.Module):
    """Attention over time: the sum of the weighted frames, and their spread.

    The published pooling takes the standard deviation of the weighted frames themselves, not the
    weighted deviation of the frames. It adds a little noise to them, when scoring too; here in
    training only, so that a score is a function of the clip.

    Attributes:
        noise: standard deviation of that noise.
    """

    noise: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, T, C], of which `extent` counts, to [B, 2 C]."""
        vector = self.param("att_weights", _HE_UNIFORM_ROWS, (1, x.shape[-1]))
        weight = extent.softmax(jnp.tanh(x @ vector.T))
        self.sow("intermediates", "pooling_weight", weight)
        weighted = x * weight
        total = weighted.sum(axis=1)
        if train and self.noise:
            weighted += self.noise * jax.random.normal(self.make_rng("dropout"), weighted.shape)
        centered = extent.cleared(weighted - extent.mean(weighted, 1, keepdims=True))
        variance = jnp.square(centered).sum(axis=1) / _one_less(extent, x)
        return jnp.concatenate([total, safe_sqrt(variance)], axis=-1)


def _one_less(extent: Extent, x: jax.Array) -> Any:
    """Return what an unbiased variance over time divides by; of a single frame, 1."""
    if extent.num_frames is None:
        return max(x.shape[1] - 1, 1)
    return jnp.maximum(extent.num_frames - 1, 1)[:, None].astype(x.dtype)


class LfccResNet18(nn.Module):
    """The network; every number of the published one is a field.

    Attributes:
        num_frames: frames of 10 ms that a clip is repeated or cut to; not read with
            `variable_length`.
        stem_features: channels of the first convolution.
        channels: of each stage of blocks; all but the first halve rows and columns.
        blocks: in each stage; (3, 4, 6, 3) makes a ResNet-34.
        pooled_features: channels that are pooled over time.
        embedding_features: width of the embedding.
        head: oc_softmax, am_softmax or softmax.
        pooling_noise: standard deviation of the noise in the pooling, in training.
        variable_length: a clip keeps its own frames, however many, and padding behind them is no
            part of it (`rawnet_jax.nn.lengths`).
    """

    num_frames: int = 750
    stem_features: int = 16
    channels: tuple[int, ...] = (64, 128, 256, 512)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    pooled_features: int = 256
    embedding_features: int = 256
    head: str = "oc_softmax"
    pooling_noise: float = 1e-5
    variable_length: bool = False

    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes."""
        if self.variable_length:
            waveform, _ = clips_alone(waveform, num_samples)
            features, num_frames = lfcc(waveform, num_samples)
            extent = Extent(is_real(num_samples), jnp.maximum(num_frames, 1))
        else:
            features, num_frames = lfcc(waveform, num_samples)
            features = tile_frames(features, num_frames, self.num_frames)
            extent = Extent(is_real(num_samples))
        return self.from_features(features[..., None], extent, train=train)

    @nn.compact
    def from_features(
        self, features: jax.Array, extent: Extent, *, train: bool = False
    ) -> ModelOutput:
        """Score features.

        Args:
            features: float32 [B, 60, W, 1].
            extent: how much of them is clip.
            train: as in `__call__`.
        """
        check_choice("head", self.head, HEADS)
        if not features.shape[2]:
            raise ValueError("num_frames is 0; it must be at least 1")
        frames, extent = self._frames(features, extent, train)
        statistics = AttentiveStatistics(self.pooling_noise, name="attention")(
            frames, extent, train
        )
        self.sow("intermediates", "attention_stats", statistics)
        he_uniform = nn.initializers.he_uniform()
        embedding = dense(
            2 * self.pooled_features, self.embedding_features, kernel_init=he_uniform, name="fc"
        )(statistics)
        # Every published network has this layer, also those whose loss does not read it.
        linear = dense(
            self.embedding_features, len(Label), kernel_init=he_uniform, name="linear_head"
        )(embedding)
        self.sow("intermediates", "fc_mu", linear)
        return in_float32(self._scored(embedding.astype(jnp.float32), linear))

    def _frames(self, x: jax.Array, extent: Extent, train: bool) -> tuple[jax.Array, Extent]:
        """Map [B, 60, W, 1] to [B, W / 8, pooled_features]."""
        make = partial(conv, bias=False, kernel_init=_HE_NORMAL)
        x = extent.cleared(x)
        x = make(1, self.stem_features, (9, 3), strides=(3, 1), padding=_AROUND, name="stem")(x)
        self.sow("intermediates", "conv1", x)
        x = BatchNorm(activation=nn.relu, name="bn1")(x, extent.mask(x), train)
        self.sow("intermediates", "bn1_relu", x)
        for i, (features, depth) in enumerate(zip(self.channels, self.blocks, strict=True), 1):
            for j in range(depth):
                stride = 2 if i > 1 and j == 0 else 1
                x = PreActivationBlock(features, stride, name=f"layer{i}_{j}")(x, extent, train)
                extent = extent.strided(stride)
                self.sow("intermediates", f"layer{i}.{j}", x)
        rows = x.shape[1]
        x = make(
            x.shape[-1],
            self.pooled_features,
            (rows, 3),
            padding=((0, 0), (1, 1)),
            name="over_rows",
        )(extent.cleared(x))
        self.sow("intermediates", "conv5", x)
        x = BatchNorm(activation=nn.relu, name="bn5")(x, extent.mask(x), train)[:, 0]
        self.sow("intermediates", "bn5_relu_time_major", x)
        return x, extent

    def _scored(self, embedding: jax.Array, linear: jax.Array) -> ModelOutput:
        if self.head == "softmax":
            score = linear[:, Label.BONAFIDE] - linear[:, Label.SPOOF]
            return ModelOutput(score=score, logits=linear, embedding=embedding)
        if self.head == "am_softmax":
            shape = (len(Label), self.embedding_features)
            centers = self.param("centers", nn.initializers.normal(1.0), shape)
            cosines = unit_rows(embedding) @ unit_rows(centers).T
            score = cosines[:, Label.BONAFIDE] - cosines[:, Label.SPOOF]
            return ModelOutput(score=score, logits=cosines, embedding=embedding)
        center = self.param("center", _HE_UNIFORM_ROWS, (1, self.embedding_features))
        cosine = (unit_rows(embedding) @ unit_rows(center).T)[:, 0]
        return ModelOutput(score=cosine, logits=cosine, embedding=embedding)


def unit_rows(x: jax.Array) -> jax.Array:
    """Scale rows to length 1; a row of (nearly) nothing stays as it is, with a finite gradient."""
    square = jnp.square(x).sum(axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.where(square > 1e-24, square, 1.0))


TORCH_NAMES = TorchNames(
    rules=(
        # Flax has one name space for sub-modules and for what they show of their outputs.
        (r"^stem/", "conv1/"),
        (r"^over_rows/", "conv5/"),
        (r"^linear_head/", "fc_mu/"),
        (r"^layer(\d+)_(\d+)", r"layer\1.\2"),
        (r"/shortcut/", "/shortcut/0/"),
        # The published code keeps the centres in its loss; the prefixes tell whose they are.
        (r"^center$", "ocsoftmax.center"),
        (r"^centers$", "amsoftmax.centers"),
    ),
    in_loss=(r"ocsoftmax\.center", r"amsoftmax\.centers"),
    bonafide_first=(r"fc_mu\.(weight|bias)", r"amsoftmax\.centers"),
    aliases={"center": "ocsoftmax.center", "centers": "amsoftmax.centers"},
)
