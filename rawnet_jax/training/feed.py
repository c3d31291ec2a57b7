"""Where a run's batches come from: read by the host and sent, or held by the devices already."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from rawnet_jax.config import DataConfig, streams
from rawnet_jax.contract import Batch
from rawnet_jax.data.batch_plan import Rows
from rawnet_jax.data.loader import BatchIterator, BatchSource, WaveformSource
from rawnet_jax.errors import ConfigError
from rawnet_jax.mesh import to_devices, to_every_device
from rawnet_jax.progress import BatchBars
from rawnet_jax.training.resident import ResidentCorpus, fetch, fits

MAX_RESIDENT_STEPS = 256
"""Steps in a dispatch where nothing has to come from the host."""


def resident_steps(mesh: Mesh) -> int:
    """Return the steps of a dispatch over a corpus in device memory.

    On a CPU there is no gap between dispatches to close, and XLA runs convolutions inside a loop
    several times slower there than outside of one (docs/scaling.md).
    """
    return 1 if mesh.devices.flat[0].platform == "cpu" else MAX_RESIDENT_STEPS


class Feed(Protocol):
    """Makes the arguments of `rawnet_jax.training.step.train_steps`.

    Attributes:
        corpus: what lies on the devices for the whole run; () if nothing does.
        max_steps: steps K for which `take` makes rows; fewer may be asked for.
    """

    corpus: Any
    max_steps: int

    def take(self, step: int, count: int) -> Any:
        """Return the rows of steps `step` to ``step + count - 1``; to be asked for in order."""

    def batch_of(self, corpus: Any, rows: Any) -> Batch:
        """Make one step's batch, in a jitted function."""

    def close(self) -> None:
        """End what runs in the background."""


class StreamFeed:
    """Batches that the host's threads read ahead.

    Args:
        sources: one per seed; each seed has its own order of clips.
        mesh: the devices.
        config: how many threads, and how far they read ahead.
        step: the first to be taken.
        max_steps: see `Feed`.
    """

    def __init__(
        self,
        sources: Sequence[BatchSource],
        mesh: Mesh,
        config: DataConfig,
        step: int,
        max_steps: int = 1,
    ) -> None:
        self.corpus: Any = ()
        self.max_steps = max_steps
        self._mesh = mesh
        self._iterators = [
            BatchIterator(
                source,
                num_threads=config.num_threads,
                prefetch_batches=config.prefetch_batches,
                step=step,
            )
            for source in sources
        ]

    def take(self, step: int, count: int) -> Any:
        """Return batches on the devices: each leaf [K, B, …], or [K, S, B, …] of S seeds."""
        del step  # the iterators know
        steps = [[next(iterator) for iterator in self._iterators] for _ in range(count)]
        filled = steps + [steps[-1]] * (self.max_steps - count)
        several = len(self._iterators) > 1
        host = {
            name: np.stack([_joined([batch[name] for batch in step], several) for step in filled])
            for name in steps[0][0]
        }
        return to_devices(self._mesh, host, axis=1 + several)

    def batch_of(self, corpus: Any, rows: Any) -> Batch:
        """Return the rows; they are the batch."""
        del corpus
        return rows

    def close(self) -> None:
        """End the threads."""
        for iterator in self._iterators:
            iterator.close()


class ResidentFeed:
    """Batches cut out of a corpus in device memory.

    Args:
        cache: the clips.
        sources: one per seed.
        mesh: the devices.
        bars: packing the corpus shows one.
        max_steps: see `Feed`.
    """

    def __init__(
        self,
        cache: WaveformSource,
        sources: Sequence[BatchSource],
        mesh: Mesh,
        bars: BatchBars,
        max_steps: int,
    ) -> None:
        self.max_steps = max_steps
        self._mesh = mesh
        self._plans = [source.plan for source in sources]
        with bars("corpus to the devices", len(cache), unit="clip") as bar:
            self._resident = ResidentCorpus(cache, mesh, bar.update)
        self.corpus = self._resident.blocks
        self._fetch = partial(
            fetch, mesh=mesh, num_samples=self._plans[0].num_samples, pad=self._plans[0].pad
        )

    def take(self, step: int, count: int) -> Any:
        """Return where the rows are: each leaf int32 [K, B], or [K, S, B] of S seeds."""
        numbers = [min(step + n, step + count - 1) for n in range(self.max_steps)]
        seeds = [_stacked([plan.rows(n) for n in numbers], axis=0) for plan in self._plans]
        rows = _stacked(seeds, axis=1) if len(seeds) > 1 else seeds[0]
        where = self._resident.where(rows)
        return to_every_device(self._mesh, where)

    def batch_of(self, corpus: Any, rows: Any) -> Batch:
        """Cut one step's batch."""
        return self._fetch(corpus, rows)

    def close(self) -> None:
        """Nothing runs in the background."""


def _stacked(rows: Sequence[Rows], axis: int) -> Rows:
    return Rows(*(np.stack(columns, axis) for columns in zip(*rows, strict=True)))


def _joined(batches: list[np.ndarray], several: bool) -> np.ndarray:
    return np.stack(batches) if several else batches[0]


def make_feed(
    cache: WaveformSource,
    sources: Sequence[BatchSource],
    mesh: Mesh,
    config: DataConfig,
    steps_per_dispatch: int,
    step: int,
    bars: BatchBars,
) -> Feed:
    """Choose where batches come from, by ``config.data.resident``.

    Args:
        cache: the clips.
        sources: one per seed.
        mesh: the devices.
        config: of the data.
        steps_per_dispatch: at most so many; 0 = as suits.
        step: the first to be taken.
        bars: for packing.

    Raises:
        ConfigError: if the corpus is to be resident and has no room.
    """
    resident = config.resident == "on" or (config.resident == "auto" and fits(cache, mesh))
    if streams(config) or not resident:
        return StreamFeed(sources, mesh, config, step, steps_per_dispatch or 1)
    try:
        return ResidentFeed(cache, sources, mesh, bars, steps_per_dispatch or resident_steps(mesh))
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        size_gb = 2 * int(cache.num_samples.sum()) / 1e9
        raise ConfigError(
            f"config.data.resident={config.resident}: the corpus of {size_gb:.1f} GB has no room "
            f"on {mesh.size} devices ({str(error).splitlines()[0][:120]}); use off"
        ) from error
