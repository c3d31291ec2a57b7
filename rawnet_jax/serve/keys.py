"""API keys: who may ask, and in which role.

A key is 256 random bits. The file holds its SHA-256 only: a key that cannot be guessed needs no
slow hash, and a stolen file gives none away.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import refuse_special, temporary_beside
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.serve.private_file import read_private

_LOG = logging.getLogger(__name__)
_CONTENT = "keys"
_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOOK_AGAIN_S = 1.0


class Role(StrEnum):
    """What the holder of a key is told."""

    GATE = "gate"  # a decision and a class of reason
    ANALYST = "analyst"  # scores, windows, reasons


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, as the file has it.

    Attributes:
        id: its name, in logs and metrics.
        role: what its holder is told.
        sha256: of the key.
        expires_at: Unix time after which it is refused; None = never.
        requests_per_minute: instead of the service's limit.
        streams: open at a time, instead of the service's limit.
        created_at: Unix time.
    """

    id: str
    role: Role
    sha256: str
    expires_at: float | None = None
    requests_per_minute: float | None = None
    streams: int | None = None
    created_at: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.id, str) and _ID.fullmatch(self.id)):
            raise ConfigError(
                f"key id {self.id!r}: it must be 1 to 64 letters, digits, '.', '_' or '-'"
            )
        if not (isinstance(self.sha256, str) and _DIGEST.fullmatch(self.sha256)):
            raise ConfigError(f"key {self.id}: sha256 must be 64 hexadecimal digits, small letters")
        for name in ("expires_at", "requests_per_minute", "streams", "created_at"):
            value = getattr(self, name)
            if value is not None and not (type(value) in (int, float) and 0 < value < 1e12):
                raise ConfigError(f"key {self.id}: {name} {value!r}: it must be a number above 0")


class KeyRing:
    """The keys of a file, read again when the file changes.

    A file that is damaged, missing or readable by others after a change lets nobody in until it is
    right again: a key that was taken out must not live on.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the file.

        Args:
            path: as `add_key` writes it.
            wall_clock: Unix time.
            clock: seconds, for when to look again.

        Raises:
            ConfigError: it cannot be read, is damaged, or others may read it.
        """
        self._path, self._wall_clock, self._clock = Path(path), wall_clock, clock
        self._stamp = _stamp(self._path)
        self._keys = read_keys(self._path)
        self._looked_at = clock()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, presented: str) -> ApiKey | None:
        """Return whose key this is; None = nobody's, or it has expired.

        Every entry is compared, each in constant time, so that the time tells neither which entry
        was near nor whether one fitted.
        """
        if self._clock() - self._looked_at >= _LOOK_AGAIN_S:
            self.reload()
        digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        if found is None or (found.expires_at or float("inf")) <= self._wall_clock():
            return None
        return found

    def by_id(self, name: str) -> ApiKey | None:
        """Return the key of this id that is still valid; None where there is none."""
        found = next((key for key in self._keys if key.id == name), None)
        if found is None or (found.expires_at or float("inf")) <= self._wall_clock():
            return None
        return found

    def reload(self, *, forced: bool = False) -> None:
        """Read the file again if it changed, or in any case (SIGHUP)."""
        self._looked_at = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp and not forced:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except ConfigError as error:
            self._keys = ()
            _LOG.error("%s; no key is accepted until it is right", error)
        else:
            _LOG.info("%s: read again, %d keys", self._path, len(self._keys))


def read_keys(path: str | Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file.

    Raises:
        ConfigError: it cannot be read, is damaged, or others may read it.
    """
    content = read_private(path, "--keys")
    try:
        record = parsed_json(content.decode("utf-8"))
    except ValueError as error:
        raise ConfigError(f"--keys {path}: damaged: {error}; it must be JSON") from error
    if not isinstance(record, dict) or record.get("content") != _CONTENT:
        raise ConfigError(f"--keys {path}: is not a file of keys; serve-key makes one")
    if record.get("schema_version") != _VERSION:
        raise ConfigError(f"--keys {path}: schema_version must be {_VERSION}")
    rows = record.get("keys")
    if not isinstance(rows, list):
        raise ConfigError(f"--keys {path}: keys must be a list")
    try:
        keys = tuple(_key(row) for row in rows)
    except ConfigError as error:
        raise ConfigError(f"--keys {path}: {error}") from error
    ids = [key.id for key in keys]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"--keys {path}: the id {twice} is there twice")
    return keys


def _key(row: Any) -> ApiKey:
    names = ApiKey.__dataclass_fields__.keys()
    if not isinstance(row, dict) or not row.keys() <= names:
        raise ConfigError(f"an entry must be an object of {', '.join(names)}")
    try:
        return ApiKey(**{**row, "role": Role(str(row.get("role")))})
    except ValueError:
        roles = ", ".join(role.value for role in Role)
        raise ConfigError(f"role {row.get('role')!r}: it must be one of {roles}") from None
    except TypeError:
        raise ConfigError("an entry must have id, role and sha256") from None


def add_key(path: str | Path, key: ApiKey) -> str:
    """Make a key and put it into a file, which is made if it is not there.

    Args:
        path: of the file; only its owner will be able to read it.
        key: all of the entry but ``sha256``.

    Returns:
        The key itself, which is nowhere kept.

    Raises:
        ConfigError: the file is damaged, or has a key of this id.
        DataError: it cannot be written.
    """
    keys = read_keys(path) if os.path.lexists(path) else ()
    if any(other.id == key.id for other in keys):
        raise ConfigError(f"--keys {path}: the id {key.id} is there; --id must be another")
    text = f"rj_{secrets.token_urlsafe(32)}"
    made = replace(key, sha256=hashlib.sha256(text.encode()).hexdigest())
    write_keys(path, [*keys, made])
    return text


def remove_key(path: str | Path, name: str) -> None:
    """Take a key out of a file; a running service refuses it within a second or so.

    Raises:
        ConfigError: the file is damaged or has no such key.
        DataError: it cannot be written.
    """
    keys = read_keys(path)
    left = [key for key in keys if key.id != name]
    if len(left) == len(keys):
        raise ConfigError(f"--keys {path}: no key has the id {name}")
    write_keys(path, left)


def write_keys(path: str | Path, keys: Sequence[ApiKey]) -> None:
    """Write a file of keys, whole or not at all, for its owner's eyes only.

    Raises:
        DataError: it cannot be written.
    """
    rows = [_row(key) for key in keys]
    record = {"content": _CONTENT, "schema_version": _VERSION, "keys": rows}
    text = json.dumps(record, indent=2) + "\n"
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        refuse_special(path)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"--keys {path}: cannot be written: {error.strerror}") from error


def _row(key: ApiKey) -> Mapping[str, Any]:
    row = {**asdict(key), "role": key.role.value}
    return {name: value for name, value in row.items() if value is not None}


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode
