"""Files that hold secrets: nobody but their owner may read or change them."""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from rawnet_jax.errors import ConfigError
from rawnet_jax.regular_file import check_regular

SECRET_BYTES = 32
_MOST_BYTES = 2**20
_FORBIDDEN = stat.S_IRWXO | stat.S_IWGRP


def read_private(path: str | Path, what: str) -> bytes:
    """Return what a file with secrets holds.

    Args:
        path: the file. Its group may read it, as systemd lets the service's group; others may not.
        what: what the file is, for errors.

    Raises:
        ConfigError: it cannot be read, is not a regular file, is larger than 1 MiB, or can be read
            or changed by others than its owner.
    """
    try:
        check_regular(path)
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise ConfigError(f"{what} {path}: cannot be read: {said}") from error
    if status.st_mode & _FORBIDDEN:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(
            f"{what} {path}: its mode is {mode:03o}; only its owner may read and change it: "
            f"chmod 600 {path}"
        )
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{what} {path}: it is larger than 1 MiB")
    return content


class Secret:
    """The secret of a service, from which the key of every keyed hash is derived.

    Attributes:
        is_kept: whether it is the same after a restart.
    """

    def __init__(self, content: bytes | None = None) -> None:
        """Take a secret; None = draw one, which ends with the process.

        Raises:
            ConfigError: it is shorter than 32 bytes.
        """
        self.is_kept = content is not None
        if content is not None and len(content) < SECRET_BYTES:
            raise ConfigError(
                f"the secret has {len(content)} bytes; it must have {SECRET_BYTES} or more: "
                f"head -c {SECRET_BYTES} /dev/urandom > FILE"
            )
        self._content = content or secrets.token_bytes(SECRET_BYTES)

    @classmethod
    def read(cls, path: str | Path) -> "Secret":
        """Read a secret: any 32 bytes or more.

        Raises:
            ConfigError: the file cannot be read, is too short, or others may read it.
        """
        return cls(read_private(path, "--secret"))

    def key(self, purpose: str) -> bytes:
        """Return the key for one purpose, 32 bytes; keys of different purposes tell nothing of
        each other.
        """
        return hmac.digest(self._content, f"rawnet_jax.serve {purpose}".encode(), "sha256")

    def tag(self, purpose: str, content: str | bytes) -> str:
        """Return a keyed name of something that must not be kept itself: 32 hexadecimal digits."""
        data = content.encode() if isinstance(content, str) else content
        return hmac.new(self.key(purpose), data, hashlib.sha256).hexdigest()[:32]
