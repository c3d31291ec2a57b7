"""AASIST: a residual encoder on raw waveform, then graphs over frequency and over time.

Jung et al., AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks,
ICASSP 2022 (arXiv 2110.01200); table 1 there: .83 % EER, .0275 min t-DCF on ASVspoof 2019 LA, and
.99 %, .0309 for AASIST-L, which differs in the fields `channels`, `gat_dims` and `pool_ratios`
alone. The AASIST baseline of ASVspoof 5 is this same network with these same fields. At T = 64,600:

    |70 fixed sinc filters|, max 3 x 3, BatchNorm, SELU            [B, 23, 21490,  1]
    6 residual blocks, each with max 3 over time                   [B, 23,    29, 64]
    spectral graph:  max over time |.| + position, GAT, pool .5    [B, 11, 64]
    temporal graph:  max over frequency |.|,       GAT, pool .7    [B, 20, 64]
    2 branches of: HS-GAL, pool .5, HS-GAL added                   [B, 10 | 5 | 1, 32]
    maximum of the branches; [max |t|, mean t, max |s|, mean s, stack node]    [B, 160]
    Dense 2                                                        [B, 2]

297,866 trained values (AASIST-L: 85,306), among them some that do nothing.

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``
([spoof, bonafide]), ``score`` = the bona fide logit, as published, and ``embedding [B, 160]``. T is
at least 2,315 with the published fields (`AASIST.shortest`), and short clips are to be tiled by the
loader; with `variable_length` any T works, and what is shorter is followed by zeros up to there.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.dsp.filtering import filtered
from rawnet_jax.dsp.filters import mel_edges_hz, sinc_bank
from rawnet_jax.models.aasist_parts import NAME_RULES, POOL, Graphs, ResidualBlock
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.layers import BatchNorm, max_pool_1d
from rawnet_jax.nn.lengths import Extent, clips_alone


class AASIST(Graphs):
    """Spectro-temporal graph attention network; every number of the published one is a field.

    Those of its graphs are `Graphs`'s.

    Attributes:
        num_filters: sinc filters, between mel-spaced edges from 0 to 8 kHz; not trained.
        num_taps: their length in samples, odd.
        channels: of each residual block.
        frequency_mask: in training, a random number of neighbouring filters below this many is set
            to zero, the same for the whole batch; 0 = off, as in the published configurations;
            their code has 20.
        variable_length: padding is not a part of a clip (`rawnet_jax.nn.lengths`): its temporal
            graph has the nodes of its own frames, and a pool keeps its share of those.
    """

    num_filters: int = 70
    num_taps: int = 129
    channels: tuple[int, ...] = (32, 32, 64, 64, 64, 64)
    pool_ratios: tuple[float, float, float] = (0.5, 0.7, 0.5)
    frequency_mask: int = 0
    variable_length: bool = False

    @property
    def shortest(self) -> int:
        """Samples of a clip from which one temporal node is left."""
        return self.num_taps - 1 + POOL ** (1 + len(self.channels))

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: if T is below `shortest` without `variable_length`.
        """
        extent = Extent(is_real(num_samples))
        if self.variable_length:
            waveform, extent = clips_alone(waveform, num_samples, self.shortest)
        elif waveform.shape[1] < self.shortest:
            raise ValueError(f"the network needs at least {self.shortest} samples")
        x = self._filtered(waveform, train)
        extent = extent.shortened(self.num_taps - 1).pooled(POOL)
        self.sow("intermediates", "sinc_abs_maxpool", x)
        x = BatchNorm(activation=selu, name="first_bn")(x, extent.mask(x), train)
        self.sow("intermediates", "first_bn_selu", x)
        for i, features in enumerate(self.channels):
            x = ResidualBlock(features, first=i == 0, name=f"encoder{i}")(x, extent, train)
            extent = extent.pooled(POOL)
        magnitude = jnp.abs(x)
        return self.scored(magnitude.max(1), extent.max(magnitude), extent, train)

    def _filtered(self, waveform: jax.Array, train: bool) -> jax.Array:
        """Return the magnitudes of the filters' outputs after pooling, [B, F // 3, frames, 1]."""
        bank = sinc_bank(mel_edges_hz(self.num_filters), self.num_taps)
        x = filtered(waveform, bank)
        if train and self.frequency_mask > 0:
            x = x * self._kept_filters()
        x = max_pool_1d(jnp.abs(x), POOL)  # over time
        return max_pool_1d(x.transpose(0, 2, 1), POOL)[..., None]  # over filters

    def _kept_filters(self) -> jax.Array:
        """Draw the frequency mask, float32 [F], 0 = masked."""
        width_key, start_key = jax.random.split(self.make_rng("dropout"))
        width = jax.random.randint(width_key, (), 0, min(self.frequency_mask, self.num_filters))
        start = jax.random.randint(start_key, (), 0, self.num_filters - width + 1)
        i = jnp.arange(self.num_filters)
        return ((i < start) | (i >= start + width)).astype(jnp.float32)


TORCH_NAMES = TorchNames(rules=NAME_RULES)
