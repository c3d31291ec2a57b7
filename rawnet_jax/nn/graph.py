"""Graph layers of AASIST: attention over one kind of node or over two, and pooling.

A graph is float32 [B, N, C]: N nodes of C features, each joined to every other and to itself.

Source: Jung et al., AASIST: audio anti-spoofing using integrated spectro-temporal graph attention
networks, ICASSP 2022 (arXiv 2110.01200), sections 2.2 and 3.

Every layer shows its result under its own name (``self.sow``) for comparison with the published
network.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import BatchNorm, dense
from rawnet_jax.nn.lengths import Extent

# PyTorch's xavier_normal_; JAX's own glorot_normal cuts the tails off.
_XAVIER_NORMAL = nn.initializers.variance_scaling(1.0, "fan_avg", "normal")


def _pairwise_products(nodes: jax.Array) -> jax.Array:
    """Return x_i ∘ x_j, [B, N, N, C]."""
    return nodes[:, :, None, :] * nodes[:, None, :, :]


class GraphAttention(nn.Module):
    """Graph attention layer over one kind of node.

    Attributes:
        features: C' of the nodes that come out.
        temperature: divides the attention scores before the softmax.
        dropout: rate on the nodes that come in.
    """

    features: int
    temperature: float
    dropout: float

    @nn.compact
    def __call__(self, nodes: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Let every node attend to every node.

        Args:
            nodes: [B, N, C].
            extent: which of them count.
            train: drop out, and normalise by the batch's statistics.

        Returns:
            [B, N, features].
        """
        channels = nodes.shape[-1]
        nodes = Dropout(self.dropout)(nodes, train)
        pairs = jnp.tanh(dense(channels, self.features, name="pair")(_pairwise_products(nodes)))
        vector = self.param("pair_vector", _XAVIER_NORMAL, (self.features, 1))
        attention = extent.softmax((pairs @ vector)[..., 0] / self.temperature, axis=-1)
        x = dense(channels, self.features, name="attended")(attention @ nodes)
        x += dense(channels, self.features, name="own")(nodes)
        x = BatchNorm(activation=selu, name="norm")(x, extent.mask(x), train)
        self.sow("intermediates", str(self.name), x)
        return x


class StackingGraphAttention(nn.Module):
    """Heterogeneous stacking graph attention layer (HS-GAL): two kinds of node and a stack node.

    The two graphs become one; the score of a pair is weighed by one of three vectors, according to
    the kinds of its nodes. The stack node gathers from all nodes and gives nothing back.

    Attributes:
        features: C' of what comes out.
        temperature: divides the attention scores before the softmax.
        dropout: rate on the nodes that come in.
    """

    features: int
    temperature: float
    dropout: float

    @nn.compact
    def __call__(
        self,
        temporal: jax.Array,
        spectral: jax.Array,
        stack: jax.Array,
        extent: Extent,
        train: bool,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Let every node attend to every node of both graphs.

        Args:
            temporal: [B, Nt, C].
            spectral: [B, Ns, C].
            stack: [B or 1, 1, C].
            extent: which temporal nodes count; all spectral ones do.
            train: drop out, and normalise by the batch's statistics.

        Returns:
            ``(temporal [B, Nt, features], spectral [B, Ns, features], stack [B, 1, features])``.
        """
        channels, num_temporal = temporal.shape[-1], temporal.shape[1]
        extent = extent.followed_by(spectral.shape[1])
        temporal = dense(channels, channels, name="temporal")(temporal)
        spectral = dense(channels, channels, name="spectral")(spectral)
        nodes = jnp.concatenate([temporal, spectral], axis=1)
        nodes = Dropout(self.dropout)(nodes, train)
        stack = self._stack_node(nodes, stack, extent)
        x = dense(channels, self.features, name="attended")(
            self._attention(nodes, num_temporal, extent) @ nodes
        )
        x += dense(channels, self.features, name="own")(nodes)
        x = BatchNorm(activation=selu, name="norm")(x, extent.mask(x), train)
        temporal, spectral = x[:, :num_temporal], x[:, num_temporal:]
        for kind, shown in (("T", temporal), ("S", spectral), ("master", stack)):
            self.sow("intermediates", f"{self.name}_{kind}", shown)
        return temporal, spectral, stack

    def _attention(self, nodes: jax.Array, num_temporal: int, extent: Extent) -> jax.Array:
        """Return the weight that node i gives node j, [B, N, N]."""
        pairs = dense(nodes.shape[-1], self.features, name="pair")(_pairwise_products(nodes))
        kinds = ("temporal", "spectral", "mixed")
        vectors = [
            self.param(f"{kind}_vector", _XAVIER_NORMAL, (self.features, 1)) for kind in kinds
        ]
        is_spectral = np.arange(nodes.shape[1]) >= num_temporal
        is_mixed = is_spectral[:, None] != is_spectral[None, :]
        kind_of_pair = np.where(is_mixed, kinds.index("mixed"), is_spectral[:, None])
        scores = jnp.tanh(pairs) @ jnp.concatenate(vectors, axis=1)
        scores = (scores * np.eye(len(kinds), dtype=np.float32)[kind_of_pair]).sum(-1)
        return extent.softmax(scores / self.temperature, axis=-1)

    def _stack_node(self, nodes: jax.Array, stack: jax.Array, extent: Extent) -> jax.Array:
        """Return the stack node after it attended to all nodes, [B, 1, features].

        Neither normalised nor activated, unlike the nodes.
        """
        channels = nodes.shape[-1]
        scores = jnp.tanh(dense(channels, self.features, name="stack_pair")(nodes * stack))
        vector = self.param("stack_vector", _XAVIER_NORMAL, (self.features, 1))
        attention = extent.softmax(scores @ vector / self.temperature)
        gathered = (attention * nodes).sum(axis=1, keepdims=True)
        attended = dense(channels, self.features, name="stack_attended")(gathered)
        return attended + dense(channels, self.features, name="stack_own")(stack)


class GraphPool(nn.Module):
    """Keeps the nodes of highest score, each multiplied by its score.

    Attributes:
        ratio: share of the nodes that stay; at least one does.
        dropout: rate on what the score is computed from.
    """

    ratio: float
    dropout: float

    @nn.compact
    def __call__(self, nodes: jax.Array, extent: Extent, train: bool) -> tuple[jax.Array, Extent]:
        """Pool a graph.

        Args:
            nodes: [B, N, C].
            extent: which nodes count; that share of them is kept.
            train: whether to apply dropout.

        Returns:
            The kept nodes [B, max(int(ratio N), 1), C] in descending order of score (later layers
            compare nodes by position, so the order matters), and their extent.
        """
        x = Dropout(self.dropout)(nodes, train)
        scores = jax.nn.sigmoid(dense(nodes.shape[-1], 1, name="proj")(x))
        # Of every number of nodes, so that it is rounded as for a clip alone.
        num_kept = [max(int(num * self.ratio), 1) for num in range(nodes.shape[1] + 1)]
        _, kept = jax.lax.top_k(extent.lowered(scores)[..., 0], num_kept[-1])
        pooled = jnp.take_along_axis(nodes * scores, kept[..., None], axis=1)
        self.sow("intermediates", str(self.name), pooled)
        self.sow("intermediates", f"{self.name}.index", kept)
        self.sow("intermediates", f"{self.name}.score", scores)
        return pooled, extent.selected(num_kept)
