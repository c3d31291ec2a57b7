"""``score``: files in, results out."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.data.inputs import STDIN, find_inputs, picture_names, stdin_as_file
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.jobs.options import FIRST, MOST_WORKERS, TABLE, SpoolOptions, at_least
from rawnet_jax.labels import Label
from rawnet_jax.progress import BatchBars
from rawnet_jax.scoring.envelope import Envelope
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.model_watch import ModelWatch
from rawnet_jax.scoring.score_forms import Form, form_of
from rawnet_jax.scoring.score_output import ScoreOutput
from rawnet_jax.scoring.sources import score_by
from rawnet_jax.scoring.speech import check_detector
from rawnet_jax.scoring.verdict import DecisionRule, Record, record_of
from rawnet_jax.terminal import complain, emit, one_line, say

if TYPE_CHECKING:
    from rawnet_jax.run import Run
    from rawnet_jax.speaker.claimed import ClaimedVoice

_BY_EXTENSION = {".jsonl": "jsonl", ".csv": "csv", ".txt": "asvspoof2019", ".tsv": "asvspoof5"}
_LONGEST_S = 366 * 86_400
Write = Callable[[Record], None]
"""Takes one result."""

_HEADER = "verdict          score       llr  P(spoof)  scored of s    file"


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(SpoolOptions):
    """Options of ``score``, named as its flags; see ``score --help``."""

    paths: Sequence[str]
    lists: Sequence[str]
    seed: str | None
    speaker: str | None
    encoder: Path | None
    key: Path | None
    aggregate: str | None
    max_duration: float
    format: str | None
    output: Path | None
    overwrite: bool
    names: str | None
    windows: bool
    plot: Path | None
    num_workers: int
    progress: bool

    def __post_init__(self) -> None:
        if not self.paths and not self.lists:
            raise ConfigError("score: give a file, a folder, - or --list")
        super().__post_init__()
        at_least("--num-workers", self.num_workers, 0, MOST_WORKERS)
        if not 0 < self.max_duration <= _LONGEST_S:
            raise ConfigError(
                f"--max-duration {self.max_duration:g}: it must be above 0 and at most "
                f"{_LONGEST_S:,} s (a year)"
            )
        if self.speaker is None and (self.encoder or self.key):
            raise ConfigError("--encoder and --key: are for --speaker, whose voice they compare")
        if self.overwrite and self.output is None:
            raise ConfigError("--overwrite: goes with --output only")
        if self.output is not None and self.form == TABLE:
            raise ConfigError("--format table: is for people; a file takes one of the others")
        if self.windows and self.form.startswith("asvspoof"):
            raise ConfigError(
                f"--windows: {self.form} has one line per file; use jsonl, csv or table"
            )

    @property
    def form(self) -> str:
        """The format, or the one that the extension of the output names."""
        if self.format is not None or self.output is None:
            return self.format or TABLE
        form = _BY_EXTENSION.get(self.output.suffix.lower())
        if form is None:
            raise ConfigError(
                f"--output {self.output}: its extension names no format; give --format, or one of "
                f"{', '.join(_BY_EXTENSION)}"
            )
        return form


def score(options: ScoreOptions) -> int:
    """Score files; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, the options or the output.
        Interrupted: SIGTERM or SIGHUP; an output holds what was found.
    """
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.run import Run

    run = Run.open(options.workdir, options.checkpoint, _overrides(options), seed=options.seed)
    check_detector(run.recipe.gate)  # before an output is begun
    claimed = _claimed(options)
    aggregation = run.recipe.aggregation or FIRST
    inputs = find_inputs(options.paths, options.lists)
    paths = inputs.paths
    if not paths:
        raise DataError("; ".join(inputs.problems) or "there is no file to score")
    form = None
    if options.form != TABLE:
        form = form_of(options.form, options.names, time_line=options.windows)
        form.check(paths)
    decision = run.decision(prior=options.p_spoof, threshold=options.threshold)
    for note in (*decision.notes, *inputs.notes):
        complain(f"note: {note}")
    for problem in inputs.problems:
        complain(f"error: {problem}")
    tally = _Tally(inputs.num_unreadable, aggregation == FIRST, ModelWatch(options.workdir))
    with ended_by_signals(), contextlib.ExitStack() as stack:
        write = _table(decision) if form is None else _printed(form)
        todo = paths
        if options.output is not None and form is not None:
            settings = _settings(options, run, decision)
            output = ScoreOutput(options.output, form, settings, overwrite=options.overwrite)
            write = stack.enter_context(output).write
            todo = [path for path in paths if form.name(path) not in output.done]
            if STDIN in paths and STDIN not in todo:  # it may be another recording by now
                raise ConfigError(
                    f"{options.output} has a result of standard input ({STDIN}); give another "
                    "--output"
                )
        tally.num_before = len(paths) - len(todo)
        found = _scored(options, run, claimed, todo, stack)
        _write(options, decision, found, write, tally, paths)
    complain(tally.text(run.recipe.window / SAMPLE_RATE_HZ))
    tally.watch.check()
    return tally.exit_status


def _write(
    options: ScoreOptions,
    decision: DecisionRule,
    results: Iterator[FileScore],
    write: Write,
    tally: "_Tally",
    paths: Sequence[str],
) -> None:
    """Put every result where it belongs as it comes."""
    draw = None if options.plot is None else _drawing(options.plot, decision, paths)
    with BatchBars(options.progress)("scoring", len(paths), tally.num_before, "file") as bar:
        for found in results:
            record = record_of(found, decision, time_line=options.windows)
            tally.add(found, record)
            write(record)
            if found.outcome == Outcome.UNREADABLE:
                complain(f"error: {one_line(found.path)}: {found.reason}")
            if draw is not None:
                draw(found, record)
            bar.update()


def _scored(
    options: ScoreOptions,
    run: "Run",
    claimed: "ClaimedVoice | None",
    paths: Sequence[str],
    stack: contextlib.ExitStack,
) -> Iterator[FileScore]:
    """Score files, standard input among them."""
    places = [(path, path) for path in paths]
    if STDIN in paths:
        kept = stack.enter_context(stdin_as_file(options.max_stdin_bytes))
        places[paths.index(STDIN)] = (STDIN, str(kept))
    results = score_by(
        run,
        places,
        all_windows=options.windows or options.plot is not None,
        channel=options.channel,
        max_duration_s=options.max_duration,
        num_threads=options.num_workers or usable_cores(),
        watcher=None if options.plot is None else Envelope,
    )
    scored: Iterator[FileScore] = stack.enter_context(contextlib.closing(results))
    if claimed is None:
        return scored
    pairs = zip(scored, places, strict=True)
    return (claimed.normalised(found, source) for found, (_, source) in pairs)


def _claimed(options: ScoreOptions) -> "ClaimedVoice | None":
    """Load whom the files are said to be of; None = nobody is named."""
    if options.speaker is None:
        return None
    from rawnet_jax.speaker.claimed import claimed_voice

    return claimed_voice(options.workdir, options.speaker, options.encoder, options.key)


def _overrides(options: ScoreOptions) -> list[str]:
    """Return the overrides, with --aggregate as one of them."""
    if options.aggregate is None:
        return options.settings
    aggregation = "" if options.aggregate == FIRST else options.aggregate
    return [*options.settings, f"--config.eval.aggregate={aggregation}"]


def _settings(options: ScoreOptions, run: "Run", decision: DecisionRule) -> dict[str, Any]:
    """Return all that decides a line of the output."""
    settings: dict[str, Any] = {
        "format": options.form,
        "names": options.names,
        "model": run.config.model.name,
        "checkpoint": run.step,
        "aggregate": run.recipe.aggregation or FIRST,
        "window_samples": run.recipe.window,
        "hop_samples": run.recipe.hop,
        "channel": options.channel,
        "time line": options.windows,
        **({} if options.speaker is None else {"speaker": options.speaker}),
        "network and settings": run.fingerprint[:16],
    }
    if not options.form.startswith("asvspoof"):  # which hold no verdict
        settings |= decision.record
    return settings


class _Tally:
    """How many files came to what."""

    def __init__(self, num_unreadable: int, is_first_part: bool, watch: ModelWatch) -> None:
        self.watch = watch
        self.num_before = 0
        self._counts: Counter[str] = Counter({Outcome.UNREADABLE.value: num_unreadable})
        self._is_first_part = is_first_part
        self._num_longer = 0

    def add(self, found: FileScore, record: Record) -> None:
        self._counts[record["verdict"]] += 1
        self.watch.add(found.score, found.reason)
        is_part = found.score is not None and (found.duration_s or 0.0) > found.scored_s
        self._num_longer += self._is_first_part and is_part

    @property
    def exit_status(self) -> int:
        if self._counts[Outcome.UNREADABLE]:
            return EXIT_UNREADABLE
        return EXIT_CANNOT_JUDGE if self._counts[Outcome.CANNOT_JUDGE] else os.EX_OK

    def text(self, scored_s: float) -> str:
        bonafide, spoof = (self._counts[label.key] for label in (Label.BONAFIDE, Label.SPOOF))
        said = f"{bonafide + spoof} scored: {bonafide} bona fide, {spoof} spoof"
        for outcome in (Outcome.CANNOT_JUDGE, Outcome.UNREADABLE):
            if self._counts[outcome]:
                said += f"; {self._counts[outcome]} {outcome}"
        if self.num_before:
            said += f"; {self.num_before} before"
        if self._num_longer:
            said += (
                f"\nnote: of {self._num_longer} files only {scored_s:g} s count, the first that "
                "can be judged; --aggregate mean scores all of a file"
            )
        return said


def _printed(form: Form) -> Write:
    """Return what prints results in one of the forms that files take."""
    headers = iter([form.header])
    return lambda record: emit(next(headers, "") + form.text(record))


def _table(decision: DecisionRule) -> Write:
    """Return what prints results for people."""
    headers = iter([f"{decision.text}\n\n{_HEADER}\n"])
    return lambda record: say(next(headers, "") + "\n".join([*_table_lines(record), ""]))


def _drawing(
    folder: Path, decision: DecisionRule, paths: Sequence[str]
) -> Callable[[FileScore, Record], None]:
    """Make a folder and return what writes the picture of one file, if anything of it was read.

    Raises:
        ConfigError: the folder cannot be made.
    """
    # Brings matplotlib, which scores alone do not need.
    from rawnet_jax.reports.time_line import time_line_of, time_line_png

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--plot {folder}: {error.strerror}; it must be a folder") from error
    name_of = picture_names(paths)

    def draw(found: FileScore, record: Record) -> None:
        if found.watched is not None and found.watched.num_samples:
            picture = time_line_png(time_line_of(found, record, decision))
            write_bytes_atomically(folder / name_of[found.path], picture)

    return draw


def _table_lines(record: Record) -> Iterator[str]:
    length = record["duration_s"]
    of = f"{record['scored_s']:.1f} of {'?' if length is None else f'{length:.1f}'}"
    said = f"from {record['scored_from_s']:.2f} s on" if record["scored_from_s"] else ""
    said = record["reason"] or ", ".join(filter(None, (said, _source_said(record))))
    yield f"{_cells(record)}  {of:<13}  {one_line(record['path'])}{said and f'  ({said})'}"
    for window in record.get("windows", ()):
        yield f"{_cells(window)}    {window['start_s']:8.2f} to {window['end_s']:8.2f} s"
    if record.get("windows"):
        spans = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in record["spoof_s"])
        yield f"{'':>12}  spoof: {spans or 'nowhere'}"


def _source_said(record: Record) -> str:
    return f"source: {record['source']}" if record.get("source") else ""


def _cells(said: Record) -> str:
    score, llr, p_spoof = said["score"], said["llr"], said["p_spoof"]
    return (
        f"{said['verdict']:<12}  {_number(score, '+.3f'):>8}  {_number(llr, '+.3f'):>8}  "
        f"{_number(p_spoof, '.4f'):>8}"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
