"""Two processes at one place."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from fuzzing.case import Attempt, Failure, Rng
from fuzzing.events.kills import same_cache
from fuzzing.events.processes import (
    RESULTS,
    SCORED,
    Scene,
    Started,
    evaluate_words,
    same_files,
    same_training,
    score_words,
)
from fuzzing.material import Material


def race(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Let two processes at one place; nothing of either's result may be lost."""
    scene = Scene(rng, material, folder)
    event = _EVENTS[rng.integers(len(_EVENTS))]
    return scene.attempt(event.__name__, f"race of {event.__name__}", lambda: event(scene))


def _two(scene: Scene, first: list[object], second: list[object]) -> tuple[Started, Started]:
    one = scene.start(*first)
    time.sleep(float(scene.rng.choice([0.0, 0.05, scene.rng.uniform(0, 3)])))
    return one, scene.start(*second)


def _ends(scene: Scene, both: tuple[Started, Started]) -> Iterator[Failure]:
    """Yield what either broke; one may be refused, not both."""
    for one in both:
        yield from scene.broken(one, (0, 2, 3), 1)
    if all(one.process.returncode == 2 for one in both):
        yield Failure("both were refused", both[0].arguments[0])


def output(scene: Scene) -> Iterator[Failure]:
    """Score into one output."""
    name = SCORED[scene.rng.integers(len(SCORED))]
    path = scene.written / name
    words = score_words(scene.material, scene.reference.clips, path)
    again = [[], ["--overwrite"]]
    flags = [again[scene.rng.integers(2)] for _ in range(2)]
    both = _two(scene, [*words, *flags[0]], [*words, *flags[1]])
    yield from _ends(scene, both)
    if not path.exists() or path.read_bytes() != scene.reference.scores[name].read_bytes():
        yield Failure("lost a result", f"{name}, flags {flags}")


def training(scene: Scene) -> Iterator[Failure]:
    """Train in one folder."""
    run = scene.written / "run"
    words = scene.train(run, scene.reference.cache)
    yield from _ends(scene, _two(scene, words, words))
    yield from same_training(run, scene.reference.run)


def cache(scene: Scene) -> Iterator[Failure]:
    """Build one cache from two trainings."""
    folder = scene.written / "cache"
    runs = [scene.written / name for name in ("a", "b")]
    first, second = (scene.train(run, folder) for run in runs)
    for one in _two(scene, first, second):
        yield from scene.broken(one)
    for run in runs:
        yield from same_training(run, scene.reference.run)
    yield from same_cache(folder, scene.reference.cache)


def evaluation(scene: Scene) -> Iterator[Failure]:
    """Evaluate one run."""
    run = Path(shutil.copytree(scene.reference.run, scene.written / "run"))
    words = evaluate_words(run)
    yield from _ends(scene, _two(scene, words, words))
    yield from same_files(run / "eval", scene.reference.evaluated / "eval", RESULTS)
    yield from same_files(run, scene.reference.evaluated, ("threshold.json", "calibration.json"))


def importing(scene: Scene) -> Iterator[Failure]:
    """Import weights into one folder."""
    run = scene.written / "run"
    words: list[object] = ["import-torch", scene.material.torch, "--model=aasist_l"]
    words += ["--workdir", run]
    yield from _ends(scene, _two(scene, words, words))
    for name in ("config.json", "source.json"):
        if not isinstance(json.loads((run / name).read_text("utf-8")), dict):
            yield Failure("half-written", name)


def corpus(scene: Scene) -> Iterator[Failure]:
    """Write one corpus."""
    words: list[object] = ["demo-corpus", "--output", scene.written / "corpus", "--num-clips=24"]
    words += ["--no-progress", "--num-workers=1"]
    again: list[object] = ["--overwrite"] if scene.rng.random() < 0.5 else []
    yield from _ends(scene, _two(scene, words, [*words, *again]))
    yield from same_files(scene.written / "corpus", scene.material.corpus)


def in_use(scene: Scene) -> Iterator[Failure]:
    """Score by a run, and evaluate it, while it is trained."""
    run = scene.written / "run"
    clip = scene.material.clips[0]
    words = scene.train(run, scene.reference.cache)
    uses: list[list[object]] = [
        ["score", "--workdir", run, clip, "--no-progress"],
        [*evaluate_words(run), "--output", scene.written / "eval"],
    ]
    training, use = _two(scene, words, uses[scene.rng.integers(2)])
    yield from scene.broken(training)
    yield from scene.broken(use, (0, 2, 3), 1)
    yield from same_training(run, scene.reference.run)


def pictures(scene: Scene) -> Iterator[Failure]:
    """Write pictures and explanations into one folder."""
    run, clip = scene.material.run, scene.material.clips[0]
    words: list[list[object]] = [
        ["score", "--workdir", run, clip, "--plot", scene.written, "--no-progress"],
        ["explain", "--workdir", run, clip, "--output", scene.written, "--no-progress",
         "--spans=2", "--bands=2", "--max-gradients=2"],
    ]  # fmt: skip
    chosen = words[scene.rng.integers(2)]
    for one in _two(scene, chosen, chosen):
        yield from scene.broken(one, (0, 3))


_EVENTS = (output, output, output, training, cache, evaluation, importing, corpus, in_use, pictures)
