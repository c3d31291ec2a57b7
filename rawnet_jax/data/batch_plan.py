"""Which clips are in which batch, and which part of each: settled by settings, seed and step alone.

A plan knows no waveform, so whoever holds the audio (the loader's threads, or the devices
themselves) makes the same batches from it.
"""

import threading
from typing import NamedTuple

import numpy as np

from rawnet_jax.errors import ConfigError

CROPS = ("first", "random")
PADS = ("zero", "repeat")


class Rows(NamedTuple):
    """The rows of a batch, without their waveforms; index -1 and num_samples 0 mark a filler.

    Attributes:
        index: int64 [B], position in the list of clips.
        start: int64 [B], first sample that is kept.
        num_samples: int32 [B], samples of the row that are speech.
        label: int32 [B], `Label`, -1 where it is unknown and in filler rows.
    """

    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    start: np.ndarray
    num_samples: np.ndarray
    label: np.ndarray


class _Epoch(NamedTuple):
    order: np.ndarray  # int64 [batches, batch_size], -1 = filler
    crop_at: np.ndarray  # float64 [num_clips] in [0, 1): place of each clip's crop


class BatchPlan:
    """Batches by number. Batch `step` belongs to epoch ``step // batches_per_epoch``.

    An epoch holds each clip once; its last batch is filled up, so that all have one shape.

    Attributes:
        batches_per_epoch: number of batches in an epoch; a short last one is among them unless it
            is dropped.
    """

    def __init__(
        self,
        labels: np.ndarray,
        lengths: np.ndarray,
        *,
        batch_size: int,
        num_samples: int,
        crop: str = "first",
        pad: str = "zero",
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        num_epochs: int = 1,
        owner: np.ndarray | None = None,
        num_owners: int = 1,
    ) -> None:
        """Lay out the batches.

        Args:
            labels: int32 [N] of all clips, -1 = unknown.
            lengths: int64 [N], samples of each.
            batch_size: clips in a batch over all processes together.
            num_samples: length of each row at 16 kHz.
            crop: which part of a longer clip: "first", or "random" (another one each epoch).
            pad: how a shorter clip is filled: "zero" or "repeat".
            shuffle: whether each epoch has an order of its own; else it is the list's.
            drop_last: whether a short last batch is left out (other clips each epoch).
            seed: of orders and crops.
            num_epochs: after which the batches end.
            owner: int [N], which process alone can read a clip: its rows of a batch are then
                drawn from its own clips. None = any process can read any clip.
            num_owners: processes among which a batch is divided; must divide `batch_size`.

        Raises:
            ConfigError: if one of these is not possible.
        """
        _check_choice("config.data.crop", crop, CROPS)
        _check_choice("config.data.pad", pad, PADS)
        _check_least("batch_size", batch_size, 1)
        _check_least("config.data.num_samples", num_samples, 1)
        _check_least("seed", seed, 0)
        if batch_size % num_owners:
            raise ConfigError(
                f"batch_size {batch_size} cannot be divided among {num_owners} processes"
            )
        self.batch_size = batch_size
        self.num_samples = num_samples
        self.pad = pad
        self.num_epochs = num_epochs
        self._labels = np.asarray(labels, np.int32)
        self._lengths = np.asarray(lengths, np.int64)
        self._crop = crop
        self._shuffle = shuffle
        self._seed = seed
        self._owner = np.zeros(len(lengths), np.int64) if owner is None else np.asarray(owner)
        self._num_owners = 1 if owner is None else num_owners
        self._epochs: dict[int, _Epoch] = {}
        self._lock = threading.Lock()
        counts = np.bincount(self._owner, minlength=self._num_owners)
        share = batch_size // self._num_owners
        # Owners of more clips than others set the length; the others' rows are then filler.
        self.batches_per_epoch = int(
            counts.min() // share if drop_last else -(-counts.max() // share)
        )
        if not self.batches_per_epoch:
            raise ConfigError(
                f"config.train.drop_last leaves nothing of {len(lengths)} clips in batches of "
                f"{batch_size}; use a smaller batch"
            )

    def __len__(self) -> int:
        return self.batches_per_epoch * self.num_epochs

    def rows(self, step: int) -> Rows:
        """Return the rows of batch `step`, of all processes.

        Raises:
            IndexError: if there is no such batch.
        """
        if not 0 <= step < len(self):
            raise IndexError(f"batch {step} of {len(self)}")
        number, batch = divmod(int(step), self.batches_per_epoch)
        epoch = self._epoch(number)
        index = epoch.order[batch]
        real = index >= 0
        lengths = self._lengths[index]
        full = self.num_samples
        start = np.zeros(len(index), np.int64)
        if self._crop == "random":
            start = (epoch.crop_at[index] * np.maximum(lengths - full + 1, 1)).astype(np.int64)
        filled = full if self.pad == "repeat" else np.minimum(lengths, full)
        return Rows(
            index,
            np.where(real, start, 0),
            np.where(real, filled, 0).astype(np.int32),
            np.where(real, self._labels[index], -1).astype(np.int32),
        )

    def _epoch(self, number: int) -> _Epoch:
        with self._lock:
            if number not in self._epochs:
                # Threads that read ahead are in at most two epochs at once.
                self._epochs = {n: e for n, e in self._epochs.items() if n == number - 1}
                self._epochs[number] = self._draw(number)
            return self._epochs[number]

    def _draw(self, number: int) -> _Epoch:
        num_clips = len(self._lengths)
        generator = np.random.default_rng([self._seed, number])
        permutation = generator.permutation(num_clips)
        order = permutation if self._shuffle else np.arange(num_clips)
        share = self.batch_size // self._num_owners
        shape = (self.batches_per_epoch, self._num_owners, share)
        rows = np.full(shape, -1, np.int64)
        for owner in range(self._num_owners):
            own = order[self._owner[order] == owner][: shape[0] * share]
            filled = np.full(shape[0] * share, -1, np.int64)
            filled[: len(own)] = own
            rows[:, owner] = filled.reshape(shape[0], share)
        return _Epoch(rows.reshape(shape[0], self.batch_size), generator.random(num_clips))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be at least {least}")
