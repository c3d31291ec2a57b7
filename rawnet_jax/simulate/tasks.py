"""One function over many recordings in several processes, with a bar; results in order."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from threadpoolctl import threadpool_limits

from rawnet_jax.errors import DataError
from rawnet_jax.progress import make_bar

_CHUNK = 4  # tasks handed to a worker at a time
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def run_tasks(
    function: Callable[[_Task], _Result],
    tasks: Sequence[_Task],
    *,
    num_workers: int,
    progress: bool,
    description: str,
) -> list[_Result]:
    """Apply a function to tasks; the list of what `task_results` gives."""
    results = task_results(
        function, tasks, num_workers=num_workers, progress=progress, description=description
    )
    return list(results)


def task_results(
    function: Callable[[_Task], _Result],
    tasks: Sequence[_Task],
    *,
    num_workers: int,
    progress: bool,
    description: str,
    num_done: int = 0,
) -> Iterator[_Result]:
    """Apply a module-level function to tasks in several processes.

    Each process uses one thread for linear algebra: sums keep their order however many there are.
    Workers end with this process, however it ends, and leave Ctrl-C to it.

    Args:
        function: must be importable, as workers are started afresh ("spawn").
        tasks: picklable.
        num_workers: processes; 0 = one per core, 1 = this process.
        progress: show a bar on the terminal.
        description: its label.
        num_done: how many more the bar shows as done.

    Yields:
        Results in the order of tasks.

    Raises:
        DataError: if a worker process dies. What `function` raises comes through.
    """
    if num_workers < 0:
        raise DataError(f"num_workers is {num_workers}; it must be 0 (one per core) or more")
    num_workers = min(num_workers or os.cpu_count() or 1, max(1, len(tasks) // _CHUNK))
    bar = partial(
        _bar, num_done=num_done, total=len(tasks), description=description, progress=progress
    )
    if num_workers == 1:
        with threadpool_limits(1):
            yield from bar(map(function, tasks))
        return
    pool = ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare_worker,
    )
    try:
        yield from bar(pool.map(function, tasks, chunksize=_CHUNK))
    except BrokenProcessPool:
        raise DataError(f"{description}: a worker process died; was memory short?") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # NumPy and JAX are loaded with the first task, and read these then. With threads of their own
    # in each of several processes, copies by trained vocoders take three times as long.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the parent is gone: a killed one cannot end its workers, who wait for tasks."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        with contextlib.suppress(OSError):
            multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _bar(
    results: Iterable[_Result], *, num_done: int, total: int, description: str, progress: bool
) -> Iterable[_Result]:
    whole = num_done + total
    with make_bar(description, whole, shown=progress, initial=num_done, stays=True) as bar:
        for result in results:
            yield result
            bar.update()
