"""Which clips are in which batch, and which part of each: settled by settings, seed and step alone.

A plan knows no waveform, so whoever holds the audio (the loader's threads, or the devices
themselves) makes the same batches from it.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rawnet_jax.config_check import check_buckets
from rawnet_jax.data.balance import Balance
from rawnet_jax.data.pairs import Pairs
from rawnet_jax.errors import ConfigError

CROPS = ("first", "random")
PADS = ("zero", "repeat")

_SEQUENCE_STREAM = 2  # apart from the generators of epochs, which have two numbers


class Rows(NamedTuple):
    """The rows of a batch, without their waveforms; index -1 and num_samples 0 mark a filler.

    Attributes:
        index: int64 [B], position in the list of clips.
        start: int64 [B], first sample that is kept.
        taken: int64 [B], samples from there on that are kept, at most the length of the row.
        num_samples: int32 [B], samples of the row that are speech.
        label: int32 [B], `Label`, -1 where it is unknown and in filler rows.
        row_seed: uint64 [B], seeds whatever else is random about a row.
    """

    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    start: np.ndarray
    taken: np.ndarray
    num_samples: np.ndarray
    label: np.ndarray
    row_seed: np.ndarray


class _Epoch(NamedTuple):
    """The draws of an epoch: each is one clip, once; clips may be drawn several times or not."""

    order: np.ndarray  # int64 [batches, batch_size] of draws, -1 = filler
    length: np.ndarray  # int64 [batches], of their rows
    clip: np.ndarray  # int64 [draws]
    crop_at: np.ndarray  # float64 [draws] in [0, 1): place of the crop
    crop_length: np.ndarray  # float64 [draws] in [0, 1): its length
    row_seed: np.ndarray  # uint64 [draws]


CutLabels = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From positions of clips, first samples and numbers of samples, int [B], to labels int32 [B]."""


class BatchPlan:
    """Batches by number. Batch `step` belongs to epoch ``step // batches_per_epoch``.

    An epoch holds each clip once, or equal shares of groups. The rows of a batch have one length;
    the last batch of each length is filled up, so that all of a length have one shape. Which step
    has which length depends on the clips and on the epoch's number, not on the seed.

    Attributes:
        batches_per_epoch: number of batches in an epoch; short last ones are among them unless they
            are dropped.
    """

    def __init__(
        self,
        labels: np.ndarray,
        lengths: np.ndarray,
        *,
        batch_size: int,
        num_samples: int,
        bucket_samples: tuple[int, ...] = (),
        crop: str = "first",
        min_samples: int = 0,
        pad: str = "zero",
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        num_epochs: int = 1,
        groups: np.ndarray | None = None,
        pairs: Pairs | None = None,
        cut_labels: CutLabels | None = None,
        owner: np.ndarray | None = None,
        num_owners: int = 1,
    ) -> None:
        """Lay out the batches.

        Args:
            labels: int32 [N] of all clips, -1 = unknown.
            lengths: int64 [N], samples of each.
            batch_size: clips in a batch over all processes together.
            num_samples: length of the longest row at 16 kHz.
            bucket_samples: lengths that rows may have, ascending to `num_samples`: a clip comes in
                the shortest that holds it, see also `Balance`; () = all rows are the longest.
            crop: which part of a longer clip: "first", or "random" (another one each epoch).
            min_samples: least samples of crops whose length is drawn, up to what the clip has and
                the row holds, and whose place is drawn whatever `crop` is; 0 = not drawn.
            pad: how a shorter clip is filled: "zero" or "repeat".
            shuffle: whether each epoch has an order of its own; else it is the list's, and of
                buckets the longest come first.
            drop_last: whether short last batches are left out (other clips each epoch).
            seed: of orders and crops.
            num_epochs: after which the batches end.
            groups: of a `Balance`; None = each clip once.
            pairs: rows 2i and 2i + 1 of a batch are one of its pairs, cut at one place; None = no
                pairs.
            cut_labels: labels of crops; None = each has that of its clip.
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
        check_buckets(bucket_samples, num_samples)
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
        self._min_samples = min_samples
        self._shuffle = shuffle
        self._seed = seed
        self._owner = np.zeros(len(lengths), np.int64) if owner is None else np.asarray(owner)
        self._num_owners = 1 if owner is None else num_owners
        self._bounds = np.array(bucket_samples or (num_samples,), np.int64)
        self._bucket = np.searchsorted(self._bounds, np.minimum(self._lengths, num_samples))
        self._balance = None
        if groups is not None:
            self._balance = Balance(groups, self._owner, self._bucket, seed)
            self._bucket = self._balance.bucket
        self._cut_labels = cut_labels
        self._pairs = pairs
        if pairs is not None:
            _check_pairs(batch_size, len(self._bounds), groups, self._num_owners)
        self._epochs: dict[int, _Epoch] = {}
        self._lock = threading.Lock()
        self._batches = self._count_batches(drop_last)
        self.batches_per_epoch = int(self._batches.sum())

    def _count_batches(self, drop_last: bool) -> np.ndarray:
        """Return int64 [buckets], batches of each in an epoch."""
        clips = self._clips(0)  # as many of each bucket and owner as in any other epoch
        counts = np.zeros((len(self._bounds), self._num_owners), np.int64)
        np.add.at(counts, (self._bucket[clips], self._owner[clips]), 1)
        share = self.batch_size // self._num_owners
        # Owners of more clips than others set the length; the others' rows are then filler.
        batches = counts.min(axis=1) // share if drop_last else -(-counts.max(axis=1) // share)
        lost = (counts.sum(axis=1) > 0) & (batches == 0)
        if lost.any() or not batches.any():
            bucket = int(np.argmax(lost))
            which = f" of at most {self._bounds[bucket]} samples" if len(self._bounds) > 1 else ""
            raise ConfigError(
                f"config.train.drop_last leaves nothing of {counts[bucket].sum()} clips{which} in "
                f"batches of {self.batch_size}; use a smaller batch"
            )
        return batches

    def __len__(self) -> int:
        return self.batches_per_epoch * self.num_epochs

    def length(self, step: int) -> int:
        """Return the length of the rows of batch `step`, the same for every seed.

        Raises:
            IndexError: if there is no such batch.
        """
        epoch, batch = self._at(step)
        return int(epoch.length[batch])

    def rows(self, step: int) -> Rows:
        """Return the rows of batch `step`, of all processes.

        Raises:
            IndexError: if there is no such batch.
        """
        epoch, batch = self._at(step)
        draw, full = epoch.order[batch], epoch.length[batch]
        real = draw >= 0
        index = epoch.clip[draw]
        lengths = self._lengths[index]
        taken = np.minimum(lengths, full)
        if self._min_samples:
            least = np.minimum(taken, self._min_samples)
            taken = least + (epoch.crop_length[draw] * (taken - least + 1)).astype(np.int64)
        start = np.zeros(len(index), np.int64)
        if self._crop == "random" or self._min_samples:
            start = (epoch.crop_at[draw] * (lengths - taken + 1)).astype(np.int64)
        filled = full if self.pad == "repeat" else taken
        labels = np.where(real, self._labels[index], -1).astype(np.int32)
        if self._cut_labels is not None:
            labels = self._cut_labels(np.where(real, index, -1), start, taken)
        return Rows(
            np.where(real, index, -1),
            np.where(real, start, 0),
            np.where(real, taken, 0),
            np.where(real, filled, 0).astype(np.int32),
            labels,
            epoch.row_seed[draw],
        )

    def labels_by_clip(self) -> np.ndarray:
        """Return int32 [N], the label of each clip's row in the first epoch, -1 without a row."""
        labels = np.full(len(self._labels), -1, np.int32)
        for step in range(self.batches_per_epoch):
            rows = self.rows(step)
            real = rows.index >= 0
            labels[rows.index[real]] = rows.label[real]
        return labels

    def _at(self, step: int) -> tuple[_Epoch, int]:
        if not 0 <= step < len(self):
            raise IndexError(f"batch {step} of {len(self)}")
        number, batch = divmod(int(step), self.batches_per_epoch)
        with self._lock:
            if number not in self._epochs:
                # Threads that read ahead are in at most two epochs at once.
                self._epochs = {n: e for n, e in self._epochs.items() if n == number - 1}
                self._epochs[number] = self._draw(number)
            return self._epochs[number], batch

    def _clips(self, number: int) -> np.ndarray:
        if self._pairs is not None:
            return self._pairs.clips(number)
        if self._balance is not None:
            return self._balance.clips(number)
        return np.arange(len(self._lengths))

    def _draw(self, number: int) -> _Epoch:
        clip = self._clips(number)
        generator = np.random.default_rng([self._seed, number])
        together = 1 if self._pairs is None else 2  # draws that keep together and share all chance
        count = len(clip) // together
        permutation = generator.permutation(count)
        order = permutation if self._shuffle else np.arange(count)
        crop_at, crop_length = generator.random(count), generator.random(count)
        row_seed = generator.integers(2**64, size=count, dtype=np.uint64)
        if together > 1:
            order = (order[:, None] * together + np.arange(together)).reshape(-1)
            crop_at, crop_length = crop_at.repeat(together), crop_length.repeat(together)
            row_seed = row_seed.repeat(together)
        buckets = range(len(self._bounds))[::-1]
        batches = np.concatenate([self._batches_of(bucket, order, clip) for bucket in buckets])
        length = np.repeat(self._bounds[::-1], self._batches[::-1])
        if self._shuffle and len(buckets) > 1:
            shuffler = np.random.default_rng([number, 0, _SEQUENCE_STREAM])
            sequence = shuffler.permutation(len(batches))
            batches, length = batches[sequence], length[sequence]
        return _Epoch(batches, length, clip, crop_at, crop_length, row_seed)

    def _batches_of(self, bucket: int, order: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """Return int64 [batches, batch_size] of draws, -1 = filler."""
        count, share = int(self._batches[bucket]), self.batch_size // self._num_owners
        rows = np.full((count, self._num_owners, share), -1, np.int64)
        order = order[self._bucket[clip[order]] == bucket]
        for owner in range(self._num_owners):
            own = order[self._owner[clip[order]] == owner][: count * share]
            filled = np.full(count * share, -1, np.int64)
            filled[: len(own)] = own
            rows[:, owner] = filled.reshape(count, share)
        return rows.reshape(count, self.batch_size)


def _check_pairs(
    batch_size: int, num_buckets: int, groups: np.ndarray | None, num_owners: int
) -> None:
    if batch_size % 2:
        raise ConfigError(f"batch_size is {batch_size}; it must be even with config.data.pairs")
    for name, is_set in (
        ("bucket_samples", num_buckets > 1),
        ("balance", groups is not None),
        ("divide_clips", num_owners > 1),
    ):
        if is_set:
            raise ConfigError(f"config.data.pairs: config.data.{name} must not be set beside it")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"{name} is {value}; it must be at least {least}")
