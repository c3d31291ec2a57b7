"""Between the state dict of a published speech encoder and our variables, both ways.

A state dict may be Hugging Face's, fairseq's or OpenAI's, or that of a detector with an encoder in
it (`rawnet_jax.encoders.names`). Ours have the layers stacked, a layer per entry of the first axis.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from rawnet_jax.encoders.config import EncoderConfig, Wav2Vec2Config, WhisperConfig
from rawnet_jax.encoders.encoder import encoder_shapes
from rawnet_jax.encoders.names import EncoderNames, grouped
from rawnet_jax.encoders.wav2vec2_names import WAV2VEC2_NAMES
from rawnet_jax.encoders.whisper_names import WHISPER_NAMES
from rawnet_jax.interop.torch_records import shortened
from rawnet_jax.interop.torch_weights import variables_from_torch, variables_to_torch
from rawnet_jax.models.torch_names import TorchNames

_NAMES: dict[type[EncoderConfig], EncoderNames] = {
    Wav2Vec2Config: WAV2VEC2_NAMES,
    WhisperConfig: WHISPER_NAMES,
}
_MOST_LETTERS = 120


@dataclass(frozen=True)
class EncoderWeights:
    """An encoder that was read.

    Attributes:
        config: the one asked for; of the wav2vec 2.0 kind, whether there are conv biases, and in
            hubert a norm before the projection, is as in the file.
        variables: ``{"params", "batch_stats"}`` of a `SpeechEncoder` with that config, float32
            numpy arrays.
        rest: the file's other tensors by their own names, such as a detector's head.
        unused: names of what belongs to the encoder and is not used: layers that are not kept,
            parts of its pre-training, such as Whisper's decoder.
    """

    config: EncoderConfig
    variables: dict[str, Any]
    rest: dict[str, np.ndarray] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def names_of(config: EncoderConfig) -> EncoderNames:
    """Return how the tensors of an encoder of this kind are called."""
    return _NAMES[type(config)]


def encoder_from_state(state: Mapping[str, np.ndarray], config: EncoderConfig) -> EncoderWeights:
    """Convert a state dict.

    Args:
        state: name -> array: Hugging Face's names, or fairseq's, with either spelling of weight
            norm, or OpenAI's; behind a prefix such as ``module.ssl_model.model.``, which is found.
        config: of the encoder; layers from `first_layers` on are passed over.

    Raises:
        CheckpointError: no encoder is there or several are; or listing all that is missing, left
            over, of another shape or not finite.
    """
    names = names_of(config)
    used, rest, unused = names.divided(state, config.kept_layers, config.num_layers)
    if isinstance(config, Wav2Vec2Config):
        config = _as_in_file(config, used)
    template = unstacked(encoder_shapes(config))
    variables = variables_from_torch(used, TorchNames(rules=names.rules), template, _all_of)
    return EncoderWeights(config, stacked(variables), rest, unused)


def _as_in_file(config: Wav2Vec2Config, used: Mapping[str, Any]) -> Wav2Vec2Config:
    return config.replaced(
        conv_bias=any(
            name.startswith("feature_extractor.") and name.endswith(".conv.bias") for name in used
        ),
        projection_norm=config.family != "hubert"
        or any(name.startswith("feature_projection.layer_norm.") for name in used),
    )


def state_from_encoder(
    variables: Mapping[str, Any], config: EncoderConfig
) -> dict[str, np.ndarray]:
    """Convert an encoder's variables to a state dict with Hugging Face's names.

    Args:
        variables: ``{"params", "batch_stats"}`` of a `SpeechEncoder`.
        config: of that encoder.

    Returns:
        Name -> float32 array (a BatchNorm's step counter: int64 scalar). Whisper's are those of
        ``WhisperModel``, with ``encoder.`` before them.
    """
    names = names_of(config)
    state = variables_to_torch(unstacked(variables), TorchNames(rules=names.rules))
    return {names.written_under + name: array for name, array in state.items()}


def _all_of(names: list[str]) -> str:
    return ", ".join(shortened(name, _MOST_LETTERS) for name in grouped(names))


def unstacked(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return variables with an entry ``layer_0``, ``layer_1``, … for each layer.

    Args:
        variables: of a `SpeechEncoder`: arrays, or their shapes.
    """
    layers = dict(variables["params"]["network"]["layers"])
    together = layers.pop("layer")
    for i in range(jax.tree.leaves(together)[0].shape[0]):
        layers[f"layer_{i}"] = jax.tree.map(lambda leaf, i=i: _entry(leaf, i), together)
    return _with_layers(variables, layers)


def stacked(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that `unstacked` divided, as numpy arrays."""
    layers = dict(variables["params"]["network"]["layers"])
    count = sum(name.startswith("layer_") for name in layers)
    each = [layers.pop(f"layer_{i}") for i in range(count)]
    layers["layer"] = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    return _with_layers(variables, layers)


def first_layers(weights: EncoderWeights, count: int) -> EncoderWeights:
    """Return an encoder with its first layers alone; their hidden states stay what they are."""
    layers = dict(weights.variables["params"]["network"]["layers"])
    layers["layer"] = jax.tree.map(lambda leaf: leaf[:count], layers["layer"])
    return replace(
        weights,
        config=weights.config.replaced(first_layers=count),
        variables=_with_layers(weights.variables, layers),
    )


def _with_layers(variables: Mapping[str, Any], layers: Mapping[str, Any]) -> dict[str, Any]:
    network = {**variables["params"]["network"], "layers": dict(layers)}
    return {
        "params": {"network": network},
        "batch_stats": variables.get("batch_stats", {}),
    }


def _entry(leaf: Any, i: int) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)
    return leaf[i]
