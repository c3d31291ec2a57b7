"""Audio spoof detection from the raw waveform, in JAX and Flax.

`load` gives a `Detector`; its `score` gives a `Result`. `list_presets` lists what it loads by name.
Nothing heavy is imported before it is
used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawnet_jax.detector import Detector, load
    from rawnet_jax.errors import (
        AudioError,
        CheckpointError,
        ConfigError,
        DataError,
        ExportError,
        MetricError,
        RawnetError,
    )
    from rawnet_jax.presets.catalog import list_presets
    from rawnet_jax.result import ModelInfo, Result, Window

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Detector",
    "ExportError",
    "MetricError",
    "ModelInfo",
    "RawnetError",
    "Result",
    "Window",
    "__version__",
    "list_presets",
    "load",
]

_ERRORS = [name for name in __all__ if name.endswith("Error")]
_PLACES = dict.fromkeys(_ERRORS, "errors") | {
    "Detector": "detector",
    "list_presets": "presets.catalog",
    "load": "detector",
    "ModelInfo": "result",
    "Result": "result",
    "Window": "result",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'rawnet_jax' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rawnet_jax.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
