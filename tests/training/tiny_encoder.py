"""Detectors for tests of fine-tuning: the least of `ssl_linear`, and one in an encoder's place.

`StackedDetector` has the names and the stack of an encoder and nothing else: it compiles in a
fifth of the time.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from rawnet_jax.contract import ModelOutput
from rawnet_jax.encoders.config import Wav2Vec2Config
from rawnet_jax.nn.layers import BatchNorm, dense

NUM_LAYERS = 3
WIDTH = 8
CONFIG = Wav2Vec2Config(
    width=WIDTH,
    heads=2,
    feed_forward=12,
    num_layers=NUM_LAYERS,
    conv_features=6,
    conv_kernels=(10, 4),
    conv_strides=(10, 4),
    position_kernel=4,
    position_groups=2,
    dropout=0.1,
)


FIELDS = {"encoder": dataclasses.asdict(CONFIG)}
"""Of `ssl_linear`: mean over frames, two logits."""


class _Layer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        x = x + nn.tanh(dense(WIDTH, WIDTH, name="q_proj")(x))
        return x + nn.tanh(dense(WIDTH, WIDTH, name="output")(x)), None


class _Layers(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        loop: Any = nn.scan(
            _Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=NUM_LAYERS
        )
        found: jax.Array = loop(name="layer")(x, None)[0]
        return found


class _Encoder(nn.Module):
    norm: bool

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array, train: bool) -> jax.Array:
        x = nn.tanh(dense(x.shape[1], WIDTH, name="features")(x))
        if self.norm:
            x = BatchNorm(name="batch_norm")(x, real, train)
        found: jax.Array = _Layers(name="layers")(x)
        return found


class StackedDetector(nn.Module):
    """Samples, features, stacked layers, two logits.

    Attributes:
        norm: whether there is BatchNorm in the encoder and behind it.
    """

    norm: bool = False

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        real = (num_samples > 0)[:, None]
        embedding = _Encoder(self.norm, name="encoder")(waveform, real, train)
        if self.norm:
            embedding = BatchNorm(name="norm")(embedding, real, train)
        logits = dense(WIDTH, 2, name="head")(embedding)
        return ModelOutput(logits[:, 1] - logits[:, 0], logits, embedding)
