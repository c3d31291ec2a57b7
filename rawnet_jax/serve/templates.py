"""Templates of enrolled voices at rest: encrypted, rotated, one file each, and no audio.

A file opens only with the service's key and for the tenant, the speaker and the encoder that it was
made for. Names of files are keyed, so that a folder does not tell who is enrolled.

Each tenant has a random rotation of the space of voices. Templates are kept rotated, and a voice is
rotated before it is compared, which changes no cosine. When a tenant is revoked, its rotation is
drawn again: templates that leaked, with the key even, match nothing that the service makes from
then on. Whoever has the old rotation too can turn them back, so it is no one-way function.
"""

import hashlib
import hmac
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.regular_file import read_regular
from rawnet_jax.speaker.sealing import Sealer, SealError
from rawnet_jax.speaker.template import PRIVATE, VoiceTemplate

_ROTATION = "rotation"
_VOICE = ".voice"
_NAME_DIGITS = 32
_DIGEST_DIGITS = 16


class OtherEncoderError(DataError):
    """A speaker was enrolled with another encoder, whose vectors cannot be compared."""


class TemplateStore:
    """A folder of templates, for one process; safe to use from several threads."""

    def __init__(self, folder: str | Path, sealer: Sealer, encoder: str, width: int) -> None:
        """Open a folder, made if it is not there.

        Args:
            folder: of templates.
            sealer: with the service's key.
            encoder: digest of the encoder.
            width: length of its vectors.

        Raises:
            DataError: the folder cannot be made.
        """
        self._folder, self._sealer = Path(folder), sealer
        self._encoder, self._width = encoder, width
        self._name_key = sealer.derived("names of templates")
        self._lock = threading.Lock()
        self._rotations: dict[str, np.ndarray] = {}
        self._make(self._folder)

    def put(self, tenant: str, speaker: str, template: VoiceTemplate) -> None:
        """Keep a template, in place of an older one.

        Args:
            tenant: whose speaker it is.
            speaker: of the tenant.
            template: as `rawnet_jax.speaker.verification.enrol` made it, not rotated.

        Raises:
            DataError: it is of another encoder, or cannot be written.
        """
        if template.encoder != self._encoder:
            raise OtherEncoderError("the template is of another encoder than the service's")
        with self._lock:
            kept = _replaced(template, self._rotation(tenant) @ template.vector)
            path = self._path(tenant, speaker)
            self._write(path, kept.to_bytes(), [tenant, speaker, self._encoder])
            for old in self._others(tenant, speaker):
                old.unlink(missing_ok=True)

    def get(self, tenant: str, speaker: str) -> VoiceTemplate | None:
        """Return a template, rotated; None = not enrolled. Compare it with `rotated` voices.

        Raises:
            OtherEncoderError: the speaker is enrolled with another encoder.
            SealError: the file is damaged, or was put in another's place.
        """
        with self._lock:
            path = self._path(tenant, speaker)
            if not path.exists():
                if next(self._others(tenant, speaker), None) is not None:
                    raise OtherEncoderError("enrolled with another encoder; must be enrolled again")
                return None
            return VoiceTemplate.from_bytes(self._read(path, [tenant, speaker, self._encoder]))

    def rotated(self, tenant: str, vector: np.ndarray) -> np.ndarray:
        """Return a voice [D] as the tenant's templates are kept, float32 [D]."""
        with self._lock:
            return (self._rotation(tenant) @ vector).astype(np.float32)

    def delete(self, tenant: str, speaker: str) -> bool:
        """Delete a template, of whatever encoder; returns whether there was one.

        Raises:
            DataError: it cannot be deleted.
        """
        with self._lock:
            paths = [self._path(tenant, speaker), *self._others(tenant, speaker)]
            found = [path for path in paths if path.exists()]
            try:
                for path in found:
                    path.unlink()
            except OSError as error:
                raise DataError(f"{self._folder}: cannot delete: {error.strerror}") from error
            return bool(found)

    def export(self, tenant: str, speaker: str) -> dict[str, Any] | None:
        """Return all that is kept of a speaker, not rotated, ready for JSON; None = nothing.

        Raises:
            DataError: as `get`.
        """
        kept = self.get(tenant, speaker)
        if kept is None:
            return None
        with self._lock:
            back = self._rotation(tenant).T @ kept.vector
        return {"speaker_id": speaker, **_replaced(kept, back).to_dict()}

    def count(self, tenant: str) -> int:
        """Return how many speakers a tenant has."""
        return sum(1 for _ in self._tenant(tenant).glob(f"*{_VOICE}"))

    def revoke(self, tenant: str) -> int:
        """Delete all templates of a tenant and redraw its rotation; returns how many there were.

        Raises:
            DataError: a file cannot be deleted.
        """
        with self._lock:
            self._rotations.pop(tenant, None)
            number = self.count(tenant)
            try:
                # The rotation goes first: without it, whatever is left matches nothing.
                (self._tenant(tenant) / _ROTATION).unlink(missing_ok=True)
                for path in self._tenant(tenant).glob(f"*{_VOICE}"):
                    path.unlink()
            except OSError as error:
                raise DataError(f"{self._folder}: cannot delete: {error.strerror}") from error
            return number

    def _rotation(self, tenant: str) -> np.ndarray:
        """Return the tenant's rotation, float64 [D, D]; drawn where there is none."""
        if tenant in self._rotations:
            return self._rotations[tenant]
        folder = self._tenant(tenant)
        path, bound = folder / _ROTATION, [tenant, "", str(self._width)]
        if path.exists():
            content = self._read(path, bound)
            found = np.frombuffer(content, "<f8")
            if found.size != self._width**2:
                raise SealError(f"{path}: damaged")
            found = found.reshape(self._width, self._width)
        else:
            self._make(folder)
            if any(folder.glob(f"*{_VOICE}")):
                raise SealError(f"{folder}: its rotation is lost, so nobody there can be verified")
            found = random_rotation(self._width)
            self._write(path, found.astype("<f8").tobytes(), bound)
        self._rotations[tenant] = found
        return found

    def _tenant(self, tenant: str) -> Path:
        return self._folder / self._tag("tenant", tenant)

    def _path(self, tenant: str, speaker: str) -> Path:
        name = f"{self._tag(tenant, speaker)}.{self._encoder[:_DIGEST_DIGITS]}{_VOICE}"
        return self._tenant(tenant) / name

    def _others(self, tenant: str, speaker: str) -> Iterator[Path]:
        """Yield the speaker's templates of other encoders."""
        own = self._path(tenant, speaker)
        found = self._tenant(tenant).glob(f"{self._tag(tenant, speaker)}.*{_VOICE}")
        return (path for path in found if path != own)

    def _tag(self, *words: str) -> str:
        text = json.dumps(words).encode()
        return hmac.new(self._name_key, text, hashlib.sha256).hexdigest()[:_NAME_DIGITS]

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{folder}: cannot be made: {error.strerror}") from error

    def _write(self, path: Path, content: bytes, bound: list[str]) -> None:
        self._make(path.parent)
        write_bytes_atomically(
            path, self._sealer.seal(content, json.dumps(bound).encode()), PRIVATE
        )

    def _read(self, path: Path, bound: list[str]) -> bytes:
        try:
            return self._sealer.open(read_regular(path), json.dumps(bound).encode())
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        except SealError as error:
            raise SealError(f"{path}: {error}") from None


def random_rotation(width: int) -> np.ndarray:
    """Draw an orthogonal matrix from all of them alike (Haar), float64 [width, width]."""
    rng = np.random.default_rng(int.from_bytes(os.urandom(32), "little"))
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return np.asarray(q * np.sign(np.diag(r)))


def _replaced(template: VoiceTemplate, vector: np.ndarray) -> VoiceTemplate:
    return VoiceTemplate(
        np.asarray(vector, np.float32),
        template.encoder,
        template.num_clips,
        template.speech_s,
        template.created,
    )
