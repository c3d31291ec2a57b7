"""Shards through processes of this machine; what kills one costs its own shard alone."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.errors import DataError
from rawnet_jax.scale.ledger import Task, split
from rawnet_jax.scale.shard import Settings, finish, rows_of, unreadable_record
from rawnet_jax.scale.tallies import Tally
from rawnet_jax.scale.todo import Todo
from rawnet_jax.scale.worker_process import COMMAND, WorkerDied, WorkerProcess
from rawnet_jax.storage.stores import Store

KILLS = "it ends the process that reads it"
"""Why a file is passed by."""

_MOST_STARTS = 3  # that fail one after the other


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how a job goes; from any thread.

    Attributes:
        files: gets a number of files that were done; negative where they are done again.
        task: gets the record of a task that is done.
        note: gets what a user must know.
    """

    files: Callable[[int], Any]
    task: Callable[[Mapping[str, Any]], Any]
    note: Callable[[str], Any]


class LocalRunner:
    """Processes that score shards."""

    def __init__(
        self,
        job: Mapping[str, Any],
        store: Store,
        *,
        num_workers: int,
        timeout_s: float | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Prepare; `start` starts the first process.

        Args:
            job: see `rawnet_jax.scale.worker.Worker`.
            store: the output.
            num_workers: processes.
            timeout_s: seconds that a shard may take before it is split; None = any.
            command: of a process.
        """
        self._job = job
        self._store = store
        self._num_workers = num_workers
        self._timeout_s = timeout_s
        self._command = command
        self._folder = tempfile.TemporaryDirectory(prefix="rawnet_jax_workers_")
        self._idle: list[WorkerProcess] = []
        self._all: list[WorkerProcess] = []
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._settings: Settings | None = None

    def start(self) -> dict[str, Any]:
        """Start the first process; returns what it says of its model.

        Raises:
            DataError: run or output are at fault.
        """
        process = self._started()
        self._idle.append(process)
        return process.ready

    def run(self, tasks: Iterable[Task], settings: Settings, listener: Listener) -> None:
        """Have tasks done.

        Args:
            tasks: read as they are needed.
            settings: of the job, for what this process writes itself.
            listener: is told how it goes.

        Raises:
            DataError: an output cannot be written, or workers do not start.
        """
        self._settings, todo = settings, Todo(tasks)
        threads = [
            threading.Thread(target=self._serve, args=(todo, listener), name=f"worker {number}")
            for number in range(self._num_workers)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl-C, or a signal
            todo.end()
            self._kill()
            for thread in threads:
                thread.join()
            raise
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End all processes."""
        self._kill()
        for process in self._all:
            process.close()
        self._folder.cleanup()

    def _kill(self) -> None:
        with self._lock:
            for process in self._all:
                process.kill()

    def _serve(self, todo: Todo, listener: Listener) -> None:
        process: WorkerProcess | None = None
        try:
            while (task := todo.take()) is not None:
                if process is None:
                    process = self._taken()
                if not self._scored(process, task, todo, listener):
                    self._gone(process)
                    process = None
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            todo.end()
        finally:
            if process is not None:
                self._idle.append(process)

    def _scored(self, process: WorkerProcess, task: Task, todo: Todo, listener: Listener) -> bool:
        """Have a task done; returns whether the process can be used for others."""
        seen = 0

        def on_files(count: int) -> None:
            nonlocal seen
            seen += count
            listener.files(count)

        try:
            record = process.score(task, on_files, self._timeout_s)
        except WorkerDied as error:
            listener.files(-seen)
            listener.note(f"{task.name}: worker {process.pid} {error}; its files are scored again")
            todo.done(*self._instead(task, error, todo, listener))
            return False
        listener.files(task.rows - seen)
        if record:
            listener.task(record)
        todo.done()
        return True

    def _instead(
        self, task: Task, error: WorkerDied, todo: Todo, listener: Listener
    ) -> tuple[Task, ...]:
        again = todo.died(task)
        if error.is_late:
            again = task.halves() if task.rows > 1 else ()
        if len(again) == 2 and not split(self._store, task):
            again = ()  # another runner was done with it
        elif not again:
            why = f"{KILLS}: {error}"
            if error.is_late:
                why = f"it takes more than {self._timeout_s:g} s; --shard-timeout allows more"
            listener.files(task.rows)
            assert self._settings is not None
            record = passed_by(task, why, self._store, self._settings)
            if record:
                listener.task(record)
        return again

    def _taken(self) -> WorkerProcess:
        with self._lock, contextlib.suppress(IndexError):
            return self._idle.pop()
        return self._started()

    def _started(self) -> WorkerProcess:
        for number in range(1, _MOST_STARTS + 1):
            if self._error is not None:
                raise DataError("another worker failed")
            try:
                process = WorkerProcess(self._job, Path(self._folder.name), self._command)
            except WorkerDied as error:
                if number == _MOST_STARTS:
                    raise DataError(f"a worker does not start: it {error}") from None
                continue
            with self._lock:
                self._all.append(process)
            return process
        raise AssertionError

    def _gone(self, process: WorkerProcess) -> None:
        process.close()
        with self._lock:
            self._all.remove(process)


def passed_by(task: Task, why: str, store: Store, settings: Settings) -> dict[str, Any]:
    """Write that nothing could be read of the files of a task; returns its record."""
    rows, fatal = rows_of(task, store, settings.manifest)
    tally, failed = Tally(), []
    found = [unreadable_record(row.uri, reason) for row, reason in fatal]
    for row in rows:
        if task.is_retry:
            found.append(unreadable_record(row.uri, why))
        else:
            failed.append((row, why, True))
    for record in found:
        tally.add(record)
    return finish(task, store, settings, tally, found, failed, rows)
