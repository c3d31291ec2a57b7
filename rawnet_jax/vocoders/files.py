"""The files of a trained vocoder, and what its settings file says."""

from pathlib import Path
from typing import Any

from rawnet_jax.errors import CheckpointError
from rawnet_jax.json_text import parsed_json

SETTINGS_NAME = "vocoder.json"
WEIGHTS_NAME = "weights.safetensors"


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what ``vocoder.json`` says: ``spec`` (family, mel, fields), ``sha256`` and facts.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / SETTINGS_NAME
    try:
        facts = parsed_json(path.read_text(encoding="utf-8"))
        if not isinstance(facts["spec"]["family"], str):
            raise TypeError("no family")
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}; it must be a vocoder") from error
    except (ValueError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    assert isinstance(facts, dict)
    return facts
