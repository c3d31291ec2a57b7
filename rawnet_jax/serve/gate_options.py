"""Options of ``serve`` that make a gate of it."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rawnet_jax.errors import ConfigError

if TYPE_CHECKING:
    from rawnet_jax.serve.gate import Gate

_NEEDED = ("cryptography", "httpx", "joserfc")
_HOST = r"(?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
_ORIGIN = re.compile(rf"(?:http://{_HOST}(?!:80$)|https://{_HOST}(?!:443$))(?::[1-9]\d{{0,4}})?")


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """Options of the gate, named as flags of ``serve``; see ``serve --help``."""

    keys: str | None = None
    secret: str | None = None
    attempts: str | None = None
    replayed: str | None = None
    audit_log: str | None = None
    decision_key: str | None = None
    audience: str | None = None
    upstream: str | None = None
    upstream_timeout: float = 30.0
    require_challenge: bool = False
    requests_per_minute: float = 600.0
    origin: tuple[str, ...] = ()
    twilio_token: str | None = None
    twilio_url: str | None = None

    def __post_init__(self) -> None:
        if self.upstream is not None and self.decision_key is None:
            raise ConfigError(
                "--upstream needs --decision-key: without a signature anybody could say that audio "
                "was judged; openssl genpkey -algorithm ed25519 -out FILE makes one"
            )
        if self.audience is not None and self.upstream is None:
            raise ConfigError("--audience is of --upstream")
        for flag in ("attempts", "replayed", "audit_log"):
            if getattr(self, flag) is not None and self.secret is None:
                name = flag.replace("_", "-")
                raise ConfigError(
                    f"--{name} needs --secret: what it keeps is keyed by it; "
                    "head -c 32 /dev/urandom > FILE makes one"
                )
        for flag in ("upstream_timeout", "requests_per_minute"):
            number = getattr(self, flag)
            if not 0 < number < math.inf:
                name = flag.replace("_", "-")
                raise ConfigError(f"--{name} {number:g}: it must be above 0")
        if (self.twilio_token is None) != (self.twilio_url is None):
            raise ConfigError("--twilio-token and --twilio-url: give both, or none")
        for origin in self.origin:
            _check_origin(origin)

    def gate(self) -> "Gate":
        """Return the parts of the gate.

        Raises:
            RawnetError: a file cannot be used, or an extra is missing.
        """
        _check_installed()
        from rawnet_jax.serve.attempts import Attempts
        from rawnet_jax.serve.audit import AuditLog
        from rawnet_jax.serve.decisions import Signer
        from rawnet_jax.serve.gate import Gate
        from rawnet_jax.serve.keys import KeyRing
        from rawnet_jax.serve.limits import RateLimiter
        from rawnet_jax.serve.private_file import Secret
        from rawnet_jax.serve.replayed import Replayed

        secret = Secret() if self.secret is None else Secret.read(self.secret)
        return Gate(
            secret=secret,
            key_ring=None if self.keys is None else KeyRing(self.keys),
            limiter=RateLimiter(self.requests_per_minute),
            attempts=Attempts(self.attempts),
            replayed=Replayed(secret, self.replayed),
            audit=None if self.audit_log is None else AuditLog(self.audit_log),
            signer=None if self.decision_key is None else Signer.read(self.decision_key),
            upstream=self._upstream(),
            needs_challenge=self.require_challenge,
            origins=frozenset(self.origin),
            twilio=self._twilio(),
        )

    def _upstream(self) -> Any:
        if self.upstream is None:
            return None
        from rawnet_jax.serve.upstream import Upstream

        return Upstream(self.upstream, audience=self.audience, timeout_s=self.upstream_timeout)

    def _twilio(self) -> Any:
        if self.twilio_token is None or self.twilio_url is None:
            return None
        from rawnet_jax.serve.twilio import Twilio

        return Twilio.read(self.twilio_token, self.twilio_url)


def _check_origin(origin: str) -> None:
    """Refuse what no browser sends: an origin of another form would match no page."""
    if not _ORIGIN.fullmatch(origin):
        raise ConfigError(
            f"--origin {origin!r}: must be http://HOST or https://HOST as browsers send it: in "
            "small letters, with its port unless that is 80 or 443, and no slash at the end"
        )


def _check_installed() -> None:
    import importlib.util

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"serve: {', '.join(missing)} not installed; pip install 'rawnet_jax[serve]' has it"
        )
