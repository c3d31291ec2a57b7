"""Signed decisions: what the system behind the gate can check by itself.

A decision is a JSON Web Signature (RFC 7515) by Ed25519 (RFC 9864) over the SHA-256 of the very
bytes that were judged, so that neither another recording nor another moment can borrow it.
"""

import hashlib
import hmac
import json
import math
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.serve.private_file import read_private

HEADER = "Authorization-Decision"
LIFE_S = 60
ALGORITHM = "Ed25519"
_TYPE = "rawnet-decision+jwt"
_LEEWAY_S = 5


class DecisionError(DataError):
    """A decision that must not be believed: of another key, audio or receiver, or too old."""


class Signer:
    """Signs decisions with one private key."""

    def __init__(
        self, pem: bytes, name: str = "the key", *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """Read a private key.

        Args:
            pem: PKCS #8, not encrypted, of Ed25519.
            name: of the file, for errors.
            wall_clock: Unix time.

        Raises:
            ConfigError: it is no such key.
        """
        self._wall_clock = wall_clock
        try:
            private = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{name}: no private key in PEM without a password") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigError(
                f"{name}: must be a key of Ed25519: openssl genpkey -algorithm ed25519 -out FILE"
            )
        self._key = OKPKey.import_key(pem)
        self._id = self._key.thumbprint()

    @classmethod
    def read(cls, path: str, *, wall_clock: Callable[[], float] = time.time) -> "Signer":
        """Read a private key from a file.

        Raises:
            ConfigError: it is not a key of Ed25519, or others may read it.
        """
        content = read_private(path, "--decision-key")
        return cls(content, f"--decision-key {path}", wall_clock=wall_clock)

    @property
    def key_set(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        public = self._key.as_dict(private=False)
        return {"keys": [public | {"kid": self._id, "alg": ALGORITHM, "use": "sig"}]}

    def sign(
        self,
        *,
        audience: str,
        decision: str,
        audio_sha256: str,
        model_digest: str,
        challenge_id: str | None = None,
        nonce: str | None = None,
        request_id: str | None = None,
    ) -> str:
        """Return a decision as a compact JWS that is good for a minute.

        Args:
            audience: who may believe it.
            decision: what was decided.
            audio_sha256: of the bytes that were judged, hexadecimal.
            model_digest: SHA-256 of all that decides a score.
            challenge_id: that the client named.
            nonce: of that challenge.
            request_id: for the log of the receiver.
        """
        now = int(self._wall_clock())
        claims = {
            "aud": audience,
            "iat": now,
            "exp": now + LIFE_S,
            "jti": secrets.token_urlsafe(16),
            "decision": decision,
            "audio_sha256": audio_sha256,
            "model_digest": model_digest,
        }
        more = {"challenge_id": challenge_id, "nonce": nonce, "request_id": request_id}
        claims |= {name: value for name, value in more.items() if value is not None}
        header = {"alg": ALGORITHM, "typ": _TYPE, "kid": self._id}
        return jws.serialize_compact(header, _json(claims), self._key, algorithms=[ALGORITHM])


def verify_decision(
    token: str,
    key_set: Mapping[str, Any],
    *,
    audience: str,
    audio: bytes | None = None,
    audio_sha256: str | None = None,
    challenge_id: str | None = None,
    is_new: Callable[[str], bool] | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Check a decision, as the system behind the gate must.

    Args:
        token: what came in the header ``Authorization-Decision``.
        key_set: the service's ``/v1/keys``, got once over a channel that is trusted.
        audience: the receiver's own name.
        audio: the bytes of the body; or its SHA-256 as
        audio_sha256: 64 hexadecimal digits.
        challenge_id: that must stand in it; None = none has to.
        is_new: told the ``jti``, says whether it was never seen before; None = nobody looks, and
            the same decision may come twice within a minute.
        wall_clock: Unix time.

    Returns:
        The claims; the decision is "bonafide".

    Raises:
        DecisionError: it must not be believed; the audio must not be used.
    """
    claims = _signed_claims(token, key_set)
    now = wall_clock()
    found = audio_sha256 if audio is None else hashlib.sha256(audio).hexdigest()
    if found is None:
        raise DecisionError("decision: audio or audio_sha256 must be given")
    begins, ends = _time(claims, "iat") - _LEEWAY_S, _time(claims, "exp")
    checks = {
        "it is for another receiver": claims.get("aud") == audience,
        "it has expired or is not yet valid": begins <= now < ends,
        "it is of other audio": _equal(claims.get("audio_sha256"), found),
        "it is of another challenge": challenge_id is None
        or _equal(claims.get("challenge_id"), challenge_id),
        "it does not say bonafide": claims.get("decision") == "bonafide",
        "it has no jti": isinstance(claims.get("jti"), str),
    }
    for said, is_right in checks.items():
        if not is_right:
            raise DecisionError(f"decision: {said}")
    if is_new is not None and not is_new(claims["jti"]):
        raise DecisionError("decision: it was used before")
    return claims


def _signed_claims(token: str, key_set: Mapping[str, Any]) -> dict[str, Any]:
    try:
        keys = KeySet.import_key_set(key_set)  # type: ignore[arg-type]
        found = jws.deserialize_compact(token, keys, algorithms=[ALGORITHM])
        claims = parsed_json(found.payload.decode("utf-8"))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise DecisionError(f"decision: its signature does not hold: {error}") from error
    if found.headers().get("typ") != _TYPE or not isinstance(claims, dict):
        raise DecisionError("decision: it is signed, but no decision")
    return claims


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


def _equal(one: Any, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())


def _json(claims: Mapping[str, Any]) -> bytes:
    return json.dumps(claims, separators=(",", ":"), allow_nan=False).encode()
