"""What a case is, what it runs, and what came of it."""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Case:
    """A kind and a seed, which decide everything of it."""

    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.seed}"

    @property
    def rng(self) -> Rng:
        """Draws of this case; the same wherever and after whatever it is run."""
        return np.random.default_rng([zlib.crc32(self.kind.encode()), self.seed])


def case_of(text: str) -> Case:
    """Return the case that ``kind:seed`` names.

    Raises:
        ValueError: it names none.
    """
    kind, _, seed = text.partition(":")
    return Case(kind, int(seed))


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken promise: its kind, by which the table counts, and what was seen."""

    kind: str
    detail: str


@dataclass(slots=True)
class Outcome:
    """What a command did.

    Attributes:
        status: exit status; None = it ended in an exception.
        out: standard output.
        err: standard error.
        crash: the exception, with its place; "" = none.
        cpu_s: of all threads of the process.
        wall_s: of the clock.
        grown_mb: how far its memory rose above what it was.
    """

    status: int | None = None
    out: bytes = b""
    err: bytes = b""
    crash: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    grown_mb: float = 0.0


Check = Callable[[Outcome], Iterable[Failure]]


def _nothing(_: Outcome) -> Iterable[Failure]:
    return ()


@dataclass(slots=True)
class Attempt:
    """A command with something mutated, and what must hold of it beside what always must.

    Attributes:
        arguments: of ``python -m rawnet_jax``, run in the folder of the case.
        mutation: what was done, in words.
        stdin: its standard input; None = empty.
        statuses: exit statuses that the documentation gives it.
        most_errors: lines ``error: …`` at most: one an input.
        for_people: whether standard output is for people, and so without control characters.
        check: what else must hold.
        call: runs instead of the command line, and returns what a process would as its status.
    """

    arguments: list[str]
    mutation: str
    stdin: Path | None = None
    statuses: tuple[int, ...] = (0, 1, 2, 3)
    most_errors: int = 1
    for_people: bool = True
    check: Check = _nothing
    call: Callable[[], int] | None = None


@dataclass(slots=True)
class Result:
    """What came of a case."""

    case: Case
    mutation: str
    status: int | None
    failures: list[Failure] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    grown_mb: float = 0.0
    counts: int = 1
