"""Between a published detector's state dict and our variables, both ways, with an encoder or not.

A detector without an encoder is its table of names alone (`rawnet_jax.interop.torch_weights`). Of
one with an encoder the tensors are of two kinds: the encoder's, under a prefix that is found
(`rawnet_jax.interop.encoder_weights`), and the head's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import numpy as np

from rawnet_jax.encoders.config import EncoderConfig, Wav2Vec2Config
from rawnet_jax.encoders.wav2vec2_names import fairseq_name
from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.encoder_weights import (
    encoder_from_state,
    names_of,
    state_from_encoder,
)
from rawnet_jax.interop.torch_weights import (
    torch_names_of,
    variables_from_torch,
    variables_to_torch,
)
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder

_ENCODER = "encoder"
_BY_THE_FILE = ("conv_bias", "projection_norm")


@dataclass(frozen=True)
class PublishedWeights:
    """A detector that was read.

    Attributes:
        variables: of the template's structure, float32 numpy arrays.
        unused: names of what belongs to an encoder and is not used: layers that are not kept, parts
            of its pre-training.
    """

    variables: dict[str, Any]
    unused: list[str] = field(default_factory=list)


def variables_from_published(
    state: Mapping[str, np.ndarray],
    model: nn.Module,
    names: TorchNames,
    template: Mapping[str, Any],
) -> PublishedWeights:
    """Convert a published state dict.

    Args:
        state: PyTorch name -> array; names of an encoder are Hugging Face's or fairseq's, behind
            any prefix, and those of its head may have one of their own.
        model: the network.
        names: of its family; with an encoder, of the head.
        template: its initial variables or their shapes; see `variables_from_torch`.

    Raises:
        CheckpointError: listing all that is missing, left over, of another shape, not finite or
            given twice, of encoder and head.
    """
    if not isinstance(model, WithEncoder):
        return PublishedWeights(variables_from_torch(state, names, template))
    head = {part: _without_encoder(entries) for part, entries in template.items()}
    wanted = torch_names_of(head, names)
    problems = []
    try:
        found = encoder_from_state(state, model.encoder_config)
        rest = found.rest
        problems += _other_config(found.config, model.encoder_config)
    except CheckpointError as error:
        problems.append(f"encoder: {error}")
        rest = _beside_encoder(state, model.encoder_config, wanted)
    try:
        variables = variables_from_torch(_renamed(rest, wanted), names, head)
    except CheckpointError as error:
        problems.append(f"head: {error}")
    if problems:
        raise CheckpointError("; ".join(problems))
    for part in template:
        if _ENCODER in template[part]:
            variables[part] = {**variables[part], _ENCODER: found.variables[part]}
    return PublishedWeights(variables, found.unused)


def _without_encoder(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if name != _ENCODER}


def _other_config(found: EncoderConfig, wanted: EncoderConfig) -> list[str]:
    """Return in which fields the encoder of a file is another one than the config's."""
    return [
        f"encoder: {name} is {getattr(found, name)} in the file; set "
        f"--config.model.fields.encoder.{name}={getattr(found, name)}"
        for name in _BY_THE_FILE
        if getattr(found, name, None) != getattr(wanted, name, None)
    ]


def _beside_encoder(
    state: Mapping[str, np.ndarray], config: EncoderConfig, wanted: Iterable[str]
) -> dict[str, np.ndarray]:
    """Return a head's tensors, of a file whose encoder is not whole or not there."""
    try:
        prefix = names_of(config).prefix(state)
    except CheckpointError:
        return {name: state[name] for name in state if _is_one_of(name, wanted)}
    return {name: array for name, array in state.items() if not name.startswith(prefix)}


def _is_one_of(name: str, wanted: Iterable[str]) -> bool:
    return any(name == known or name.endswith("." + known) for known in wanted)


def _renamed(rest: Mapping[str, np.ndarray], wanted: Iterable[str]) -> dict[str, np.ndarray]:
    """Return a head's tensors without the prefix that most of them have."""
    prefixes = Counter(
        name.removesuffix(known) for name in rest for known in wanted if _is_one_of(name, [known])
    )
    prefix = prefixes.most_common(1)[0][0] if prefixes else ""
    return {name.removeprefix(prefix): array for name, array in rest.items()}


def variables_to_published(
    variables: Mapping[str, Any], model: nn.Module, names: TorchNames
) -> dict[str, np.ndarray]:
    """Convert our variables to a state dict of the published code.

    Args:
        variables: ``{"params", "batch_stats"}``.
        model: the network.
        names: of its family; with an encoder, of the head.

    Returns:
        PyTorch name -> array, as `variables_to_torch`; an encoder's tensors by fairseq's names
        (Whisper's by Hugging Face's) behind `TorchNames.encoder`. What pre-training alone uses is
        not among them.
    """
    if not isinstance(model, WithEncoder):
        return variables_to_torch(variables, names)
    head = {part: _without_encoder(entries) for part, entries in variables.items()}
    encoder = {part: entries.get(_ENCODER, {}) for part, entries in variables.items()}
    config = model.encoder_config
    state = state_from_encoder(encoder, config)
    if isinstance(config, Wav2Vec2Config):
        state = {fairseq_name(name, config): array for name, array in state.items()}
    state = {names.encoder + name: array for name, array in state.items()}
    return state | variables_to_torch(head, names)
