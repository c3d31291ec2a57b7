"""Fixed-size batches from a cache: which clips, in which order, cut or filled to which length.

`BatchSource` is a pure function of (settings, seed, step) in Grain's contract of a source, so the
number of threads and the point where a run was cut off cannot change a batch. `BatchIterator` runs
it ahead of the training loop in Grain's threads. Whole batches, not clips, are Grain's elements:
that keeps its bookkeeping out of the cost of a clip.
"""

import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import CheckpointError, ConfigError

CROPS = ("first", "random")
PADS = ("zero", "repeat")

Batch = dict[str, np.ndarray]


class WaveformSource(Protocol):
    """What a `rawnet_jax.data.cache.Cache` offers."""

    trials: list[Trial]
    num_samples: np.ndarray

    def __len__(self) -> int:
        """Return the number of clips."""

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [num_samples[position]]."""


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


class _Epoch(NamedTuple):
    order: np.ndarray  # int64 [num_clips]
    crop_at: np.ndarray  # float64 [num_clips] in [0, 1): place of each clip's crop


class BatchSource:
    """Batches by number, in Grain's contract of a random-access source.

    Batch `step` belongs to epoch ``step // batches_per_epoch``. An epoch holds each clip once; its
    last batch is filled up with rows of zeros, so that all batches have one shape.

    With several processes, each gets its rows of every global batch: together they see what one
    process alone would see.
    """

    def __init__(
        self,
        cache: WaveformSource,
        *,
        batch_size: int,
        num_samples: int,
        crop: str = "first",
        pad: str = "zero",
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        num_epochs: int = 1,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        """Lay out the batches.

        Args:
            cache: the clips.
            batch_size: clips in a batch over all processes together.
            num_samples: length of each row at 16 kHz.
            crop: which part of a longer clip: "first", or "random" (another one each epoch).
            pad: how a shorter clip is filled: "zero" or "repeat".
            shuffle: whether each epoch has an order of its own; else it is the cache's.
            drop_last: whether a short last batch is left out (other clips each epoch).
            seed: of orders and crops.
            num_epochs: after which the batches end.
            process_index: of this process.
            process_count: number of processes; must divide `batch_size`.

        Raises:
            ConfigError: if one of these is not possible.
        """
        _check_choice("config.data.crop", crop, CROPS)
        _check_choice("config.data.pad", pad, PADS)
        _check_least("batch_size", batch_size, 1)
        _check_least("config.data.num_samples", num_samples, 1)
        _check_least("seed", seed, 0)
        if drop_last and len(cache) < batch_size:
            raise ConfigError(
                f"config.train.drop_last leaves nothing of {len(cache)} clips in batches of "
                f"{batch_size}; use a smaller batch"
            )
        if batch_size % process_count:
            raise ConfigError(
                f"batch_size {batch_size} cannot be divided among {process_count} processes"
            )
        self._cache = cache
        self._batch_size = batch_size
        self._num_samples = num_samples
        self._crop = crop
        self._pad = pad
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._seed = seed
        self._num_epochs = num_epochs
        rows = batch_size // process_count
        self._rows = slice(process_index * rows, (process_index + 1) * rows)
        self._labels = np.array(
            [-1 if trial.label is None else int(trial.label) for trial in cache.trials], np.int32
        )
        self._epochs: dict[int, _Epoch] = {}
        self._lock = threading.Lock()

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in an epoch; a short last one is among them unless it is dropped."""
        if self._drop_last:
            return len(self._cache) // self._batch_size
        return -(-len(self._cache) // self._batch_size)

    def __len__(self) -> int:
        return self.batches_per_epoch * self._num_epochs

    def __getitem__(self, step: int) -> Batch:
        """Return batch `step`, this process's b rows of it.

        Returns:
            waveform: float32 [b, num_samples], full scale = 1.
            num_samples: int32 [b]: samples of a row that are speech (all of them with
                ``pad="repeat"``); **0 marks a filler row**.
            label: int32 [b], `Label` or -1 where it is unknown and in filler rows.
            index: int64 [b], position in the cache, -1 in filler rows.

        Raises:
            IndexError: if there is no such batch.
        """
        if not 0 <= step < len(self):
            raise IndexError(f"batch {step} of {len(self)}")
        number, batch = divmod(int(step), self.batches_per_epoch)
        epoch = self._epoch(number)
        first = batch * self._batch_size
        index = epoch.order[first : first + self._batch_size][self._rows]
        return self._assemble(index, epoch.crop_at)

    def _assemble(self, index: np.ndarray, crop_at: np.ndarray) -> Batch:
        num_rows = self._rows.stop - self._rows.start
        filled = len(index)
        waveforms = np.empty((num_rows, self._num_samples), np.float32)
        waveforms[filled:] = 0
        num_samples = np.zeros(num_rows, np.int32)
        label = np.full(num_rows, -1, np.int32)
        label[:filled] = self._labels[index]
        positions = np.full(num_rows, -1, np.int64)
        positions[:filled] = index
        lengths = self._cache.num_samples[index]
        full = self._num_samples
        num_samples[:filled] = full if self._pad == "repeat" else np.minimum(lengths, full)
        if self._crop == "random":
            starts = (crop_at[index] * np.maximum(lengths - full + 1, 1)).astype(np.int64)
        else:
            starts = np.zeros(filled, np.int64)
        for row, (position, start) in enumerate(zip(index.tolist(), starts.tolist(), strict=True)):
            waveform = self._cache.waveform(position)
            from_int16(crop_or_pad(waveform, full, start, self._pad), out=waveforms[row])
        return {
            "waveform": waveforms,
            "num_samples": num_samples,
            "label": label,
            "index": positions,
        }

    def _epoch(self, number: int) -> _Epoch:
        with self._lock:
            if number not in self._epochs:
                # Threads that read ahead are in at most two epochs at once.
                self._epochs = {n: e for n, e in self._epochs.items() if n == number - 1}
                self._epochs[number] = self._draw(number)
            return self._epochs[number]

    def _draw(self, number: int) -> _Epoch:
        num_clips = len(self._cache)
        generator = np.random.default_rng([self._seed, number])
        permutation = generator.permutation(num_clips)
        order = permutation if self._shuffle else np.arange(num_clips)
        return _Epoch(order, generator.random(num_clips))


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

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
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
                f"loader position {state!r}: a step of 0 to {len(self._source)} was wanted;"
                " were the data, batch size or number of epochs changed?"
            )
        self.close()
        self._step = step

    def close(self) -> None:
        """End the threads, each after the batch in hand. The position stays; `next` goes on."""
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


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be at least {least}")
