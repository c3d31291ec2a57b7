"""What AASIST and its successors on a self-supervised encoder share: residual blocks and graphs.

Jung et al., AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks,
ICASSP 2022 (arXiv 2110.01200). A map is [B, H, T, C]: frequency, time, channels.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput
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
from rawnet_jax.nn.lengths import Extent

POOL = 3
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
        pool: frames pooled into one; 1 = no pooling.
    """

    features: int
    first: bool
    pool: int = POOL

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Apply the block.

        Args:
            x: [B, H, W, C].
            extent: how much of it is clip.
            train: normalise by the batch's statistics.

        Returns:
            [B, H, W // pool, features].
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
        x = x + y
        if self.pool > 1:
            x = max_pool_time(x, self.pool)
        self.sow("intermediates", str(self.name), x)
        return x


class Graphs(nn.Module):
    """The part of a network behind its maps; a base of modules with these fields.

    Attributes:
        gat_dims: features of a node after the first graph attention, and after HS-GAL.
        pool_ratios: share of nodes kept: spectral, temporal, after HS-GAL. (The published
            configurations have a fourth that nothing reads.)
        temperatures: of attention: spectral, temporal, HS-GAL. (A fourth there, unread too.)
        dropout: rate on the nodes before attention, and on the branches' results.
        pool_dropout: rate on what a graph pool computes its scores from.
        head_dropout: rate on the embedding before the last layer.
    """

    gat_dims: tuple[int, int] = (64, 32)
    pool_ratios: tuple[float, float, float] = (0.5, 0.5, 0.5)
    temperatures: tuple[float, float, float] = (2.0, 2.0, 100.0)
    dropout: float = 0.2
    pool_dropout: float = 0.3
    head_dropout: float = 0.5

    def scored(
        self, temporal: jax.Array, spectral: jax.Array, extent: Extent, train: bool
    ) -> ModelOutput:
        """Compute the output from the nodes of both graphs; called from a compact method.

        Args:
            temporal: [B, Nt, C].
            spectral: [B, Ns, C].
            extent: which temporal nodes count; all spectral ones do.
            train: drop out, and normalise by the batch's statistics.
        """
        temporal, spectral, extent = self._graphs(temporal, spectral, extent, train)
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

    def _graphs(
        self, temporal: jax.Array, spectral: jax.Array, extent: Extent, train: bool
    ) -> tuple[jax.Array, jax.Array, Extent]:
        """Return the nodes left of both graphs, and how many of the temporal ones count."""
        found = []
        every_node = Extent(extent.real)
        for kind, nodes, of_nodes in (("T", temporal, extent), ("S", spectral, every_node)):
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


NAME_RULES = (
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
"""From our path to the published name, for `rawnet_jax.models.torch_names`."""
