"""Batches from a cache: which clips, in which order, cut or filled to which length.

`BatchSource` is a pure function of (settings, seed, step) in Grain's contract of a source, so the
number of threads and the point where a run was cut off cannot change a batch. `BatchIterator` runs
it ahead of the training loop in Grain's threads. Whole batches, not clips, are Grain's elements:
that keeps its bookkeeping out of the cost of a clip.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from rawnet_jax.contract import HostBatch
from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.batch_plan import BatchPlan, Rows
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import CheckpointError

Change = Callable[[np.ndarray, int, int], np.ndarray]
"""From a waveform float32 [n], its clip's position and a draw to another of n samples; the same for
the same three, in whichever thread or process."""


class WaveformSource(Protocol):
    """What a `rawnet_jax.data.cache.Cache` or a `DividedCache` offers."""

    trials: list[Trial]
    num_samples: np.ndarray

    @property
    def owner(self) -> np.ndarray | None:
        """Return int64 [len], the only process that can read a clip; None = all can read all."""

    def __len__(self) -> int:
        """Return the number of clips."""

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [num_samples[position]], or float32 in the same unit."""


def crop_or_pad(waveform: np.ndarray, num_samples: int, crop_start: int, pad: str) -> np.ndarray:
    """Cut or fill a waveform to a length.

    Args:
        waveform: [n], n >= 1, any dtype.
        num_samples: length that comes out.
        crop_start: first sample that is kept of a longer waveform; 0 for one that is not.
        pad: for a shorter one: "zero" (zeros behind it) or "repeat" (the waveform again and
            again).

    Returns:
        [num_samples] of the same dtype; a view of the waveform where it is long enough.
    """
    length = len(waveform)
    if length >= num_samples:
        return waveform[crop_start : crop_start + num_samples]
    if pad == "repeat":
        return np.tile(waveform, num_samples // length + 1)[:num_samples]
    return np.pad(waveform, (0, num_samples - length))


class BatchSource:
    """Batches by number with their waveforms, in Grain's contract of a random-access source.

    With several processes, each gets its rows of every global batch: together they see what one
    process alone would see.
    """

    def __init__(
        self,
        cache: WaveformSource,
        *,
        batch_size: int,
        num_samples: int,
        process_index: int = 0,
        process_count: int = 1,
        change: Change | None = None,
        **layout: Any,
    ) -> None:
        """Lay out the batches.

        Args:
            cache: the clips. Where it has an ``owner`` of each, a process reads only its own.
            batch_size: clips in a batch over all processes together.
            num_samples: length of the longest row at 16 kHz.
            process_index: of this process.
            process_count: number of processes; must divide `batch_size`.
            change: what is done to a crop before it is filled to the length of its row.
            layout: what else a `BatchPlan` takes.

        Raises:
            ConfigError: if one of these is not possible.
        """
        self.plan = BatchPlan(
            np.array([-1 if t.label is None else int(t.label) for t in cache.trials], np.int32),
            cache.num_samples,
            batch_size=batch_size,
            num_samples=num_samples,
            owner=cache.owner,
            num_owners=process_count,
            **layout,
        )
        self._cache = cache
        self._change = change
        rows = batch_size // process_count
        self._rows = slice(process_index * rows, (process_index + 1) * rows)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch; a short last one is among them unless it is dropped."""
        return self.plan.batches_per_epoch

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, step: int) -> HostBatch:
        """Return batch `step`, this process's b rows of it.

        Returns:
            waveform: float32 [b, ``plan.length(step)``], full scale = 1.
            num_samples: int32 [b]: samples of a row that are speech (all of them with
                ``pad="repeat"``); **0 marks a filler row**.
            label: int32 [b], `Label` or -1 where it is unknown and in filler rows.
            index: int64 [b], position in the cache, -1 in filler rows.

        Raises:
            IndexError: if there is no such batch.
        """
        rows = Rows(*(column[self._rows] for column in self.plan.rows(step)))
        waveforms = np.empty((len(rows.index), self.plan.length(step)), np.float32)
        waveforms[rows.index < 0] = 0
        for row in np.flatnonzero(rows.index >= 0).tolist():
            self._fill(waveforms[row], rows, row)
        return {
            "waveform": waveforms,
            "num_samples": rows.num_samples,
            "label": rows.label,
            "index": rows.index,
        }

    def _fill(self, out: np.ndarray, rows: Rows, row: int) -> None:
        """Write the waveform of one row, float32 [T]."""
        position, start = int(rows.index[row]), int(rows.start[row])
        crop = self._cache.waveform(position)[start : start + int(rows.taken[row])]
        if self._change is None:
            from_int16(crop_or_pad(crop, len(out), 0, self.plan.pad), out=out)
        else:
            changed = self._change(from_int16(crop), position, int(rows.row_seed[row]))
            out[:] = crop_or_pad(changed, len(out), 0, self.plan.pad)


class BatchIterator:
    """Batches of a source in order, made ahead of time by threads, with an exact position.

    The position is that of the batch that `next` returns next; what is read ahead does not count.
    Use it in a ``with`` statement, or `close` it: that ends the threads.
    """

    def __init__(
        self, source: BatchSource, *, num_threads: int = 1, prefetch_batches: int = 8, step: int = 0
    ) -> None:
        """Start before batch `step`; going there costs nothing."""
        self._source = source
        self._num_threads = num_threads
        self._prefetch_batches = prefetch_batches
        self._step = step
        self._batches: Any = None

    def __iter__(self) -> Iterator[HostBatch]:
        return self

    def __next__(self) -> HostBatch:
        if self._batches is None:
            self._batches = self._start()
        batch = next(self._batches)
        self._step += 1
        return batch

    def __enter__(self) -> "BatchIterator":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def get_state(self) -> dict[str, int]:
        """Return the position, for a checkpoint."""
        return {"step": self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Go to a position that `get_state` returned.

        Raises:
            CheckpointError: if it is not one, or is beyond the end of the source.
        """
        step = state.get("step")
        if not isinstance(step, int) or not 0 <= step <= len(self._source):
            raise CheckpointError(
                f"loader position {state!r}: step must be 0 to {len(self._source)};"
                " were the data, batch size or number of epochs changed?"
            )
        self.close()
        self._step = step

    def close(self) -> None:
        """End the threads, each after the batch in hand. The position stays; `next` resumes."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def _start(self) -> Any:
        import grain  # takes seconds, and brings JAX with it

        options = grain.ReadOptions(
            num_threads=self._num_threads, prefetch_buffer_size=self._prefetch_batches
        )
        batches = grain.MapDataset.source(self._source)[self._step :]
        return iter(batches.to_iter_dataset(options))
