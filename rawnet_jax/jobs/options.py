"""Options that several jobs have, named as the flags that set them, and their checks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.errors import ConfigError

FIRST = "first"
"""The aggregation that scores the first part of a recording alone."""

TABLE = "table"
"""The form of results for people."""


MOST = 2**31 - 1
"""Of any whole number."""

MOST_WORKERS = 1024
"""Of threads or processes at once."""


def at_least(flag: str, number: int | None, least: int, most: int = MOST) -> None:
    """Check a number; None = not given.

    Raises:
        ConfigError: it is smaller, or so large that nothing could be done with it.
    """
    if number is not None and number < least:
        raise ConfigError(f"{flag} {number}: it must be {least} or more")
    if number is not None and number > most:
        shown = number if number < 10**20 else f"{str(number)[:20]}…"
        raise ConfigError(f"{flag} {shown}: it must be at most {most:,}")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which checkpoint of which run, with which settings."""

    workdir: Path
    checkpoint: str
    overrides: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class VerdictOptions(RunOptions):
    """How recordings are read, and their scores."""

    channel: int | None
    p_spoof: float
    threshold: float | None
    speech: str | None

    def __post_init__(self) -> None:
        at_least("--channel", self.channel, 1)
        if not 0 < self.p_spoof < 1:
            raise ConfigError(f"--p-spoof {self.p_spoof:g}: it must be above 0 and below 1")

    @property
    def settings(self) -> list[str]:
        """The overrides, with --speech as one of them."""
        return with_speech(self.overrides, self.speech)


@dataclass(frozen=True, kw_only=True)
class SpoolOptions(VerdictOptions):
    """How much of standard input is kept on disk while it is decoded, in GiB."""

    max_stdin: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.max_stdin < math.inf:
            raise ConfigError(f"--max-stdin {self.max_stdin:g}: it must be above 0, in GiB")

    @property
    def max_stdin_bytes(self) -> int:
        """The same in bytes."""
        return int(self.max_stdin * 2**30)


def with_speech(overrides: Sequence[str], speech: str | None) -> list[str]:
    """Return overrides with --speech as one of them; None = not given."""
    return [*overrides, *([] if speech is None else [f"--config.gate.speech={speech}"])]
