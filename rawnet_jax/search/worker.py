"""Carrying out trials: the loop of one process, and the processes of one command."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from rawnet_jax.errors import Interrupted, TrainingError
from rawnet_jax.search.study import Objective, SearchStudy, TrialRun
from rawnet_jax.terminal import show

WORKERS = "workers"
MAX_FAILURES_IN_A_ROW = 5
"""So many trials fail one after another before a worker reports that something else is wrong."""
MAX_KILLED = 5
"""So often is a worker replaced that was killed from outside, as by a system out of memory."""

_POLL_S = 0.5


def work(study: SearchStudy, objective: Objective, orphaned: Callable[[], bool]) -> None:
    """Carry out trials until there are enough.

    Args:
        study: of any number of processes.
        objective: what a trial is.
        orphaned: whether nobody waits for this process any more; asked after each epoch.

    Raises:
        Interrupted: it is to stop; the trial under way is left for whoever comes next.
        TrainingError: trial after trial failed.
    """

    def supervised(run: TrialRun) -> float:
        def report(epoch: int, eer: float) -> None:
            if orphaned():
                raise Interrupted("the search that started this process is gone", signal.SIGHUP)
            run.report(epoch, eer)

        return objective(TrialRun(run.config, run.workdir, report))

    failed_in_a_row = 0
    while not orphaned() and (taken := study.next_trial()):
        trial, lock = taken
        show(f"trial {trial.number}: {study.workdir(trial.number)}")
        try:
            reason = study.carry_out(trial, supervised)
        finally:
            lock.release()
        failed_in_a_row = failed_in_a_row + 1 if reason else 0
        if failed_in_a_row == MAX_FAILURES_IN_A_ROW:
            raise TrainingError(
                f"{failed_in_a_row} trials in a row failed, the last one with {reason}"
            )


class Workers:
    """The processes that carry out trials for one command.

    On a CPU each gets its share of the cores: two trainings that both use all of them hinder each
    other.

    Args:
        command: starts a worker.
        folder: of the study; what workers print goes to files below it.
        count: how many.

    Attributes:
        processes: all that were started.
    """

    def __init__(self, command: Sequence[str], folder: Path, count: int) -> None:
        self._command = list(command)
        self._folder = folder / WORKERS
        self._folder.mkdir(exist_ok=True)
        self._shares = _shares_of_cores(count)
        self._logs: list[IO[bytes]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._num_killed = 0
        self._count = count
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        names = [f"{os.getpid()}_{number}.txt" for number in range(self._count)]
        self._logs = [(self._folder / name).open("wb") for name in names]
        self._before = {
            number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGINT)
        }
        for number in range(self._count):
            self._start(number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ask those that still run to save and end, and wait for them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait()
        for log in self._logs:
            log.close()

    def wait(self, look: Callable[[], None]) -> None:
        """Wait until all are done; a worker that was killed is replaced.

        Args:
            look: called now and then.

        Raises:
            TrainingError: a worker ended with an error, or too many were killed.
        """
        while self._running:
            time.sleep(_POLL_S)
            look()
            for number, process in list(self._running.items()):
                status = process.poll()
                if status is not None:
                    del self._running[number]
                    self._ended(number, status)
        look()

    def _ended(self, number: int, status: int) -> None:
        if status == 0:
            return
        if status > 0:
            raise TrainingError(f"a worker stopped: {self._last_line(number)}")
        self._num_killed += 1
        if self._num_killed > MAX_KILLED:
            raise TrainingError(
                f"{self._num_killed} workers were killed, the last one by "
                f"{signal.Signals(-status).name}; is the machine out of memory? Try fewer --workers"
            )
        self._start(number)

    def _start(self, number: int) -> None:
        log = self._logs[number]
        process = subprocess.Popen(
            [*self._command, "--cores", self._shares[number]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(self._count),
            process_group=0,  # Ctrl-C goes to the parent alone, which ends this
        )
        self.processes.append(process)
        self._running[number] = process

    def _last_line(self, number: int) -> str:
        lines = Path(self._logs[number].name).read_text(errors="replace").split("\n")
        said = [line for line in lines if line.strip()]
        return said[-1].removeprefix("error: ") if said else "without a message"


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Interrupted("stopped; the same command resumes from there", number)


def _environment(count: int) -> dict[str, str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    if count > 1:
        # JAX would take three quarters of a GPU's memory for the first worker.
        environment.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / count:.3f}")
    return environment


def _shares_of_cores(count: int) -> list[str]:
    """Return the cores of each worker, as ``0,1``; none where they cannot be divided."""
    if count == 1 or not hasattr(os, "sched_getaffinity"):
        return [""] * count
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < count:
        return [""] * count
    return [",".join(map(str, cores[number::count])) for number in range(count)]


def keep_to(cores: str) -> None:
    """Restrict this process to some cores; call before JAX counts them."""
    if cores:
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
