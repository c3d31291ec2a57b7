"""Real processes of the command line, and the results that nothing disturbed."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from fuzzing.case import Attempt, Failure, Outcome, Rng
from fuzzing.material import Material, environment
from fuzzing.oracles import failures_of, half_written

NUM_CLIPS = 160
SCORED = ("scores.jsonl", "scores.csv", "scores.txt")
_RUN_FLAGS = ("--config.train.num_epochs=3", "--config.train.save_every_steps=1", "--no-progress")
_MOST_S = 120.0
RESULTS = ("scores.txt", "dev_scores.txt", "metrics.json", "calibration.json", "figures.csv")


@dataclass
class Started:
    """A process of the command line.

    Attributes:
        process: it.
        arguments: of the command.
        out: file of its standard output.
        err: file of its standard error.
    """

    process: subprocess.Popen[bytes]
    arguments: list[str]
    out: Path
    err: Path

    def finish(self) -> Outcome:
        """Wait for its end; one that hangs is killed."""
        try:
            status = self.process.wait(_MOST_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return Outcome(crash=f"hang: {_MOST_S:.0f} s")
        return Outcome(status, self.out.read_bytes(), self.err.read_bytes())


class Scene:
    """What one event has: a folder, draws, the material and its undisturbed results."""

    def __init__(self, rng: Rng, material: Material, folder: Path) -> None:
        self.rng, self.material, self.folder = rng, material, folder
        self.written = folder / "written"
        self.notes: list[str] = []  # what happened
        self._count = 0

    def attempt(self, name: str, what: str, event: Callable[[], Iterable[Failure]]) -> Attempt:
        """Return the attempt that is this event; `what` happens to the command `name`."""
        attempt = Attempt([name], what)

        def check(_: Outcome) -> Iterator[Failure]:
            yield from event()
            yield from self.half_written()
            attempt.mutation = f"{what}: {', '.join(self.notes)}"

        attempt.check = check
        return attempt

    @cached_property
    def reference(self) -> "Reference":
        """Results that nothing disturbed."""
        return Reference.of(self.material)

    def start(
        self, *arguments: object, most_bytes: int | None = None, stdout: Path | None = None
    ) -> Started:
        """Start a command.

        Args:
            arguments: of it.
            most_bytes: of any file that it writes.
            stdout: a device, instead of a file.
        """
        self._count += 1
        words = [str(word) for word in arguments]
        out, err = (self.folder / f"{kind}{self._count}.txt" for kind in ("stdout", "stderr"))
        out.touch()

        def limit() -> None:
            if most_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

        with open(stdout or out, "wb") as for_out, open(err, "wb") as for_err:
            process = subprocess.Popen(
                [sys.executable, "-m", "rawnet_jax", *words],
                cwd=self.folder,
                env=environment(self.material.folder),
                stdin=subprocess.DEVNULL,
                stdout=for_out,
                stderr=for_err,
                preexec_fn=limit,
            )
        with open(self.folder / "commands.txt", "a", encoding="utf-8") as file:
            file.write(f"{time.time():.2f} {' '.join(words)}\n")
        return Started(process, words, out, err)

    def train(self, workdir: Path, cache: Path | None = None) -> list[object]:
        """Return the words of the training that the reference has."""
        return train_words(self.material, workdir, cache)

    def broken(
        self, started: Started, statuses: Sequence[int] = (0,), most_errors: int = 0
    ) -> Iterator[Failure]:
        """Wait for a process and yield what it broke."""
        outcome = started.finish()
        self.notes.append(f"{started.arguments[0]} {outcome.status}")
        attempt = Attempt(started.arguments, "", statuses=tuple(statuses))
        attempt.most_errors, attempt.for_people = most_errors, False
        for failure in failures_of(attempt, outcome, self.folder / "nothing"):
            said = outcome.err.decode(errors="replace").splitlines()[-1:]
            yield Failure(failure.kind, f"{started.arguments[0]}: {failure.detail} {said}")

    def half_written(self, *, killed: bool = False) -> Iterator[Failure]:
        """Yield what does not parse of what was written."""
        for what in half_written(self.folder, killed=killed):
            yield Failure("half-written", what)


def train_words(material: Material, workdir: Path, cache: Path | None = None) -> list[object]:
    """Return the words of a training."""
    where = [] if cache is None else [f"--config.data.cache_dir={cache}"]
    return ["train", f"--config={material.config}", "--workdir", workdir, *where, *_RUN_FLAGS]


def score_words(material: Material, clips: Path, output: Path) -> list[object]:
    """Return the words that score a folder."""
    return ["score", "--workdir", material.run, clips, "--output", output, "--no-progress"]


def evaluate_words(run: Path) -> list[object]:
    """Return the words that evaluate a run."""
    return ["evaluate", "--workdir", run, "--no-progress", "--no-bootstrap"]


class Reference:
    """Results that nothing disturbed, made once."""

    def __init__(self, folder: Path) -> None:
        self.run, self.cache = folder / "run", folder / "cache"
        self.clips, self.evaluated = folder / "clips", folder / "evaluated"
        self.scores = {name: folder / name for name in SCORED}

    @classmethod
    def of(cls, material: Material) -> "Reference":
        """Return that of a material; made by the first that asks."""
        folder = material.folder.parent / f"{material.folder.name}_reference"
        with FileLock(f"{folder}.lock"):
            if not (folder / "complete").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                cls(folder)._make(material, folder)
                (folder / "complete").touch()
        return cls(folder)

    def _make(self, material: Material, folder: Path) -> None:
        import numpy as np

        scene = Scene(np.random.default_rng(0), material, folder)
        self.clips.mkdir()
        for number in range(NUM_CLIPS):
            clip = material.clips[number % len(material.clips)]
            shutil.copy(clip, self.clips / f"{number:03d}{clip.suffix}")
        _run(scene, train_words(material, self.run, self.cache))
        for output in self.scores.values():
            _run(scene, score_words(material, self.clips, output))
        shutil.copytree(self.run, self.evaluated)
        _run(scene, evaluate_words(self.evaluated))


def _run(scene: Scene, words: Iterable[object]) -> None:
    broken = list(scene.broken(scene.start(*words), (0, 3)))
    if broken:
        raise RuntimeError(f"undisturbed, and yet: {broken}")


def same_training(found: Path, wanted: Path) -> Iterator[Failure]:
    """Yield where a run differs from another one: weights, optimiser, log."""
    for what in ("latest", "best"):
        ours, theirs = (_digests(run / "checkpoints" / what) for run in (found, wanted))
        if ours != theirs:
            yield Failure("another result", f"{what}: steps {list(ours)} and {list(theirs)}")
    if _log(found) != _log(wanted):
        yield Failure("another result", "log.jsonl")


def _digests(folder: Path) -> dict[str, str]:
    steps = sorted(path for path in folder.iterdir() if path.name.isdigit())
    return {path.name: (path / "digest" / "metadata").read_text("utf-8") for path in steps}


def _log(run: Path) -> list[dict[str, object]]:
    events = []
    for line in (run / "log.jsonl").read_text("utf-8").splitlines():
        event = json.loads(line)
        events.append({k: v for k, v in event.items() if k not in ("seconds", "clips_per_second")})
    return events


def same_files(found: Path, wanted: Path, names: Iterable[str] | None = None) -> Iterator[Failure]:
    """Yield files of a folder that differ from those of another one."""
    names = names or [str(p.relative_to(wanted)) for p in wanted.rglob("*") if p.is_file()]
    for name in names:
        ours, theirs = found / name, wanted / name
        if not ours.exists() or ours.read_bytes() != theirs.read_bytes():
            yield Failure("another result", name if ours.exists() else f"{name} is not there")


def wait_for(is_there: Callable[[], bool], started: Started) -> None:
    """Wait until something is there, or the process has ended."""
    end = time.monotonic() + _MOST_S
    while not is_there() and started.process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
