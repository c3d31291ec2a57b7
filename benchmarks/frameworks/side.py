"""What is asked of every framework: build a model from given weights, check it, take timed steps.

A side lives in a process of its own (`benchmarks.frameworks.worker`), so that neither its memory
nor its threads are mixed with another's. Between its turns it waits for a message and uses no CPU.
"""

import abc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.machine import peak_mb

LEARNING_RATE = 1e-4
EPSILON = 1e-7  # of Adam, the same everywhere
Kind = Literal["train", "score", "score_one"]
Weights = dict[str, np.ndarray]
"""PyTorch name -> array, as `rawnet_jax.interop.torch_weights` gives it."""


@dataclass(frozen=True)
class Task:
    """What is measured.

    Attributes:
        model: a row of the registry.
        batch_size: clips in a step.
        num_samples: their length.
    """

    model: str
    batch_size: int
    num_samples: int

    def batch(self) -> dict[str, np.ndarray]:
        """Return noise with labels, the same in every process."""
        rng = np.random.default_rng(0)
        size = self.batch_size
        waveform = 0.1 * rng.standard_normal((size, self.num_samples))
        return {
            "waveform": waveform.astype(np.float32),
            "num_samples": np.full(size, self.num_samples, np.int32),
            "label": np.arange(size, dtype=np.int32) % 2,
            "index": np.arange(size),
        }


@dataclass(frozen=True)
class Opened:
    """What the first steps took.

    Attributes:
        train_s: building the model and the first training step, compiling included.
        score_s: the first scores after that.
        peak_mb: largest resident set after another training step, less that of the framework.
        note: what was chosen on the way.
    """

    train_s: float
    score_s: float
    peak_mb: float
    note: str = ""


@dataclass(frozen=True)
class Outputs:
    """What a side computes, for comparison with another.

    Attributes:
        scores: float [B], of scoring with running statistics.
        loss: of a training step without dropout.
        gradient_norm: of the same step, Euclidean, over all parameters.
    """

    scores: np.ndarray
    loss: float
    gradient_norm: float


class Side(abc.ABC):
    """One framework with one model at a time. Arrays come from the host in every step."""

    @abc.abstractmethod
    def versions(self) -> str:
        """Return the framework's name and version."""

    @abc.abstractmethod
    def build(self, task: Task, weights: Weights | None) -> None:
        """Make the model, its optimiser and whatever is compiled; None = draw the weights."""

    @abc.abstractmethod
    def train(self) -> None:
        """Start one training step."""

    @abc.abstractmethod
    def score(self) -> None:
        """Start scoring one batch."""

    @abc.abstractmethod
    def score_one(self) -> np.ndarray:
        """Return the score of one clip, [1], on the host."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Wait for what was started."""

    @abc.abstractmethod
    def outputs(self, weights: Weights) -> Outputs:
        """Compute what is compared, with a model of its own that has these weights."""

    def open(self, task: Task, weights: Weights | None) -> Opened:
        """Build a model and take its first steps."""
        before_mb = peak_mb()
        started = time.perf_counter()
        self.build(task, weights)
        self._run(self.train)
        train_s = time.perf_counter() - started
        started = time.perf_counter()
        self._run(self.score)
        score_s = time.perf_counter() - started
        self._run(self.train)
        return Opened(train_s, score_s, peak_mb() - before_mb, self.note())

    def note(self) -> str:
        """Return what was chosen on the way."""
        return ""

    def timed(self, kind: Kind, num_steps: int) -> float:
        """Return the seconds of a step.

        Args:
            kind: "train" and "score": mean of steps that are not waited for one by one;
                "score_one": median of single clips from host to host.
            num_steps: how many, after one that is not counted; 0 = what one second has room for.
        """
        step: Callable[[], Any] = getattr(self, kind)
        once = self._run(step)
        num_steps = num_steps or max(2, min(200, int(1.0 / once)))
        if kind == "score_one":
            return statistics.median(self._run(step) for _ in range(num_steps))
        started = time.perf_counter()
        for _ in range(num_steps):
            step()
        self.wait()
        return (time.perf_counter() - started) / num_steps

    def cpu_s(self) -> float:
        """Return the CPU seconds of this process, of all its threads."""
        times = os.times()
        return times.user + times.system

    def _run(self, step: Callable[[], Any]) -> float:
        started = time.perf_counter()
        step()
        self.wait()
        return time.perf_counter() - started
