"""Words in the headers of score files, and the index that programs put in front of a table."""

from pathlib import Path

from rawnet_jax.data.score_choice import FLAG
from rawnet_jax.errors import DataError

_NAMES = (
    *("filename", "file", "file_name", "path", "utt", "utt_id", "utterance", "utterance_id", "id"),
    *("trial", "trial_id", "name", "filepath", "file_path", "wav", "wav_path", "audio"),
    *("audio_path", "audio_id", "audio_file", "fname"),
)
_SCORES = ("cm_score", "score", "scores", "score_bonafide", "bonafide_score")
_KEYS = ("key", "label", "cm_label", "ground_truth")
_ATTACKS = ("attack", "attack_id", "attack_type")
_ROLE_OF = {
    **dict.fromkeys(_NAMES, "name"),
    **dict.fromkeys(_SCORES, "score"),
    **dict.fromkeys(_KEYS, "key"),
    **dict.fromkeys(_ATTACKS, "attack"),
}


def role_of(name: str) -> str | None:
    """Return what a name in a header stands for, in any case, with ``-``, ``_`` or blanks."""
    return _ROLE_OF.get("_".join(name.lower().replace("-", " ").replace("_", " ").split()))


def without_index(
    path: str | Path, number: int, header: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows without the index that pandas or R puts in front.

    A column without a name is the index of a series, its trials, where no other column names them.
    """
    if rows and all(len(row) == len(header) + 1 for row in rows):
        header = ["", *header]  # as pandas prints it, and R writes it
    if not rows or header.count("") != 1 or any(len(row) != len(header) for row in rows):
        return header, rows
    at = header.index("")
    cells = [row[at] for row in rows]
    counts = any(all(cell == str(i) for i, cell in enumerate(cells, start)) for start in (0, 1))
    if any(role_of(name) == "name" for name in header):
        if counts or at == 0:
            return [*header[:at], *header[at + 1 :]], [row[:at] + row[at + 1 :] for row in rows]
        return header, rows
    if counts:
        raise DataError(
            f"{path}:{number}: columns {', '.join(header)[:80]}; the first one may be trials or "
            f"only count lines; say which with {FLAG} name=1,score=…"
        )
    return [*header[:at], "name", *header[at + 1 :]], rows
