"""Layers of attention and feed-forward, run as a loop over parameters that are stacked.

The loop is compiled once, however many layers there are.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.encoders.config import EncoderConfig, Wav2Vec2Config
from rawnet_jax.encoders.features import gelu, layer_norm
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import dense

# Fields of a gate's two numbers: each is a sum of so many outputs of a linear layer.
_GATE_SUMMANDS = 4


def distance_buckets(num_frames: int, buckets: int, max_distance: int) -> np.ndarray:
    """Return the bucket of each distance between two frames.

    Half of the buckets are for later frames. Of each half, the first half is a bucket per distance,
    the other one is spaced by the logarithm.

    Args:
        num_frames: T.
        buckets: how many there are.
        max_distance: in frames, from which on a distance is in the last bucket.

    Returns:
        int32 [2 T - 1], of the distances -(T - 1) to T - 1.
    """
    distance = np.arange(1 - num_frames, num_frames)
    half = buckets // 2
    exact = half // 2
    far = np.maximum(np.abs(distance), exact).astype(np.float32)
    share = np.log(far / np.float32(exact)) / np.float32(math.log(max_distance / exact))
    spaced = exact + (share * np.float32(half - exact)).astype(np.int32)
    bucket = np.where(np.abs(distance) < exact, np.abs(distance), np.minimum(spaced, half - 1))
    return (bucket + half * (distance > 0)).astype(np.int32)


class RelativeBias(nn.Module):
    """A learnt number for each head and distance, which every layer adds to its attention.

    Attributes:
        config: of the encoder.
    """

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, num_frames: int) -> jax.Array:
        """Return float32 [heads, T, T]: of query i (rows) and key j (columns)."""
        config = self.config
        start = nn.initializers.normal(1.0)
        table = self.param("embedding", start, (config.buckets, config.heads))
        bucket = distance_buckets(num_frames, config.buckets, config.max_distance)
        frame = np.arange(num_frames)
        distance = frame[None] - frame[:, None] + num_frames - 1
        by_distance = table[bucket].astype(jnp.float32)
        return by_distance[distance].transpose(2, 0, 1)


class Attention(nn.Module):
    """Attention of every frame to every frame of its clip.

    Attributes:
        config: of the encoder.
        train: whether weights are dropped.
    """

    config: EncoderConfig
    train: bool

    @nn.compact
    def __call__(self, x: jax.Array, keys: jax.Array, bias: jax.Array | None) -> jax.Array:
        """Attend.

        Args:
            x: [B, T, width].
            keys: bool [B, T], which frames are clip.
            bias: float32 [heads, T, T], or None.

        Returns:
            [B, T, width].
        """
        heads, width = self.config.heads, self.config.width
        bias_of = {"q": True, "k": self.config.key_bias, "v": True}
        query, key, value = (
            self._heads(dense(width, width, bias=bias_of[name], name=f"{name}_proj")(x))
            for name in "qkv"
        )
        query = query * (width // heads) ** -0.5
        wanted = {"preferred_element_type": jnp.float32}
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key, **wanted)
        if bias is not None:
            logits += self._gate(x) * bias
        weight = nn.softmax(jnp.where(keys[:, None, None], logits, -jnp.inf))
        weight = Dropout(self.config.attention_dropout)(weight.astype(value.dtype), self.train)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weight, value).reshape(x.shape)
        return dense(width, width, name="out_proj")(mixed)

    def _heads(self, x: jax.Array) -> jax.Array:
        """Split [B, T, width] into [B, T, heads, width / heads]."""
        return x.reshape(*x.shape[:2], self.config.heads, -1)

    def _gate(self, x: jax.Array) -> jax.Array:
        """Return float32 [B, heads, T, 1]: what each query multiplies the bias by."""
        parts = self._heads(x)
        summands = dense(parts.shape[-1], 2 * _GATE_SUMMANDS, name="gate")(parts)
        two = summands.astype(jnp.float32).reshape(*parts.shape[:3], 2, _GATE_SUMMANDS).sum(-1)
        factor = self.param("gate_factor", nn.initializers.ones, (1, self.config.heads, 1, 1))
        first, second = jnp.split(nn.sigmoid(two).transpose(0, 2, 1, 3), 2, axis=-1)
        return first * (second * factor - 1.0) + 2.0


class Layer(nn.Module):
    """Attention and feed-forward, each added to its input.

    Attributes:
        config: of the encoder.
        train: whether values are dropped.
        keep: whether its output is collected.
    """

    config: EncoderConfig
    train: bool
    keep: bool

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array, bias: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Map [B, T, width] to the next hidden state, twice if it is collected."""
        config = self.config
        attention = Attention(config, self.train, name="attention")
        norms = layer_norm("attention_norm"), layer_norm("final_norm")
        drop = Dropout(config.dropout)
        if config.norm_first:
            y = x + drop(attention(norms[0](x), keys, bias), self.train)
            y = y + self._feed_forward(norms[1](y))
        else:
            y = norms[0](x + drop(attention(x, keys, bias), self.train))
            y = norms[1](y + self._feed_forward(y))
        if self.train and config.layer_drop:
            left_out = jax.random.bernoulli(self.make_rng("dropout"), config.layer_drop)
            y = jnp.where(left_out, x, y)
        return y, y if self.keep else None

    def _feed_forward(self, x: jax.Array) -> jax.Array:
        config = self.config
        inside = gelu(dense(config.width, config.feed_forward, name="intermediate")(x))
        inside = Dropout(config.activation_dropout)(inside, self.train)
        out = dense(config.feed_forward, config.width, name="output")(inside)
        return Dropout(config.dropout)(out, self.train)


class Layers(nn.Module):
    """All layers that are kept; their parameters have the layer as first axis.

    Attributes:
        config: of the encoder.
    """

    config: EncoderConfig

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array, *, train: bool, hidden: bool, frozen: int = 0
    ) -> tuple[jax.Array, jax.Array | None]:
        """Run the layers.

        Args:
            x: [B, T, width], the state h_0.
            keys: bool [B, T], which frames are clip.
            train: whether values are dropped.
            hidden: whether all states are wanted.
            frozen: no gradient goes through so many first layers, nor to what is before them.

        Returns:
            The last state, and all of them [kept_layers + 1, B, T, width] or None.
        """
        config = self.config
        bias = None
        if isinstance(config, Wav2Vec2Config) and config.relative_bias:
            bias = RelativeBias(config, name="relative_bias")(x.shape[1])
        layer: Any = nn.remat(Layer, prevent_cse=False) if config.remat else Layer
        if frozen and not self.is_initializing():
            own = partial(layer, config, train, hidden, parent=None)
            last, states = self._in_two(own, frozen, x, keys, bias)
            return last, None if states is None else jnp.concatenate([x[None], states])
        loop = nn.scan(
            layer,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            length=config.kept_layers,
            unroll=min(config.unroll, config.kept_layers),
        )
        last, states = loop(config, train, hidden, name="layer")(x, keys, bias)
        return last, None if states is None else jnp.concatenate([x[None], states])

    def _in_two(
        self, layer: Callable[[], nn.Module], frozen: int, x: jax.Array, *rest: jax.Array | None
    ) -> tuple[jax.Array, Any]:
        """Run the layers as two loops, the first without a backward pass."""
        stack = self.variables["params"]["layer"]
        first = jax.tree.map(lambda p: p[:frozen], stack)
        x, states = self._loop(layer, *jax.lax.stop_gradient((first, x, *rest)))
        later = jax.tree.map(lambda p: p[frozen:], stack)
        last, others = self._loop(layer, later, x, *rest)
        return last, None if states is None else jnp.concatenate([states, others])

    def _loop(
        self, layer: Callable[[], nn.Module], params: Any, x: jax.Array, *rest: jax.Array | None
    ) -> tuple[jax.Array, Any]:
        """Run the layers whose stacked parameters are given."""
        count = jax.tree.leaves(params)[0].shape[0]
        drawn = self.make_rng("dropout") if self.has_rng("dropout") else None
        draws = None if drawn is None else jax.random.split(drawn, count)

        def one(x: jax.Array, inputs: Any) -> Any:
            own, key = inputs
            rngs = None if key is None else {"dropout": key}
            return layer().apply({"params": own}, x, *rest, rngs=rngs)

        last, states = jax.lax.scan(one, x, (params, draws), unroll=min(self.config.unroll, count))
        return last, states
