"""Files of a run: config, threshold, calibration, checkpoints, log."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from fuzzing.case import Attempt, Check, Failure, Outcome, Rng
from fuzzing.material import Material
from fuzzing.mutate_bytes import damaged
from fuzzing.mutate_text import damaged_json, damaged_lines

_FITTED = ("config.json", "config.json", "threshold.json", "calibration.json")


def _own_run(material: Material, folder: Path) -> Path:
    return Path(shutil.copytree(material.run, folder / "run"))


def fitted(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Score or evaluate by a run whose config, threshold or calibration was damaged."""
    run = _own_run(material, folder)
    path = run / _FITTED[rng.integers(len(_FITTED))]
    damage = damaged_json if rng.random() < 0.85 else damaged_lines
    content, said = damage(path.read_bytes(), rng)
    path.write_bytes(content)
    said = f"{path.name}: {said}"
    clip = str(material.clips[0])
    way = rng.random()
    if way < 0.08:  # the damaged one lies in the folder above
        inner = shutil.copytree(material.run, run / "seed_1")
        return Attempt(["score", "--workdir", str(inner), clip, "--no-progress"], f"above: {said}")
    if way < 0.75:
        return Attempt(["score", "--workdir", str(run), clip, "--no-progress"], said)
    if way < 0.9:
        return Attempt(["stream", "--workdir", str(run), clip], said)
    flags = ["--no-progress", "--no-bootstrap", "--output", "written"]
    return Attempt(["evaluate", "--workdir", str(run), *flags], said)


def same_score(material: Material, clip: Path) -> Check:
    """Return a check that what was not refused has the score of the intact run."""
    expected = material.expected[clip.name]

    def check(outcome: Outcome) -> Iterator[Failure]:
        if outcome.status in (0, 1, 3) and outcome.out:
            record = json.loads(outcome.out)
            if record["score"] is None:
                yield Failure("blames the clip", str(record["reason"]))
            elif abs(record["score"] - expected) > 1e-6:
                yield Failure("another score", f"{record['score']} instead of {expected}")

    return check


def checkpoints(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Score by a run of which a file of the best checkpoint was damaged."""
    run = _own_run(material, folder)
    files = sorted(p for p in (run / "checkpoints" / "best").rglob("*") if p.is_file())
    if rng.random() < 0.4:  # parameters themselves
        files = [p for p in files if p.parent.name == "d" and "variables" in p.parts]
    path = files[rng.integers(len(files))]
    way = rng.random()
    if way < 0.8:
        content, said = damaged(path.read_bytes(), rng)
        path.write_bytes(content)
    elif way < 0.9:
        path.unlink()
        said = "removed"
    else:
        path.unlink()
        path.mkdir()
        said = "a folder"
    clip = material.clips[0]
    words = ["score", "--workdir", str(run), str(clip), "--format=jsonl", "--no-progress"]
    where = path.relative_to(run)
    return Attempt(words, f"{where}: {said}", check=same_score(material, clip), for_people=False)


def resume(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Resume a training of which log, config or latest checkpoint was damaged."""
    run = _own_run(material, folder)
    files = [run / "log.jsonl", run / "log.jsonl", run / "config.json"]
    latest = run / "checkpoints" / "latest"
    files += [*sorted(p for p in latest.rglob("*") if p.is_file())]
    path = files[rng.integers(3)] if rng.random() < 0.6 else files[rng.integers(len(files))]
    damage = damaged_lines if path.suffix == ".jsonl" else damaged
    content, said = damage(path.read_bytes(), rng)
    path.write_bytes(content)
    words = ["train", f"--config={material.config}", "--workdir", str(run), "--no-progress"]
    words.append("--config.train.num_epochs=2")
    return Attempt(words, f"{path.relative_to(run)}: {said}", statuses=(0, 2))
