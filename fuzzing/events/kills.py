"""Processes that are killed at random moments, and resumed."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fuzzing.case import Attempt, Failure, Rng
from fuzzing.events.processes import (
    RESULTS,
    SCORED,
    Scene,
    evaluate_words,
    same_files,
    same_training,
    score_words,
    wait_for,
)
from fuzzing.material import Material

_STOPPED = (-signal.SIGTERM, 128 + signal.SIGTERM)


def kill(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Kill a command at a random moment, resume it, compare with what nothing disturbed."""
    scene = Scene(rng, material, folder)
    event = _EVENTS[rng.integers(len(_EVENTS))]
    return scene.attempt(event.__name__, f"kill of {event.__name__}", lambda: event(scene))


def _killed(
    scene: Scene, words: list[object], is_at_work: Callable[[], bool], most_s: float
) -> Iterator[Failure]:
    """Start a command once or twice, and kill it each time.

    Args:
        scene: where.
        words: of the command.
        is_at_work: a sign that it is past its start; three of four kills wait for it.
        most_s: after the sign, at most.
    """
    for _ in range(int(scene.rng.integers(1, 3))):
        started = scene.start(*words)
        if scene.rng.random() < 0.75:
            wait_for(is_at_work, started)
        time.sleep(float(scene.rng.uniform(0, most_s)))
        is_hard = scene.rng.random() < 0.7
        had_ended = started.process.poll() is not None
        scene.notes.append("too late" if had_ended else "kill -9" if is_hard else "SIGTERM")
        started.process.send_signal(signal.SIGKILL if is_hard else signal.SIGTERM)
        if is_hard:
            started.finish()
        else:
            yield from scene.broken(started, (*_STOPPED, 0, 3))
        yield from scene.half_written(killed=True)


def training(scene: Scene) -> Iterator[Failure]:
    """Kill a training."""
    run = scene.written / "run"
    words = scene.train(run, scene.reference.cache)
    yield from _killed(scene, words, run.exists, 1.5)
    yield from scene.broken(scene.start(*words))
    yield from same_training(run, scene.reference.run)


def cache(scene: Scene) -> Iterator[Failure]:
    """Kill a training that builds its cache."""
    run, folder = scene.written / "run", scene.written / "cache"
    words = scene.train(run, folder)
    yield from _killed(scene, words, folder.exists, 0.3)
    yield from scene.broken(scene.start(*words))
    yield from same_training(run, scene.reference.run)
    yield from same_cache(folder, scene.reference.cache)


def same_cache(found: Path, wanted: Path) -> Iterator[Failure]:
    """Yield where a cache of train and dev differs from one that holds more."""
    names = [p.relative_to(found) for p in found.rglob("*") if p.is_file()]
    samples = [str(name) for name in names if name.suffix in (".i16", ".npy")]
    if len(samples) < 4:  # of each an index
        yield Failure("another result", f"the cache holds {samples}")
    yield from same_files(found, wanted, samples)


def scoring(scene: Scene) -> Iterator[Failure]:
    """Kill a scoring of many files."""
    name = SCORED[scene.rng.integers(len(SCORED))]
    output = scene.written / name
    words = score_words(scene.material, scene.reference.clips, output)
    yield from _killed(scene, words, output.exists, 0.6)
    yield from scene.broken(scene.start(*words), (0, 3))
    if output.read_bytes() != scene.reference.scores[name].read_bytes():
        yield Failure("another result", name)


def evaluation(scene: Scene) -> Iterator[Failure]:
    """Kill an evaluation."""
    run = scene.written / "run"
    shutil.copytree(scene.reference.run, run)
    words = evaluate_words(run)
    yield from _killed(scene, words, (run / "eval").exists, 1.0)
    yield from scene.broken(scene.start(*words))
    yield from same_files(run / "eval", scene.reference.evaluated / "eval", RESULTS)
    yield from same_files(run, scene.reference.evaluated, ("threshold.json", "calibration.json"))


_EVENTS = (training, training, cache, scoring, scoring, evaluation)
