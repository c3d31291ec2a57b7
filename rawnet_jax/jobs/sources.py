"""``sources``: which families of engines a detector can tell apart, as a new detector."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.adapt import recordings_in
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.options import RunOptions, at_least
from rawnet_jax.metrics.source import LEAST_CLIPS, SourceFigures, fit_source_rule
from rawnet_jax.scoring.sources import NONE_OF_THESE
from rawnet_jax.terminal import complain, show

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.jobs.measured_recordings import Named
    from rawnet_jax.run import Run


@dataclass(frozen=True, kw_only=True)
class SourcesOptions(RunOptions):
    """Options of ``sources``, named as its flags; see ``sources --help``."""

    seed: str | None
    spoof: Path
    output: Path
    share: float
    channel: int | None
    progress: bool

    def __post_init__(self) -> None:
        at_least("--channel", self.channel, 1)
        if not 0 < self.share < 1:
            raise ConfigError(f"--share {self.share:g}: it must be above 0 and below 1")


def fit_sources(options: SourcesOptions) -> int:
    """Fit the rule and write a new folder; returns the exit status.

    Raises:
        RawnetError: there is too little to learn from, or the new folder is there already; then
            nothing is written.
    """
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.run import Run

    fakes = recordings_in("--spoof", options.spoof)
    run = Run.open(options.workdir, options.checkpoint, options.overrides, seed=options.seed)
    figures = fit_sources_of(
        run,
        fakes,
        options.output,
        share=options.share,
        channel=options.channel,
        progress=options.progress,
    )
    show(confusion_table(figures))
    say_written(
        [
            ("sources", options.output),
            ("use it", f"python -m rawnet_jax score --workdir {options.output} FILE"),
            ("undo it", f"use --workdir {options.workdir}, which is as it was"),
        ]
    )
    return os.EX_OK


def fit_sources_of(
    run: "Run",
    fakes: "Sequence[Named]",
    output: Path,
    *,
    share: float = 0.05,
    channel: int | None = None,
    progress: bool = True,
) -> SourceFigures:
    """Fit which family of engines a fake comes from, and write a new folder.

    Args:
        run: stays as it is.
        fakes: each with its family.
        output: folder to make.
        share: see `rawnet_jax.metrics.source.fit_source_rule`.
        channel: take this channel, 1 = the first; None = the average of all.
        progress: whether to show a bar.

    Raises:
        RawnetError: there is too little to learn from, a recording cannot be read, or the folder
            cannot be written; then nothing is.
    """
    from rawnet_jax.atomic_file import refuse_used
    from rawnet_jax.jobs.derived_preset import write_derived
    from rawnet_jax.jobs.measured_recordings import measured
    from rawnet_jax.scoring.sources import save_source_rule

    refuse_used(output, "--output")
    given = measured(run, run.decision(), fakes, True, channel, "fakes", progress)
    named = np.array([bool(group) for group in given.groups], bool)
    if not named.any():
        raise DataError("no fake has a family; each sub-folder must be one")
    kept = given.rows(named)
    small = sorted(name for name in set(kept.groups) if kept.groups.count(name) < LEAST_CLIPS)
    if small:
        complain(
            f"note: {len(small)} families with fewer than {LEAST_CLIPS} recordings that can be "
            f"judged are left out: {', '.join(small[:8])}"
        )
    rule, figures = fit_source_rule(kept.embeddings, kept.groups, share=share)
    write_derived(
        output,
        run,
        f"{run.name}, which names {len(rule.names)} families of engines",
        f"It names the source of fakes: {', '.join(rule.names)}.",
        lambda folder: save_source_rule(folder, rule, run.step),
    )
    return figures


def confusion_table(figures: SourceFigures) -> str:
    """Return what was found, for people: of each family how many got which name."""
    lines = [f"{'fakes of':<28}{'of':>5}  named by a fit that did not see them"]
    lines += _rows_of(figures.names, figures.confusion)
    if figures.held_back.any():
        lines += ["", f"{'family held back':<28}{'of':>5}  named by a fit of the other families"]
        lines += _rows_of(figures.names, figures.held_back)
    counts, width = figures.confusion, len(figures.names)
    num_named, num_right = int(counts[:, :width].sum()), int(np.trace(counts[:, :width]))
    lines += [
        "",
        f"named: {num_named} of {int(counts.sum())}, {num_right} of these rightly; of families "
        f"held back {int(figures.held_back[:, -1].sum())} of {int(figures.held_back.sum())} are "
        f"{NONE_OF_THESE!r}",
    ]
    return "\n".join(lines)


def _rows_of(names: Sequence[str], table: np.ndarray) -> list[str]:
    titles = (*names, NONE_OF_THESE)
    lines = []
    for name, row in zip(names, table.tolist(), strict=True):
        cells = sorted(((num, title) for title, num in zip(titles, row, strict=True) if num))[::-1]
        said = ", ".join(f"{title} {num}" for num, title in cells)
        lines.append(f"{name[:27]:<28}{sum(row):>5}  {said}")
    return lines
