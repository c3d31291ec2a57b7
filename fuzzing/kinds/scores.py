"""Score files through ``evaluate --scores``, ``fuse`` and ``seeds``."""

import json
from pathlib import Path

from fuzzing.case import Attempt, Rng
from fuzzing.material import Material
from fuzzing.mutate_text import NUMBERS, damaged_lines

_NUM_TRIALS = 24


def _rows(rng: Rng) -> list[tuple[str, str, str, float]]:
    """Return id, attack, key, score of trials."""
    keys = ["bonafide" if number % 2 else "spoof" for number in range(_NUM_TRIALS)]
    scores = rng.normal(size=_NUM_TRIALS) + [2.0 * (key == "bonafide") for key in keys]
    return [
        (f"LA_E_{i:04d}", "-" if key == "bonafide" else f"A0{i % 3}", key, float(score))
        for i, (key, score) in enumerate(zip(keys, scores, strict=True))
    ]


def _file(rng: Rng, rows: list[tuple[str, str, str, float]]) -> tuple[bytes, str, bool]:
    """Return a score file in one of the forms, its extension, and whether it has keys."""
    form = int(rng.integers(5))
    lines = [" ".join([*map(str, row)]) for row in rows]
    if form == 1:
        lines = [f"{row[0]} {row[3]}" for row in rows]
    elif form == 2:
        lines = ["filename\tcm-score", *(f"{row[0]}\t{row[3]}" for row in rows)]
    elif form == 3:
        lines = ["path,label,score", *(f"{row[0]}.wav,{row[2]},{row[3]}" for row in rows)]
    elif form == 4:
        lines = [json.dumps({"path": row[0], "verdict": row[2], "score": row[3]}) for row in rows]
    suffix = (".txt", ".txt", ".tsv", ".csv", ".jsonl")[form]
    return "".join(f"{line}\n" for line in lines).encode(), suffix, form in (0, 3)


def _strange_scores(rng: Rng, rows: list[tuple[str, str, str, float]]) -> str:
    """Put strange numbers among the scores, now and then; return what was done."""
    if rng.random() > 0.25:
        return ""
    value = NUMBERS[rng.integers(len(NUMBERS))]
    count = int(rng.choice([1, len(rows)]))
    for number in range(count):
        rows[number] = (*rows[number][:3], value)
    return f"{count} scores are {str(value)[:20]}, "


def _written(rng: Rng, folder: Path, name: str) -> tuple[Path, str, bool]:
    """Write an intact score file."""
    content, suffix, has_keys = _file(rng, _rows(rng))
    path = folder / f"{name}{suffix}"
    path.write_bytes(content)
    return path, suffix, has_keys


def _damaged(rng: Rng, folder: Path, name: str) -> tuple[Path, str, bool]:
    """Write a damaged score file; return it, what was done, and whether it had keys."""
    rows = _rows(rng)
    said = _strange_scores(rng, rows)
    content, suffix, has_keys = _file(rng, rows)
    if not said or rng.random() < 0.3:
        content, what = damaged_lines(content, rng)
        said += what
    path = folder / f"{name}{suffix}"
    path.write_bytes(content)
    return path, f"{suffix}: {said}", has_keys


def _protocol(rng: Rng, folder: Path, damaged: bool) -> tuple[Path, str]:
    rows = [f"SPK_{i % 4} {row[0]} - {row[1]} {row[2]}\n" for i, row in enumerate(_rows(rng))]
    content, said = "".join(rows).encode(), ""
    if damaged:
        content, said = damaged_lines(content, rng)
    path = folder / "protocol.txt"
    path.write_bytes(content)
    return path, said


def evaluate(rng: Rng, _material: Material, folder: Path) -> Attempt:
    """Evaluate a damaged score file, or one with a damaged protocol."""
    of_protocol = rng.random() < 0.25
    path, said, has_keys = (_written if of_protocol else _damaged)(rng, folder, "a")
    words = ["evaluate", "--scores", str(path), "--no-progress", "--output", "written"]
    words += ["--no-bootstrap"] if rng.random() < 0.9 else ["--replicates=20"]
    if of_protocol or not has_keys or rng.random() < 0.3:
        protocol, what = _protocol(rng, folder, of_protocol)
        words += ["--protocol", str(protocol)]
        said = f"protocol: {what}" if of_protocol else said
    if rng.random() < 0.2:
        dev, what, _ = _damaged(rng, folder, "dev")
        words += ["--dev-scores", str(dev)]
        said += f"; dev: {what}"
    return Attempt(words, said, statuses=(0, 2))


def fuse(rng: Rng, _material: Material, folder: Path) -> Attempt:
    """Fuse two systems, of which one has a damaged file."""
    files = []
    said = ""
    which = int(rng.integers(3))
    for number, name in enumerate(("dev_a", "dev_b", "eval_a", "eval_b")):
        if number == which:
            path, said, _ = _damaged(rng, folder, name)
        else:
            path = folder / f"{name}.txt"
            rows = "".join(f"{' '.join(map(str, row))}\n" for row in _rows(rng))
            path.write_text(rows, encoding="utf-8")
        files.append(str(path))
    words = ["fuse", "--dev", *files[:2], "--eval", *files[2:], "--output", "written"]
    words += ["--kind", ("logistic", "svm")[rng.integers(2)]]
    if rng.random() < 0.2:
        words.append("--allow-missing")
    return Attempt(words, f"file {which + 1}: {said}", statuses=(0, 2))


def seeds(rng: Rng, _material: Material, folder: Path) -> Attempt:
    """Compare seeds, of which one has a damaged file."""
    damaged, said, _ = _damaged(rng, folder, "a")
    other, _, _ = _written(rng, folder, "b")
    words = ["seeds", str(damaged), str(other), "--output", "written"]
    if rng.random() < 0.5:
        words += ["--protocol", str(_protocol(rng, folder, False)[0])]
    return Attempt(words, said, statuses=(0, 2))
