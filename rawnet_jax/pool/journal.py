"""What a build has done so far, a line per recording, so that a killed build goes on."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.pool.pieces import Made, piece_path

JOURNAL = "journal.jsonl"


def done_before(folder: Path, plan_digest: str) -> dict[str, Made]:
    """Return what an earlier build of the same plan has finished and left whole, by name.

    A last line that a kill cut short, and recordings whose pieces are not what was written, count
    as not done. The journal is written anew with the rest; that of another plan is removed.
    """
    path = folder / JOURNAL
    found: dict[str, Made] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    if lines and _value(lines[0]) == {"plan": plan_digest}:
        for line in lines[1:]:
            value = _value(line)
            if value is not None:
                made = Made(**value)
                if all(_is_whole(folder, each) for each in made.pieces):
                    found[made.name] = made
    kept = [
        json.dumps({"plan": plan_digest}),
        *(json.dumps(asdict(made)) for made in found.values()),
    ]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8", newline="\n")
    return found


@contextmanager
def open_journal(folder: Path) -> Iterator[IO[str]]:
    """Open the journal to add to it."""
    with open(folder / JOURNAL, "a", encoding="utf-8", newline="\n") as file:
        yield file


def note(journal: IO[str], made: Made) -> None:
    """Add a recording that is done.

    Raises:
        DataError: the journal cannot be written.
    """
    try:
        journal.write(json.dumps(asdict(made)) + "\n")
        journal.flush()
    except OSError as error:
        raise DataError(f"{journal.name}: cannot be written: {error.strerror}") from None


def remove_journal(folder: Path) -> None:
    """Take the journal away from a pool that is whole."""
    (folder / JOURNAL).unlink(missing_ok=True)


def _value(line: str) -> dict[str, Any] | None:
    try:
        value = parsed_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_whole(folder: Path, piece: dict[str, Any]) -> bool:
    try:
        content = piece_path(folder, piece["utterance"]).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content).hexdigest() == piece["sha256"]
