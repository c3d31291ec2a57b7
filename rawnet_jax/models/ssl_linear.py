"""The simplest head on a self-supervised encoder: the mean over time, and one linear layer.

NII's AntiDeepfake models, which were post-trained on 74,000 hours of genuine and fake speech, have
it on several encoders: Ge et al., Post-training for deepfake speech detection, 2025 (arXiv
2506.21090); github.com/nii-yamagishilab/AntiDeepfake.

    encoder, the last state                [B, frames, width]
    mean over time                         [B, width]
    Dense 2                                [B, 2]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``
([spoof, bonafide]), ``score`` = the log odds of bona fide, and ``embedding [B, width]``. The
published models take whole clips without padding: `variable_length`.
"""

import flax.linen as nn
import jax

from rawnet_jax.contract import ModelOutput
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.nn.layers import dense, in_float32


class SslLinear(WithEncoder):
    """Mean over time of an encoder's last state, and a linear layer; see the module's docstring."""

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes."""
        found = self.encoded(waveform, num_samples, train=train)
        embedding = found.extent.mean(found.last, 1)
        logits = dense(embedding.shape[-1], 2, name="proj_fc")(embedding)
        score = logits[:, 1] - logits[:, 0]
        return in_float32(ModelOutput(score=score, logits=logits, embedding=embedding))


TORCH_NAMES = TorchNames(encoder="m_ssl.model.")
