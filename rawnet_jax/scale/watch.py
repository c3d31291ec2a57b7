"""How a running job goes: rate, time left, cost, and a file for Prometheus."""

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.progress import make_bar
from rawnet_jax.scale.tallies import Tally
from rawnet_jax.terminal import complain

_WRITE_S = 5.0  # between two states of the file
_PREFIX = "rawnet_jax_score_many"


class Watch:
    """Counts what workers tell, from any thread; use it in a ``with`` statement."""

    def __init__(
        self,
        total: int,
        done: int,
        *,
        progress: bool,
        price_per_hour: float | None = None,
        textfile: Path | None = None,
    ) -> None:
        """Begin.

        Args:
            total: files of the job.
            done: before this start.
            progress: whether to show a bar.
            price_per_hour: of all that works on this runner; None = not known.
            textfile: for Prometheus' node exporter; None = none.

        Raises:
            DataError: the text file cannot be written.
        """
        self.total, self.done, self.before = total, done, done
        self.deaths = 0
        self.tally = Tally()
        self._price = price_per_hour
        self._textfile = textfile
        self._begin_s = self._written_s = time.monotonic()
        self._lock = threading.Lock()
        self._bar = make_bar("scoring", total, shown=progress, initial=done, unit="file")
        self._write(time.monotonic())

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._bar.close()
        with contextlib.suppress(DataError):
            self._write(time.monotonic())

    def files(self, count: int) -> None:
        """Take a number of files; negative where they are done again."""
        with self._lock:
            self.done += count
            self._bar.update(count)
            cost = self.cost_per_million
            if cost is not None:
                self._bar.set_postfix_str(f"{cost:.2f} per million files", refresh=False)
            now_s = time.monotonic()
            if now_s - self._written_s > _WRITE_S:
                self._written_s = now_s
                try:
                    self._write(now_s)
                except DataError as error:
                    complain(f"note: {error}")
                    self._textfile = None

    def task(self, record: Mapping[str, Any]) -> None:
        """Take the record of a task."""
        with self._lock:
            self.tally.merge(record)

    def note(self, text: str) -> None:
        """Say what a user must know."""
        self.deaths += 1
        complain(f"note: {text}")

    @property
    def files_per_s(self) -> float:
        """Rate since this start."""
        spent_s = time.monotonic() - self._begin_s
        return max(self.done - self.before, 0) / spent_s if spent_s else 0.0

    @property
    def cost_per_million(self) -> float | None:
        """Price of a million files at this rate; None where it is not known."""
        rate = self.files_per_s
        if self._price is None or not rate:
            return None
        return self._price / 3600 / rate * 1e6

    def _write(self, now_s: float) -> None:
        if self._textfile is None:
            return
        rate = self.files_per_s
        figures = {
            "files": (self.total, "gauge", "files of the manifest"),
            "files_done": (self.done, "gauge", "files that were tried"),
            "files_per_second": (rate, "gauge", "rate since the start"),
            "seconds_left": (
                (self.total - self.done) / rate if rate else float("nan"),
                "gauge",
                "at that rate",
            ),
            "seconds": (now_s - self._begin_s, "gauge", "since the start"),
            "workers_lost_total": (self.deaths, "counter", "processes that ended or were late"),
        }
        if self.cost_per_million is not None:
            figures["cost_per_million_files"] = (self.cost_per_million, "gauge", "of the rate")
        lines = [
            f"# HELP {_PREFIX}_{name} {text}\n# TYPE {_PREFIX}_{name} {kind}\n"
            f"{_PREFIX}_{name} {value:.10g}\n"
            for name, (value, kind, text) in figures.items()
        ]
        lines.append(f"# HELP {_PREFIX}_results Results by verdict, since the start\n")
        lines.append(f"# TYPE {_PREFIX}_results gauge\n")
        for verdict, count in sorted(self.tally.verdicts.items()):
            lines.append(f'{_PREFIX}_results{{verdict="{verdict}"}} {count}\n')
        write_text_atomically(self._textfile, "".join(lines))
