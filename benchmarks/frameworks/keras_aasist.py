"""AASIST in Keras, as its users write it; weights have the names of PyTorch's state dict.

A graph is [B, N, C]. The pre-activations of the published residual blocks, which do nothing, are
left out.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from benchmarks.frameworks.keras_layers import NAMELESS, sinc_magnitudes, torch_norm

Tensor = Any  # a keras.KerasTensor
_CHANNELS = (32, 32, 64, 64, 64, 64)
_NODE_FEATURES = (64, 32)


def aasist(num_samples: int, noise: bool) -> keras.Model:
    """The whole network; from [B, T] to [spoof, bonafide] logits, [B, 2]."""
    waveform = keras.Input((num_samples,))
    x = layers.MaxPooling2D(3)(sinc_magnitudes(waveform, 70, 129)[..., None])
    x = ops.selu(torch_norm("first_bn")(layers.Permute((2, 1, 3))(x)))
    for i, features in enumerate(_CHANNELS):
        x = _block(x, features, f"encoder.{i}.0")
    return keras.Model(waveform, Graphs(noise, name=NAMELESS)(ops.abs(x)))


def _block(x: Tensor, features: int, name: str) -> Tensor:
    """Two convolutions, a skip, and max-pooling over time."""
    out = layers.Conv2D(features, (2, 3), name=f"{name}.conv1")(layers.ZeroPadding2D(1)(x))
    out = ops.selu(torch_norm(f"{name}.bn2")(out))
    out = layers.ZeroPadding2D((0, 1))(out)
    out = layers.Conv2D(features, (2, 3), name=f"{name}.conv2")(out)
    if x.shape[-1] != features:
        down = layers.Conv2D(features, (1, 3), padding="same", name=f"{name}.conv_downsample")
        x = down(x)
    return layers.MaxPooling2D((1, 3))(out + x)


class Graphs(layers.Layer):
    """All that follows the encoder: from its magnitudes [B, H, W, C] to logits, [B, 2]."""

    def __init__(self, noise: bool, name: str) -> None:
        super().__init__(name=name)
        wide, narrow = _NODE_FEATURES
        self.attention = {k: GraphAttention(wide, 2.0, noise, f"GAT_layer_{k}") for k in "ST"}
        self.pool = {k: GraphPool(r, noise, f"pool_{k}") for k, r in (("S", 0.5), ("T", 0.7))}
        self.branches = [Branch(i, narrow, noise) for i in (1, 2)]
        self.dropout = layers.Dropout(0.2 if noise else 0.0)
        self.head_dropout = layers.Dropout(0.5 if noise else 0.0)
        self.out_layer = layers.Dense(2, name="out_layer")

    def build(self, shape: tuple[int, ...]) -> None:
        _, height, _, channels = shape
        self.position = self.add_weight(
            shape=(1, height, channels), initializer="random_normal", name="pos_S"
        )

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        nodes = {"S": tf.reduce_max(x, axis=2) + self.position, "T": tf.reduce_max(x, axis=1)}
        for kind in "ST":
            nodes[kind] = self.attention[kind](nodes[kind], training=training)
            nodes[kind] = self.pool[kind](nodes[kind], training=training)
        branches = [branch(nodes["T"], nodes["S"], training=training) for branch in self.branches]
        temporal, spectral, stack = (
            tf.maximum(self.dropout(a, training=training), self.dropout(b, training=training))
            for a, b in zip(*branches, strict=True)
        )
        readout = [
            tf.reduce_max(tf.abs(temporal), axis=1),
            tf.reduce_mean(temporal, axis=1),
            tf.reduce_max(tf.abs(spectral), axis=1),
            tf.reduce_mean(spectral, axis=1),
            stack[:, 0],
        ]
        embedding = self.head_dropout(tf.concat(readout, axis=1), training=training)
        return self.out_layer(embedding)


class Branch(layers.Layer):
    """Two HS-GAL, the second one's result added to the pooled first one's."""

    def __init__(self, number: int, features: int, noise: bool) -> None:
        super().__init__(name=NAMELESS)
        self.number = number
        self.first = StackingGraphAttention(features, noise, f"HtrgGAT_layer_ST{number}1")
        self.second = StackingGraphAttention(features, noise, f"HtrgGAT_layer_ST{number}2")
        self.pool_temporal = GraphPool(0.5, noise, f"pool_hT{number}")
        self.pool_spectral = GraphPool(0.5, noise, f"pool_hS{number}")

    def build(self, shape: tuple[int, ...]) -> None:
        self.stack = self.add_weight(
            shape=(1, 1, shape[-1]), initializer="random_normal", name=f"master{self.number}"
        )

    def call(
        self, temporal: tf.Tensor, spectral: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        nodes = self.first(temporal, spectral, self.stack, training=training)
        temporal = self.pool_temporal(nodes[0], training=training)
        spectral = self.pool_spectral(nodes[1], training=training)
        stack = nodes[2]
        added = self.second(temporal, spectral, stack, training=training)
        return temporal + added[0], spectral + added[1], stack + added[2]


class Attended(layers.Layer):
    """What both attention layers do with their nodes once the weights are known."""

    def __init__(self, features: int, temperature: float, noise: bool, name: str) -> None:
        super().__init__(name=name)
        self.features, self.temperature = features, temperature
        self.dropout = layers.Dropout(0.2 if noise else 0.0)
        self.att_proj = layers.Dense(features, activation="tanh", name="att_proj")
        self.attended = layers.Dense(features, name="proj_with_att")
        self.own = layers.Dense(features, name="proj_without_att")
        self.norm = torch_norm("bn")

    def vector(self, name: str) -> Tensor:
        return self.add_weight(shape=(self.features, 1), initializer="glorot_normal", name=name)

    def attend(self, scores: tf.Tensor, nodes: tf.Tensor, training: bool) -> tf.Tensor:
        attention = tf.nn.softmax(scores / self.temperature, axis=-1)
        x = self.attended(attention @ nodes) + self.own(nodes)
        return tf.nn.selu(self.norm(x, training=training))


class GraphAttention(Attended):
    """Attention over one kind of node."""

    def build(self, shape: tuple[int, ...]) -> None:
        del shape
        self.att_weight = self.vector("att_weight")

    def call(self, nodes: tf.Tensor, training: bool = False) -> tf.Tensor:
        nodes = self.dropout(nodes, training=training)
        scores = tf.matmul(self.att_proj(pairwise(nodes)), self.att_weight)[..., 0]
        return self.attend(scores, nodes, training)


class StackingGraphAttention(Attended):
    """HS-GAL: attention over two kinds of node, and a stack node that gathers from all."""

    def __init__(self, features: int, noise: bool, name: str) -> None:
        super().__init__(features, 100.0, noise, name)
        self.stack_proj = layers.Dense(features, activation="tanh", name="att_projM")
        self.stack_attended = layers.Dense(features, name="proj_with_attM")
        self.stack_own = layers.Dense(features, name="proj_without_attM")

    def build(self, shape: tuple[int, ...]) -> None:
        self.temporal_proj = layers.Dense(shape[-1], name="proj_type1")
        self.spectral_proj = layers.Dense(shape[-1], name="proj_type2")
        self.vectors = {k: self.vector(f"att_weight{k}") for k in ("11", "22", "12", "M")}

    def call(
        self, temporal: tf.Tensor, spectral: tf.Tensor, stack: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        split = temporal.shape[1]
        nodes = tf.concat([self.temporal_proj(temporal), self.spectral_proj(spectral)], axis=1)
        nodes = self.dropout(nodes, training=training)
        stack = self._stack_node(nodes, stack)
        x = self.attend(self._scores(nodes, split), nodes, training)
        return x[:, :split], x[:, split:], stack

    def _scores(self, nodes: tf.Tensor, split: int) -> tf.Tensor:
        pairs = self.att_proj(pairwise(nodes))
        upper, lower = pairs[:, :split], pairs[:, split:]
        rows = [
            [(upper[:, :, :split], "11"), (upper[:, :, split:], "12")],
            [(lower[:, :, :split], "12"), (lower[:, :, split:], "22")],
        ]
        parts = [[tf.matmul(p, self.vectors[k])[..., 0] for p, k in row] for row in rows]
        return tf.concat([tf.concat(row, axis=2) for row in parts], axis=1)

    def _stack_node(self, nodes: tf.Tensor, stack: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(self.stack_proj(nodes * stack), self.vectors["M"])
        attention = tf.nn.softmax(scores / self.temperature, axis=1)
        gathered = tf.matmul(attention, nodes, transpose_a=True)
        return self.stack_attended(gathered) + self.stack_own(stack)


class GraphPool(layers.Layer):
    """Keeps the nodes of highest score, in descending order, times their scores."""

    def __init__(self, ratio: float, noise: bool, name: str) -> None:
        super().__init__(name=name)
        self.ratio = ratio
        self.dropout = layers.Dropout(0.3 if noise else 0.0)
        self.proj = layers.Dense(1, activation="sigmoid", name="proj")

    def call(self, nodes: tf.Tensor, training: bool = False) -> tf.Tensor:
        scores = self.proj(self.dropout(nodes, training=training))
        num_kept = max(int(nodes.shape[1] * self.ratio), 1)
        kept = tf.math.top_k(scores[..., 0], num_kept).indices
        return tf.gather(nodes * scores, kept, batch_dims=1)


def pairwise(nodes: tf.Tensor) -> tf.Tensor:
    """Return x_i * x_j, [B, N, N, C]."""
    return nodes[:, :, None] * nodes[:, None]
