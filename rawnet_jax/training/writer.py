"""The log of a run: one JSON line per event, and the same numbers for TensorBoard."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import CheckpointError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular

LOG_NAME = "log.jsonl"


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """Return the events of a run's log; a half-written last line is left out.

    Raises:
        CheckpointError: if a line before the last is damaged.
    """
    path = workdir / LOG_NAME
    if not path.exists():
        return []
    try:
        lines = read_regular(path).splitlines()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    events = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(_event_of(line))
        except ValueError as error:
            if number < len(lines):
                raise CheckpointError(
                    f"{path}:{number}: damaged line in the log; delete the line"
                ) from error
    return events


def _event_of(line: bytes) -> dict[str, Any]:
    event = parsed_json(line.decode("utf-8"))
    if not isinstance(event, dict) or type(event.get("step")) is not int or "event" not in event:
        raise ValueError("no event")
    return event


def epoch_history(workdir: Path) -> list[dict[str, Any]]:
    """Return the log's epoch events, oldest first."""
    return [event for event in read_log(workdir) if event["event"] == "epoch"]


class RunLog:
    """Appends events of the run to ``log.jsonl`` and ``tensorboard/``.

    Args:
        workdir: of the run.
        step: the run resumes after this step; later events of an earlier try are dropped.
        active: False on all processes but the first, which alone writes.
    """

    def __init__(self, workdir: Path, step: int, active: bool) -> None:
        self._active = active
        if not active:
            return
        kept = [event for event in read_log(workdir) if event["step"] <= step]
        path = workdir / LOG_NAME
        write_text_atomically(path, "".join(json.dumps(e) + "\n" for e in kept))
        self._path = path
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)
        _forgive(self._board)

    def write(self, event: str, step: int, figures: dict[str, Any]) -> None:
        """Log one event.

        Args:
            event: ``step`` or ``epoch``.
            step: batches trained on so far.
            figures: numbers, or dicts of numbers; NaN is written as null.

        Raises:
            CheckpointError: the log cannot be written.
        """
        if not self._active:
            return
        record = {"event": event, "step": step, **_finite(figures)}
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            raise CheckpointError(f"{self._path}: cannot be written: {error.strerror}") from error
        for name, value in _flat(figures):
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write everything out."""
        if self._active:
            with contextlib.suppress(OSError):  # an event that did not fit was reported by `write`
                self._file.close()
            self._board.close()


class _Forgiving:
    """A file that drops what does not fit on its disk."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        if not callable(found):
            return found

        def call(*args: Any) -> Any:
            with contextlib.suppress(OSError):
                return found(*args)

        return call


def _forgive(board: SummaryWriter) -> None:
    """Let a full disk end in the one line of `RunLog.write`, not in one traceback per thread.

    TensorBoard's file repeats what the log says. A thread writes it, and what fails there reaches
    nobody but the terminal.
    """
    with contextlib.suppress(AttributeError):  # names of tensorboardX's own
        records = board.file_writer.event_writer._ev_writer._py_recordio_writer
        records._writer = _Forgiving(records._writer)


def _finite(figures: dict[str, Any]) -> dict[str, Any]:
    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return _finite(value)
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {name: clean(value) for name, value in figures.items()}


def _flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    flat: list[tuple[str, float]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            flat += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and math.isfinite(value):
            flat.append((prefix + name, value))
    return flat
