"""The compared networks in Keras, as its users write them: channels last, functional models.

Layers have the names that their weights have in PyTorch (`keras_layers.load`). `noise` is False for
a model without dropout, which is compared and not timed.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from benchmarks.frameworks.keras_layers import Lfcc, sinc_magnitudes, torch_norm

Tensor = Any  # a keras.KerasTensor
_RAWNET2_CHANNELS = (20, 20, 128, 128, 128, 128)
_RESNET_CHANNELS = (64, 128, 256, 512)


def conv1d(num_samples: int, noise: bool) -> keras.Model:
    """The Conv1D classifier; from [B, T] to the log odds of bona fide speech, [B]."""
    block_rate, hidden_rate = (0.3, 0.5) if noise else (0.0, 0.0)
    waveform = keras.Input((num_samples,))
    x = layers.Reshape((num_samples, 1))(waveform)
    x = layers.Conv1D(32, 80, strides=16, padding="same", activation="relu", name="conv_0")(x)
    x = layers.BatchNormalization(name="norm_0")(x)
    x = layers.Dropout(block_rate)(x)
    x = layers.Conv1D(64, 3, padding="same", activation="relu", name="conv_1")(x)
    x = layers.BatchNormalization(name="norm_1")(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.Dropout(block_rate)(x)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    x = layers.Dropout(hidden_rate)(x)
    return keras.Model(waveform, layers.Reshape(())(layers.Dense(1, name="head")(x)))


def rawnet2(num_samples: int, noise: bool) -> keras.Model:
    """RawNet2 as the baseline of ASVspoof 2021; from [B, T] to [spoof, bonafide] logits, [B, 2]."""
    del noise  # it has none
    waveform = keras.Input((num_samples,))
    x = layers.MaxPooling1D(3)(sinc_magnitudes(waveform, 20, 1025))
    x = ops.selu(torch_norm("first_bn")(x))
    for i, features in enumerate(_RAWNET2_CHANNELS):
        x = _rawnet2_block(x, features, f"block{i}.0")
        mean = layers.GlobalAveragePooling1D(keepdims=True)(x)
        scale = layers.Dense(features, activation="sigmoid", name=f"fc_attention{i}.0")(mean)
        x = x * scale + scale
    x = ops.selu(torch_norm("bn_before_gru")(x))
    for i in range(3):
        x = layers.GRU(1024, return_sequences=i < 2, name=f"gru.l{i}")(x)
    x = layers.Dense(1024, name="fc1_gru")(x)
    return keras.Model(waveform, layers.Dense(2, name="fc2_gru")(x))


def _rawnet2_block(x: Tensor, features: int, name: str) -> Tensor:
    out = layers.Conv1D(features, 3, padding="same", name=f"{name}.conv1")(x)
    out = layers.LeakyReLU(0.3)(torch_norm(f"{name}.bn2")(out))
    out = layers.Conv1D(features, 3, padding="same", name=f"{name}.conv2")(out)
    if x.shape[-1] != features:
        x = layers.Conv1D(features, 1, name=f"{name}.conv_downsample")(x)
    return layers.MaxPooling1D(3)(out + x)


def lfcc_resnet18(num_samples: int, noise: bool) -> keras.Model:
    """LFCC-ResNet18; from [B, T] to cosines with OC-Softmax's centre, [B]."""
    waveform = keras.Input((num_samples,))
    x = layers.ZeroPadding2D(1)(Lfcc(trainable=False)(waveform))
    x = layers.Conv2D(16, (9, 3), strides=(3, 1), use_bias=False, name="conv1")(x)
    x = ops.relu(torch_norm("bn1")(x))
    for i, features in enumerate(_RESNET_CHANNELS, 1):
        for j in range(2):
            x = _pre_activation_block(x, features, 2 if i > 1 and j == 0 else 1, f"layer{i}.{j}")
    x = layers.ZeroPadding2D((0, 1))(x)
    x = layers.Conv2D(256, 3, use_bias=False, name="conv5")(x)
    x = ops.relu(torch_norm("bn5")(x))[:, 0]
    x = AttentiveStatistics(1e-5 if noise else 0.0, name="attention")(x)
    x = layers.Dense(256, name="fc")(x)
    return keras.Model(waveform, Center(name="ocsoftmax")(x))


def _pre_activation_block(x: Tensor, features: int, stride: int, name: str) -> Tensor:
    active = ops.relu(torch_norm(f"{name}.bn1")(x))
    if stride != 1 or x.shape[-1] != features:
        x = layers.Conv2D(features, 1, strides=stride, use_bias=False, name=f"{name}.shortcut.0")(
            active
        )
    # Keras' "same" pads at the end alone where the stride is 2, PyTorch on both sides.
    out = layers.ZeroPadding2D(1)(active) if stride != 1 else active
    padding = "valid" if stride != 1 else "same"
    out = layers.Conv2D(
        features, 3, strides=stride, padding=padding, use_bias=False, name=f"{name}.conv1"
    )(out)
    out = ops.relu(torch_norm(f"{name}.bn2")(out))
    out = layers.Conv2D(features, 3, padding="same", use_bias=False, name=f"{name}.conv2")(out)
    return out + x


class AttentiveStatistics(layers.Layer):
    """Sum of attended frames and their spread, [B, T, C] to [B, 2 C]; noise in training."""

    def __init__(self, noise: float, name: str) -> None:
        super().__init__(name=name)
        self.noise = layers.GaussianNoise(noise)

    def build(self, shape: tuple[int, ...]) -> None:
        self.att_weights = self.add_weight(
            shape=(1, shape[-1]), initializer="he_uniform", name="att_weights"
        )

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        scores = tf.tanh(tf.matmul(x, self.att_weights, transpose_b=True))
        weighted = x * tf.nn.softmax(scores, axis=1)
        noisy = self.noise(weighted, training=training)
        variance = tf.math.reduce_variance(noisy, axis=1) * x.shape[1] / (x.shape[1] - 1)
        spread = tf.sqrt(tf.maximum(variance, 1e-20))  # a root of 0 has no gradient
        return tf.concat([tf.reduce_sum(weighted, axis=1), spread], axis=1)


class Center(layers.Layer):
    """The centre of OC-Softmax; returns cosines to it, [B]."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.center = self.add_weight(shape=(1, shape[-1]), initializer="he_uniform", name="center")

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        unit = tf.nn.l2_normalize(embedding, axis=1)
        return tf.reduce_sum(unit * tf.nn.l2_normalize(self.center, axis=1), axis=1)
