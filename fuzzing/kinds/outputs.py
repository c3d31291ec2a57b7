"""Outputs of ``score`` that were damaged, and are resumed."""

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fuzzing.case import Attempt, Failure, Outcome, Rng
from fuzzing.material import OUTPUTS, Material
from fuzzing.mutate_bytes import cut
from fuzzing.mutate_text import damaged_json, damaged_lines


def _names(path: Path) -> Counter[str]:
    """Return how often a result of each file stands in an output."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return Counter(Path(json.loads(line)["path"]).stem for line in text.splitlines())
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return Counter(Path(row["path"]).stem for row in rows if row.get("part") != "window")
    lines = text.splitlines()[path.suffix == ".tsv" :]
    return Counter(line.split()[0] for line in lines)


def resume(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Resume an output of which the results or the settings were damaged."""
    name = list(OUTPUTS)[rng.integers(len(OUTPUTS))]
    target = folder / "resumed"
    target.mkdir()
    path = target / name
    for one in (name, f"{name}.settings.json"):
        shutil.copy(material.outputs / one, target / one)
    way = rng.random()
    of_settings, only_cut = way < 0.25, way > 0.6
    damaged_path = target / f"{name}.settings.json" if of_settings else path
    damage = damaged_json if of_settings else cut if only_cut else damaged_lines
    if name.endswith(".jsonl") and not of_settings and not only_cut and rng.random() < 0.4:
        content, said = _damaged_record(path.read_bytes(), rng)
    else:
        content, said = damage(damaged_path.read_bytes(), rng)
    damaged_path.write_bytes(content)
    words = ["score", "--workdir", str(material.run), *map(str, material.clips), *OUTPUTS[name]]
    words += ["--output", str(path), "--no-progress"]

    def check(outcome: Outcome) -> Iterator[Failure]:
        if outcome.status == 2:
            if damaged_path.read_bytes() != content:
                yield Failure("a refused output was changed", name)
        elif of_settings or only_cut:
            counts = _names(path)
            wrong = [c.stem for c in material.clips if counts[c.stem] != 1]
            if wrong:
                yield Failure("lost or doubled a result", f"{name}: {counts}")

    return Attempt(words, f"{damaged_path.name}: {said}", check=check)


def _damaged_record(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Damage one line as JSON."""
    lines = content.splitlines(keepends=True)
    place = int(rng.integers(len(lines)))
    line, said = damaged_json(lines[place], rng)
    lines[place] = line + b"\n"
    return b"".join(lines), f"line {place + 1}: {said}"
