"""ASV score files of ASVspoof 2019: ``group key score``, separated by spaces, no header.

The group is the attack of a spoof trial and ``bonafide`` of the others; the key is ``target``,
``nontarget`` or ``spoof``. One line per trial, for example ``bonafide target 7.981530``.
"""

from pathlib import Path

import numpy as np

from rawnet_jax.data.score_file import parse_scores
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.errors import DataError
from rawnet_jax.metrics.asv import AsvScores

_KEYS = ("target", "nontarget", "spoof")


def read_asv_scores(path: str | Path) -> AsvScores:
    """Read the scores of an ASV system, higher = more likely the claimed speaker.

    Raises:
        DataError: the file cannot be read, a line has not three columns, an unknown key or a score
            that is not a finite number, with ``file:line``; or a key is missing from the file.
    """
    lines = read_lines(path)
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    rows = [lines[number - 1].split() for number in numbers]
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != 3:
            raise DataError(
                f"{path}:{number}: {len(row)} columns; an ASV score file has three, "
                "'group key score', such as 'bonafide target 7.98'"
            )
        if row[1] not in _KEYS:
            raise DataError(
                f"{path}:{number}: key {row[1]!r} in the second of three columns; "
                f"it must be one of {', '.join(_KEYS)}"
            )
    groups, keys, values = zip(*rows, strict=True)
    scores = parse_scores(path, values, numbers)
    key = np.array(keys)
    missing = [name for name in _KEYS if not (key == name).any()]
    if missing:
        raise DataError(f"{path}: no {' and no '.join(missing)} trials; all three keys are needed")
    attack_ids = [group for group, name in zip(groups, keys, strict=True) if name == "spoof"]
    target, nontarget, spoof = (scores[key == name] for name in _KEYS)
    return AsvScores(target, nontarget, spoof, attack_ids)
