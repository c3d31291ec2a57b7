"""What ``score-many`` does: a manifest in, parts of results out, by workers that may die."""

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.errors import ConfigError
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE, say_written
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.jobs.options import FIRST, MOST_WORKERS, VerdictOptions, at_least
from rawnet_jax.scale.ledger import JOB, begin_job, read_job, refuse_other, write_plan
from rawnet_jax.scale.local_runner import Listener, LocalRunner
from rawnet_jax.scale.plan import manifest_digest, plan_shards
from rawnet_jax.scale.shard import Settings
from rawnet_jax.scale.status import Status, open_parts, open_retries, read_status, remove_split
from rawnet_jax.scale.watch import Watch
from rawnet_jax.scale.worker import job_digest
from rawnet_jax.storage.optional import imported
from rawnet_jax.storage.rows import extension_of
from rawnet_jax.storage.stores import Store, open_store
from rawnet_jax.terminal import complain

_SHARE = re.compile(r"(\d+)/(\d+)")
LOCAL, RAY = "local", "ray"


@dataclass(frozen=True, kw_only=True)
class ScoreManyOptions(VerdictOptions):
    """Options of ``score-many``, named as its flags; see ``score-many --help``."""

    manifest: Path
    output: str
    seed: str | None
    aggregate: str | None
    max_duration: float
    format: str
    runner: str
    address: str | None
    workers: int
    decoders: int
    num_workers: int
    concurrency: int
    shard_mb: float
    shard_files: int
    shard_timeout: float | None
    share: str
    price_per_hour: float | None
    textfile: Path | None
    progress: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        extension_of(self.manifest)
        at_least("--workers", self.workers, 0, MOST_WORKERS)
        at_least("--decoders", self.decoders, 0, MOST_WORKERS)
        if self.decoders and self.runner != RAY:
            raise ConfigError("--decoders: only --runner ray has actors that decode")
        at_least("--num-workers", self.num_workers, 0, MOST_WORKERS)
        at_least("--concurrency", self.concurrency, 1, MOST_WORKERS)
        at_least("--shard-files", self.shard_files, 1)
        for flag, value in (
            ("--max-duration", self.max_duration),
            ("--shard-mb", self.shard_mb),
            ("--shard-timeout", self.shard_timeout),
            ("--price-per-hour", self.price_per_hour),
        ):
            if value is not None and not 0 < value < 1e12:
                raise ConfigError(f"{flag} {value:g}: it must be above 0 and finite")
        _ = self.divided
        if self.format == "parquet":
            imported("pyarrow", "--format parquet")

    @property
    def divided(self) -> tuple[int, int]:
        """Which shards this runner takes: (i, n)."""
        found = _SHARE.fullmatch(self.share)
        share = (int(found[1]), int(found[2])) if found else (1, 0)
        if not share[0] < share[1]:
            raise ConfigError(f"--share {self.share}: it must be I/N with I from 0 to N - 1")
        return share

    @property
    def of_scoring(self) -> dict[str, Any]:
        """All of the flags that decides a line of the results."""
        return {
            "format": self.format,
            "channel": self.channel,
            "max_duration_s": self.max_duration,
        }

    @property
    def job(self) -> dict[str, Any]:
        """What a worker is told."""
        aggregate = "" if self.aggregate == FIRST else self.aggregate
        more = [] if aggregate is None else [f"--config.eval.aggregate={aggregate}"]
        return {
            "workdir": str(self.workdir.absolute()),
            "checkpoint": self.checkpoint,
            "overrides": [*self.settings, *more],
            "seed": self.seed,
            "prior": self.p_spoof,
            "threshold": self.threshold,
            "output": self.output,
            "manifest": str(self.manifest.absolute()),
            "settings": self.of_scoring,
            "threads": self.num_workers or usable_cores(),
            "concurrency": self.concurrency,
        }


class Runner(Protocol):
    """Has tasks done, wherever."""

    def start(self) -> dict[str, Any]:
        """Open the model once; returns what its worker says of it."""

    def run(self, tasks: Any, settings: Settings, listener: Listener) -> None:
        """Have tasks done."""

    def close(self) -> None:
        """Let go of everything."""


MakeRunner = Callable[[ScoreManyOptions, Store], Runner]


def make_runner(options: ScoreManyOptions, store: Store) -> Runner:
    """Return the runner that the options name.

    Raises:
        ConfigError: its extra is not installed.
    """
    workers = options.workers or max(1, usable_cores() // 4)
    if options.runner == RAY:
        from rawnet_jax.scale.ray_runner import RayRunner

        return RayRunner(
            options.job,
            store,
            num_workers=workers,
            num_decoders=options.decoders,
            timeout_s=options.shard_timeout,
            address=options.address,
        )
    return LocalRunner(options.job, store, num_workers=workers, timeout_s=options.shard_timeout)


def score_many(options: ScoreManyOptions, make: MakeRunner = make_runner) -> int:
    """Score all files of a manifest, or resume; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with run, manifest, options or output.
        Interrupted: SIGTERM or SIGHUP; shards that were done stay.
    """
    store = open_store(options.output)
    digest = manifest_digest(options.manifest)
    with ended_by_signals(), contextlib.ExitStack() as stack:
        runner = make(options, store)
        stack.callback(runner.close)
        ready = runner.start()
        for note in ready["notes"]:
            complain(f"note: {note}")
        of_job = {"manifest": digest[:16], **options.of_scoring, **ready["ready"]}
        _begin(options, store, of_job)
        settings = Settings(
            options.manifest,
            options.format,
            job=job_digest(ready["ready"], options.of_scoring),
        )
        before = read_status(store)
        with Watch(
            before.files,
            before.done,
            progress=options.progress,
            price_per_hour=options.price_per_hour,
            textfile=options.textfile,
        ) as watch:
            told = Listener(watch.files, watch.task, watch.note)
            runner.run(open_parts(store, options.divided), settings, told)
            told = Listener(lambda _: None, watch.task, watch.note)
            runner.run(open_retries(store, options.divided), settings, told)
            rate, cost = watch.files_per_s, watch.cost_per_million
    return _end(options, store, before, rate, cost)


def _begin(options: ScoreManyOptions, store: Store, of_job: Mapping[str, Any]) -> None:
    """Begin the job, or check that it is the same.

    Planning reads the whole manifest, so it is done once; where two runners begin at a time, both
    come to the same plan.
    """
    for _ in store.list(JOB):
        refuse_other(read_job(store)["settings"], json.loads(json.dumps(of_job)))
        return
    plan = plan_shards(options.manifest, int(options.shard_mb * 1e6), options.shard_files)
    totals = {"files": plan.rows, "bytes": plan.num_bytes, "shards": len(plan.shards)}
    write_plan(store, plan.shards)
    begin_job(store, of_job, totals)


def _end(
    options: ScoreManyOptions, store: Store, before: Status, rate: float, cost: float | None
) -> int:
    status = read_status(store)
    said = status_text(status)
    if status.done > before.done:
        said += f"\n{rate:.1f} files/s" + ("" if cost is None else f", {cost:.2f} a million files")
    complain(said)
    if status.is_finished:
        remove_split(store, options.format)
        say_written(write_summary(store, options.output, status))
    if status.tally.verdicts["unreadable"]:
        return EXIT_UNREADABLE
    return EXIT_CANNOT_JUDGE if status.tally.verdicts["cannot judge"] else os.EX_OK


def status_text(status: Status) -> str:
    """Return how far a job is, in lines for people."""
    counts = status.tally.verdicts
    said = f"{status.done:,} of {status.files:,} files done"
    said += "".join(f"; {counts[v]:,} {v}" for v in sorted(counts))
    if status.to_retry:
        said += f"; {status.to_retry:,} failed and are tried again at the end"
    return said


def write_summary(store: Store, output: str, status: Status) -> list[tuple[str, str]]:
    """Write figures and page of a job.

    Returns:
        (what, where) of what was written, for people.

    Raises:
        DataError: a file cannot be written.
    """
    # Brings matplotlib, which nothing else here needs.
    from rawnet_jax.reports.many_page import many_page

    figures = json.dumps(status.record, indent=2) + "\n"
    store.replace("summary.json", figures.encode())
    store.replace("summary.html", many_page(status, output).encode("utf-8", "backslashreplace"))
    return [(what, f"{output.rstrip('/')}/summary.{what}") for what in ("json", "html")]
