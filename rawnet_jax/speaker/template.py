"""Templates of voices: what is kept of an enrolled speaker. No audio is."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular
from rawnet_jax.speaker.sealing import Sealer, SealError, is_sealed

SCHEMA_VERSION = 1
_CONTENT = "voice template"
_BOUND = b"file"
_UNIT = 1e-3
_MOST_WIDTH = 65_536

PRIVATE = 0o600
"""Mode of files that hold a template."""


@dataclass(frozen=True, slots=True, eq=False)
class VoiceTemplate:
    """An enrolled voice.

    Attributes:
        vector: float32 [D], of length 1.
        encoder: digest of the encoder; no other encoder's vectors can be compared with it.
        num_clips: that it is the mean of.
        speech_s: net speech in them, seconds.
        created: when, ISO 8601 in UTC.

    Raises:
        DataError: the vector is not a unit vector, or a number is out of range.
    """

    vector: np.ndarray
    encoder: str
    num_clips: int
    speech_s: float
    created: str

    def __post_init__(self) -> None:
        vector = np.asarray(self.vector, np.float32)
        good = (
            vector.ndim == 1
            and 2 <= vector.size <= _MOST_WIDTH
            and np.isfinite(vector).all()
            and abs(float(np.linalg.norm(vector)) - 1.0) < _UNIT
        )
        if not good:
            raise DataError("a template's vector must be finite and of length 1")
        if self.num_clips < 1 or not (math.isfinite(self.speech_s) and self.speech_s >= 0):
            raise DataError("a template must be of at least one clip and of finite length")
        object.__setattr__(self, "vector", vector)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers and strings, ready for JSON."""
        return {
            "content": _CONTENT,
            "schema_version": SCHEMA_VERSION,
            "encoder": self.encoder,
            "num_clips": self.num_clips,
            "speech_s": round(self.speech_s, 3),
            "created": self.created,
            "vector": [float(x) for x in self.vector],
        }

    @classmethod
    def from_bytes(cls, content: bytes) -> "VoiceTemplate":
        """Read what `to_dict` gave, as JSON.

        Raises:
            DataError: it is damaged, or no template.
        """
        try:
            record = parsed_json(content.decode("utf-8"))
        except ValueError as error:
            raise DataError(f"no JSON: {error}") from None
        if not isinstance(record, dict) or record.get("content") != _CONTENT:
            raise DataError("no voice template")
        if record.get("schema_version") != SCHEMA_VERSION:
            raise DataError(f"schema_version must be {SCHEMA_VERSION}")
        try:
            return cls(
                np.array(record["vector"], np.float32),
                str(record["encoder"]),
                int(record["num_clips"]),
                float(record["speech_s"]),
                str(record["created"]),
            )
        except KeyError as error:
            raise DataError(f"a template that lacks {error}") from None
        except (TypeError, ValueError) as error:
            raise DataError(f"damaged template: {error}") from None

    def to_bytes(self) -> bytes:
        """Return `to_dict` as JSON; the vector reads back to the last bit."""
        return json.dumps(self.to_dict(), allow_nan=False).encode()


def now_utc() -> str:
    """Return the time as templates have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_template(path: Path, template: VoiceTemplate, sealer: Sealer | None = None) -> None:
    """Write a template as a file that its owner alone reads, whole or not at all.

    Args:
        path: file to write.
        template: what to write.
        sealer: encrypts it; None = plain JSON.

    Raises:
        DataError: it cannot be written.
    """
    content = template.to_bytes()
    if sealer is not None:
        content = sealer.seal(content, _BOUND)
    write_bytes_atomically(path, content, PRIVATE)


def read_template(path: Path, sealer: Sealer | None = None) -> VoiceTemplate:
    """Read what `write_template` wrote.

    Raises:
        DataError: it cannot be read or is damaged; it is encrypted and there is no key, or another.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if is_sealed(content) and sealer is None:
        raise DataError(f"{path}: is encrypted; --key must name the file of the key")
    try:
        if is_sealed(content) and sealer is not None:
            content = sealer.open(content, _BOUND)
        return VoiceTemplate.from_bytes(content)
    except SealError as error:
        raise SealError(f"{path}: {error}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}; it must be a file that enrol wrote") from None
