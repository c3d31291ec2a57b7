"""Disks that are full, and files that must not grow."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fuzzing.case import Attempt, Failure, Rng
from fuzzing.events.kills import same_cache
from fuzzing.events.processes import (
    RESULTS,
    Scene,
    evaluate_words,
    same_files,
    same_training,
    score_words,
)
from fuzzing.material import Material

_SPACE_KB = 8 * 1024


def fill(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Let a command run into a full disk, make room, and resume it."""
    scene = Scene(rng, material, folder)
    way = rng.random()
    event = _EVENTS[rng.integers(len(_EVENTS))]
    if way < 0.2:
        name = "standard output"
        return scene.attempt(name, f"no room for {name}", lambda: full_output(scene))
    name = event.__name__
    return scene.attempt(name, f"no room for {name}", lambda: event(scene, is_disk=way < 0.7))


@contextlib.contextmanager
def _disk(scene: Scene) -> Iterator[bool]:
    """Let `written` be a small disk meanwhile; yield whether that may be done here."""
    scene.written.mkdir()
    size = f"size={_SPACE_KB}k"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(scene.written)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(scene.written)], check=False)


def _starved(scene: Scene, words: list[object], most_kb: int, is_disk: bool) -> Iterator[Failure]:
    """Run a command with too little room, and then with enough."""
    room = int(scene.rng.integers(1, most_kb))
    ballast = scene.written / "ballast"
    most_bytes = None if is_disk else room * 1024
    if is_disk:
        free = shutil.disk_usage(scene.written).free
        ballast.write_bytes(bytes(max(free - room * 1024, 0)))
    starved = scene.start(*words, most_bytes=most_bytes)
    yield from scene.broken(starved, (0, 2, 3), 1)
    how = "on a disk" if is_disk else "a file"
    scene.notes.append(f"{room} kB {how}, status {starved.process.returncode}")
    ballast.unlink(missing_ok=True)
    yield from scene.half_written()
    if words[0] != "import-torch" or starved.process.returncode:  # what is there stays
        yield from scene.broken(scene.start(*words), (0, 3))


def _in_disk(scene: Scene, words: list[object], most_kb: int, is_disk: bool) -> Iterator[Failure]:
    if is_disk:
        with _disk(scene) as mounted:
            yield from _starved(scene, words, most_kb, mounted)
            if mounted:  # to be compared with when the disk is gone
                shutil.copytree(scene.written, scene.folder / "kept", symlinks=True)
        if mounted:
            shutil.copytree(scene.folder / "kept", scene.written, dirs_exist_ok=True)
    else:
        yield from _starved(scene, words, most_kb, False)


def training(scene: Scene, *, is_disk: bool) -> Iterator[Failure]:
    """Train with too little room."""
    run = scene.written / "run"
    yield from _in_disk(scene, scene.train(run, scene.reference.cache), 700, is_disk)
    yield from same_training(run, scene.reference.run)


def cache(scene: Scene, *, is_disk: bool) -> Iterator[Failure]:
    """Build a cache with too little room."""
    run, folder = scene.written / "run", scene.written / "cache"
    yield from _in_disk(scene, scene.train(run, folder), 2500, is_disk)
    yield from same_training(run, scene.reference.run)
    yield from same_cache(folder, scene.reference.cache)


def scoring(scene: Scene, *, is_disk: bool) -> Iterator[Failure]:
    """Score with too little room."""
    output = scene.written / "scores.jsonl"
    words = score_words(scene.material, scene.reference.clips, output)
    yield from _in_disk(scene, words, 50, is_disk)
    if output.read_bytes() != scene.reference.scores[output.name].read_bytes():
        yield Failure("another result", output.name)


def evaluation(scene: Scene, *, is_disk: bool) -> Iterator[Failure]:
    """Write results with too little room."""
    target = scene.written / "eval"
    words = [*evaluate_words(scene.reference.evaluated), "--output", target]
    # Threshold and calibration go into the run: a copy, so that the reference stays.
    run = Path(shutil.copytree(scene.reference.run, scene.folder / "run"))
    words[2] = run
    yield from _in_disk(scene, words, 400, is_disk)
    yield from same_files(target, scene.reference.evaluated / "eval", RESULTS)


def importing(scene: Scene, *, is_disk: bool) -> Iterator[Failure]:
    """Import weights with too little room."""
    words: list[object] = ["import-torch", scene.material.torch, "--model", "aasist_l"]
    yield from _in_disk(scene, [*words, "--workdir", scene.written / "run"], 500, is_disk)


_EVENTS = (training, training, cache, scoring, scoring, evaluation, importing)


def full_output(scene: Scene) -> Iterator[Failure]:
    """Write standard output to a device that is always full."""
    run, clip = scene.material.run, scene.material.clips[0]
    dev = run / "eval" / "dev_scores.txt"
    commands: list[list[object]] = [
        ["score", "--workdir", run, clip, "--no-progress"],
        ["score", "--workdir", run, clip, "--no-progress", "--format=jsonl"],
        ["stream", "--workdir", run, clip],
        ["check", f"--config={scene.material.config}", "--no-progress"],
        ["train", f"--config={scene.material.config}", "--print-config"],
        ["evaluate", "--scores", dev, "--no-bootstrap", "--no-progress", "--output", "written"],
        ["fuse", "--dev", dev, dev, "--output", "written"],
        ["seeds", dev, dev],
        ["import-torch", scene.material.torch, "--model=aasist_l", "--workdir", "written/run"],
        scene.train(scene.written / "run", scene.reference.cache),
        ["explain", "--workdir", run, clip, "--output=written", "--spans=2", "--no-progress"],
    ]
    words = commands[scene.rng.integers(len(commands))]
    yield from scene.broken(scene.start(*words, stdout=Path("/dev/full")), (2,), 1)
