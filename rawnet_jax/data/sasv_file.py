"""Score files and lists of trials that name a claimed speaker: spoofing-aware verification.

Forms that are read, found from the first lines:

- a header (tabs, commas, semicolons or blanks) with ``filename`` and ``spk``, and of scores any of
  ``cm-score``, ``asv-score``, ``sasv-score``: ASVspoof 5, track 2. ``-`` is "no score";
- a header with ``filename``, ``spk``, ``cm-label`` and ``asv-label``: its keys, perhaps with
  ``attack``;
- without a header, ``speaker utterance attack key score``, or without the score: SASVC 2022 and the
  verification lists of ASVspoof 2019; the key is ``target``, ``nontarget`` or ``spoof``;
- without a header, ``speaker utterance score key``: the evaluation package of ASVspoof 5;
- without a header, ``speaker utterance score``, where keys come from a list.

A lone score is that of the whole system, ``sasv``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rawnet_jax.data.score_columns import NONE, is_finite_number
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.errors import DataError

KEYS = ("target", "nontarget", "spoof")
KINDS = ("cm", "asv", "sasv")
"""Kinds of scores: of the countermeasure, of the comparison of voices, of both as one system."""

TrialName = tuple[str, str]
"""Claimed speaker and utterance."""

_ROLE_OF = {
    **dict.fromkeys(("spk", "speaker", "speaker_id", "tar_spk_anon", "model"), "speaker"),
    **dict.fromkeys(("filename", "file", "utterance", "utterance_id", "trial_anon"), "utterance"),
    **dict.fromkeys(("asv-label", "asv_label", "key", "trial-type"), "key"),
    **dict.fromkeys(("cm-label", "cm_label"), "cm_key"),
    **dict.fromkeys(("attack", "attack_id", "attack_anon"), "attack"),
    **{f"{kind}-score": kind for kind in KINDS},
    **{f"{kind}_score": kind for kind in KINDS},
    "score": "sasv",
}
_NO_ATTACK = (NONE, "bonafide", "")
_LOOKED_AT = 1_000  # lines that may tell the form


@dataclass(frozen=True, slots=True, eq=False)
class SasvTable:
    """Trials with a claimed speaker.

    Attributes:
        names: N, all different.
        keys: N of `KEYS`; None = the file has none.
        attacks: N, None for bona fide or not stated; None = the file names none.
        scores: float64 [N] by kind, NaN where there is none; kinds that have no score are not here.
    """

    names: Sequence[TrialName]
    keys: Sequence[str] | None = None
    attacks: Sequence[str | None] | None = None
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of trials."""
        return len(self.names)


def is_sasv_file(path: str | Path) -> bool:
    """Return whether a file is of one of these forms beyond doubt.

    So it is where a header names an ASV or SASV score, or a claimed speaker and an ASV key, or a
    line of four or five columns has the key of a verification trial.

    Raises:
        DataError: the file cannot be read.
    """
    lines = [line for line in read_lines(path)[:_LOOKED_AT] if line.strip()]
    header = _header(lines[0])
    if header is not None:
        roles = {_ROLE_OF.get(cell) for cell in header}
        return bool(roles & {"asv", "sasv"} and "speaker" in roles) or {"speaker", "key"} <= roles
    return any(len(cells) in (4, 5) and set(cells) & set(KEYS[:2]) for cells in map(_split, lines))


def read_sasv(path: str | Path, *, keys_only: bool = False) -> SasvTable:
    """Read a file of one of the forms.

    Args:
        path: the file.
        keys_only: it is a list of trials: it must have keys and needs no scores.

    Raises:
        DataError: it cannot be read, its form is not known, a line has another number of columns,
            an unknown key or a score that is not a number, or a trial stands twice; with
            ``file:line``.
    """
    lines = read_lines(path)
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    rows = [_split(lines[number - 1]) for number in numbers]
    header = _header(lines[numbers[0] - 1])
    if header is not None:
        roles = [_ROLE_OF.get(cell) for cell in header]
        rows, numbers = rows[1:], numbers[1:]
        if not rows:
            raise DataError(f"{path}: a header, but no trials below it")
    else:
        roles = _roles_of(path, rows[0], numbers[0], keys_only)
    columns = _columns(path, roles, rows, numbers)
    names = list(zip(columns["speaker"], columns["utterance"], strict=True))
    _check_names(path, names, numbers)
    table = SasvTable(
        names,
        _keys(path, columns, numbers),
        None
        if "attack" not in columns
        else [None if cell in _NO_ATTACK else cell for cell in columns["attack"]],
        {} if keys_only else _scores(path, columns, numbers),
    )
    if keys_only and table.keys is None:
        raise DataError(f"{path}: no keys; a list of trials must have {', '.join(KEYS)}")
    if not keys_only and not table.scores:
        raise DataError(f"{path}: no scores; one of cm-score, asv-score, sasv-score must be there")
    return table


def with_keys(table: SasvTable, trials: SasvTable, path: str | Path) -> SasvTable:
    """Return scores on the trials of a list, in its order.

    Args:
        table: scores.
        trials: the list.
        path: of the scores, for errors.

    Raises:
        DataError: a trial of the list has no scores. Scores of no trial are left out.
    """
    row_of = {name: row for row, name in enumerate(table.names)}
    missing = [name for name in trials.names if name not in row_of]
    if missing:
        shown = ", ".join(" ".join(name) for name in missing[:3])
        raise DataError(
            f"{path}: {len(missing):,} of {len(trials):,} trials have no line, such as {shown}; "
            "there must be one for each"
        )
    rows = np.array([row_of[name] for name in trials.names])
    scores = {kind: column[rows] for kind, column in table.scores.items()}
    return replace(trials, scores=scores)


def _split(line: str) -> list[str]:
    for delimiter in ("\t", ",", ";"):
        if delimiter in line:
            return [cell.strip() for cell in line.split(delimiter)]
    return line.split()


def _header(line: str) -> list[str] | None:
    cells = [cell.lower() for cell in _split(line)]
    is_header = "utterance" in {_ROLE_OF.get(cell) for cell in cells}
    return cells if is_header and not any(map(is_finite_number, cells)) else None


def _roles_of(
    path: str | Path, cells: Sequence[str], number: int, keys_only: bool
) -> list[str | None]:
    """Return what the columns of a file without a header are."""
    is_key = [cell in (*KEYS, "bonafide") for cell in cells]
    if len(cells) == 5 and is_key[3]:
        return ["speaker", "utterance", "attack", "key", "sasv"]
    if len(cells) == 4 and is_key[3] and is_finite_number(cells[2]):
        return ["speaker", "utterance", "sasv", "key"]
    if len(cells) == 4 and is_key[3]:
        return ["speaker", "utterance", "attack", "key"]
    if len(cells) == 3 and not keys_only and is_finite_number(cells[2]):
        return ["speaker", "utterance", "sasv"]
    raise DataError(
        f"{path}:{number}: {len(cells)} columns; they must be 'speaker utterance attack key "
        "score', 'speaker utterance score key', 'speaker utterance score', or named by a header "
        "with spk, filename, cm-score, asv-score, sasv-score"
    )


def _columns(
    path: str | Path,
    roles: Sequence[str | None],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int],
) -> dict[str, list[str]]:
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != len(roles):
            raise DataError(f"{path}:{number}: {len(row)} columns; there must be {len(roles)}")
    named = [role for role in roles if role is not None]
    twice = next((role for role in named if named.count(role) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: several columns are a {twice}; there must be one")
    for role in ("speaker", "utterance"):
        if role not in named:
            raise DataError(f"{path}: no column is the {role}; spk and filename must be there")
    columns = zip(*rows, strict=True)
    return {
        role: list(column) for role, column in zip(roles, columns, strict=True) if role is not None
    }


def _check_names(path: str | Path, names: Sequence[TrialName], numbers: Sequence[int]) -> None:
    if len(set(names)) == len(names):
        return
    seen: dict[TrialName, int] = {}
    for name, number in zip(names, numbers, strict=True):
        if name in seen:
            raise DataError(
                f"{path}:{number}: {' '.join(name)} stands in line {seen[name]} already; there "
                "must be one line per trial"
            )
        seen[name] = number


def _keys(
    path: str | Path, columns: Mapping[str, list[str]], numbers: Sequence[int]
) -> list[str] | None:
    found = columns.get("key")
    if found is None or set(found) == {NONE}:
        return None
    keys = [key.lower() for key in found]
    unknown = next((i for i, key in enumerate(keys) if key not in KEYS), None)
    if unknown is not None:
        raise DataError(
            f"{path}:{numbers[unknown]}: key {found[unknown]!r}; it must be {', '.join(KEYS)}"
        )
    of_cm = columns.get("cm_key")
    for i, key in enumerate(of_cm or ()):
        if (key.lower() == "spoof") != (keys[i] == "spoof"):
            raise DataError(f"{path}:{numbers[i]}: keys {key} and {keys[i]} contradict each other")
    return keys


def _scores(
    path: str | Path, columns: Mapping[str, list[str]], numbers: Sequence[int]
) -> dict[str, np.ndarray]:
    found = {}
    for kind in KINDS:
        cells = columns.get(kind)
        if cells is None or set(cells) == {NONE}:
            continue
        values = np.full(len(cells), np.nan)
        for i, cell in enumerate(cells):
            if cell == NONE:
                continue
            if not is_finite_number(cell):
                raise DataError(
                    f"{path}:{numbers[i]}: {kind} score {cell!r}; it must be a finite number, or "
                    f"{NONE!r} for none"
                )
            values[i] = float(cell)
        found[kind] = values
    return found
