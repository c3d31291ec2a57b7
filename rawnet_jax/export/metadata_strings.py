"""Metadata of an exported file as strings, for formats that hold nothing else."""

import json
from collections.abc import Mapping
from typing import Any

_TEXT = frozenset(
    (
        *("producer", "run", "model", "pad", "clip", "score_direction", "license"),
        *("software_license", "file_sha256"),
    )
)


def as_strings(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return metadata for a format that holds strings alone: what is not text, as JSON."""
    return {name: v if name in _TEXT else json.dumps(v) for name, v in metadata.items()}


def from_strings(strings: Mapping[str, str]) -> dict[str, Any]:
    """Return what `as_strings` was given."""
    return {name: v if name in _TEXT else json.loads(v) for name, v in strings.items()}
