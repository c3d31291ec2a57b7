"""From a config to the caches that training and evaluation read."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rawnet_jax.config import DataConfig
from rawnet_jax.data.balance import group_numbers
from rawnet_jax.data.cache import Cache, open_or_build
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.divided_cache import ALONE, DividedCache, Share, open_divided
from rawnet_jax.data.pairs import Pairs, source_positions
from rawnet_jax.data.splits import load_train_and_dev
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label

_LOG = logging.getLogger(__name__)


Clips = Cache | DividedCache


def load_training_caches(
    config: DataConfig, progress: bool, share: Share = ALONE
) -> tuple[Clips, Clips]:
    """Open, or decode, the train and dev clips.

    Args:
        config: which corpus, and how it is split.
        progress: whether to draw progress bars.
        share: of this process, for ``config.divide_clips``.

    Returns:
        ``(train, dev)``.

    Raises:
        DataError: if either is empty or lacks a class, or the corpus has a fatal problem.
    """
    ledger = ProblemLedger(config.problems)
    # Known before hours of decoding, and looked at again after it, which may leave clips out.
    train_clips, dev_clips = training_clips(config, ledger)
    train = _open(train_clips, config, ledger, progress, share)
    dev = _open(dev_clips, config, ledger, progress, share)
    _warn(ledger)
    require_trainable(train.trials, dev.trials, config)
    return train, dev


def training_clips(config: DataConfig, ledger: ProblemLedger) -> tuple[list[Clip], list[Clip]]:
    """Return the clips to train and to select on, before anything is decoded.

    Raises:
        ConfigError: the train clips lack what ``config.balance`` or ``pairs`` goes by.
        DataError: there are none, a class is lacking, or what the ledger raises.
    """
    train, dev = load_train_and_dev(config, ledger)
    require_trainable([clip.trial for clip in train], [clip.trial for clip in dev], config)
    return train, dev


def require_trainable(train: Sequence[Trial], dev: Sequence[Trial], config: DataConfig) -> None:
    """Check that a network can be trained and selected on these trials.

    Raises:
        ConfigError: the train clips lack what ``config.balance`` or ``pairs`` goes by.
        DataError: a class is lacking.
    """
    _require_both_classes(train, "train", config)
    _require_both_classes(dev, "dev", config)
    if config.balance:
        group_numbers(train, config.balance)
    if config.pairs:
        Pairs(train, source_positions(train, config.pairs), config.unpaired_share, seed=0)


def load_scoring_cache(
    config: DataConfig, partition: str, progress: bool, share: Share = ALONE
) -> Clips:
    """Open, or decode, the clips of a partition to be scored.

    Args:
        config: which corpus. A dev partition is the one that training selected on.
        partition: ``train``, ``dev`` or ``eval``.
        progress: whether to draw progress bars.
        share: of this process, for ``config.divide_clips``.

    Raises:
        DataError: if it is empty or the corpus has a fatal problem.
    """
    if partition == "eval":
        return load_listed_cache(config, partition, progress, share)
    ledger = ProblemLedger(config.problems)
    clips = load_train_and_dev(config, ledger)[partition == "dev"]
    return _opened(clips, config, partition, ledger, progress, share)


def load_listed_cache(
    config: DataConfig, partition: str, progress: bool, share: Share = ALONE
) -> Clips:
    """Open, or decode, the clips of a partition as the corpus lists it, whatever is held out.

    Args and errors are those of `load_scoring_cache`.
    """
    ledger = ProblemLedger(config.problems)
    clips = load_partition(config, partition, ledger)
    return _opened(clips, config, partition, ledger, progress, share)


def load_drawn_cache(
    config: DataConfig, per_class: int, progress: bool, share: Share = ALONE
) -> Clips:
    """Open, or decode, at most so many train clips of each class, drawn by ``config.split_seed``.

    Other args and errors are those of `load_scoring_cache`; of the other clips no file is read.
    """
    ledger = ProblemLedger(config.problems)
    clips, _ = load_train_and_dev(config, ledger)
    order = np.random.default_rng(config.split_seed).permutation(len(clips)).tolist()
    drawn: list[int] = []
    for label in Label:
        drawn += [number for number in order if clips[number].trial.label == label][:per_class]
    return _opened([clips[n] for n in sorted(drawn)], config, "train", ledger, progress, share)


def _opened(
    clips: Sequence[Clip],
    config: DataConfig,
    partition: str,
    ledger: ProblemLedger,
    progress: bool,
    share: Share,
) -> Clips:
    cache = _open(clips, config, ledger, progress, share)
    _warn(ledger)
    if not len(cache):
        raise DataError(f"{config.root}: partition {partition} has no usable clip")
    return cache


def _open(
    clips: Sequence[Clip],
    config: DataConfig,
    ledger: ProblemLedger,
    progress: bool,
    share: Share,
) -> Clips:
    if config.divide_clips and share.count > 1:
        return open_divided(clips, config, ledger, share, progress=progress)
    return open_or_build(clips, config, ledger, progress=progress)


def _warn(ledger: ProblemLedger) -> None:
    if ledger.counts:
        _LOG.warning("left out or passed over: %s", ", ".join(ledger.summary()))


def _require_both_classes(trials: Sequence[Trial], partition: str, config: DataConfig) -> None:
    counts = Counter(trial.label for trial in trials)
    if not counts[Label.BONAFIDE] or not counts[Label.SPOOF]:
        raise DataError(
            f"{config.root}: partition {partition} has {counts[Label.BONAFIDE]} bona fide and "
            f"{counts[Label.SPOOF]} spoof clips; training needs at least one of each"
        )
