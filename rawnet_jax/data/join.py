"""Joining score files to a protocol, and to each other, by utterance id.

Nothing is guessed: whatever has no partner is an error that counts and names it, unless the caller
allows it, and then it is still named in the result. Scores are never flipped or filled in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rawnet_jax.data.matching import named_as
from rawnet_jax.data.score_choice import Choice
from rawnet_jax.data.score_file import ScoreTable, read_scores
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import UNSTATED, Label

NUM_SHOWN = 5
"""How many names a message spells out."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Scores with what a protocol states of their trials, in the protocol's order.

    Attributes:
        trials: N trials that have a score.
        scores: float64 [N], as the file has them.
        labels: int8 [N] of `Label`: the protocol's, where it gives none the score file's; None if
            a trial has neither.
        missing: utterances of the protocol without a score; not empty only where allowed.
        extra: utterances with a score that the protocol does not name; not empty only where
            allowed.
        renamed: how many scores stand under a name with other folders or another extension.
    """

    trials: tuple[Trial, ...]
    scores: np.ndarray
    labels: np.ndarray | None
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    renamed: int = 0

    def __len__(self) -> int:
        """Number of trials with a score."""
        return len(self.trials)

    @property
    def utterance_ids(self) -> list[str]:
        """Names, in order."""
        return [trial.utterance_id for trial in self.trials]

    @property
    def attack_ids(self) -> list[str | None]:
        """Attacks of the protocol, in order; None for bona fide and unknown."""
        return [trial.attack_id for trial in self.trials]

    def table(self) -> ScoreTable:
        """Return the scores with the protocol's keys and attacks, ready to be written."""
        return ScoreTable(self.utterance_ids, self.scores, self.labels, self.attack_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Scores of several systems on the same trials, in the first system's order.

    Attributes:
        names: K systems.
        utterance_ids: N utterances that all systems scored.
        scores: float64 [N, K].
        labels: int8 [N] of `Label`, from whichever file has keys; None if none has.
        attack_ids: N entries, from the first file that names attacks; None if none does.
        left_out: by system, the utterances that it scored and another did not; no system that
            lost nothing. Not empty only where allowed.
        renamed: by system, how many of its utterances have other folders or another extension than
            the protocol's or, without one, the first system's; no system that has none.
    """

    names: tuple[str, ...]
    utterance_ids: tuple[str, ...]
    scores: np.ndarray
    labels: np.ndarray | None
    attack_ids: tuple[str | None, ...] | None
    left_out: Mapping[str, tuple[str, ...]]
    renamed: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of trials that all systems scored."""
        return len(self.utterance_ids)

    def table(self, scores: np.ndarray) -> ScoreTable:
        """Return other scores [N] of the same trials, such as fused ones, ready to be written."""
        return ScoreTable(self.utterance_ids, scores, self.labels, self.attack_ids)


def join_scores(
    table: ScoreTable,
    trials: Sequence[Trial],
    *,
    source: str = "the score file",
    protocol: str = "the protocol",
    allow_missing: bool = False,
    allow_extra: bool = False,
) -> Joined:
    """Give every trial of a protocol its score.

    Args:
        table: one score per utterance; folders and extensions of names may differ, see
            `rawnet_jax.data.matching`.
        trials: of a protocol, each utterance once.
        source: the score file, for messages.
        protocol: the protocol, for messages.
        allow_missing: leave out trials without a score, instead of stopping.
        allow_extra: leave out scores without a trial, instead of stopping.

    Raises:
        DataError: trials without a score or scores without a trial where that is not allowed, with
            how many and the first few names; no trial has a score; the protocol names an utterance
            twice; or the score file has another key for an utterance than the protocol.
    """
    _refuse_duplicates(trials, protocol)
    table, renamed = named_as(table, [trial.utterance_id for trial in trials])
    row_of = {name: row for row, name in enumerate(table.utterance_ids)}
    kept = [trial for trial in trials if trial.utterance_id in row_of]
    missing = [trial for trial in trials if trial.utterance_id not in row_of]
    listed = {trial.utterance_id for trial in kept}
    extra = [name for name in table.utterance_ids if name not in listed]
    problems = []
    if missing and not (allow_missing and kept):
        problems.append(
            f"{source}: no score for {len(missing):,} of the {len(trials):,} trials of {protocol}: "
            + _few([f"{trial.utterance_id} ({trial.source})" for trial in missing])
        )
    if extra and not (allow_extra and kept):
        problems.append(
            f"{source}: {len(extra):,} of its {len(table):,} utterances are not in {protocol}: "
            + _few(extra)
        )
    if problems or not kept:
        raise DataError("; ".join(problems or [f"{protocol}: no trials"]))
    rows = np.array([row_of[trial.utterance_id] for trial in kept])
    labels = _joined_labels(table, kept, rows, source)
    missing_names = tuple(trial.utterance_id for trial in missing)
    return Joined(tuple(kept), table.scores[rows], labels, missing_names, tuple(extra), renamed)


def align_scores(tables: Mapping[str, ScoreTable], *, allow_missing: bool = False) -> Aligned:
    """Bring the scores of several systems into one order.

    Utterances go by the names of the first system; folders and extensions of the others' names may
    differ, see `rawnet_jax.data.matching`.

    Args:
        tables: by the system's name, or its file's; at least one.
        allow_missing: keep what all systems scored, instead of stopping.

    Raises:
        DataError: two systems scored different utterances and that is not allowed, with how many
            and the first few names; nothing is common to all; or two files have different keys for
            an utterance.
    """
    if not tables:
        raise DataError("no score file to align; give at least one")
    names = tuple(tables)
    first = tables[names[0]]
    renamed = {name: named_as(table, first.utterance_ids) for name, table in tables.items()}
    tables = {name: table for name, (table, _) in renamed.items()}
    row_of = [{u: row for row, u in enumerate(table.utterance_ids)} for table in tables.values()]
    in_all = set(first.utterance_ids).intersection(*row_of)
    left_out = {
        name: lost
        for name, table in tables.items()
        if (lost := tuple(u for u in table.utterance_ids if u not in in_all))
    }
    if left_out and not (allow_missing and in_all):
        raise DataError(_not_the_same(tables, row_of, left_out))
    kept = tuple(u for u in first.utterance_ids if u in in_all)
    rows = [np.array([rows[u] for u in kept], dtype=np.intp) for rows in row_of]
    columns = [table.scores[r] for table, r in zip(tables.values(), rows, strict=True)]
    return Aligned(
        names,
        kept,
        np.stack(columns, axis=1),
        _common_labels(tables, rows, kept),
        _first_attacks(tables, rows),
        left_out,
        {name: number for name, (_, number) in renamed.items() if number},
    )


def read_aligned(
    paths: Sequence[Path],
    trials: Sequence[Trial] | None = None,
    *,
    protocol: str = "the protocol",
    allow_missing: bool = False,
    one_means: str = UNSTATED,
    choice: Choice | None = None,
) -> Aligned:
    """Read the score files of several systems, in one order and joined to a protocol.

    Args:
        paths: at least one; they become the systems' names.
        trials: of a protocol; None = keys and trials are what the files hold.
        protocol: for messages.
        allow_missing: keep the trials that all files, and the protocol, have, instead of stopping.
        one_means: which label key 1 of a score file stands for.
        choice: columns of the score files by their roles; None = they are found.

    Raises:
        DataError: a file is given twice, cannot be read or is wrong; see also `join_scores` and
            `align_scores`.
    """
    tables: dict[str, ScoreTable] = {}
    renamed: dict[str, int] = {}
    for path in paths:
        if str(path) in tables:
            raise DataError(f"{path}: is given twice; give one file per system")
        table = read_scores(path, one_means, choice)
        if trials is not None:
            joined = join_scores(
                table,
                trials,
                source=str(path),
                protocol=protocol,
                allow_missing=allow_missing,
                allow_extra=allow_missing,
            )
            table = joined.table()
            renamed |= {str(path): joined.renamed} if joined.renamed else {}
        tables[str(path)] = table
    aligned = align_scores(tables, allow_missing=allow_missing)
    return replace(aligned, renamed=renamed) if renamed else aligned


def _refuse_duplicates(trials: Sequence[Trial], protocol: str) -> None:
    first: dict[str, Trial] = {}
    for trial in trials:
        earlier = first.setdefault(trial.utterance_id, trial)
        if earlier is not trial:
            raise DataError(
                f"{trial.source or protocol}: {trial.utterance_id} was named before "
                f"({earlier.source or protocol}); name each utterance once"
            )


def _joined_labels(
    table: ScoreTable, trials: Sequence[Trial], rows: np.ndarray, source: str
) -> np.ndarray | None:
    if table.labels is None:
        labels = [trial.label for trial in trials]
    else:
        labels = []
        for trial, value in zip(trials, table.labels[rows].tolist(), strict=True):
            if trial.label is not None and trial.label != value:
                raise DataError(
                    f"{source}: the key of {trial.utterance_id} is {Label(value).key}, in the "
                    f"protocol it is {trial.label.key} ({trial.source})"
                )
            labels.append(Label(value))
    return None if None in labels else np.array(labels, dtype=np.int8)


def _common_labels(
    tables: Mapping[str, ScoreTable], rows: Sequence[np.ndarray], utterance_ids: Sequence[str]
) -> np.ndarray | None:
    known: np.ndarray | None = None
    known_from = ""
    for (name, table), row in zip(tables.items(), rows, strict=True):
        if table.labels is None:
            continue
        labels = table.labels[row]
        if known is None:
            known, known_from = labels, name
        different = np.flatnonzero(labels != known)
        if different.size:
            at = different[0]
            raise DataError(
                f"{name}: the key of {utterance_ids[at]} is {Label(labels[at]).key}, in "
                f"{known_from} it is {Label(known[at]).key} ({different.size:,} such utterances)"
            )
    return known


def _first_attacks(
    tables: Mapping[str, ScoreTable], rows: Sequence[np.ndarray]
) -> tuple[str | None, ...] | None:
    for table, row in zip(tables.values(), rows, strict=True):
        if table.attack_ids is not None:
            return tuple(table.attack_ids[i] for i in row)
    return None


def _not_the_same(
    tables: Mapping[str, ScoreTable],
    row_of: Sequence[Mapping[str, int]],
    left_out: Mapping[str, Sequence[str]],
) -> str:
    """Name which system lacks what another one scored, for each system that lost something."""
    problems = []
    for name, lost in left_out.items():
        lacking = [
            other for other, rows in zip(tables, row_of, strict=True) if not rows.keys() >= {*lost}
        ]
        problems.append(
            f"{len(lost):,} of the {len(tables[name]):,} utterances of {name} have no score in "
            f"{' or '.join(lacking)}: {_few(lost)}"
        )
    return "; ".join(problems)


def _few(names: Sequence[str]) -> str:
    rest = len(names) - NUM_SHOWN
    return ", ".join(names[:NUM_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
