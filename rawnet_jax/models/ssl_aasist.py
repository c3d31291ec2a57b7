"""AASIST on a self-supervised encoder, which is trained with it.

Tak et al., Automatic speaker verification spoofing and deepfake detection using wav2vec 2.0 and
data augmentation, Odyssey 2022 (arXiv 2202.12233); github.com/TakHemlata/SSL_Anti-spoofing. With
XLS-R 300M and T = 64,600:

    encoder, the last state                                        [B, 201, 1024]
    Dense 128, max 3 x 3, BatchNorm, SELU                          [B, 42, 67,  1]
    6 residual blocks without pooling, BatchNorm, SELU             [B, 42, 67, 64]
    attention map: 1 x 1 to 128, SELU, BatchNorm, 1 x 1 to 64      [B, 42, 67, 64]
    spectral graph: sum over time weighed by softmax + position, GAT, pool .5    [B, 21, 64]
    temporal graph: sum over features weighed by softmax,        GAT, pool .5    [B, 33, 64]
    2 branches of HS-GAL, the readout, Dense 2: as AASIST          [B, 2]

The head has 447,242 trained values, among them some that do nothing.

Contract: as AASIST's: ``logits [B, 2]`` ([spoof, bonafide]), ``score`` = the bona fide logit, as
published, ``embedding [B, 160]``.
"""

import flax.linen as nn
import jax

from rawnet_jax.contract import ModelOutput
from rawnet_jax.models.aasist_parts import NAME_RULES, POOL, Graphs, ResidualBlock
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.layers import BatchNorm, conv, dense, max_pool_1d
from rawnet_jax.nn.lengths import Extent


class SslAasist(WithEncoder, Graphs):
    """AASIST's blocks and graphs on an encoder; those of its graphs are `Graphs`'s fields.

    Attributes:
        features: of a frame, before pooling.
        channels: of each residual block.
        attention_features: inside the attention map.
    """

    features: int = 128
    channels: tuple[int, ...] = (32, 32, 64, 64, 64, 64)
    attention_features: int = 128

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: if a row gives fewer than three frames without `variable_length`.
        """
        found = self.encoded(waveform, num_samples, train=train, frames=POOL)
        x = dense(found.last.shape[-1], self.features, name="LL")(found.last)
        x, extent = max_pool_1d(x, POOL), found.extent.pooled(POOL)  # over time
        x = max_pool_1d(x.swapaxes(1, 2), POOL)[..., None]  # over features
        x = BatchNorm(activation=selu, name="first_bn")(x, extent.mask(x), train)
        for i, features in enumerate(self.channels):
            block = ResidualBlock(features, first=i == 0, pool=1, name=f"encoder{i}")
            x = block(x, extent, train)
        x = BatchNorm(activation=selu, name="first_bn1")(x, extent.mask(x), train)
        weight = self._attention(x, extent, train)
        spectral = (x * extent.softmax(weight)).sum(-2)
        temporal = (x * nn.softmax(weight, axis=1)).sum(1)
        return self.scored(temporal, spectral, extent, train)

    def _attention(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Return the attention map of x, before either softmax."""
        channels, features = x.shape[-1], self.attention_features
        weight = selu(conv(channels, features, (1, 1), name="attention_0")(x))
        weight = BatchNorm(name="attention_2")(weight, extent.mask(weight), train)
        return conv(features, channels, (1, 1), name="attention_3")(weight)


TORCH_NAMES = TorchNames(
    rules=(*NAME_RULES, (r"^attention_(\d)/", r"attention/\1/")), encoder="ssl_model.model."
)
