"""``serve-key``: the file of keys, from the command line."""

import math
import secrets
import time
from dataclasses import dataclass

from rawnet_jax.errors import ConfigError
from rawnet_jax.serve.keys import ApiKey, Role, add_key, read_keys, remove_key
from rawnet_jax.terminal import complain, show

_DAY_S = 86_400
_UNSET = "0" * 64


@dataclass(frozen=True, kw_only=True)
class KeyOptions:
    """Options of ``serve-key``, named as its flags; see ``serve-key --help``."""

    keys: str
    role: str | None
    list: bool
    remove: str | None
    id: str | None
    expires: float | None
    requests_per_minute: float | None
    streams: int | None

    def __post_init__(self) -> None:
        for name in ("id", "expires", "requests_per_minute", "streams"):
            value = getattr(self, name)
            flag = "--" + name.replace("_", "-")
            if value is not None and self.role is None:
                raise ConfigError(f"{flag} is of a new key: give --role too")
            if isinstance(value, (int, float)) and not 0 < value < math.inf:
                raise ConfigError(f"{flag} {value:g}: it must be above 0")


def serve_key(options: KeyOptions) -> int:
    """Carry out what the options say; returns the exit status.

    Raises:
        RawnetError: the file cannot be read or written.
    """
    if options.list:
        for key in read_keys(options.keys):
            show(_text(key))
    elif options.remove is not None:
        remove_key(options.keys, options.remove)
        complain(f"{options.keys}: {options.remove} is taken out")
    else:
        _make(options)
    return 0


def _make(options: KeyOptions) -> None:
    assert options.role is not None
    now = round(time.time())
    key = ApiKey(
        options.id or f"key-{secrets.token_hex(4)}",
        Role(options.role),
        _UNSET,
        None if options.expires is None else now + options.expires * _DAY_S,
        options.requests_per_minute,
        options.streams,
        now,
    )
    text = add_key(options.keys, key)
    complain(f"{options.keys}: {_text(key)}; the key, which is nowhere kept:")
    show(text)


def _text(key: ApiKey) -> str:
    parts = [f"{key.id}: {key.role.value}"]
    if key.requests_per_minute is not None:
        parts.append(f"{key.requests_per_minute:g} requests a minute")
    if key.streams is not None:
        parts.append(f"{key.streams} streams")
    if key.expires_at is not None:
        expired = "expired" if key.expires_at <= time.time() else "until"
        day = time.strftime("%Y-%m-%d", time.gmtime(key.expires_at))
        parts.append(f"{expired} {day}")
    return ", ".join(parts)
