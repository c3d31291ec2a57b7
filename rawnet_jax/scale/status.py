"""Progress of a job, read from its output alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rawnet_jax.scale.ledger import (
    RETRY,
    Task,
    finished,
    open_tasks,
    read_job,
    read_plan,
    records,
)
from rawnet_jax.scale.shard import error_lines
from rawnet_jax.scale.tallies import Tally
from rawnet_jax.storage.stores import Store


@dataclass(slots=True)
class Status:
    """What a job has done.

    Attributes:
        settings: of the job.
        files: in the manifest.
        num_bytes: of them.
        shards: they are divided into.
        done: files that were tried at least once.
        to_retry: files that failed and are tried once more at the end.
        tally: of all results.
    """

    settings: Mapping[str, Any]
    files: int
    num_bytes: int
    shards: int
    done: int = 0
    to_retry: int = 0
    tally: Tally = field(default_factory=Tally)

    @property
    def is_finished(self) -> bool:
        """Whether every file has its last result."""
        return self.done == self.files and not self.to_retry

    @property
    def record(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "files": self.files,
            "bytes": self.num_bytes,
            "shards": self.shards,
            "done": self.done,
            "to_retry": self.to_retry,
            "finished": self.is_finished,
            **{k: v for k, v in self.tally.record.items() if k not in ("files", "failed")},
        }


def read_status(store: Store) -> Status:
    """Read how far a job is.

    Raises:
        DataError: there is no job, or a record is damaged.
    """
    job = read_job(store)
    totals = job["totals"]
    status = Status(job["settings"], totals["files"], totals["bytes"], totals["shards"])
    for name, record in records(store):
        if record.get("split"):
            continue
        status.tally.merge(record)
        if name.startswith(RETRY):
            status.to_retry -= record["rows"]
        else:
            status.done += record["rows"]
            status.to_retry += record["failed"]
    return status


def open_parts(store: Store, share: tuple[int, int]) -> Iterator[Task]:
    """Yield what is to do of the manifest.

    Args:
        store: the output.
        share: (i, n): this runner takes shards i, i + n, i + 2 n …
    """
    done = finished(store)
    for shard in read_plan(store)[share[0] :: share[1]]:
        yield from open_tasks(shard, done)


def open_retries(store: Store, share: tuple[int, int]) -> Iterator[Task]:
    """Yield what is to do of the files that failed, once all parts of a share are done."""
    done = finished(store)
    shards = sorted({_shard_of(listed.path) for listed in store.list("errors/part-")})
    for shard in shards:
        if int(shard) % share[1] != share[0]:
            continue
        task = Task(f"{RETRY}-{shard}", 0, 0, 0)
        if task.name in done and not done[task.name]:
            continue
        rows = len(error_lines(store, shard))
        yield from open_tasks(Task(task.name, 0, 0, rows), done)


def remove_split(store: Store, form: str) -> None:
    """Remove results of shards that were split, which a killed runner may have left."""
    for name, is_split in finished(store).items():
        if is_split:
            store.remove(f"{name}.{form}")


def _shard_of(path: str) -> str:
    return path.partition("-")[2].partition(".")[0]
