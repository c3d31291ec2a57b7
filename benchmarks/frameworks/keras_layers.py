"""What the Keras networks share: loading weights by name, and fixed transforms."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from benchmarks.frameworks import constants
from benchmarks.frameworks.side import Weights

_LEAF = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
FIXED = "fixed"
"""Name of a layer whose weights are constants."""
NAMELESS = "nameless"
"""Name of a layer that PyTorch's names do not have."""


def load(model: keras.Model, weights: Weights) -> None:
    """Set every variable from the one of that name in PyTorch.

    A layer is called as its weights are in PyTorch's state dict, ``block0.0.conv1``; a recurrent
    one ``gru.l0``.
    """
    for variable in model.weights:
        module, _, leaf = variable.path.replace(f"{NAMELESS}/", "").rpartition("/")
        if module == FIXED:
            continue
        module = module.replace("/", ".")
        if module.endswith("gru_cell"):
            variable.assign(_gru(weights, module.split(".")[1], leaf))
            continue
        array = weights[f"{module}.{_LEAF.get(leaf, leaf)}".removeprefix(".")]
        variable.assign(np.moveaxis(array, (0, 1), (-1, -2)) if leaf == "kernel" else array)


def _gru(weights: Weights, layer: str, leaf: str) -> np.ndarray:
    """Return a GRU's array; PyTorch has its gates in the order r, z, n, Keras z, r, n."""
    names = {
        "kernel": (f"weight_ih_{layer}",),
        "recurrent_kernel": (f"weight_hh_{layer}",),
        "bias": (f"bias_ih_{layer}", f"bias_hh_{layer}"),
    }
    found = []
    for name in names[leaf]:
        reset, update, new = np.split(weights[f"gru.{name}"], 3)
        found.append(np.concatenate([update, reset, new]))
    return np.stack(found) if leaf == "bias" else found[0].T


def torch_norm(name: str) -> layers.BatchNormalization:
    """Return a BatchNorm with PyTorch's constants."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def sinc_magnitudes(waveform: Any, num_filters: int, num_taps: int) -> Any:
    """Return |fixed filters|, from [B, T] to [B, T - taps + 1, F]."""
    bank = constants.sinc_filters(num_filters, num_taps).T[:, None]
    convolution = layers.Conv1D(
        num_filters,
        num_taps,
        use_bias=False,
        trainable=False,
        kernel_initializer=keras.initializers.Constant(bank),
        name=FIXED,
    )
    return ops.abs(convolution(layers.Reshape((waveform.shape[1], 1))(waveform)))


class Lfcc(layers.Layer):
    """LFCC with deltas, repeated or cut to a number of frames: [B, T] to [B, 60, 750, 1]."""

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        x = tf.concat([waveform[:, :1], waveform[:, 1:] - 0.97 * waveform[:, :-1]], axis=1)
        hop = constants.HOP_LENGTH
        num_frames = max(1, -(-(waveform.shape[1] - hop) // hop))
        missing = (num_frames - 1) * hop + constants.FRAME_LENGTH - waveform.shape[1]
        spectrum = tf.signal.stft(
            tf.pad(x, ((0, 0), (0, missing))),
            constants.FRAME_LENGTH,
            hop,
            constants.DFT_SIZE,
            window_fn=lambda *_, dtype: tf.constant(constants.window(), dtype),
        )
        energy = tf.square(tf.abs(spectrum)) @ constants.triangles().astype(self.compute_dtype)
        static = tf.math.log(energy + constants.LOG_FLOOR) / float(np.log(10.0))
        static = tf.transpose(static @ constants.dct().astype(self.compute_dtype), (0, 2, 1))
        delta = self._delta(static)
        features = tf.concat([static, delta, self._delta(delta)], axis=1)
        times = -(-constants.NUM_FRAMES // num_frames)
        return tf.tile(features, (1, 1, times))[:, :, : constants.NUM_FRAMES, None]

    @staticmethod
    def _delta(features: tf.Tensor) -> tf.Tensor:
        # A frame beyond each end, which repeats the last one.
        padded = tf.pad(features, ((0, 0), (0, 0), (1, 1)), mode="SYMMETRIC")
        return padded[:, :, 2:] - padded[:, :, :-2]
