"""Files of published speech encoders: read, and written for others to read.

Read: safetensors, in one file or in shards with their index, PyTorch's own formats, a Whisper of
CTranslate2, a folder as Hugging Face lays it out. Written: such a folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import new_folder, refuse_used, write_files
from rawnet_jax.encoders.config import EncoderConfig, Wav2Vec2Config
from rawnet_jax.encoders.hugging_face import (
    config_from_hugging_face,
    config_to_hugging_face,
    input_to_hugging_face,
)
from rawnet_jax.errors import CheckpointError
from rawnet_jax.flat_weights import packed, published_arrays
from rawnet_jax.interop.ctranslate2_file import is_ctranslate2, read_ctranslate2
from rawnet_jax.interop.ctranslate2_whisper import whisper_config, whisper_state
from rawnet_jax.interop.encoder_weights import (
    EncoderWeights,
    encoder_from_state,
    state_from_encoder,
)
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_records import first_names, shortened
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular

_ONE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
# What a folder may hold: Hugging Face's names, the last one CTranslate2's.
_FILES = (_ONE, _INDEX, "pytorch_model.bin", "model.bin")
_CONFIG = "config.json"
_INPUT = "preprocessor_config.json"


def read_encoder_weights(path: str | Path, config: EncoderConfig | None = None) -> EncoderWeights:
    """Read an encoder.

    Args:
        path: a safetensors file, the index (``.index.json``) of several, a PyTorch file, a
            ``model.bin`` of CTranslate2, or a folder with one of them.
        config: of the encoder; None = as ``config.json`` and ``preprocessor_config.json`` in the
            folder say, or as the file of CTranslate2 does.

    Returns:
        The encoder, and what else is in the file.

    Raises:
        CheckpointError: a file cannot be read or is damaged, or its tensors are not those of the
            config; all of them are listed.
    """
    path = Path(path)
    file = _weights_in(path) if path.is_dir() else path
    if file and is_ctranslate2(file):
        state, config = _read_whisper(file, config)
    else:
        config = config or read_encoder_config(path)
        if not file:
            raise CheckpointError(f"{path}: no weights; there must be one of {', '.join(_FILES)}")
        state = read_tensors(file)
    try:
        return encoder_from_state(state, config)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: not the weights of this encoder; {error}") from None


def _read_whisper(
    path: Path, config: EncoderConfig | None
) -> tuple[dict[str, np.ndarray], EncoderConfig]:
    file = read_ctranslate2(path)
    try:
        state, own = whisper_state(file), whisper_config(file)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if config is not None and config.heads != own.heads:
        raise CheckpointError(f"{path}: has {own.heads} heads; the config says {config.heads}")
    return state, config or own


def read_encoder_config(path: str | Path) -> EncoderConfig:
    """Read the config that Hugging Face keeps beside weights.

    Args:
        path: the folder, or a file in it.

    Raises:
        CheckpointError: it is not there, is damaged, or of another network.
    """
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    file = folder / _CONFIG
    if not file.exists():
        raise CheckpointError(
            f"{file}: not there, so the encoder's sizes must be given: config=encoder_config(NAME)"
        )
    try:
        config = config_from_hugging_face(_object(file))
    except CheckpointError as error:
        text = str(error)
        raise CheckpointError(text if text.startswith(str(file)) else f"{file}: {text}") from None
    if (folder / _INPUT).exists() and _object(folder / _INPUT).get("do_normalize") is True:
        if not isinstance(config, Wav2Vec2Config):
            raise CheckpointError(f"{folder / _INPUT}: do_normalize is True; only False is read")
        return config.replaced(input_norm="hf")
    return config


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a file; see `read_encoder_weights`.

    Returns:
        Name -> array, read-only; bfloat16 as float32.

    Raises:
        CheckpointError: it cannot be read, or is damaged.
    """
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return read_state_dict(path, opaque=True)


def _weights_in(folder: Path) -> Path | None:
    return next((folder / name for name in _FILES if (folder / name).exists()), None)


def _content(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return published_arrays(_content(path))
    except ValueError as error:
        raise CheckpointError(
            f"{path}: no whole safetensors file ({shortened(str(error))})"
        ) from None


def _object(path: Path) -> Mapping[str, Any]:
    """Return the object that a JSON file holds."""
    try:
        found = parsed_json(_content(path).decode("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({shortened(str(error))})") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: must hold an object, {{…}}")
    return found


def _read_shards(path: Path) -> dict[str, np.ndarray]:
    place = _object(path).get("weight_map")
    if not isinstance(place, dict) or not place:
        raise CheckpointError(f"{path}: no weight_map; it must say which tensor is in which file")
    for name in place.values():
        # Another folder's files are none of its business.
        if not isinstance(name, str) or Path(name).name != name or "\0" in name:
            raise CheckpointError(
                f"{path}: weight_map names {shortened(str(name))!r}; it must be a file beside it"
            )
    files = list(dict.fromkeys(place.values()))
    lost = [name for name in files if not (path.parent / name).exists()]
    if lost:
        raise CheckpointError(f"{path}: these files are missing beside it: {first_names(lost)}")
    shards = {name: _read_safetensors(path.parent / name) for name in files}
    absent = [tensor for tensor, name in place.items() if tensor not in shards[name]]
    if absent:
        raise CheckpointError(f"{path}: not in the file that it names: {first_names(absent)}")
    return {tensor: shards[name][tensor] for tensor, name in place.items()}


def write_encoder_weights(
    folder: str | Path, variables: Mapping[str, Any], config: EncoderConfig
) -> None:
    """Write an encoder as Hugging Face's ``from_pretrained`` reads it.

    The folder gets ``model.safetensors`` (float32), ``config.json`` and
    ``preprocessor_config.json``. Layers that were not kept are not in it.

    Args:
        folder: a new one, or empty.
        variables: ``{"params", "batch_stats"}`` of a `SpeechEncoder`.
        config: of that encoder.

    Raises:
        DataError: the folder is in use or cannot be written; nothing is left behind.
    """
    folder = Path(folder)
    refuse_used(folder, "folder")
    weights = packed(state_from_encoder(variables, config), {"format": "pt"})
    with new_folder(folder, "folder") as temporary:
        write_files(
            temporary,
            [
                ("weights", _ONE, weights),
                ("config", _CONFIG, _text(config_to_hugging_face(config))),
                ("input", _INPUT, _text(input_to_hugging_face(config))),
            ],
        )


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"
