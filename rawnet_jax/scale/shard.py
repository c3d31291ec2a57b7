"""One shard: rows in, results, errors and a record out. It can be repeated at any time."""

import io
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rawnet_jax.data.fetch import Recordings
from rawnet_jax.scale.ledger import Task, commit, input_digest, is_split
from rawnet_jax.scale.tallies import Tally
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.scoring.file_windows import Recording
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.score_forms import JsonLines
from rawnet_jax.scoring.sources import score_by
from rawnet_jax.scoring.verdict import DecisionRule, Record, record_of
from rawnet_jax.storage.optional import imported
from rawnet_jax.storage.rows import Row, read_rows
from rawnet_jax.storage.stores import Store

OpenRows = Callable[[Sequence[Row]], AbstractContextManager[Sequence[tuple[str, Recording]]]]

_TICK_S = 0.5  # between two messages on how far it is


@dataclass(frozen=True, slots=True)
class Settings:
    """How shards are scored; the flags of ``score-many``.

    Attributes:
        manifest: the file.
        form: "jsonl" or "parquet".
        channel: see `score_recordings`.
        max_duration_s: longer recordings are not read.
        threads: recordings that are decoded at once.
        concurrency: files that are fetched at once.
        job: digest of model and settings, which goes into every record.
    """

    manifest: Path
    form: str = "jsonl"
    channel: int | None = None
    max_duration_s: float = 86_400.0
    threads: int = 1
    concurrency: int = 16
    job: str = ""


def score_shard(
    task: Task,
    store: Store,
    model: ScoringModel,
    decision: DecisionRule,
    settings: Settings,
    tick: Callable[[int], Any],
    open_rows: OpenRows | None = None,
) -> dict[str, Any]:
    """Score the rows of a task and write what came of them.

    Args:
        task: which rows.
        store: the output.
        model: the network.
        decision: reads scores.
        settings: the rest.
        tick: is told now and then how many files were done since.
        open_rows: returns the recordings of rows; None = fetched and decoded here.

    Returns:
        The record of the task, see `Tally.record`; {} where another runner was first.

    Raises:
        DataError: the output cannot be written, or the manifest is another by now.
    """
    begin_s = last_s = time.monotonic()
    rows, fatal = rows_of(task, store, settings.manifest)
    tally, failed, found = Tally(), [], []
    for row, reason in fatal:
        found.append(unreadable_record(row.uri, reason))
    open_rows = open_rows or partial(Recordings, concurrency=settings.concurrency)
    with open_rows(rows) as recordings:
        num_new = 0
        for row, one in zip(
            rows,
            score_by(
                model,
                recordings,
                channel=settings.channel,
                max_duration_s=settings.max_duration_s,
                num_threads=settings.threads,
                whole_batches=True,
            ),
            strict=True,
        ):
            if one.outcome == Outcome.UNREADABLE and not task.is_retry:
                failed.append((row, one.reason))
            else:
                found.append(record_of(one, decision))
            num_new += 1
            if time.monotonic() - last_s > _TICK_S:
                tick(num_new)
                num_new, last_s = 0, time.monotonic()
    for record in found:
        tally.add(record)
    tally.work_s = time.monotonic() - begin_s
    return finish(task, store, settings, tally, found, [(r, why, False) for r, why in failed], rows)


def finish(
    task: Task,
    store: Store,
    settings: Settings,
    tally: Tally,
    found: Sequence[Record],
    failed: Sequence[tuple[Row, str, bool]],
    rows: Sequence[Row],
) -> dict[str, Any]:
    """Write results and errors of a task, then its record, which makes them count.

    Args:
        task: which one.
        store: the output.
        settings: form of the results, and digest of the job.
        tally: of the results.
        found: the results.
        failed: row, reason, and whether it is passed by when others are tried again.
        rows: of the task.

    Returns:
        The record; {} where another runner was first.
    """
    if failed:
        lines = [
            json.dumps({**row._asdict(), "reason": reason, "fatal": fatal}) + "\n"
            for row, reason, fatal in failed
        ]
        store.replace(f"errors/{task.name}.jsonl", "".join(lines).encode())
    path = f"{task.name}.{settings.form}"
    if found:
        store.create(path, encoded(found, settings.form))
    tally.failed = len(failed)
    record = tally.record | {
        "job": settings.job,
        "input": input_digest([list(row) for row in rows]),
        "rows": task.rows,
    }
    if commit(store, task, record):
        return record
    if is_split(store, task):  # its halves stand for it
        store.remove(path)
        store.remove(f"errors/{task.name}.jsonl")
    return {}


def rows_of(task: Task, store: Store, manifest: Path) -> tuple[list[Row], list[tuple[Row, str]]]:
    """Return the rows of a task that are to be scored, and those that are passed by, with reasons.

    Raises:
        DataError: the manifest, or a table of errors, is damaged.
    """
    if not task.is_retry:
        return read_rows(manifest, task.at, task.skip, task.rows), []
    lines = error_lines(store, task.shard)[task.skip : task.skip + task.rows]
    rows = [(Row(one["uri"], one["size"], one["etag"]), one) for one in lines]
    fatal = [(row, str(one["reason"])) for row, one in rows if one["fatal"]]
    return [row for row, one in rows if not one["fatal"]], fatal


def error_lines(store: Store, shard: str) -> list[dict[str, Any]]:
    """Return the table of errors of a shard and its halves, in one order."""
    names = sorted(
        listed.path
        for listed in store.list(f"errors/part-{shard}")
        if listed.path[len(f"errors/part-{shard}")] == "."
    )
    return [json.loads(line) for name in names for line in store.read(name).splitlines()]


def unreadable_record(uri: str, reason: str) -> Record:
    """Return the result of a file that nothing could be read of."""
    return {
        "path": uri,
        "verdict": Outcome.UNREADABLE.value,
        "score": None,
        "llr": None,
        "p_spoof": None,
        "prior": None,
        "duration_s": None,
        "scored_s": 0.0,
        "num_windows": 0,
        "scored_from_s": 0.0,
        "reason": reason,
        "notes": [],
    }


def encoded(records: Iterable[Record], form: str) -> bytes:
    """Return results as bytes: the lines that ``score --format jsonl`` writes, or Parquet."""
    if form == "jsonl":
        line = JsonLines()
        return "".join(map(line.text, records)).encode()
    pa, parquet = imported("pyarrow", form), imported("pyarrow.parquet", form)
    texts, numbers = ("path", "verdict", "reason", "source"), ("score", "llr", "p_spoof", "prior")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in texts),
            *((name, pa.float64()) for name in (*numbers, *_SECONDS)),
            ("num_windows", pa.int64()),
            ("notes", pa.list_(pa.string())),
        ]
    )
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist([_as_texts(r) for r in records], schema), out)
    return out.getvalue()


_SECONDS = ("duration_s", "scored_s", "scored_from_s")


def _as_texts(record: Mapping[str, Any]) -> dict[str, Any]:
    path = record["path"].encode("utf-8", "backslashreplace").decode()
    return {**record, "path": path}
