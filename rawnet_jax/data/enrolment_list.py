"""Lists that say which utterances a speaker is enrolled by.

``speaker utterance,utterance,…``, one line per speaker (the ``asv….trn`` lists of ASVspoof 2019 and
SASVC 2022), or ``speaker utterance``, one line per utterance; blanks or tabs between the columns.
"""

from pathlib import Path

from rawnet_jax.data.text_file import read_lines
from rawnet_jax.errors import DataError


def read_enrolment(path: str | Path) -> dict[str, list[str]]:
    """Read such a list.

    Returns:
        Speaker -> utterances, each once, in the order of the file.

    Raises:
        DataError: the file cannot be read, a line has not two columns, or names an utterance twice;
            with ``file:line``.
    """
    found: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 2 or not all(cells[1].split(",")):
            raise DataError(
                f"{path}:{number}: it must be 'speaker utterance,utterance,…', such as "
                "'LA_0069 LA_D_1,LA_D_2'"
            )
        known = found.setdefault(cells[0], [])
        for utterance in cells[1].split(","):
            if utterance in known:
                raise DataError(f"{path}:{number}: {cells[0]} is enrolled by {utterance} already")
            known.append(utterance)
    return found
