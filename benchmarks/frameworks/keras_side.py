"""Keras' side, on TensorFlow: `tf.function`, with XLA or without."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from benchmarks.frameworks import keras_aasist, keras_models
from benchmarks.frameworks.keras_layers import load
from benchmarks.frameworks.side import EPSILON, LEARNING_RATE, Outputs, Side, Task, Weights

Function = Callable[..., tf.Tensor]


@dataclass(frozen=True)
class KerasModel:
    """Makes a network (num_samples, noise); its loss (logits, labels) and its score (logits)."""

    make: Callable[[int, bool], keras.Model]
    loss: Function
    score: Function


def bce(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    target = tf.cast(label, logits.dtype)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(target, logits))


def cross_entropy(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits))


def oc_softmax(cosine: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    distance = tf.where(label == 1, 0.9 - cosine, cosine - 0.2)
    return tf.reduce_mean(tf.nn.softplus(20.0 * distance))


def log_odds(logits: tf.Tensor) -> tf.Tensor:
    return logits[:, 1] - logits[:, 0]


MODELS = {
    "conv1d": KerasModel(keras_models.conv1d, bce, lambda logits: logits),
    "rawnet2_asvspoof2021": KerasModel(keras_models.rawnet2, cross_entropy, log_odds),
    "aasist": KerasModel(keras_aasist.aasist, cross_entropy, lambda logits: logits[:, 1]),
    "lfcc_resnet18": KerasModel(keras_models.lfcc_resnet18, oc_softmax, lambda cosine: cosine),
}


@contextlib.contextmanager
def _floats(dtype: str) -> Iterator[None]:
    """Build and run models of this type meanwhile."""
    before = keras.config.floatx()
    _set_floats(dtype)
    try:
        yield
    finally:
        _set_floats(before)


def _set_floats(dtype: str) -> None:
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)  # of layers; the line above moves it once at most


class KerasSide(Side):
    """The steps that `train_on_batch` and `predict_on_batch` take, without their bookkeeping."""

    def __init__(self, jit_compile: bool) -> None:
        self._jit_compile = jit_compile

    def versions(self) -> str:
        return f"Keras {keras.__version__}, TensorFlow {tf.__version__}"

    def build(self, task: Task, weights: Weights | None) -> None:
        self._task, self._spec, self._batch = task, MODELS[task.model], task.batch()
        model = self._make(weights, noise=True)
        optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON)
        optimizer.build(model.trainable_variables)
        self._pending: tf.Tensor | None = None

        @tf.function(jit_compile=self._jit_compile)
        def train(waveform: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                loss = self._loss(model, waveform, label)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            return loss

        self._train, self._score = train, self._scoring(model)

    def train(self) -> None:
        self._pending = self._train(self._batch["waveform"], self._batch["label"])

    def score(self) -> None:
        self._pending = self._score(self._batch["waveform"])

    def score_one(self) -> np.ndarray:
        return self._score(self._batch["waveform"][:1]).numpy()

    def wait(self) -> None:
        if self._pending is not None:
            self._pending.numpy()

    def outputs(self, weights: Weights) -> Outputs:
        """Compute in float64; what is timed is float32.

        Without XLA, TensorFlow adds the values of a channel up one after the other. In float32 the
        rounding of such a sum grows with its length n, by sqrt(n) * 6e-8 for errors of random
        sign and n * 6e-8 at worst: of the 4 million values of which AASIST's first BatchNorm takes
        its variance, from 1e-4 to more than all of it. Layer by layer that came to .4 % of
        the loss and 1.1 % of the gradient's norm, on one machine more than on another. So no bound
        would be both safe and of use, and float64 has nothing to allow for.
        """
        with _floats("float64"):
            return self._outputs(weights)

    def _outputs(self, weights: Weights) -> Outputs:
        model = self._make(weights, noise=False)
        batch = {**self._batch, "waveform": self._batch["waveform"].astype(keras.config.floatx())}
        scores = self._scoring(model)(batch["waveform"]).numpy()

        @tf.function(jit_compile=self._jit_compile)
        def loss_and_norm(waveform: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = self._loss(model, waveform, label)
            return loss, tf.linalg.global_norm(tape.gradient(loss, model.trainable_variables))

        loss, norm = loss_and_norm(batch["waveform"], batch["label"])
        return Outputs(scores, float(loss), float(norm))

    def _make(self, weights: Weights | None, noise: bool) -> keras.Model:
        model = self._spec.make(self._task.num_samples, noise)
        if weights is not None:
            load(model, weights)
        return model

    def _loss(self, model: keras.Model, waveform: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        return self._spec.loss(model(waveform, training=True), label)

    def _scoring(self, model: keras.Model) -> Function:
        @tf.function(jit_compile=self._jit_compile)
        def score(waveform: tf.Tensor) -> tf.Tensor:
            return self._spec.score(model(waveform, training=False))

        return score
