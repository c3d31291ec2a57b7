"""Heads on an encoder in NumPy, slow and plain: one clip, published names and layouts, float64.

Written from the published descriptions, not from `rawnet_jax.models`.
"""

import itertools
import math
from typing import Any

import numpy as np

State = dict[str, np.ndarray]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def silu(x: np.ndarray) -> np.ndarray:
    return x * sigmoid(x)


def selu(x: np.ndarray) -> np.ndarray:
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def linear(state: State, name: str, x: np.ndarray) -> np.ndarray:
    """Of the last axis; a convolution of width 1 too."""
    weight = state[name + ".weight"]
    y = x @ weight.reshape(weight.shape[:2]).T
    return y + state.get(name + ".bias", 0)


def batch_norm(state: State, name: str, x: np.ndarray) -> np.ndarray:
    """Of the last axis, by running statistics."""
    mean, var = state[name + ".running_mean"], state[name + ".running_var"]
    return (x - mean) / np.sqrt(var + 1e-5) * state[name + ".weight"] + state[name + ".bias"]


def layer_norm(state: State, name: str, x: np.ndarray) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    return x * state[name + ".weight"] + state[name + ".bias"]


def convolution(state: State, name: str, x: np.ndarray, pad: Any, dilation: int = 1) -> np.ndarray:
    """Of a map [H, W, C] with weights (O, C, kh, kw); dilation of the first axis."""
    weight = state[name + ".weight"]
    x = np.pad(x, (*pad, (0, 0)))
    height = x.shape[0] - dilation * (weight.shape[2] - 1)
    width = x.shape[1] - weight.shape[3] + 1
    y = np.zeros((height, width, weight.shape[0])) + state[name + ".bias"]
    for i, j in itertools.product(range(weight.shape[2]), range(weight.shape[3])):
        part = x[i * dilation : i * dilation + height, j : j + width]
        y += part @ weight[:, :, i, j].T
    return y


def pooled(x: np.ndarray) -> np.ndarray:
    """Maximum of 3 x 3 of [H, W]."""
    rows, columns = x.shape[0] // 3, x.shape[1] // 3
    return np.array(
        [
            [x[3 * i : 3 * i + 3, 3 * j : 3 * j + 3].max() for j in range(columns)]
            for i in range(rows)
        ]
    )


def image(state: State, x: np.ndarray) -> np.ndarray:
    """BatchNorm of an image with one channel, and SELU."""
    return selu(batch_norm(state, "first_bn", x[..., None])[..., 0])


# --- one function a head: last [T, D], hidden [L + 1, T, D] -> logits


def ssl_linear(state: State, last: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    return linear(state, "proj_fc", last.mean(0))


def ssl_weighted_sum(state: State, last: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """By our own names: no state dict of it was published."""
    states = [*hidden[:-1], last]
    share = softmax(state["weights"])
    x = sum(s * h for s, h in zip(share, states, strict=True))
    return linear(state, "linear", linear(state, "projector", x).mean(0))


def ssl_sls(state: State, last: np.ndarray, hidden: np.ndarray, *, flat: bool = True) -> np.ndarray:
    total = sum(sigmoid(linear(state, "fc0", h.mean(0))) * h for h in hidden[1:])
    x = pooled(image(state, total))
    x = x.reshape(-1) if flat else x.mean(0)
    return selu(linear(state, "fc3", selu(linear(state, "fc1", x))))


def nes2net(
    state: State,
    last: np.ndarray,
    hidden: np.ndarray,
    *,
    scales: tuple[int, int],
    dilation: int,
    crossed: bool,
    sea: bool = False,
) -> np.ndarray:
    top = "Nested_Res2Net_TDNN."
    x = last
    if sea:
        states = np.stack([*hidden[:-1], last])
        inside = relu(linear(state, "ssl_model.fc_att_merge.0", states.mean((1, 2))))
        weight = sigmoid(linear(state, "ssl_model.fc_att_merge.2", inside))
        x = sum(w * h for w, h in zip(weight, states, strict=True))
    groups = np.split(x, scales[0], axis=-1)
    y: Any = 0
    results = []
    for i, group in enumerate(groups[:-1]):
        y = y + group
        y = _res2net(state, f"{top}Build_in_Res2Nets.{i}.", y, scales[1], dilation, crossed)
        y = batch_norm(state, f"{top}bns.{i}", relu(y))
        results.append(y)
    x = relu(batch_norm(state, top + "bn", np.concatenate([*results, groups[-1]], -1)))
    if top + "pooling.linear1.weight" in state:
        inside = np.tanh(linear(state, top + "pooling.linear1", x))
        weight = softmax(linear(state, top + "pooling.linear2", inside), axis=0)
        mean = (weight * x).sum(0)
        x = np.concatenate([mean, np.sqrt(np.maximum((weight * x**2).sum(0) - mean**2, 1e-10))])
    else:
        x = x.mean(0)
    return linear(state, top + "fc", x)


def _res2net(
    state: State, at: str, x: np.ndarray, scale: int, dilation: int, crossed: bool
) -> np.ndarray:
    y = batch_norm(state, at + "bn1", relu(linear(state, at + "conv1", x)))
    groups = np.split(y, scale, axis=-1)
    results, carried = [], groups[-1][:, None] if crossed else 0
    for j, group in enumerate(groups[:-1]):
        name = f"{at}convs.{j}"
        pad = ((dilation, dilation), (0, 0))
        if crossed:
            carried = np.concatenate([carried, group[:, None]], axis=1)  # [T, columns, C]
            carried = relu(convolution(state, name, carried, pad, dilation))
            carried = batch_norm(state, f"{at}bns.{j}", carried)
            share = state[f"{at}weighted_sum.{j}"].reshape(-1)
            results.append(sum(s * carried[:, k] for k, s in enumerate(share)))
        else:
            one = {name + ".weight": state[name + ".weight"][..., None]}
            one[name + ".bias"] = state[name + ".bias"]
            carried = carried + group
            carried = relu(convolution(one, name, carried[:, None], pad, dilation))[:, 0]
            carried = batch_norm(state, f"{at}bns.{j}", carried)
            results.append(carried)
    y = linear(state, at + "conv3", np.concatenate([*results, groups[-1]], -1))
    y = batch_norm(state, at + "bn3", relu(y))
    scale_of = relu(linear(state, at + "se.se.1", y.mean(0)))
    return y * sigmoid(linear(state, at + "se.se.3", scale_of)) + x


def ssl_tcm(
    state: State, last: np.ndarray, hidden: np.ndarray, *, heads: int, blocks: int
) -> np.ndarray:
    x = image(state, linear(state, "LL", last))
    x = np.concatenate(
        [state["conformer.class_token"], x + state["conformer.positional_emb"][0, : len(x)]]
    )
    for i in range(blocks):
        at = f"conformer.encoder_blocks.{i}."
        x = x + _half_forward(state, at + "ff1.fn.", x)
        x = x + _head_attention(
            state, at + "attn.fn.", layer_norm(state, at + "attn.norm", x), heads
        )
        x = x + _conv_module(state, at + "conv.net.", x)
        x = x + _half_forward(state, at + "ff2.fn.", x)
        x = layer_norm(state, at + "post_norm", x)
    return linear(state, "conformer.fc5", x[0])


def _half_forward(state: State, at: str, x: np.ndarray) -> np.ndarray:
    inside = silu(linear(state, at + "fn.net.0", layer_norm(state, at + "norm", x)))
    return 0.5 * linear(state, at + "fn.net.3", inside)


def _head_attention(state: State, at: str, x: np.ndarray, heads: int) -> np.ndarray:
    count, channels = x.shape
    share = channels // heads
    tokens = []
    for h in range(heads):
        own = linear(state, at + "ht_proj", x[:, h * share : (h + 1) * share].mean(0))
        parts = layer_norm(state, at + "ht_norm", own.reshape(heads, share))
        tokens.append(gelu(parts).reshape(-1) + state[at + "pos_embed"][0, h])
    x = np.concatenate([x, tokens])
    queries, keys, values = np.split(linear(state, at + "qkv", x), 3, axis=-1)
    mixed = []
    for h in range(heads):
        q, k, v = (part[:, h * share : (h + 1) * share] for part in (queries, keys, values))
        mixed.append(softmax(q @ k.T / math.sqrt(share)) @ v)
    y = linear(state, at + "proj", np.concatenate(mixed, axis=-1))
    first = y[0] + y[count:].mean(0) + y[1:count].mean(0)
    return np.concatenate([first[None], y[1:count]])


def _conv_module(state: State, at: str, x: np.ndarray) -> np.ndarray:
    y, gate = np.split(linear(state, at + "2", layer_norm(state, at + "0", x)), 2, axis=-1)
    y = y * sigmoid(gate)
    weight = state[at + "4.conv.weight"]  # (C, 1, K)
    width = weight.shape[2]
    padded = np.pad(y, ((width // 2, (width - 1) // 2), (0, 0)))
    mixed: Any = sum(padded[k : k + len(y)] * weight[:, 0, k] for k in range(width))
    y = silu(batch_norm(state, at + "5", mixed + state[at + "4.conv.bias"]))
    return linear(state, at + "7", y)


def ssl_aasist(
    state: State, last: np.ndarray, hidden: np.ndarray, *, blocks: int, temperatures: Any
) -> np.ndarray:
    x = pooled(linear(state, "LL", last).T)[..., None]  # [H, W, 1]
    x = selu(batch_norm(state, "first_bn", x))
    for i in range(blocks):
        at = f"encoder.{i}.0."
        y = convolution(state, at + "conv1", x, ((1, 1), (1, 1)))
        y = selu(batch_norm(state, at + "bn2", y))
        y = convolution(state, at + "conv2", y, ((0, 0), (1, 1)))
        if at + "conv_downsample.weight" in state:
            x = convolution(state, at + "conv_downsample", x, ((0, 0), (1, 1)))
        x = x + y
    x = selu(batch_norm(state, "first_bn1", x))
    weight = batch_norm(state, "attention.2", selu(linear(state, "attention.0", x)))
    weight = linear(state, "attention.3", weight)
    spectral = (x * softmax(weight, axis=1)).sum(1) + state["pos_S"][0]
    temporal = (x * softmax(weight, axis=0)).sum(0)
    spectral = _pool(state, "pool_S", _gat(state, "GAT_layer_S.", spectral, temperatures[0]))
    temporal = _pool(state, "pool_T", _gat(state, "GAT_layer_T.", temporal, temperatures[1]))
    ends = [_branch(state, b, temporal, spectral, temperatures[2]) for b in (1, 2)]
    temporal, spectral, master = (np.maximum(a, b) for a, b in zip(*ends, strict=True))
    readout = [abs(temporal).max(0), temporal.mean(0), abs(spectral).max(0), spectral.mean(0)]
    return linear(state, "out_layer", np.concatenate([*readout, master]))


def _branch(state: State, b: int, temporal: Any, spectral: Any, temperature: float) -> Any:
    master = state[f"master{b}"][0, 0]
    at = f"HtrgGAT_layer_ST{b}"
    temporal, spectral, master = _htrg(state, at + "1.", temporal, spectral, master, temperature)
    spectral = _pool(state, f"pool_hS{b}", spectral)
    temporal = _pool(state, f"pool_hT{b}", temporal)
    more = _htrg(state, at + "2.", temporal, spectral, master, temperature)
    return temporal + more[0], spectral + more[1], master + more[2]


def _gat(state: State, at: str, x: np.ndarray, temperature: float) -> np.ndarray:
    score = np.zeros((len(x), len(x)))
    for i, j in np.ndindex(score.shape):
        pair = np.tanh(linear(state, at + "att_proj", x[i] * x[j]))
        score[i, j] = (pair @ state[at + "att_weight"])[0] / temperature
    y = linear(state, at + "proj_with_att", softmax(score) @ x)
    y = y + linear(state, at + "proj_without_att", x)
    return selu(batch_norm(state, at + "bn", y))


def _pool(state: State, at: str, x: np.ndarray) -> np.ndarray:
    score = sigmoid(linear(state, at + ".proj", x))
    kept = np.argsort(-score[:, 0])[: max(int(len(x) * 0.5), 1)]
    return (x * score)[kept]


def _htrg(
    state: State, at: str, temporal: Any, spectral: Any, master: Any, temperature: float
) -> Any:
    count = len(temporal)
    x = np.concatenate(
        [
            linear(state, at + "proj_type1", temporal),
            linear(state, at + "proj_type2", spectral),
        ]
    )
    score = np.zeros((len(x), len(x)))
    for i, j in np.ndindex(score.shape):
        kind = {0: "22", 1: "12", 2: "11"}[(i < count) + (j < count)]
        pair = np.tanh(linear(state, at + "att_proj", x[i] * x[j]))
        score[i, j] = (pair @ state[f"{at}att_weight{kind}"])[0] / temperature
    own = np.tanh(linear(state, at + "att_projM", x * master)) @ state[at + "att_weightM"]
    gathered = (softmax(own / temperature, axis=0) * x).sum(0)
    new = linear(state, at + "proj_with_attM", gathered)
    new = new + linear(state, at + "proj_without_attM", master)
    y = linear(state, at + "proj_with_att", softmax(score) @ x)
    y = selu(batch_norm(state, at + "bn", y + linear(state, at + "proj_without_att", x)))
    return y[:count], y[count:], new
