"""AASIST in PyTorch, as its users write it; attributes have the published names.

A graph is [B, N, C]. The pre-activations of the published residual blocks do nothing; here they are
held and not computed.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

from benchmarks.frameworks import constants

_CHANNELS = (32, 32, 64, 64, 64, 64)
_NODE_FEATURES = (64, 32)
_NUM_FREQUENCIES = 23


class Block(nn.Module):
    """Two convolutions, a skip, and max-pooling over time."""

    def __init__(self, channels: int, features: int, first: bool) -> None:
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, features, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, (2, 3), padding=(0, 1))
        self.conv_downsample = None
        if channels != features:
            self.conv_downsample = nn.Conv2d(channels, features, (1, 3), padding=(0, 1))
        self.selu = nn.SELU(inplace=True)
        self.pool = nn.MaxPool2d((1, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv2(self.selu(self.bn2(self.conv1(x))))
        if self.conv_downsample is not None:
            x = self.conv_downsample(x)
        return self.pool(out + x)


def vector(features: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(features, 1)))


def pairwise(nodes: torch.Tensor) -> torch.Tensor:
    """Return x_i * x_j, [B, N, N, C]."""
    return nodes[:, :, None] * nodes[:, None]


class Attended(nn.Module):
    """What both attention layers do with their nodes once the weights are known."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.att_proj = nn.Linear(channels, features)
        self.proj_with_att = nn.Linear(channels, features)
        self.proj_without_att = nn.Linear(channels, features)
        self.bn = nn.BatchNorm1d(features)
        self.dropout = nn.Dropout(0.2)

    def attend(self, scores: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        attention = torch.softmax(scores, dim=-1)
        x = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return functional.selu(self.bn(x.flatten(0, 1)).view_as(x))


class GraphAttention(Attended):
    """Attention over one kind of node."""

    def __init__(self, channels: int, features: int, temperature: float) -> None:
        super().__init__(channels, features)
        self.att_weight = vector(features)
        self.temperature = temperature

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        nodes = self.dropout(nodes)
        pairs = torch.tanh(self.att_proj(pairwise(nodes)))
        return self.attend((pairs @ self.att_weight)[..., 0] / self.temperature, nodes)


class StackingGraphAttention(Attended):
    """HS-GAL: attention over two kinds of node, and a stack node that gathers from all."""

    def __init__(self, channels: int, features: int, temperature: float) -> None:
        super().__init__(channels, features)
        self.proj_type1 = nn.Linear(channels, channels)
        self.proj_type2 = nn.Linear(channels, channels)
        self.att_projM = nn.Linear(channels, features)
        self.att_weight11 = vector(features)
        self.att_weight22 = vector(features)
        self.att_weight12 = vector(features)
        self.att_weightM = vector(features)
        self.proj_with_attM = nn.Linear(channels, features)
        self.proj_without_attM = nn.Linear(channels, features)
        self.temperature = temperature

    def forward(
        self, temporal: torch.Tensor, spectral: torch.Tensor, stack: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        split = temporal.shape[1]
        nodes = torch.cat([self.proj_type1(temporal), self.proj_type2(spectral)], dim=1)
        nodes = self.dropout(nodes)
        stack = self._stack_node(nodes, stack)
        x = self.attend(self._scores(nodes, split) / self.temperature, nodes)
        return x[:, :split], x[:, split:], stack

    def _scores(self, nodes: torch.Tensor, split: int) -> torch.Tensor:
        pairs = torch.tanh(self.att_proj(pairwise(nodes)))
        scores = torch.empty(pairs.shape[:-1], device=nodes.device)
        scores[:, :split, :split] = (pairs[:, :split, :split] @ self.att_weight11)[..., 0]
        scores[:, split:, split:] = (pairs[:, split:, split:] @ self.att_weight22)[..., 0]
        scores[:, :split, split:] = (pairs[:, :split, split:] @ self.att_weight12)[..., 0]
        scores[:, split:, :split] = (pairs[:, split:, :split] @ self.att_weight12)[..., 0]
        return scores

    def _stack_node(self, nodes: torch.Tensor, stack: torch.Tensor) -> torch.Tensor:
        scores = torch.tanh(self.att_projM(nodes * stack)) @ self.att_weightM
        attention = torch.softmax(scores / self.temperature, dim=1)
        gathered = attention.transpose(1, 2) @ nodes
        return self.proj_with_attM(gathered) + self.proj_without_attM(stack)


class GraphPool(nn.Module):
    """Keeps the nodes of highest score, in descending order, times their scores."""

    def __init__(self, features: int, ratio: float) -> None:
        super().__init__()
        self.proj = nn.Linear(features, 1)
        self.dropout = nn.Dropout(0.3)
        self.ratio = ratio

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        scores = torch.sigmoid(self.proj(self.dropout(nodes)))
        kept = scores.topk(max(int(nodes.shape[1] * self.ratio), 1), dim=1).indices
        return (nodes * scores).gather(1, kept.expand(-1, -1, nodes.shape[2]))


class AASIST(nn.Module):
    """The whole network; returns [spoof, bonafide] logits, [B, 2]."""

    def __init__(self) -> None:
        super().__init__()
        bank = torch.from_numpy(constants.sinc_filters(70, 129))
        self.register_buffer("bank", bank[:, None], persistent=False)
        self.first_bn = nn.BatchNorm2d(1)
        pairs = itertools.pairwise((1, *_CHANNELS))
        blocks = [Block(c, features, first=i == 0) for i, (c, features) in enumerate(pairs)]
        self.encoder = nn.Sequential(*map(nn.Sequential, blocks))
        wide, narrow = _NODE_FEATURES
        self.pos_S = nn.Parameter(torch.randn(1, _NUM_FREQUENCIES, _CHANNELS[-1]))
        self.GAT_layer_S = GraphAttention(_CHANNELS[-1], wide, 2.0)
        self.GAT_layer_T = GraphAttention(_CHANNELS[-1], wide, 2.0)
        self.pool_S, self.pool_T = GraphPool(wide, 0.5), GraphPool(wide, 0.7)
        for i in (1, 2):
            setattr(self, f"master{i}", nn.Parameter(torch.randn(1, 1, wide)))
            setattr(self, f"HtrgGAT_layer_ST{i}1", StackingGraphAttention(wide, narrow, 100.0))
            setattr(self, f"HtrgGAT_layer_ST{i}2", StackingGraphAttention(narrow, narrow, 100.0))
            setattr(self, f"pool_hS{i}", GraphPool(narrow, 0.5))
            setattr(self, f"pool_hT{i}", GraphPool(narrow, 0.5))
        self.dropout, self.head_dropout = nn.Dropout(0.2), nn.Dropout(0.5)
        self.out_layer = nn.Linear(5 * narrow, 2)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        x = functional.conv1d(waveform[:, None], self.bank)[:, None]
        x = functional.selu(self.first_bn(functional.max_pool2d(x.abs(), 3)))
        x = self.encoder(x).abs()  # [B, C, frequencies, frames]
        spectral = x.amax(dim=3).transpose(1, 2) + self.pos_S
        temporal = x.amax(dim=2).transpose(1, 2)
        spectral = self.pool_S(self.GAT_layer_S(spectral))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        branches = [self._branch(i, temporal, spectral) for i in (1, 2)]
        temporal, spectral, stack = (
            torch.maximum(self.dropout(a), self.dropout(b)) for a, b in zip(*branches, strict=True)
        )
        readout = [
            temporal.abs().amax(dim=1),
            temporal.mean(dim=1),
            spectral.abs().amax(dim=1),
            spectral.mean(dim=1),
            stack[:, 0],
        ]
        return self.out_layer(self.head_dropout(torch.cat(readout, dim=1)))

    def _branch(
        self, i: int, temporal: torch.Tensor, spectral: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        first = getattr(self, f"HtrgGAT_layer_ST{i}1")
        second = getattr(self, f"HtrgGAT_layer_ST{i}2")
        temporal, spectral, stack = first(temporal, spectral, getattr(self, f"master{i}"))
        temporal = getattr(self, f"pool_hT{i}")(temporal)
        spectral = getattr(self, f"pool_hS{i}")(spectral)
        added = second(temporal, spectral, stack)
        return tuple(a + b for a, b in zip((temporal, spectral, stack), added, strict=True))
