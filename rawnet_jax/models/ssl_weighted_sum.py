"""The probe of the SUPERB benchmarks: a learnt mean of a frozen encoder's states, and two layers.

Ali et al., A SUPERB-style benchmark of self-supervised speech models for audio deepfake detection
("Spoof-SUPERB"), ICASSP 2026 (arXiv 2603.01482); the weighted sum is S3PRL's Featurizer:

    encoder, all hidden states, the last one normalised    [L + 1, B, frames, width]
    sum of them, weighed by a softmax over states          [B, frames, width]
    Dense 256, mean over time                              [B, 256]
    Dense 2                                                [B, 2]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``
([spoof, bonafide]), ``score`` = the log odds of bona fide, and ``embedding [B, 256]``. That the
encoder is frozen is a matter of training, not of this network.
"""

import flax.linen as nn
import jax

from rawnet_jax.contract import ModelOutput
from rawnet_jax.models.with_encoder import WithEncoder, mixed, states_of
from rawnet_jax.nn.layers import dense, in_float32


class SslWeightedSum(WithEncoder):
    """A softmax-weighted sum of all hidden states, and two linear layers.

    Attributes:
        features: between the two.
    """

    features: int = 256

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes."""
        found = self.encoded(waveform, num_samples, train=train, hidden=True)
        states = states_of(found)
        weight = nn.softmax(self.param("weights", nn.initializers.zeros, states.shape[:1]))
        x = mixed(states, weight[:, None])
        x = dense(x.shape[-1], self.features, name="projector")(x)
        embedding = found.extent.mean(x, 1)
        logits = dense(self.features, 2, name="linear")(embedding)
        score = logits[:, 1] - logits[:, 0]
        return in_float32(ModelOutput(score=score, logits=logits, embedding=embedding))
