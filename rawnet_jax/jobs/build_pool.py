"""``build-pool``: a training pool from clones, and its confound report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.errors import ConfigError
from rawnet_jax.jobs.options import at_least
from rawnet_jax.pool.build import Built, build, write_confounds
from rawnet_jax.pool.clones import clone_line, find_clone
from rawnet_jax.pool.folds import homes, parts_of, used
from rawnet_jax.pool.plan import PoolPlan, Recording, make_plan
from rawnet_jax.pool.table import FOLDS, OWN_TABLE, Table, read_table
from rawnet_jax.terminal import complain, say


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """What to build, from where, and how; named as the flags."""

    clones: Path | None
    output: Path | None
    report: Path | None
    table: Path | None
    vocoders: Path | None
    clean: bool
    allow_missing: bool
    dry_run: bool
    num_workers: int
    overwrite: bool
    progress: bool

    def __post_init__(self) -> None:
        at_least("--num-workers", self.num_workers, 0)
        if self.report is not None and (self.clones or self.output or self.dry_run):
            raise ConfigError("--report takes a pool that is there; it goes with no other folder")
        if self.report is None and self.clones is None:
            raise ConfigError("--clones must name a folder of clones (or --report a pool)")
        if self.report is None and not self.dry_run and self.output is None:
            raise ConfigError("--output must name the folder to write (or use --dry-run)")


def build_pool(options: PoolOptions) -> int:
    """Carry out the command; returns the exit status.

    Raises:
        RawnetError: see `make_plan` and `build`.
    """
    if options.report is not None:
        say(write_confounds(options.report))
        return 0
    assert options.clones is not None
    table = read_table(options.table or OWN_TABLE)
    if options.clones.is_dir():
        _tell_clones(table, options.clones)
    plan = make_plan(
        table,
        options.clones,
        allow_missing=options.allow_missing or options.dry_run,
        vocoders=options.vocoders,
        is_clean=options.clean,
    )
    for problem in plan.problems:
        complain(f"differs from the table: {problem}")
    _tell_plan(plan)
    if options.dry_run:
        return 0
    assert options.output is not None
    built = build(
        plan,
        options.output,
        num_workers=options.num_workers,
        progress=options.progress,
        overwrite=options.overwrite,
    )
    _tell_built(built)
    return 0


def _tell_clones(table: Table, folder: Path) -> None:
    """Say of each source whether it is there and, if not, how to get it."""
    lines = []
    for source in table.source:
        place = find_clone(folder, source)
        told = f"found at {place}" if place else f"missing: {clone_line(source, folder)}"
        lines.append(f"{source.repository}: {told}\n")
    say("".join(lines))


def _tell_plan(plan: PoolPlan) -> None:
    """Print what would be taken: recordings, and pieces if every one is long enough."""
    recordings = used(plan.recordings)
    for column in ("repository", "licence", "language", "group", "family", "system"):
        values = [str(getattr(each, column)) for each in recordings]
        say(_table(column, recordings, values))
    home_of = homes(plan.recordings)
    for fold in FOLDS:
        say(_table(fold, recordings, [parts_of(each, home_of)[fold] for each in recordings]))
    sounds = Counter((each.kind, each.repository) for each in plan.backgrounds)
    if sounds:
        rows = [(f"{'label':<10}{'repository':<52}{'files':>12}")]
        rows += [f"{kind:<10}{name:<52}{number:>12}" for (kind, name), number in sounds.items()]
        say("\n".join(rows) + "\n\n")
    for source in plan.sources:
        for reason, number in sorted(source.left_out.items()):
            if number:
                say(f"{source.source.repository}: left out {number}: {reason}\n")


def _table(title: str, recordings: Sequence[Recording], values: Sequence[str]) -> str:
    counts: Counter[tuple[str, str]] = Counter()
    most: Counter[tuple[str, str]] = Counter()
    for each, value in zip(recordings, values, strict=True):
        counts[each.label, value] += 1
        most[each.label, value] += each.pieces
    rows = sorted(counts, key=lambda key: (key[0], -counts[key], key))
    lines = [f"{'label':<10}{title:<52}{'recordings':>12}{'pieces at most':>16}"]
    lines += [f"{key[0]:<10}{key[1]:<52}{counts[key]:>12}{most[key]:>16}" for key in rows]
    return "\n".join(lines) + "\n\n"


def _tell_built(built: Built) -> None:
    if not built.was_written:
        say(f"{built.root}: there already, nothing to do\n")
    for reason, number in sorted(built.problems.items()):
        say(f"left out {number} recordings: {reason}\n")
    counts = " + ".join(f"{number} {label}" for label, number in sorted(built.num_pieces.items()))
    say(f"{built.root}: {counts}, digest {built.digest}\n")
