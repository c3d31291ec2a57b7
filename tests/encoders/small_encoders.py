"""Encoders of every family in miniature, with weights by rule, and the slow form of them."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from rawnet_jax.encoders.config import EncoderConfig, Wav2Vec2Config
from rawnet_jax.encoders.encoder import EncoderOutput, SpeechEncoder, encoder_shapes

SIZES: dict[str, Any] = {
    "width": 48,
    "heads": 4,
    "feed_forward": 96,
    "num_layers": 3,
    "conv_features": 24,
    "conv_kernels": (10, 3, 2),
    "conv_strides": (5, 2, 2),
    "position_kernel": 16,
    "position_groups": 4,
}
FIRST: dict[str, Any] = {"norm_first": True, "conv_norm": "layer"}
FAMILIES = {
    "wav2vec2_base": Wav2Vec2Config(**SIZES),
    "xlsr": Wav2Vec2Config(**SIZES, **FIRST, conv_bias=True),
    "hubert_base": Wav2Vec2Config(**SIZES, family="hubert"),
    "hubert_large": Wav2Vec2Config(**SIZES, **FIRST, family="hubert"),
    "wavlm_base": Wav2Vec2Config(**SIZES, family="wavlm"),
    "wavlm_large": Wav2Vec2Config(**SIZES, **FIRST, family="wavlm"),
}
# All seven convolutions; the others have three of them, to compile in less time.
SEVEN = FAMILIES["xlsr"].replaced(
    conv_kernels=Wav2Vec2Config().conv_kernels, conv_strides=Wav2Vec2Config().conv_strides
)
MHUBERT = Wav2Vec2Config(**SIZES, family="hubert", position_batch_norm=True)
# 124 frames reach the buckets of wavlm that are spaced by the logarithm; 77 is odd.
LENGTHS = np.array([2_500, 1_560], np.int32)


def clips() -> np.ndarray:
    """Two clips, zero behind the second one's end."""
    waveform = np.random.default_rng(3).standard_normal((2, LENGTHS[0])).astype(np.float32)
    return np.where(np.arange(LENGTHS[0]) < LENGTHS[:, None], waveform, 0.0).astype(np.float32)


def drawn(config: EncoderConfig, seed: int = 0) -> dict[str, Any]:
    """Variables of which no bias, scale or statistic is trivial."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> np.ndarray:
        name = path[-1].key
        noise = rng.standard_normal(leaf.shape).astype(np.float32)
        if name == "kernel":
            fan_in = np.prod(leaf.shape[:-1]) / (config.num_layers if leaf.ndim == 3 else 1)
            return noise / np.float32(np.sqrt(max(fan_in, 1.0)))
        if name in ("scale", "length", "gate_factor"):
            return 1.0 + 0.1 * noise
        return np.exp(0.2 * noise) if name == "var" else 0.2 * noise

    return jax.tree_util.tree_map_with_path(draw, encoder_shapes(config))


def encoded(
    config: EncoderConfig,
    variables: Any,
    waveform: np.ndarray,
    num_samples: np.ndarray,
    *,
    hidden: bool = True,
) -> EncoderOutput:
    """Run an encoder."""

    @jax.jit
    def run(variables: Any, waveform: Any, num_samples: Any) -> EncoderOutput:
        network: Any = SpeechEncoder(config)
        found: EncoderOutput = network.apply(variables, waveform, num_samples, hidden=hidden)
        return found

    return jax.device_get(run(variables, waveform, num_samples))


def reference(shared_data: Path) -> ModuleType:
    """The numpy form; the test skips without it."""
    path = shared_data.parent / "design" / "ssl_reference.py"
    if not path.is_file():
        pytest.skip(f"no {path}")
    spec = importlib.util.spec_from_file_location("ssl_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def slow_form(
    module: ModuleType, config: Wav2Vec2Config, state: dict[str, np.ndarray], waveform: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Run the numpy form on whole clips: the last state, and all of them."""
    conv = "encoder.pos_conv_embed.conv."
    spelled = {conv + "weight_g": "original0", conv + "weight_v": "original1"}
    new = {
        conv + f"parametrizations.weight.{spelled[name]}" if name in spelled else name: array
        for name, array in state.items()
    }
    numbers = {
        "stride": config.conv_strides,
        "kernel": config.conv_kernels,
        "extract": config.conv_norm,
        "heads": config.heads,
        "groups": config.position_groups,
        "stable": config.norm_first,
        "layers": config.kept_layers,
        "wavlm": config.relative_bias,
        "nb": config.buckets,
        "md": config.max_distance,
    }
    with np.errstate(invalid="ignore"):  # it takes the logarithm of distance 0, and drops it
        last, states, _ = module.forward(new, numbers, waveform)
    return last, states
