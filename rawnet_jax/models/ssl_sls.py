"""Sensitive layer selection (SLS) on a self-supervised encoder: a gate for each layer of a clip.

Zhang et al., Audio deepfake detection with self-supervised XLS-R and SLS classifier, ACM MM 2024;
github.com/QiShanZhang/SLSforASVspoof-2021-DF. With XLS-R 300M and T = 64,600:

    encoder, the states h_1 to h_24, none of them normalised    [24, B, 201, 1024]
    gate of a layer: mean over time, Dense 1, sigmoid            [24, B]
    sum of the layers by their gates                             [B, 201, 1024]
    BatchNorm of an image with one channel, SELU, max 3 x 3      [B, 67, 341]
    all of it in one vector                                      [B, 22847]
    Dense 1024, SELU, Dense 2, SELU                              [B, 2]

The last SELU bounds both logits from below, at -1.76. The published network ends in log-softmax,
which changes neither the loss nor the order of scores.

That vector ties the network to one length. With ``pooling="mean"``, which is ours and not
published, the mean over time takes its place ([B, 341]), and any length works.

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``
([spoof, bonafide]), ``score`` = the log odds of bona fide, and ``embedding [B, 1024]``.
"""

import flax.linen as nn
import jax

from rawnet_jax.contract import ModelOutput
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder, image_norm, mixed
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.layers import check_choice, dense, in_float32, max_pool_1d

POOLINGS = ("flatten", "mean")
_POOL = 3


class SslSls(WithEncoder):
    """Layers weighed by gates, and a classifier of their sum; see the module's docstring.

    Attributes:
        pooling: "flatten" = all frames in one vector, as published; "mean" over time, for clips of
            any length.
        embedding_features: between the two linear layers of the classifier.
    """

    pooling: str = "flatten"
    embedding_features: int = 1024

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: for a wrong `pooling`, "flatten" with `variable_length`, or a row that gives
                fewer than three frames without it.
        """
        check_choice("pooling", self.pooling, POOLINGS)
        if self.pooling == "flatten" and self.variable_length:
            raise ValueError("pooling is 'flatten'; with variable_length it must be 'mean'")
        found = self.encoded(waveform, num_samples, train=train, hidden=True, frames=_POOL)
        layers, extent = found.hidden[1:], found.extent
        means = extent.mean(layers.swapaxes(0, 1), 2)  # [B, L, C]
        gates = nn.sigmoid(dense(means.shape[-1], 1, name="fc0")(means))
        self.sow("intermediates", "gates", gates)
        x = image_norm(mixed(layers, gates[..., 0].T), extent, train)
        x, extent = max_pool_1d(x, _POOL), extent.pooled(_POOL)  # over time
        x = max_pool_1d(x.swapaxes(1, 2), _POOL).swapaxes(1, 2)  # over channels
        x = extent.mean(x, 1) if self.pooling == "mean" else x.reshape(x.shape[0], -1)
        embedding = selu(dense(x.shape[-1], self.embedding_features, name="fc1")(x))
        logits = selu(dense(self.embedding_features, 2, name="fc3")(embedding))
        score = logits[:, 1] - logits[:, 0]
        return in_float32(ModelOutput(score=score, logits=logits, embedding=embedding))


TORCH_NAMES = TorchNames(encoder="ssl_model.model.")
