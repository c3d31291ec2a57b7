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
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.graph import GraphAttention, GraphPool, StackingGraphAttention
from rawnet_jax.nn.layers import (
    BatchNorm,
    InertBatchNorm,
    conv,
    dense,
    in_float32,
    max_pool_1d,
)
from rawnet_jax.nn.lengths import Extent, clips_alone

_POOL = 3
_Nodes = tuple[jax.Array, jax.Array, jax.Array]  # temporal, spectral, stack


def max_pool_time(x: jax.Array, size: int) -> jax.Array:
    """Max-pool [B, H, W, C] over W with stride = window; see `max_pool_1d`."""
    batch, height, width, channels = x.shape
    pooled = max_pool_1d(x.reshape(batch * height, width, channels), size)
    return pooled.reshape(batch, height, width // size, channels)


class ResidualBlock(nn.Module):
    """Two convolutions and a skip, then max-pooling over time.

    Attributes:
        features: channels that come out.
        first: the network's first block, which has no BatchNorm before its convolutions.
    """

    features: int
    first: bool

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Apply the block.

        Args:
            x: [B, H, W, C].
            extent: how much of it is clip.
            train: normalise by the batch's statistics.

        Returns:
            [B, H, W // 3, features].
        """
        channels = x.shape[-1]
        if not self.first:
            # The published code computes BatchNorm and SELU here and then feeds the raw x.
            InertBatchNorm(channels, name="bn1")()
        # Two rows of padding above and below, once: H -> H + 1 -> H.
        padding = ((1, 1), (1, 1))
        x = extent.cleared(x)
        y = conv(channels, self.features, (2, 3), padding=padding, name="conv1")(x)
        y = BatchNorm(activation=selu, name="bn2")(y, extent.mask(y), train)
        y = extent.cleared(y)
        y = conv(self.features, self.features, (2, 3), padding=((0, 0), (1, 1)), name="conv2")(y)
        if channels != self.features:
            x = conv(channels, self.features, (1, 3), padding=((0, 0), (1, 1)), name="skip")(x)
        x = max_pool_time(x + y, _POOL)
        self.sow("intermediates", str(self.name), x)
        return x


class AASIST(nn.Module):
    """Spectro-temporal graph attention network; every number of the published one is a field.

    Attributes:
        num_filters: sinc filters, between mel-spaced edges from 0 to 8 kHz; not trained.
        num_taps: their length in samples, odd.
        channels: of each residual block.
        gat_dims: features of a node after the first graph attention, and after HS-GAL.
        pool_ratios: share of nodes kept: spectral, temporal, after HS-GAL. (The published
            configuration has a fourth that nothing reads.)
        temperatures: of attention: spectral, temporal, HS-GAL. (A fourth there, unread too.)
        dropout: rate on the nodes before attention, and on the branches' results.
        pool_dropout: rate on what a graph pool computes its scores from.
        head_dropout: rate on the embedding before the last layer.
        frequency_mask: in training, a random number of neighbouring filters below this many is set
            to zero, the same for the whole batch; 0 = off, as in the published configurations;
            their code has 20.
        variable_length: padding is no part of a clip (`rawnet_jax.nn.lengths`): its temporal
            graph has the nodes of its own frames, and a pool keeps its share of those.
    """

    num_filters: int = 70
    num_taps: int = 129
    channels: tuple[int, ...] = (32, 32, 64, 64, 64, 64)
    gat_dims: tuple[int, int] = (64, 32)
    pool_ratios: tuple[float, float, float] = (0.5, 0.7, 0.5)
    temperatures: tuple[float, float, float] = (2.0, 2.0, 100.0)
    dropout: float = 0.2
    pool_dropout: float = 0.3
    head_dropout: float = 0.5
    frequency_mask: int = 0
    variable_length: bool = False

    @property
    def shortest(self) -> int:
        """Samples of a clip from which one temporal node is left."""
        return self.num_taps - 1 + _POOL ** (1 + len(self.channels))

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
        extent = extent.shortened(self.num_taps - 1).pooled(_POOL)
        self.sow("intermediates", "sinc_abs_maxpool", x)
        x = BatchNorm(activation=selu, name="first_bn")(x, extent.mask(x), train)
        self.sow("intermediates", "first_bn_selu", x)
        for i, features in enumerate(self.channels):
            x = ResidualBlock(features, first=i == 0, name=f"encoder{i}")(x, extent, train)
            extent = extent.pooled(_POOL)
        temporal, spectral, extent = self._graphs(jnp.abs(x), extent, train)
        branches = [self._branch(i, temporal, spectral, extent, train) for i in (1, 2)]
        extent = branches[0][1]  # the same in both
        temporal, spectral, stack = self._merge([nodes for nodes, _ in branches], train)
        embedding = jnp.concatenate(
            [
                extent.max(jnp.abs(temporal)),
                extent.mean(temporal, 1),
                jnp.abs(spectral).max(1),
                spectral.mean(1),
                stack[:, 0],
            ],
            axis=1,
        )
        x = Dropout(self.head_dropout)(embedding, train)
        logits = dense(embedding.shape[-1], 2, name="out_layer")(x)
        return in_float32(ModelOutput(score=logits[:, 1], logits=logits, embedding=embedding))

    def _filtered(self, waveform: jax.Array, train: bool) -> jax.Array:
        """Return the magnitudes of the filters' outputs after pooling, [B, F // 3, frames, 1]."""
        bank = sinc_bank(mel_edges_hz(self.num_filters), self.num_taps)
        x = filtered(waveform, bank)
        if train and self.frequency_mask > 0:
            x = x * self._kept_filters()
        x = max_pool_1d(jnp.abs(x), _POOL)  # over time
        return max_pool_1d(x.transpose(0, 2, 1), _POOL)[..., None]  # over filters

    def _kept_filters(self) -> jax.Array:
        """Draw the frequency mask, float32 [F], 0 = masked."""
        width_key, start_key = jax.random.split(self.make_rng("dropout"))
        width = jax.random.randint(width_key, (), 0, min(self.frequency_mask, self.num_filters))
        start = jax.random.randint(start_key, (), 0, self.num_filters - width + 1)
        i = jnp.arange(self.num_filters)
        return ((i < start) | (i >= start + width)).astype(jnp.float32)

    def _graphs(
        self, magnitude: jax.Array, extent: Extent, train: bool
    ) -> tuple[jax.Array, jax.Array, Extent]:
        """Make the temporal and the spectral graph of [B, H, W, C]; with the temporal's extent."""
        found = []
        every_node = Extent(extent.real)
        graphs = (("T", magnitude.max(1), extent), ("S", extent.max(magnitude), every_node))
        for kind, nodes, of_nodes in graphs:
            if kind == "S":
                shape = (1, *nodes.shape[1:])
                nodes += self.param("pos_S", nn.initializers.normal(1.0), shape)
            self.sow("intermediates", f"e_{kind}", nodes)
            row = "ST".index(kind)
            nodes = GraphAttention(
                self.gat_dims[0], self.temperatures[row], self.dropout, name=f"gat_{kind}"
            )(nodes, of_nodes, train)
            pool = GraphPool(self.pool_ratios[row], self.pool_dropout, name=f"pool_{kind}")
            found.append(pool(nodes, of_nodes, train))
        (temporal, extent), (spectral, _) = found
        return temporal, spectral, extent

    def _branch(
        self,
        branch: int,
        temporal: jax.Array,
        spectral: jax.Array,
        extent: Extent,
        train: bool,
    ) -> tuple[_Nodes, Extent]:
        """Return the nodes of one branch, and how many of the temporal ones count."""

        def attention(layer: int) -> StackingGraphAttention:
            return StackingGraphAttention(
                self.gat_dims[1],
                self.temperatures[2],
                self.dropout,
                name=f"hs_gal_{branch}{layer}",
            )

        def pool(kind: str) -> GraphPool:
            name = f"pool_h{kind}{branch}"
            return GraphPool(self.pool_ratios[2], self.pool_dropout, name=name)

        shape = (1, 1, self.gat_dims[0])
        stack = self.param(f"stack{branch}", nn.initializers.normal(1.0), shape)
        nodes = attention(1)(temporal, spectral, stack, extent, train)
        temporal, extent = pool("T")(nodes[0], extent, train)
        spectral, _ = pool("S")(nodes[1], Extent(extent.real), train)
        nodes = (temporal, spectral, nodes[2])
        added = attention(2)(*nodes, extent, train)
        temporal, spectral, stack = (a + b for a, b in zip(nodes, added, strict=True))
        return (temporal, spectral, stack), extent

    def _merge(self, branches: list[_Nodes], train: bool) -> _Nodes:
        """Return the element-wise maximum of the branches after dropout."""
        # One draw for all six arrays: each takes time to compile.
        nodes = jnp.stack([jnp.concatenate(branch, axis=1) for branch in branches])
        nodes = Dropout(self.dropout)(nodes, train).max(0)
        ends = [branches[0][0].shape[1], nodes.shape[1] - 1]
        temporal, spectral, stack = jnp.split(nodes, ends, axis=1)
        return temporal, spectral, stack


TORCH_NAMES = TorchNames(
    rules=(
        (r"^encoder(\d+)/", r"encoder/\1/0/"),
        (r"/skip/", r"/conv_downsample/"),
        (r"^gat_", r"GAT_layer_"),
        (r"^hs_gal_", r"HtrgGAT_layer_ST"),
        (r"^stack(\d)$", r"master\1"),
        (r"/norm/", r"/bn/"),
        (r"/temporal/", r"/proj_type1/"),
        (r"/spectral/", r"/proj_type2/"),
        (r"/pair/", r"/att_proj/"),
        (r"/stack_pair/", r"/att_projM/"),
        (r"/attended/", r"/proj_with_att/"),
        (r"/own/", r"/proj_without_att/"),
        (r"/stack_attended/", r"/proj_with_attM/"),
        (r"/stack_own/", r"/proj_without_attM/"),
        (r"/pair_vector$", r"/att_weight"),
        (r"/temporal_vector$", r"/att_weight11"),
        (r"/spectral_vector$", r"/att_weight22"),
        (r"/mixed_vector$", r"/att_weight12"),
        (r"/stack_vector$", r"/att_weightM"),
    )
)
