"""Scorers for streams: one network for all, threads that score, and room for so many streams."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.detector import Detector
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.stream_messages import Ended

if TYPE_CHECKING:  # imports JAX
    from rawnet_jax.scoring.streaming import StreamingScorer
    from rawnet_jax.scoring.streaming_engine import Heard

Found = TypeVar("Found")


class Streams:
    """The streams of one service.

    Attributes:
        stopping: set when streams must end.
    """

    def __init__(self, detector: Detector, settings: Settings) -> None:
        """Prepare; `start` compiles."""
        self.stopping = asyncio.Event()
        self._detector, self._settings = detector, settings
        self._base: StreamingScorer | None = None
        self._threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="stream")
        self._open: Counter[str] = Counter()
        self._closed = asyncio.Event()
        self._closed.set()

    def start(self) -> None:
        """Compile the network for windows of a stream; other threads may score meanwhile."""
        base = _scorer_of(self._detector, self._settings.stream_hop_s)
        base.warm_up(last=True)
        self._base = base

    @property
    def num_open(self) -> int:
        """Streams that are open."""
        return self._open.total()

    @contextlib.contextmanager
    def room(self, key_id: str, most: int | None) -> Iterator[None]:
        """Count a stream while it is open.

        Args:
            key_id: of whoever opens it.
            most: that the key may have open; None = as the settings say.

        Raises:
            Ended: there is no room for it.
        """
        settings = self._settings
        most = settings.streams_per_key if most is None else most
        if self._base is None or self.stopping.is_set():
            raise Ended(1013, "the service is not ready")
        if self._open[key_id] >= most:
            raise Ended(4029, f"this key may have {most} streams open")
        if self.num_open >= settings.streams:
            raise Ended(1013, "the service is full")
        self._open[key_id] += 1
        self._closed.clear()
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self.num_open:
                self._open.clear()
                self._closed.set()

    def scorer(self, rate_hz: int) -> "StreamingScorer":
        """Return a scorer of a new stream."""
        assert self._base is not None
        return self._base.another(rate_hz)

    async def compute(self, work: Callable[[], Found]) -> Found:
        """Do something in one of the threads that score."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def finish(self, timeout_s: float) -> None:
        """Tell streams to end, and wait until they have."""
        self.stopping.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), timeout_s)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


class BatchWindows:
    """Scores windows of a stream one by one with a model that scores batches, whatever it is.

    See `rawnet_jax.scoring.streaming_engine.Engine`.
    """

    def __init__(self, model: ScoringModel) -> None:
        """Take a model; its distance from training, where it has one, goes as an embedding of 1."""
        self._model = model

    def restart(self) -> None:
        """There is nothing to forget."""

    def advance(self, window: np.ndarray, wanted: bool) -> "Heard":
        """See `Engine.advance`."""
        from rawnet_jax.scoring.streaming_engine import UNHEARD

        return self.score_alone(window, len(window)) if wanted else UNHEARD

    def score_alone(self, window: np.ndarray, num_samples: int) -> "Heard":
        """See `Engine.score_alone`."""
        from rawnet_jax.scoring.streaming_engine import Heard

        rows = np.zeros((self._model.num_devices, len(window)), np.float32)
        rows[0] = window
        lengths = np.zeros(len(rows), np.int32)
        lengths[0] = num_samples
        found = np.asarray(self._model.score_batch(rows, lengths)).reshape(len(rows), -1)[0]
        return Heard(float(found[0]), found[1:] if len(found) > 1 else None)


def _scorer_of(detector: Detector, hop_s: float) -> "StreamingScorer":
    from rawnet_jax.run import Run
    from rawnet_jax.scoring.streaming import StreamingScorer, hop_of_seconds

    model = detector.model
    if isinstance(model, Run):
        return model.stream(hop_s=hop_s or None)
    recipe = model.recipe
    return StreamingScorer(
        None,
        {},
        window=recipe.window,
        hop=hop_of_seconds(hop_s, recipe.window) if hop_s else recipe.hop,
        pad=recipe.pad,
        bucket_samples=recipe.bucket_samples,
        gate=recipe.gate if recipe.gate.enabled else None,
        measure=_first,
        engine=BatchWindows(model),
    )


def _first(embeddings: np.ndarray) -> np.ndarray:
    return embeddings[:, 0]
