"""What of a job is done: a record beside the results for every shard, written once.

The record of a shard is made last and by conditional write. So a shard is done once, however many
runners work on one output, and what a killed one left is made again, not counted twice. A shard
that was split has a record that says so and two children, ``part-00003.0`` and ``part-00003.1``.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.storage.stores import Store

JOB, PLAN = "job.json", "plan.json"
PART, RETRY = "part", "retry"
"""Two kinds of shard: rows of the manifest, and files that failed in the first."""

_READERS = 16  # threads
_CONTENT = "scoring of many files"
_NAME = re.compile(r"done/((?:part|retry)-\d{5,}(?:\.[01])*)\.json")


@dataclass(frozen=True, slots=True)
class Task:
    """A unit of work that can be repeated.

    Attributes:
        name: of its part: ``part-00003``, or a half of one: ``part-00003.0``.
        at: where the rows of the shard begin, see `rawnet_jax.storage.rows.read_rows`.
        skip: rows of the shard before its own.
        rows: number of its own.
        deaths: of workers that had it.
    """

    name: str
    at: int
    skip: int
    rows: int
    deaths: int = 0

    @property
    def is_retry(self) -> bool:
        """Whether its rows are files that failed before."""
        return self.name.startswith(RETRY)

    @property
    def shard(self) -> str:
        """Number of the shard, as it stands in names."""
        return self.name.partition("-")[2].partition(".")[0]

    def halves(self) -> tuple["Task", "Task"]:
        """Return both halves; of two rows or more."""
        first = self.rows // 2
        deaths = min(self.deaths, 1)  # what killed two workers is in one of them
        return (
            replace(self, name=f"{self.name}.0", rows=first, deaths=deaths),
            replace(
                self,
                name=f"{self.name}.1",
                skip=self.skip + first,
                rows=self.rows - first,
                deaths=deaths,
            ),
        )


def begin_job(store: Store, settings: Mapping[str, Any], totals: Mapping[str, Any]) -> bool:
    """Begin a job, or resume it.

    Args:
        store: the output.
        settings: all that decides a line of the results, ready for JSON.
        totals: files and bytes of the manifest.

    Returns:
        Whether it is new.

    Raises:
        DataError: the output is of other settings, or cannot be written.
    """
    settings = json.loads(json.dumps(settings))
    record = {"content": _CONTENT, "version": 1, "settings": settings, "totals": dict(totals)}
    if store.create(JOB, _bytes(record)):
        return True
    refuse_other(read_job(store)["settings"], settings)
    return False


def refuse_other(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that results fit to those that are there.

    Raises:
        DataError: they do not; with what differs.
    """
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        said = "; ".join(f"{n} was {before.get(n)!r} and is {now.get(n)!r}" for n in names)
        raise DataError(f"--output was made otherwise ({said}); give another --output")


def read_job(store: Store) -> dict[str, Any]:
    """Read what `begin_job` wrote.

    Raises:
        DataError: there is none, or it is damaged.
    """
    return _record(store.read(JOB), JOB)


def write_plan(store: Store, shards: list[list[int]]) -> None:
    """Write the shards of a new job: where each begins, its rows, its bytes."""
    store.create(PLAN, json.dumps(shards).encode())


def read_plan(store: Store) -> list[Task]:
    """Read the shards of a job.

    Raises:
        DataError: there is no plan, or it is damaged.
    """
    try:
        shards = json.loads(store.read(PLAN))
        return [
            Task(f"{PART}-{number:05d}", int(at), 0, int(rows))
            for number, (at, rows, _) in enumerate(shards)
        ]
    except (ValueError, TypeError) as error:
        raise DataError(f"{PLAN}: damaged: {error}") from error


def commit(store: Store, task: Task, record: Mapping[str, Any]) -> bool:
    """Say that a task is done; False where another runner has said so, or has split it."""
    return store.create(f"done/{task.name}.json", _bytes(record))


def split(store: Store, task: Task) -> bool:
    """Say that the halves of a task stand for it; False where it is done."""
    return commit(store, task, {"split": True}) or is_split(store, task)


def is_split(store: Store, task: Task) -> bool:
    """Return whether the record of a task, which is there, says that it was split."""
    return bool(_record(store.read(f"done/{task.name}.json"), task.name).get("split"))


def records(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and record of all tasks that are done or split.

    Some are read at a time, since object storage takes long for each.

    Raises:
        DataError: one is damaged.
    """

    def read(name: str) -> tuple[str, dict[str, Any]]:
        path = f"done/{name}.json"
        return name, _record(store.read(path), path)

    found = (_NAME.fullmatch(listed.path) for listed in store.list("done/"))
    names = (name[1] for name in found if name)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="records") as pool:
        while some := list(itertools.islice(names, 16 * _READERS)):
            yield from pool.map(read, some)


def finished(store: Store) -> dict[str, bool]:
    """Return the names of all tasks with a record, and whether it says that they were split.

    A record of a split is short; others are not read.
    """
    found: dict[str, bool] = {}
    short = len(_bytes({"split": True}))
    for listed in store.list("done/"):
        name = _NAME.fullmatch(listed.path)
        if name:
            found[name[1]] = listed.size <= short
    return found


def open_tasks(task: Task, done: Mapping[str, bool]) -> Iterator[Task]:
    """Yield what is to do of a task: itself, or halves of it."""
    if task.name not in done:
        yield task
    elif done[task.name]:
        for half in task.halves():
            yield from open_tasks(half, done)


def input_digest(rows: object) -> str:
    """Return SHA-256 of rows."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def to_json(task: Task) -> dict[str, Any]:
    """Return a task for a message."""
    return asdict(task)


def _bytes(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, allow_nan=False) + "\n").encode()


def _record(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = parsed_json(content.decode())
    except ValueError as error:
        raise DataError(f"{name}: damaged: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{name}: damaged: must be an object")
    return found
