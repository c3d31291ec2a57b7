"""From score files and a protocol to systems on one list of trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rawnet_jax.data.join import Joined, join_scores
from rawnet_jax.data.matching import named_as
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.data.score_choice import Choice
from rawnet_jax.data.score_file import ScoreTable, read_scores
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.columns import filtered
from rawnet_jax.labels import UNSTATED, Label

MISSING, EXTRA = "missing", "extra"


@dataclass(frozen=True, slots=True)
class TrialSource:
    """Where the trials of score files are listed.

    Attributes:
        protocol: the list; None = the keys in the first score file.
        corpus: whose form the list has; "" = found from its first lines.
        one_means: which label key 1 stands for in a list of one's own or a score file.
        columns: of the score files by their roles; None = they are found.
        partition: of a list that names partitions, the one that is meant.
        where: conditions ``COLUMN=VALUE`` on the trials.
        allow_missing: leave out trials that a score file lacks, instead of stopping.
    """

    protocol: Path | None = None
    corpus: str = ""
    partition: str = "eval"
    where: Sequence[str] = ()
    allow_missing: bool = False
    one_means: str = UNSTATED
    columns: Choice | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSet:
    """Several systems on the same trials.

    Attributes:
        trials: N, each with a label.
        labels: int8 [N].
        scores: float64 [N] by the system's name.
        unmatched: (system, `MISSING` or `EXTRA`, utterance): trials without a score and scores
            without a trial; the systems are measured without them.
        warnings: what a reader must know of how the trials were found.
    """

    trials: tuple[Trial, ...]
    labels: np.ndarray
    scores: Mapping[str, np.ndarray]
    unmatched: tuple[tuple[str, str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def load_score_set(files: Mapping[str, Path], source: TrialSource) -> ScoreSet:
    """Read score files and join them to their trials by utterance id.

    Args:
        files: by the system's name; at least one.
        source: of the trials.

    Raises:
        DataError: a file cannot be read or is wrong; there are no keys; a trial has no score and
            that is not allowed; keys disagree; or nothing is left.
    """
    tables = {
        name: read_scores(path, source.one_means, source.columns) for name, path in files.items()
    }
    trials, warnings = _trials(tables, files, source)
    utterances = [trial.utterance_id for trial in trials]
    for name, table in tables.items():
        tables[name], number = named_as(table, utterances)
        if number:
            warnings.append(
                f"{name}: scores whose names differ from the trials' in folders or extension: "
                f"{number:,}; they were matched by the rest of the name."
            )
    joined = {
        name: join_scores(
            table,
            trials,
            source=str(files[name]),
            protocol=str(source.protocol or next(iter(files.values()))),
            allow_missing=source.allow_missing,
            allow_extra=True,
        )
        for name, table in _with_hint(tables, trials, source)
    }
    unmatched = tuple(
        (name, kind, utterance)
        for name, found in joined.items()
        for kind, utterances in ((MISSING, found.missing), (EXTRA, found.extra))
        for utterance in utterances
    )
    warnings += [
        f"{name}: {_unmatched_in_words(found, len(trials))}"
        for name, found in joined.items()
        if found.missing or found.extra
    ]
    kept = _common(joined, trials)
    if len(kept) < len(trials):
        warnings.append(
            f"Measured on the {len(kept):,} of {len(trials):,} trials that have a score in every "
            "file: not to be set beside figures on the whole list."
        )
    kept = filtered(kept, source.where)
    return _restrict(joined, kept, unmatched, warnings)


def _trials(
    tables: Mapping[str, ScoreTable], files: Mapping[str, Path], source: TrialSource
) -> tuple[list[Trial], list[str]]:
    name, table = next(iter(tables.items()))
    if source.protocol is None:
        if table.labels is None:
            raise DataError(
                f"{files[name]}: holds no keys, so --protocol must tell bona fide from spoof"
            )
        attacks = table.attack_ids or [None] * len(table)
        rows = zip(table.utterance_ids, table.labels.tolist(), attacks, strict=True)
        return [Trial(u, Label(label), u, attack_id=attack) for u, label, attack in rows], []
    trials = read_protocol(source.protocol, source.corpus, source.one_means)
    if any("partition" in trial.metadata for trial in trials):
        trials = [t for t in trials if t.metadata.get("partition") == source.partition]
        if not trials:
            raise DataError(f"{source.protocol}: no trial of it is of partition {source.partition}")
    keyed = [trial for trial in trials if trial.label is not None]
    if any(table.labels is not None for table in tables.values()) or len(keyed) == len(trials):
        return trials, []
    if not keyed:
        raise DataError(f"{source.protocol}: gives no keys, so no figure can be computed")
    without = len(trials) - len(keyed)
    return keyed, [f"{source.protocol}: trials without a key: {without:,}; they are left out."]


def _with_hint(
    tables: Mapping[str, ScoreTable], trials: Sequence[Trial], source: TrialSource
) -> list[tuple[str, ScoreTable]]:
    """Say how to go on before the join stops at trials without a score."""
    if source.allow_missing:
        return list(tables.items())
    listed = {trial.utterance_id for trial in trials}
    for name, table in tables.items():
        scored = listed.intersection(table.utterance_ids)
        if scored and len(scored) < len(listed):
            lacking = [t.utterance_id for t in trials if t.utterance_id not in scored]
            shown = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
            raise DataError(
                f"{name}: no score for {len(lacking):,} of {len(listed):,} trials: {shown} "
                "(--allow-missing measures the others and lists all of these in unmatched.csv)"
            )
    return list(tables.items())


def _unmatched_in_words(found: Joined, num_trials: int) -> str:
    parts = []
    if found.missing:
        parts.append(f"trials without a score: {len(found.missing):,} of {num_trials:,}")
    if found.extra:
        parts.append(f"scores without a trial: {len(found.extra):,}")
    return ", ".join(parts) + "; they are left out and listed in unmatched.csv."


def _common(joined: Mapping[str, Joined], trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that all systems scored."""
    lacking = {utterance for found in joined.values() for utterance in found.missing}
    kept = [trial for trial in trials if trial.utterance_id not in lacking]
    if not kept:
        raise DataError("no trial has a score in every file: " + ", ".join(joined))
    return kept


def _restrict(
    joined: Mapping[str, Joined],
    kept: Sequence[Trial],
    unmatched: tuple[tuple[str, str, str], ...],
    warnings: Sequence[str],
) -> ScoreSet:
    scores: dict[str, np.ndarray] = {}
    labels: np.ndarray | None = None
    for name, found in joined.items():
        row_of = {utterance: row for row, utterance in enumerate(found.utterance_ids)}
        rows = np.array([row_of[trial.utterance_id] for trial in kept], np.intp)
        scores[name] = found.scores[rows]
        if found.labels is None:
            continue
        theirs = found.labels[rows]
        if labels is not None and (labels != theirs).any():
            at = int(np.flatnonzero(labels != theirs)[0])
            raise DataError(
                f"{name}: has another key for {kept[at].utterance_id} than {next(iter(scores))}"
            )
        labels = theirs
    if labels is None:
        raise DataError("some trials have a key neither in the protocol nor in a score file")
    trials = tuple(
        trial if trial.label is not None else replace(trial, label=Label(value))
        for trial, value in zip(kept, labels.tolist(), strict=True)
    )
    return ScoreSet(trials, labels, scores, unmatched, tuple(warnings))
