"""Whisper's encoder out of a file of CTranslate2, in which queries, keys and values are one."""

import re
from collections.abc import Mapping

import numpy as np

from rawnet_jax.encoders.config import WhisperConfig
from rawnet_jax.encoders.names import first_applied
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.ctranslate2_file import CTranslate2File
from rawnet_jax.interop.torch_records import shortened

_NETWORK = "WhisperSpec"
_HEADS = "encoder/num_heads"
_LAYER = r"^encoder/layer_(\d{1,6})/"
_LEAVES = {"gamma": "weight", "beta": "bias"}
# Their name -> Hugging Face's, with slashes; the first one that matches is taken.
_RULES = (
    (r"^encoder/position_encodings/encodings$", "encoder/embed_positions/weight"),
    (_LAYER + r"self_attention/layer_norm/", r"encoder/layers/\1/self_attn_layer_norm/"),
    (_LAYER + r"self_attention/linear_0/", r"encoder/layers/\1/self_attn/{}_proj/"),
    (_LAYER + r"self_attention/linear_1/", r"encoder/layers/\1/self_attn/out_proj/"),
    (_LAYER + r"ffn/layer_norm/", r"encoder/layers/\1/final_layer_norm/"),
    (_LAYER + r"ffn/linear_0/", r"encoder/layers/\1/fc1/"),
    (_LAYER + r"ffn/linear_1/", r"encoder/layers/\1/fc2/"),
)


def whisper_state(file: CTranslate2File) -> dict[str, np.ndarray]:
    """Return a Whisper's variables by Hugging Face's names; the decoder's keep theirs.

    Raises:
        CheckpointError: it is another network, or keys have a bias, which Whisper's have not.
    """
    if file.network != _NETWORK:
        raise CheckpointError(f"holds a {shortened(file.network)}; only {_NETWORK} is read here")
    state: dict[str, np.ndarray] = {}
    for name, values in file.variables.items():
        if name == _HEADS:
            continue
        known = _known(name)
        if "{}" in known:
            state |= _divided(known, values)
        else:
            state[known] = values
    return state


def _known(name: str) -> str:
    if not name.startswith("encoder/"):
        return name
    module, _, leaf = first_applied(name, _RULES).rpartition("/")
    return f"{module}/{_LEAVES.get(leaf, leaf)}".replace("/", ".")


def _divided(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return queries, keys and values apart; the bias that keys have not is a stretch of zeros."""
    if not values.ndim or len(values) % 3:
        raise CheckpointError(
            f"damaged: {name.format('qkv')} is {values.shape}; it must be queries, keys and values"
        )
    parts = {name.format(kind): part for kind, part in zip("qkv", np.split(values, 3), strict=True)}
    if name.endswith(".bias") and np.any(parts.pop(name.format("k"))):
        raise CheckpointError(f"{name.format('k')} is not zero; Whisper's keys have no bias")
    return parts


def whisper_config(file: CTranslate2File) -> WhisperConfig:
    """Return the sizes of a Whisper's encoder, which are in the file itself.

    Raises:
        CheckpointError: what tells them is missing, or impossible.
    """
    variables = file.variables
    layers = {match[1] for match in (re.match(_LAYER, name) for name in variables) if match}
    try:
        return WhisperConfig(
            width=_shape(variables, "encoder/conv1/weight", 3)[0],
            mel_bands=_shape(variables, "encoder/conv1/weight", 3)[1],
            positions=_shape(variables, "encoder/position_encodings/encodings", 2)[0],
            feed_forward=_shape(variables, "encoder/layer_0/ffn/linear_0/weight", 2)[0],
            heads=_heads(variables),
            num_layers=len(layers),
        )
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _heads(variables: Mapping[str, np.ndarray]) -> int:
    _shape(variables, _HEADS, 0)
    return int(variables[_HEADS])


def _shape(variables: Mapping[str, np.ndarray], name: str, axes: int) -> tuple[int, ...]:
    if name not in variables:
        raise CheckpointError(f"{name} is missing, so the encoder's sizes are unknown")
    if variables[name].ndim != axes:
        raise CheckpointError(f"{name} has {variables[name].ndim} axes; it must have {axes}")
    return variables[name].shape
