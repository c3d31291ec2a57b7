"""The log of a run: one JSON line per event, and the same numbers for TensorBoard."""

import json
import math
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import CheckpointError

LOG_NAME = "log.jsonl"


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """Return the events of a run's log; a half-written last line is left out.

    Raises:
        CheckpointError: if a line before the last is damaged.
    """
    path = workdir / LOG_NAME
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    events = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise CheckpointError(f"{path}:{number}: damaged line in the log") from error
    return events


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
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, event: str, step: int, figures: dict[str, Any]) -> None:
        """Log one event.

        Args:
            event: ``step`` or ``epoch``.
            step: batches trained on so far.
            figures: numbers, or dicts of numbers; NaN is written as null.
        """
        if not self._active:
            return
        record = {"event": event, "step": step, **_finite(figures)}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for name, value in _flat(figures):
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write everything out."""
        if self._active:
            self._file.close()
            self._board.close()


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
