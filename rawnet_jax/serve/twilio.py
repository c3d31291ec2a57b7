"""Twilio Media Streams: who sends them, and what their messages hold.

Source: Twilio's documentation of Media Streams (WebSocket messages) and of request validation.
"""

import base64
import binascii
import hashlib
import hmac
from urllib.parse import urlsplit

from rawnet_jax.errors import ConfigError
from rawnet_jax.serve.private_file import read_private

SIGNATURE = "X-Twilio-Signature"
RATE_HZ = 8_000
_FORM = {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1}


class Twilio:
    """Knows sockets that Twilio opened by their signature."""

    def __init__(self, token: str, url: str) -> None:
        """Take what Twilio signs with.

        Args:
            token: the auth token of the account.
            url: of the socket as Twilio was told it, which may differ from what comes through a
                proxy.

        Raises:
            ConfigError: the token is empty, or the URL is none of a socket.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.fragment:
            raise ConfigError(f"--twilio-url {url!r}: must be wss://HOST/v1/twilio")
        if not token:
            raise ConfigError("--twilio-token: the file is empty")
        self._token, self._url = token.encode(), url

    @classmethod
    def read(cls, path: str, url: str) -> "Twilio":
        """Read the token from a file.

        Raises:
            ConfigError: it cannot be read, is not text, or others may read it.
        """
        content = read_private(path, "--twilio-token")
        try:
            return cls(content.decode("ascii").strip(), url)
        except UnicodeDecodeError:
            raise ConfigError(f"--twilio-token {path}: must be text") from None

    def signature(self, url: str | None = None) -> str:
        """Return what Twilio signs a URL with: HMAC-SHA1 by the token, in base64."""
        signed = (self._url if url is None else url).encode()
        return base64.b64encode(hmac.digest(self._token, signed, hashlib.sha1)).decode()

    def is_signed(self, presented: str | None) -> bool:
        """Return whether a signature is Twilio's for our URL.

        Twilio signs it with a slash behind it at times; both are compared, in constant time.
        """
        if presented is None:
            return False
        found = presented.encode("utf-8", "surrogateescape")
        expected = (self.signature(), self.signature(self._url.rstrip("/") + "/"))
        fits = [hmac.compare_digest(found, one.encode()) for one in expected]
        return any(fits)


def samples_of(payload: object) -> bytes | None:
    """Return the µ-law bytes of a ``media`` message; None where it holds none."""
    if not isinstance(payload, str):
        return None
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        return None


def is_known_form(form: object) -> bool:
    """Return whether a ``start`` message announces what Twilio sends: µ-law, 8 kHz, one channel."""
    return isinstance(form, dict) and {name: form.get(name) for name in _FORM} == _FORM
