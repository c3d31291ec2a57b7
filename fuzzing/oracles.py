"""What must hold of every command, whatever it was given."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing.case import Attempt, Failure, Outcome

GROWTH_MB = 1024
_LINE = 1_700  # characters of a message, beside what the user gave
_TRACEBACK = re.compile(rb"^Traceback \(most recent call last\)", re.MULTILINE)
_PYTHON = re.compile(r"^[\w.]*(?:Error|Exception|Warning)\b.*:|^\S+\.py:\d+: \w*Warning:")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_KNOWN = re.compile(
    r"""(?x)
    error:\ | note:\ | WARNING:\ | usage:\ | rawnet-jax\ \S+:\ error:\ | \s | $
    | \d+\ scored | [\d.]+\ s,\ \d+\ windows | epoch\ | interrupted | terminated
    | written | \d+\ explained | warning:\ | stopped
    """
)
"""How lines on standard error begin."""


def failures_of(attempt: Attempt, outcome: Outcome, folder: Path) -> list[Failure]:
    """Return all that a command broke."""
    found = [*_of_end(attempt, outcome), *_of_streams(attempt, outcome)]
    if outcome.grown_mb > GROWTH_MB:
        found.append(Failure("growth", f"{outcome.grown_mb:.0f} MB"))
    found += [Failure("half-written", what) for what in half_written(folder)]
    return found + list(attempt.check(outcome))


def _of_end(attempt: Attempt, outcome: Outcome) -> Iterator[Failure]:
    if outcome.crash:
        yield Failure("traceback", outcome.crash)
    elif _TRACEBACK.search(outcome.err) or _TRACEBACK.search(outcome.out):
        yield Failure("traceback", "on standard error, of a thread or another process")
    elif outcome.status not in attempt.statuses:
        yield Failure("exit status", str(outcome.status))


def _of_streams(attempt: Attempt, outcome: Outcome) -> Iterator[Failure]:
    if outcome.crash:
        return
    lines = outcome.err.decode("utf-8", "replace").split("\n")
    errors = [line for line in lines if line.startswith("error:") or ": error: " in line]
    if len(errors) > attempt.most_errors:
        yield Failure("more error lines than may be", f"{len(errors)}: {errors[-1][:200]}")
    if outcome.status == 2 and not errors:
        yield Failure("no error line", f"status 2 and: {lines[0][:200]}")
    for line in lines:
        if _PYTHON.search(line):
            yield Failure("a line of Python's", line[:300])
        elif not _KNOWN.match(line):
            yield Failure("stray line", line[:300])
    longest = max(map(len, lines))
    if longest > _LINE + max(map(len, attempt.arguments), default=0):
        yield Failure("long line", f"{longest} characters: {max(lines, key=len)[:200]}")
    out = outcome.out.decode("utf-8", "replace") if attempt.for_people else ""
    control = _CONTROL.search("\n".join(lines) + out)
    if control:
        yield Failure("control character", repr(control[0]))


def _json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _json_lines(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(line)


def _csv(path: Path) -> None:
    before = csv.field_size_limit(2**24)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            widths = {len(row) for row in csv.reader(file)}
    finally:
        csv.field_size_limit(before)
    if len(widths) > 1:
        raise ValueError(f"rows of {sorted(widths)} columns")


_PARSERS: dict[str, Callable[[Path], None]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".csv": _csv,
}
_OF_ITS_OWN = {"checkpoints", "cache"}  # folders whose files are checked by who reads them
WRITTEN = "written"
"""Name of the folder that commands write into, inside the folder of a case."""


def half_written(folder: Path, *, killed: bool = False) -> Iterator[str]:
    """Yield what does not parse of the files that a command wrote, and what it left over.

    Args:
        folder: of the case.
        killed: it was, and leaves temporary files over until it is resumed.
    """
    for path in sorted((folder / WRITTEN).rglob("*")):
        if path.name.endswith(".tmp") and not killed:
            yield f"left over: {path.name}"
        parse = _PARSERS.get(path.suffix)
        if parse is None or not path.is_file() or _OF_ITS_OWN & {*path.parts}:
            continue
        try:
            parse(path)
        except Exception as error:
            yield f"{path.name}: {error}"
