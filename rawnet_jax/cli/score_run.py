"""``score``: files in, results out."""

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rawnet_jax.cli.run_flags import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE, FIRST, TABLE
from rawnet_jax.cli.score_sinks import Pictures, Printed, Table, complain
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.data.inputs import STDIN, find_inputs, stdin_as_file
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label
from rawnet_jax.progress import BatchBars
from rawnet_jax.run import Run
from rawnet_jax.scoring.envelope import Envelope
from rawnet_jax.scoring.file_scorer import (
    FileScore,
    Outcome,
)
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.score_forms import Form, form_of
from rawnet_jax.scoring.score_output import ScoreOutput, remove_output
from rawnet_jax.scoring.score_record import Record, record_of
from rawnet_jax.scoring.verdict import Judge


class _Sink(Protocol):
    def write(self, record: Record) -> None:
        """Take one result."""


def score_run(args: argparse.Namespace, overrides: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, the flags or the output.
    """
    run = Run.open(args.workdir, args.checkpoint, _overrides(args, overrides), seed=args.seed)
    aggregation = run.recipe.aggregation or FIRST
    paths, problems = find_inputs(args.paths, args.list)
    if not paths:
        raise DataError(problems[0] if problems else "there is no file to score")
    form = None
    if args.format != TABLE:
        form = form_of(args.format, args.names, time_line=args.windows)
        form.check(paths)
    judge = run.decision(prior=args.p_spoof, threshold=args.threshold)
    for note in judge.notes:
        complain(f"note: {note}")
    for problem in problems:
        complain(f"error: {problem}")
    tally = _Tally(len(problems), aggregation == FIRST)
    with contextlib.ExitStack() as stack:
        sink: _Sink = Table(judge) if form is None else Printed(form)
        todo = paths
        if args.output is not None and form is not None:
            sink = stack.enter_context(_output(args, form, _settings(args, run, judge)))
            todo = [path for path in paths if form.name(path) not in sink.done]
            if STDIN in paths and STDIN not in todo:  # it may be another recording by now
                raise ConfigError(
                    f"{args.output} has a result of standard input ({STDIN}); give another --output"
                )
        tally.num_before = len(paths) - len(todo)
        found = _scored(args, run, todo, stack)
        _write(args, judge, found, sink, tally, paths)
    complain(tally.in_words(run.recipe.window / SAMPLE_RATE_HZ))
    return tally.exit_status


def _write(
    args: argparse.Namespace,
    judge: Judge,
    results: Iterator[FileScore],
    sink: _Sink,
    tally: "_Tally",
    paths: Sequence[str],
) -> None:
    """Put every result where it belongs as it comes."""
    pictures = None if args.plot is None else Pictures(args.plot, judge, paths)
    shows_bar = not args.no_progress
    with BatchBars(shows_bar)("scoring", len(paths), tally.num_before, "file") as bar:
        # Lines on a terminal would run into the bar.
        is_mixed = shows_bar and sys.stdout.isatty() and not isinstance(sink, ScoreOutput)
        for found in results:
            record = record_of(found, judge, time_line=args.windows)
            tally.add(found, record)
            with bar.external_write_mode() if is_mixed else contextlib.nullcontext():
                sink.write(record)
            if found.outcome == Outcome.UNREADABLE:
                with bar.external_write_mode() if shows_bar else contextlib.nullcontext():
                    complain(f"error: {found.path}: {found.reason}")
            if pictures is not None:
                pictures.draw(found, record)
            bar.update()


def _scored(
    args: argparse.Namespace, run: Run, paths: Sequence[str], stack: contextlib.ExitStack
) -> Iterator[FileScore]:
    """Score files, standard input among them."""
    places = [
        (path, str(stack.enter_context(stdin_as_file())) if path == STDIN else path)
        for path in paths
    ]
    results = score_recordings(
        places,
        run.score_batch,
        run.recipe,
        all_windows=args.windows or args.plot is not None,
        channel=args.channel,
        max_duration_s=args.max_duration,
        num_threads=args.num_workers or usable_cores(),
        num_devices=run.num_devices,
        watcher=None if args.plot is None else Envelope,
    )
    return stack.enter_context(contextlib.closing(results))


def _overrides(args: argparse.Namespace, overrides: Sequence[str]) -> list[str]:
    """Return the overrides, with --aggregate as one of them."""
    if args.aggregate is None:
        return list(overrides)
    aggregation = "" if args.aggregate == FIRST else args.aggregate
    return [*overrides, f"--config.eval.aggregate={aggregation}"]


def _output(args: argparse.Namespace, form: Form, settings: dict[str, Any]) -> ScoreOutput:
    if args.overwrite:
        remove_output(args.output)
    return ScoreOutput(args.output, form, settings)


def _settings(args: argparse.Namespace, run: Run, judge: Judge) -> dict[str, Any]:
    """Return all that decides a line of the output."""
    settings: dict[str, Any] = {
        "format": args.format,
        "names": args.names,
        "model": run.config.model.name,
        "checkpoint": run.step,
        "aggregate": run.recipe.aggregation or FIRST,
        "window_samples": run.recipe.window,
        "hop_samples": run.recipe.hop,
        "channel": args.channel,
        "time line": args.windows,
        "network and settings": run.fingerprint[:16],
    }
    if not args.format.startswith("asvspoof"):  # which hold no verdict
        settings |= judge.record
    return settings


class _Tally:
    """How many files came to what."""

    def __init__(self, num_unreadable: int, is_first_part: bool) -> None:
        self.num_before = 0
        self._counts: Counter[str] = Counter({Outcome.UNREADABLE.value: num_unreadable})
        self._is_first_part = is_first_part
        self._num_longer = 0

    def add(self, found: FileScore, record: Record) -> None:
        self._counts[record["verdict"]] += 1
        is_part = found.score is not None and (found.duration_s or 0.0) > found.scored_s
        self._num_longer += self._is_first_part and is_part

    @property
    def exit_status(self) -> int:
        if self._counts[Outcome.UNREADABLE]:
            return EXIT_UNREADABLE
        return EXIT_CANNOT_JUDGE if self._counts[Outcome.CANNOT_JUDGE] else os.EX_OK

    def in_words(self, scored_s: float) -> str:
        bonafide, spoof = (self._counts[label.key] for label in (Label.BONAFIDE, Label.SPOOF))
        said = f"{bonafide + spoof} scored: {bonafide} bona fide, {spoof} spoof"
        for outcome in (Outcome.CANNOT_JUDGE, Outcome.UNREADABLE):
            if self._counts[outcome]:
                said += f"; {self._counts[outcome]} {outcome}"
        if self.num_before:
            said += f"; {self.num_before} before"
        if self._num_longer:
            said += (
                f"\nnote: of {self._num_longer} files only the first {scored_s:g} s count, as this "
                "run was evaluated; --aggregate mean scores all of a file"
            )
        return said
