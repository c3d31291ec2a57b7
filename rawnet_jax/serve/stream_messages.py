"""What goes over the socket of a stream, and with what code it ends. asyncapi.py describes it."""

from dataclasses import dataclass
from typing import Any

from rawnet_jax.data.pcm import PcmFormat
from rawnet_jax.json_text import parsed_json
from rawnet_jax.serve.settings import Settings

ENCODINGS = ("s16le", "f32le", "mulaw", "alaw")

CLOSE_CODES = {
    1000: "all is said",
    1001: "the service ends; what came is judged",
    1003: "a message of the wrong kind",
    1008: "a message that is not as it must be, or too many of them",
    1009: "a message of more than 64 KiB",
    1011: "the service failed; nothing is decided",
    1013: "the service is full or not ready",
    4001: "a key or ticket is needed",
    4003: "the page, challenge or subject is not allowed",
    4008: "nothing came for too long, or nothing was read",
    4009: "longer than a stream may be; what came is judged",
    4029: "this key has too many streams open",
}

_NAMES = {"type", "encoding", "rate", "channels", "challenge_id", "subject", "source"}
_MOST_LETTERS = 256


class Ended(Exception):
    """What ends a stream.

    Attributes:
        code: of the close frame, a key of `CLOSE_CODES`.
        reason: of the close frame, for people, at most 123 bytes.
        is_judged: whether what came so far is judged.
    """

    def __init__(self, code: int, reason: str, *, is_judged: bool = False) -> None:
        super().__init__(f"{code}: {reason}")
        self.code, self.is_judged = code, is_judged
        self.reason = reason.encode()[:123].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class Start:
    """The first message of a client.

    Attributes:
        form: of the samples in binary messages.
        challenge_id: of a challenge.
        subject: who claims to speak.
        source: where the audio comes from.
    """

    form: PcmFormat
    challenge_id: str | None = None
    subject: str | None = None
    source: str | None = None


def control_of(text: str) -> dict[str, Any]:
    """Return a text message as an object with a ``type``.

    Raises:
        Ended: it is none.
    """
    try:
        found = parsed_json(text)
    except ValueError:
        raise Ended(1003, "a text message must be JSON; audio goes in binary messages") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise Ended(1003, "a text message must be an object with a type")
    return found


def start_of(message: dict[str, Any], settings: Settings) -> Start:
    """Return what a ``start`` message says.

    Raises:
        Ended: it is none, or says what is not allowed.
    """
    if message["type"] != "start":
        raise Ended(1008, "the first message must be of the type start")
    if not message.keys() <= _NAMES:
        raise Ended(1008, f"start may have {', '.join(sorted(_NAMES))}")
    encoding = message.get("encoding")
    if not isinstance(encoding, str) or encoding not in ENCODINGS:
        raise Ended(1008, f"encoding must be one of {', '.join(ENCODINGS)}")
    rate = _whole(message, "rate", settings.min_rate_hz, settings.max_rate_hz, None)
    channels = _whole(message, "channels", 1, settings.max_channels, 1)
    names = {name: _name(message, name) for name in ("challenge_id", "subject", "source")}
    return Start(PcmFormat(encoding, rate, channels), **names)


def _whole(message: dict[str, Any], name: str, low: int, high: int, default: int | None) -> int:
    value = message.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise Ended(1008, f"{name} must be a whole number, {low} to {high}")
    return value


def _name(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name)
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _MOST_LETTERS):
        raise Ended(1008, f"{name} must be a string of 1 to {_MOST_LETTERS} characters")
    return value
