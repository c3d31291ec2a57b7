"""Encryption of voice templates: AES-256-GCM with a key from a file that its owner alone reads."""

import hmac
import os
import stat
from pathlib import Path

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.regular_file import read_regular

KEY_BYTES = 32
_MAGIC = b"rawnet_jax voice 1\n"
_NONCE_BYTES = 12
_PURPOSE = b"rawnet_jax voice templates"
_MAKE = f"head -c {KEY_BYTES} /dev/urandom > FILE && chmod 600 FILE"


class SealError(DataError):
    """What was sealed cannot be opened: another key, another place, or damaged."""


class Sealer:
    """Seals and opens with one key."""

    def __init__(self, secret: bytes) -> None:
        """Take a secret of 32 bytes or more, from which the key is derived.

        Raises:
            ConfigError: it is shorter, or the package `cryptography` is not installed.
        """
        if len(secret) < KEY_BYTES:
            raise ConfigError(
                f"the key has {len(secret)} bytes; it must have {KEY_BYTES} or more: {_MAKE}"
            )
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ModuleNotFoundError:
            raise ConfigError(
                "encrypted templates need cryptography: pip install 'rawnet_jax[serve]'"
            ) from None
        self._secret = secret
        self._cipher = AESGCM(hmac.digest(secret, _PURPOSE, "sha256"))

    @classmethod
    def read(cls, path: str | Path, flag: str = "--key") -> "Sealer":
        """Read the key from a file.

        Args:
            path: the file.
            flag: that named it, for errors.

        Raises:
            ConfigError: it cannot be read, is too short, or others than its owner may read it.
        """
        try:
            content = read_regular(path)
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"{flag} {path}: cannot be read: {said}; make one: {_MAKE}"
            ) from error
        if os.name == "posix" and mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise ConfigError(
                f"{flag} {path}: its mode is {mode:03o}; only its owner may read it: "
                f"chmod 600 {path}"
            )
        try:
            return cls(content)
        except ConfigError as error:
            raise ConfigError(f"{flag} {path}: {error}") from None

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes for another purpose, which tell nothing of the key."""
        return hmac.digest(self._secret, b"other: " + purpose.encode(), "sha256")

    def seal(self, content: bytes, bound: bytes) -> bytes:
        """Encrypt.

        Args:
            content: what is to be kept secret.
            bound: what it belongs to; it opens with the same alone, and is not kept.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return _MAGIC + nonce + self._cipher.encrypt(nonce, content, _MAGIC + bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            SealError: it was not sealed with this key and `bound`, or is damaged.
        """
        from cryptography.exceptions import InvalidTag

        if not is_sealed(sealed):
            raise SealError("it is not encrypted; it must be")
        nonce = sealed[len(_MAGIC) : len(_MAGIC) + _NONCE_BYTES]
        try:
            found: bytes = self._cipher.decrypt(
                nonce, sealed[len(_MAGIC) + _NONCE_BYTES :], _MAGIC + bound
            )
        except (InvalidTag, ValueError):
            raise SealError("cannot be decrypted: another key, another owner, or damaged") from None
        return found


def is_sealed(content: bytes) -> bool:
    """Return whether `Sealer.seal` made it."""
    return content.startswith(_MAGIC)
