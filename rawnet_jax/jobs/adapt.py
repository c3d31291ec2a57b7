"""``adapt``: a detector fitted to somebody's own recordings, and what that does."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rawnet_jax.data.inputs import find_inputs
from rawnet_jax.data.score_file import pooled_scores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.adaptation import Adaptation, Count
from rawnet_jax.evaluation.adaptation_fit import Goal
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.options import RunOptions, at_least, with_speech
from rawnet_jax.labels import Label
from rawnet_jax.terminal import complain, show

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.jobs.measured_recordings import Named
    from rawnet_jax.run import Run

_MOST_FOLDS = 100
_DEV_SCORES = Path("eval") / "dev_scores.txt"  # where evaluate leaves them in a work directory


@dataclass(frozen=True, kw_only=True)
class AdaptOptions(RunOptions):
    """Options of ``adapt``, named as its flags; see ``adapt --help``."""

    seed: str | None
    bonafide: Path
    spoof: Path | None
    others: Path | None
    speaker: str | None
    encoder: Path | None
    key: Path | None
    dev_scores: Path | None
    output: Path
    miss: float | None
    accept: float | None
    last_layer: bool
    folds: int
    channel: int | None
    speech: str | None
    progress: bool

    def __post_init__(self) -> None:
        at_least("--channel", self.channel, 1)
        at_least("--folds", self.folds, 2, _MOST_FOLDS)
        if self.last_layer and self.dev_scores is not None:
            raise ConfigError("--dev-scores: --last-layer cannot change scores; leave one out")
        _ = self.goal
        fits = self.last_layer or self.dev_scores is not None
        if self.speaker is not None and (fits or self.miss or self.accept):
            raise ConfigError(
                "--speaker: enrols one person and fits nothing else; leave out --last-layer, "
                "--miss, --accept and --dev-scores"
            )
        if self.speaker is None and (self.encoder or self.key):
            raise ConfigError("--encoder and --key: are for --speaker, whose voice they keep")

    @property
    def goal(self) -> Goal:
        """What to fit."""
        return Goal(self.miss, self.accept, self.last_layer, self.folds)

    @property
    def settings(self) -> list[str]:
        """The overrides, with --speech as one of them."""
        return with_speech(self.overrides, self.speech)


def adapt_detector(options: AdaptOptions) -> int:
    """Adapt a run; returns the exit status.

    Raises:
        RawnetError: there is too little to learn from, the run cannot be adapted so, or the new
            folder is there already; then nothing is written.
    """
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.run import Run

    bonafide = recordings_in("--bonafide", options.bonafide)
    spoof = [] if options.spoof is None else recordings_in("--spoof", options.spoof)
    others = [] if options.others is None else recordings_in("--others", options.others)
    _refuse_twice(bonafide=bonafide, spoof=spoof, others=others)
    run = Run.open(options.workdir, options.checkpoint, options.settings, seed=options.seed)
    for note in run.decision().notes:
        complain(f"note: {note}")
    said, notes = (_adapted if options.speaker is None else _enrolled)(
        options, run, bonafide, spoof, others
    )
    show(said)
    for note in notes:
        complain(f"note: {note}")
    use = "" if options.speaker is None else f" --speaker {options.speaker}"
    say_written(
        [
            ("adapted", options.output),
            ("use it", f"python -m rawnet_jax score --workdir {options.output}{use} FILE"),
            ("undo it", f"use --workdir {options.workdir}, which is as it was"),
        ]
    )
    return os.EX_OK


def _adapted(
    options: AdaptOptions,
    run: "Run",
    bonafide: "Sequence[Named]",
    spoof: "Sequence[Named]",
    others: "Sequence[Named]",
) -> tuple[str, Sequence[str]]:
    """Fit the run; returns the report and what a user must know."""
    from rawnet_jax.jobs.adapted_run import adapt_run

    found = adapt_run(
        run,
        bonafide,
        spoof,
        options.output,
        options.goal,
        others=others,
        known_scores=_known_scores(options),
        channel=options.channel,
        progress=options.progress,
    )
    return report_of(found), found.notes


def _enrolled(
    options: AdaptOptions,
    run: "Run",
    bonafide: "Sequence[Named]",
    spoof: "Sequence[Named]",
    others: "Sequence[Named]",
) -> tuple[str, Sequence[str]]:
    """Enrol a person; returns the report and what a user must know."""
    from rawnet_jax.jobs.person_enrolment import VoiceKeeping, enrol_speaker

    assert options.speaker is not None
    found = enrol_speaker(
        run,
        options.speaker,
        bonafide,
        options.output,
        others=others,
        spoof=spoof,
        keeping=VoiceKeeping(options.encoder, options.key),
        channel=options.channel,
        progress=options.progress,
    )
    rows = [(f"{options.speaker} called spoof", found.misses_before, found.misses_after)]
    if found.accepted_before is not None and found.accepted_after is not None:
        rows.append(("known fakes accepted", found.accepted_before, found.accepted_after))
    voice, people = found.voice, found.population
    lines = [
        *_table_of(rows, "each recording by the others"),
        f"a score of {voice.name} is raised by {voice.shift:+.3f}: the mean of "
        f"{voice.num_clips} recordings is {voice.mean:+.3f}, that of {people.num_speakers} "
        f"other people {people.mean:+.3f}",
    ]
    return "\n".join(lines), found.notes


def _table_of(rows: "Sequence[tuple[str, Count, Count]]", after: str) -> list[str]:
    said = [f"{name:<30}{_said(one):<36}{_said(other)}" for name, one, other in rows]
    return [f"{'':<30}{'before':<36}after, {after}", *said]


def report_of(found: Adaptation) -> str:
    """Return what was found as a table for people."""
    rows = [("genuine speech called spoof", found.misses_before, found.misses_after)]
    if found.accepted_before is not None and found.accepted_after is not None:
        rows.append(("known fakes accepted", found.accepted_before, found.accepted_after))
    if found.others_before is not None and found.others_after is not None:
        rows.append(("others called spoof", found.others_before, found.others_after))
    lines = _table_of(rows, "cross-validated")
    if found.cllr_before is not None or found.cllr_after is not None:
        before = "-" if found.cllr_before is None else f"{found.cllr_before:.3f}"
        after = "stays" if found.cllr_after is None else f"{found.cllr_after:.3f}"
        lines.append(f"{'C_llr, bits':<30}{before:<36}{after}")
    lines.append(f"threshold: {found.fitted.threshold:.4g}")
    return "\n".join(lines)


def _said(count: Count) -> str:
    low, high = (100 * end for end in (count.interval.low, count.interval.high))
    share = f"{100 * count.rate:.1f} %, {low:.1f} to {high:.1f}"
    return f"{count.num} of {count.of} ({share})"


def recordings_in(flag: str, folder: Path) -> "list[Named]":
    """Return the recordings below a folder, with the sub-folder that each lies in.

    Raises:
        DataError: it is not a folder, or holds none.
    """
    from rawnet_jax.jobs.measured_recordings import Named, speaker_of

    if not folder.is_dir():
        raise DataError(f"{flag} {folder}: it must be a folder of recordings")
    inputs = find_inputs([str(folder)])
    if inputs.problems or not inputs.paths:
        raise DataError(f"{flag} " + ("; ".join(inputs.problems) or f"{folder}: no recordings"))
    for note in inputs.notes:
        complain(f"note: {note}")
    return [Named(path, path, speaker_of(path, str(folder))) for path in inputs.paths]


def _refuse_twice(**given: "Sequence[Named]") -> None:
    seen: dict[str, str] = {}
    for flag, recordings in given.items():
        for one in recordings:
            first = seen.setdefault(os.path.realpath(one.name), flag)
            if first != flag:
                raise DataError(f"{one.name}: is in both --{first} and --{flag}; it must be in one")


def _known_scores(options: AdaptOptions) -> np.ndarray | None:
    """Return the scores of fakes that are known beside --spoof: given, or kept with the run."""
    from rawnet_jax.jobs.adapted_run import ADAPTED_JSON, known_scores_of
    from rawnet_jax.scoring.reference import REFERENCE_FILE

    kept = options.workdir / _DEV_SCORES
    if options.last_layer:
        has_scores = kept.exists() or (options.workdir / ADAPTED_JSON).exists()
        if has_scores and not (options.workdir / REFERENCE_FILE).exists():
            complain(
                "note: the kept scores of known fakes are not used: what another last layer makes "
                "of those fakes is not known, only what it makes of --spoof"
            )
        return None
    if options.dev_scores is None and (found := known_scores_of(options.workdir)) is not None:
        complain(f"note: {found.size} known fakes are those that {options.workdir} keeps")
        return found
    if options.dev_scores is None and not kept.exists():
        return None
    scores, labels = pooled_scores([options.dev_scores or kept])
    found = scores[labels == Label.SPOOF]
    if not found.size:
        raise DataError(f"{options.dev_scores or kept}: it holds no fakes")
    complain(f"note: {found.size} known fakes are the dev scores in {options.dev_scores or kept}")
    return found
