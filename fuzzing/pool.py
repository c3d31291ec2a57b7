"""Forks a process for a few cases at a time, and ends what hangs or grows.

Starting Python and importing JAX costs two seconds; a fork of a process that has imported it costs
milliseconds. JAX's backend starts in the forked process only: its threads would not survive a fork.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzing.case import Case, Failure, Result
from fuzzing.child import COMMAND, serve
from fuzzing.kinds.registry import KINDS
from fuzzing.material import Material
from fuzzing.oracles import GROWTH_MB

A_TIME = 10  # cases that share a process; one that fails is repeated in a process of its own
HANG_S = 30.0  # of CPU time, or of waiting
_WAITS_CPU_S = 3.0  # less than it in HANG_S of the clock is waiting
_MOST_WALL_S = 150.0  # whatever else the machine is busy with
_EVENT_S = 400.0  # several processes, one after another
_LOOK_S = 0.05
_AGAIN = "python -m fuzzing --case"
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class _Group:
    """Cases for one process, and what a case that is repeated alone failed with before."""

    cases: list[Case]
    before: Result | None = None


class _Process:
    """A forked process at work on a group."""

    def __init__(self, group: _Group, folders: list[Path], material: Material) -> None:
        self.group, self.folders = group, folders
        self.ended = 0  # number of cases that came to their end
        self.why: Failure | None = None  # it was ended from outside
        self._text = b""
        read, write = os.pipe()
        self.pipe = read
        self.id = os.fork()
        if self.id == 0:
            status = 1
            try:
                os.close(read)
                os.setsid()  # what it starts is ended with it
                serve(group.cases, material, folders, write)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(write)
        self._begin()

    def _begin(self) -> None:
        self._start = (time.monotonic(), *self._usage())

    def _usage(self) -> tuple[float, float]:
        """Return CPU time in s and memory in MB."""
        try:
            text = Path(f"/proc/{self.id}/stat").read_text(encoding="utf-8")
        except OSError:
            return 0.0, 0.0
        words = text.rpartition(")")[2].split()
        ticks = sum(int(word) for word in words[11:15])  # with those of its own processes
        return ticks / _TICK, int(words[21]) * _PAGE / 2**20

    @property
    def case(self) -> Case:
        """The one at work."""
        return self.group.cases[min(self.ended, len(self.group.cases) - 1)]

    def watch(self) -> None:
        """End it when the present case hangs or grows."""
        cpu_s, memory_mb = self._usage()
        wall_s, cpu_s = time.monotonic() - self._start[0], cpu_s - self._start[1]
        if KINDS[self.case.kind].is_event:
            hangs = wall_s > _EVENT_S
        else:
            waits = wall_s > HANG_S and cpu_s < _WAITS_CPU_S
            hangs = cpu_s > HANG_S or waits or wall_s > _MOST_WALL_S
        if hangs:
            self.why = Failure("hang", f"{wall_s:.0f} s, of CPU time {cpu_s:.1f} s")
        elif memory_mb - self._start[2] > 1.5 * GROWTH_MB:
            self.why = Failure("growth", f"above {memory_mb - self._start[2]:.0f} MB, ended")
        if self.why is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.id, signal.SIGKILL)

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Return what came of cases, and whether that was all."""
        data = os.read(self.pipe, 2**20)
        self._text += data
        *lines, self._text = self._text.split(b"\n")
        rows = [json.loads(line) for line in lines]
        if any("begins" in row for row in rows):
            self._begin()
        found = [row for row in rows if "ends" in row]
        self.ended += len(found)
        return found, not data

    def reap(self) -> str:
        """Wait for its end; return how it ended, "" if as it should."""
        os.close(self.pipe)
        _, status = os.waitpid(self.id, 0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.id, signal.SIGKILL)  # what it left behind
        code = os.waitstatus_to_exitcode(status)
        return f"by signal {-code}" if code < 0 else f"with status {code}" if code else ""


class Pool:
    """Runs cases in forked processes."""

    def __init__(self, material: Material, folder: Path, kept: Path, workers: int) -> None:
        """Prepare to run cases.

        Args:
            material: what they are made of.
            folder: for what is deleted again.
            kept: where the folders of failed cases go.
            workers: processes at a time.
        """
        tasks = Path("/proc/self/task")
        if not tasks.is_dir() or len(list(tasks.iterdir())) > 1:
            raise RuntimeError("forking is safe only from a process of one thread, on Linux")
        self._material, self._folder, self._kept = material, folder, kept
        self._workers = workers
        self._count = 0
        self._todo: deque[_Group] = deque()

    def run(self, cases: Iterable[Case], *, keep_all: bool = False) -> Iterator[Result]:
        """Run cases; yield what came of each, in the order of their ends.

        Args:
            cases: to run.
            keep_all: keep the folders of cases that passed, too.
        """
        self._todo.extend(_groups(cases))
        active: dict[int, _Process] = {}
        try:
            while self._todo or active:
                while self._todo and len(active) < self._workers:
                    process = self._started(self._todo.popleft())
                    active[process.pipe] = process
                ready, _, _ = select.select(list(active), [], [], _LOOK_S)
                for pipe in ready:
                    process = active[pipe]
                    first = process.ended
                    rows, is_all = process.read()
                    for number, row in enumerate(rows, first):
                        yield from self._judged(process, number, row, keep_all)
                    if is_all:
                        del active[pipe]
                        yield from self._end(process, keep_all)
                for process in active.values():
                    process.watch()
        finally:
            for process in active.values():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.id, signal.SIGKILL)

    def _started(self, group: _Group) -> _Process:
        self._count += 1
        folder = self._folder / str(self._count)
        folders = [folder / f"{case.kind}-{case.seed}" for case in group.cases]
        return _Process(group, folders, self._material)

    def _end(self, process: _Process, keep_all: bool) -> Iterator[Result]:
        """Reap a process; a case that it died of has failed, and those behind it are run again."""
        how = process.reap()
        rest = process.group.cases[process.ended :]
        if not rest:
            return
        failure = process.why or Failure("death", f"the process ended {how}")
        row = {"failures": [[failure.kind, failure.detail]]}
        yield from self._judged(process, process.ended, row, keep_all)
        if rest[1:]:
            self._todo.appendleft(_Group(rest[1:]))

    def _judged(
        self, process: _Process, number: int, row: dict[str, Any], keep_all: bool
    ) -> Iterator[Result]:
        """Yield the result of a case, unless it has to be repeated alone first."""
        case, folder = process.group.cases[number], process.folders[number]
        result = Result(case, row.get("mutation", ""), row.get("status"))
        result.failures = [Failure(*one) for one in row["failures"]]
        for name in ("cpu_s", "wall_s", "grown_mb"):
            setattr(result, name, row.get(name, 0.0))
        before = process.group.before
        if result.failures and len(process.group.cases) > 1:
            self._todo.appendleft(_Group([case], result))
            shutil.rmtree(folder, ignore_errors=True)
            return
        if before is not None and not result.failures:
            result.failures = [
                Failure(f"only after others: {one.kind}", one.detail) for one in before.failures
            ]
        if (result.failures or keep_all) and folder.exists():
            kept = self._kept / folder.name
            shutil.rmtree(kept, ignore_errors=True)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder, kept)
            command = kept / COMMAND
            if command.exists():
                moved = command.read_bytes().replace(bytes(folder), bytes(kept))
                command.write_bytes(moved + f"# all of it again: {_AGAIN} {case}\n".encode())
        shutil.rmtree(folder, ignore_errors=True)
        yield result


def _groups(cases: Iterable[Case]) -> Iterator[_Group]:
    """Yield cases of one kind together; events alone."""
    group: list[Case] = []
    for case in cases:
        most = 1 if KINDS[case.kind].is_event else A_TIME
        if group and (group[0].kind != case.kind or len(group) >= most):
            yield _Group(group)
            group = []
        group.append(case)
    if group:
        yield _Group(group)
