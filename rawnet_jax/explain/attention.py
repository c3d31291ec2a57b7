"""What a network's own attention weighs: EABN's mask, AASIST's graph pools, attentive pooling.

The layers show their weights (``sow``); here they get the times and frequencies that they belong
to. Of a clip that is repeated to fill the network's input, the first round is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp import lfcc, spectrogram
from rawnet_jax.dsp.filters import NYQUIST_HZ, mel_edges_hz
from rawnet_jax.models.aasist_parts import POOL


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMap:
    """Weights by time, by rows of the network's input, or by both.

    Attributes:
        name: what it is.
        meaning: of a value.
        values: float64 [R, C]; R or C is 1 where the weights do not depend on it.
        time_edges_s: float64 [C + 1], from the start of the clip; None = no matter of time.
        row_edges_hz: float64 [R + 1]; None = rows are not frequencies.
        rows: what a row is.
    """

    name: str
    meaning: str
    values: np.ndarray
    time_edges_s: np.ndarray | None
    row_edges_hz: np.ndarray | None = None
    rows: str = ""

    def by_span(self, edges_s: np.ndarray) -> np.ndarray | None:
        """Return the mean weight in each span, [S], NaN where there is none; None = no time."""
        if self.time_edges_s is None:
            return None
        return _resampled(self.values.mean(axis=0), self.time_edges_s, edges_s)

    def by_band(self, edges_hz: np.ndarray) -> np.ndarray | None:
        """Return the mean weight in each band, [B], NaN where there is none; None = no bands."""
        if self.row_edges_hz is None:
            return None
        return _resampled(self.values.mean(axis=1), self.row_edges_hz, edges_hz)


def read_attention(
    model: nn.Module, variables: dict[str, Any], waveform: np.ndarray, num_samples: np.ndarray
) -> list[AttentionMap]:
    """Return the attention of a network to one clip.

    Args:
        model: the network.
        variables: its variables.
        waveform: float32 [1, T].
        num_samples: int32 [1].

    Returns:
        A map for each place of the network that weighs; empty where none does.
    """

    def shown(values: Any, *batch: Any) -> dict[str, jax.Array]:
        _, state = model.apply(values, *batch, train=False, mutable=["intermediates"])
        leaves = jax.tree_util.tree_leaves_with_path(state.get("intermediates", {}))
        named = {_name(path): leaf for path, leaf in leaves}
        return {name: leaf for name, leaf in named.items() if name in _READERS}

    if not jax.eval_shape(shown, variables, waveform, num_samples):
        return []
    found = jax.device_get(jax.jit(shown)(variables, waveform, num_samples))
    length = int(num_samples[0])
    read = (
        _READERS[name](model, np.asarray(value[...], np.float64), length)
        for name, value in sorted(found.items())
    )
    return [one for one in read if one is not None]


def _name(path: Any) -> str:
    """Return the name under which a layer shows a tensor."""
    return [key.key for key in path if isinstance(key, jax.tree_util.DictKey)][-1]


def _mask(model: Any, mask: np.ndarray, length: int) -> AttentionMap:
    """EABN: [slices, H, W, 1], what the perception branch's input is raised by."""
    first_s, hop_s, row_edges_hz, rows, num_frames = _front_end(model.front_end, length)
    hop = 0 if model.variable_length else model.slice_hop
    total = np.zeros((mask.shape[1], (len(mask) - 1) * hop + mask.shape[2]))
    count = np.zeros(total.shape[1])
    for i, one in enumerate(mask[..., 0]):
        total[:, i * hop : i * hop + mask.shape[2]] += one
        count[i * hop : i * hop + mask.shape[2]] += 1
    values = (total / count)[:, :num_frames]
    edges_s = first_s + hop_s * np.arange(values.shape[1] + 1)
    meaning = "factor minus 1 on the network's input, from 0 to 1"
    return AttentionMap("attention mask", meaning, values, edges_s, row_edges_hz, rows)


def _front_end(name: str, length: int) -> tuple[float, float, np.ndarray | None, str, int]:
    """Return start and length of a frame's share of time in s, rows, and the clip's own frames."""
    of_length = (jax.ShapeDtypeStruct((1, length), np.float32), jax.ShapeDtypeStruct((1,), int))
    if name == "lfcc":
        num_frames = jax.eval_shape(lfcc.lfcc, *of_length)[0].shape[2]
        hop = lfcc.HOP_LENGTH
        rows = "LFCC: static, delta, delta of delta"
        return hop / 2 / SAMPLE_RATE_HZ, hop / SAMPLE_RATE_HZ, None, rows, num_frames
    if name == "cqt":
        num_frames = jax.eval_shape(spectrogram.log_power_cqt, *of_length)[0].shape[2]
        hop_s = spectrogram.CQT_HOP / SAMPLE_RATE_HZ
        ratio = 2.0 ** (1 / (2 * spectrogram.CQT_BINS_PER_OCTAVE))
        edges_hz = np.append(spectrogram.cqt_hz() / ratio, spectrogram.cqt_hz()[-1] * ratio)
        return -hop_s / 2, hop_s, edges_hz, "frequency", num_frames
    num_frames = jax.eval_shape(spectrogram.log_power_spectrogram, *of_length)[0].shape[2]
    middles_hz = np.linspace(0, NYQUIST_HZ, spectrogram.FRAME_LENGTH // 2 + 1)
    edges_hz = np.concatenate(([0], (middles_hz[1:] + middles_hz[:-1]) / 2, [NYQUIST_HZ]))
    return 0.0, spectrogram.FRAME_SHIFT / SAMPLE_RATE_HZ, edges_hz, "frequency", num_frames


def _temporal_nodes(model: Any, scores: np.ndarray, length: int) -> AttentionMap:
    """AASIST: [1, nodes, 1], the factor on each node; those of the highest are kept."""
    if hasattr(model, "encoder"):
        first, node = 0.0, POOL * model.encoder_config.hop
    else:
        first, node = (model.num_taps - 1) / 2, POOL ** (1 + len(model.channels))
    edges_s = (first + node * np.arange(scores.shape[1] + 1)) / SAMPLE_RATE_HZ
    own = max(1, int(np.count_nonzero(edges_s[:-1] < length / SAMPLE_RATE_HZ)))
    meaning = "factor on the node, from 0 to 1; those of the lowest are dropped"
    values = scores[0, :own, 0][None]
    return AttentionMap("temporal pool", meaning, values, edges_s[: own + 1])


def _spectral_nodes(model: Any, scores: np.ndarray, length: int) -> AttentionMap | None:
    """AASIST: [1, nodes, 1]; a node is three neighbouring filters. Features of an encoder: None."""
    del length
    if hasattr(model, "encoder"):
        return None
    edges_hz = mel_edges_hz(model.num_filters)[::POOL][: scores.shape[1] + 1]
    meaning = "factor on the node, from 0 to 1; those of the lowest are dropped"
    values = scores[0]
    return AttentionMap("spectral pool", meaning, values, None, edges_hz, "frequency")


def _pooling_weight(model: Any, weight: np.ndarray, length: int) -> AttentionMap:
    """Attentive pooling: [1, frames, 1]; the weights of all frames sum to 1."""
    if hasattr(model, "strides"):  # Conv1D
        first, step = 0.0, int(np.prod(model.strides) * np.prod(model.pool_sizes))
    else:  # LFCC-ResNet18, alone or as a branch: each stage but the first halves its frames
        first, step = lfcc.HOP_LENGTH / 2, lfcc.HOP_LENGTH * 2 ** (len(model.channels) - 1)
    edges_s = (first + step * np.arange(weight.shape[1] + 1)) / SAMPLE_RATE_HZ
    own = max(1, int(np.count_nonzero(edges_s[:-1] < length / SAMPLE_RATE_HZ)))
    values = weight[0, :own, 0][None] * weight.shape[1]
    meaning = "weight in the mean over time; 1 = as much as every other"
    return AttentionMap("pooling weight", meaning, values, edges_s[: own + 1])


_READERS: dict[str, Callable[[Any, np.ndarray, int], AttentionMap | None]] = {
    "attention.mask": _mask,
    "pool_T.score": _temporal_nodes,
    "pool_S.score": _spectral_nodes,
    "pooling_weight": _pooling_weight,
}


def _resampled(values: np.ndarray, edges: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the mean of a piecewise constant function over each given interval."""
    low = np.maximum(edges[None, :-1], wanted[:-1, None])
    high = np.minimum(edges[None, 1:], wanted[1:, None])
    overlap = np.maximum(high - low, 0.0)
    with np.errstate(invalid="ignore"):  # no overlap: no weight
        return overlap @ values / overlap.sum(axis=1)
