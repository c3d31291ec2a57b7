"""Which part of the training data is held out to select models on.

Eval is never touched here: what is held out comes from the train partition or is the official dev
partition.
"""

import logging
import math
from collections.abc import Sequence

import numpy as np

from rawnet_jax.config import DataConfig
from rawnet_jax.data.corpus import load_partition, present_partitions
from rawnet_jax.data.places import layout_of
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label

_LOG = logging.getLogger(__name__)

Split = tuple[np.ndarray, np.ndarray]

MIN_KNOWN_SPEAKERS = 0.95
"""Share of trials with a known speaker from which on a split by speakers is made."""

_NUM_ORDERS = 64  # random orders of speakers that are tried


def load_train_and_dev(config: DataConfig, ledger: ProblemLedger) -> tuple[list[Clip], list[Clip]]:
    """Return the clips to train on and the clips to select on, as ``config.dev_source`` says.

    ``official`` takes the dev partition. ``speaker_disjoint``, ``stratified`` and ``notebook`` take
    a part of the train partition, see `split_train`. ``auto`` is official where the corpus has a
    dev partition, else speaker_disjoint where speakers are known, else stratified.

    Raises:
        ConfigError: unknown corpus or dev_source.
        DataError: a partition is absent, lacks labels or a class, or cannot be split so; or what
            the ledger raises.
    """
    clips = load_partition(config, "train", ledger)
    trials = [clip.trial for clip in clips]
    _labels_of(trials, "the train partition")
    how = config.dev_source
    if how == "auto":
        how = "official" if _has_official_dev(config) else _best_split(trials)
    if how == "official":
        dev_clips = load_partition(config, "dev", ledger)
        # Training needs spoof too (`rawnet_jax.data.partitions`), a one-class threshold does not.
        _labels_of([clip.trial for clip in dev_clips], "the dev partition", (Label.BONAFIDE,))
        return clips, dev_clips
    train, dev = split_train(trials, how, config.dev_fraction, config.split_seed)
    _LOG.info("%s split of train: %d clips to train on, %d held out", how, len(train), len(dev))
    return [clips[i] for i in train], [clips[i] for i in dev]


def split_train(trials: Sequence[Trial], how: str, fraction: float, seed: int) -> Split:
    """Hold out a part of a list of trials.

    - ``speaker_disjoint``: no speaker is in both parts, and the share of bona fide and of spoofed
      trials that is held out is each as near to `fraction` as whole speakers allow. Trials without
      a speaker are trained on.
    - ``stratified``: both classes are held out in the same share, whoever speaks.
    - ``notebook``: what ``train_test_split(trials, test_size=fraction, random_state=seed)`` of
      scikit-learn holds out; with .2 and 42, the call of the notebook that this project grew from.
      That notebook listed its files with ``glob``, in the order of its own disk, so which trials
      it held out (311 bona fide, 292 spoof) cannot be known; in the order of the protocol, the
      same call holds out 321 and 282.

    Args:
        trials: in the order of the protocol, which ``notebook`` depends on.
        how: see above.
        fraction: share that is held out, above 0 and below 1.
        seed: the same seed gives the same split.

    Returns:
        Indices of the trials to train on and of those held out, int64, both ascending.

    Raises:
        ConfigError: unknown `how`, or a fraction out of bounds.
        DataError: a trial has no label, or one part would lack a class.
    """
    if how not in _SPLITS:
        known = ", ".join(("auto", "official", *_SPLITS))
        raise ConfigError(f"config.data.dev_source is {how!r}; it must be one of {known}")
    if not 0.0 < fraction < 1.0:
        raise ConfigError(f"config.data.dev_fraction is {fraction}; it must be between 0 and 1")
    labels = _labels_of(trials, "the train partition")
    train, dev = _SPLITS[how](trials, labels, fraction, seed)
    for part, name in ((train, "trained on"), (dev, "held out")):
        missing = {label for label in Label if label not in labels[part]}
        if missing:
            raise DataError(
                f"a {how} split of {len(trials)} trials leaves no {min(missing).key} trial to be "
                f"{name}; choose another config.data.dev_source, dev_fraction or split_seed"
            )
    return np.sort(train), np.sort(dev)


def _has_official_dev(config: DataConfig) -> bool:
    layout = layout_of(config)
    if layout.official and "dev" in layout.partitions:
        return True  # absent from disk, it is an error to name, not a reason to split train
    return "dev" in present_partitions(config)


def _best_split(trials: Sequence[Trial]) -> str:
    return "speaker_disjoint" if _share_with_speaker(trials) >= MIN_KNOWN_SPEAKERS else "stratified"


def _share_with_speaker(trials: Sequence[Trial]) -> float:
    return sum(trial.speaker_id is not None for trial in trials) / len(trials)


def _labels_of(
    trials: Sequence[Trial], what: str, wanted: Sequence[Label] = tuple(Label)
) -> np.ndarray:
    """Return int64 [num_trials]; refuse trials without label, and an absent class."""
    for trial in trials:
        if trial.label is None:
            raise DataError(f"{trial.source}: no label, but {what} needs one for every trial")
    labels = np.asarray([trial.label for trial in trials], dtype=np.int64)
    for label in wanted:
        if label not in labels:
            raise DataError(f"{what} has no {label.key} trial among its {len(labels)}")
    return labels


def _speaker_disjoint(
    trials: Sequence[Trial], labels: np.ndarray, fraction: float, seed: int
) -> Split:
    known = _share_with_speaker(trials)
    if known < MIN_KNOWN_SPEAKERS:
        raise DataError(
            f"only {known:.0%} of the train trials name a speaker, too few for a "
            "speaker_disjoint split; set config.data.dev_source=stratified"
        )
    names = sorted({trial.speaker_id for trial in trials if trial.speaker_id is not None})
    row_of = {name: row for row, name in enumerate(names)}
    rows = np.asarray([row_of.get(trial.speaker_id or "", -1) for trial in trials])
    counts = np.zeros((len(names), len(Label)))
    np.add.at(counts, (rows[rows >= 0], labels[rows >= 0]), 1)
    for label in Label:
        num_speakers = np.count_nonzero(counts[:, label])
        if num_speakers < 2:
            raise DataError(
                f"{num_speakers} of {len(names)} train speakers have {label.key} trials; a "
                "speaker_disjoint split needs 2 or more; set config.data.dev_source=stratified"
            )
    shares = counts / np.bincount(labels, minlength=len(Label))
    held_out = np.append(_choose_speakers(shares, fraction, seed), False)  # row -1: unknown
    is_dev = held_out[rows]
    return np.flatnonzero(~is_dev), np.flatnonzero(is_dev)


def _choose_speakers(shares: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Choose speakers so that the share held out of every class is near to a fraction.

    In a random order, each speaker is taken who brings the shares nearer; the best of several
    orders counts.

    Args:
        shares: [num_speakers, num_classes], part of the class that a speaker holds.
        fraction: target sum over the chosen, for every class.
        seed: of the orders.

    Returns:
        bool [num_speakers].
    """
    rng = np.random.default_rng(seed)
    best_cost, best = np.inf, np.zeros(len(shares), dtype=bool)
    for _ in range(_NUM_ORDERS):
        chosen = np.zeros(len(shares), dtype=bool)
        total = np.zeros(shares.shape[1])
        cost = _cost(total, fraction)
        for speaker in rng.permutation(len(shares)):
            with_speaker = total + shares[speaker]
            if (new_cost := _cost(with_speaker, fraction)) < cost:
                chosen[speaker], total, cost = True, with_speaker, new_cost
        if cost < best_cost:
            best_cost, best = cost, chosen
    return best


def _cost(held_out: np.ndarray, fraction: float) -> float:
    """Squared distance from the target shares; a class that one part lacks counts for more."""
    lacking = (held_out <= 0.0) | (held_out >= 1.0 - 1e-9)
    return float(np.sum((held_out - fraction) ** 2) + np.count_nonzero(lacking))


def _stratified(trials: Sequence[Trial], labels: np.ndarray, fraction: float, seed: int) -> Split:
    rarest = min(Label, key=lambda label: np.count_nonzero(labels == label))
    if np.count_nonzero(labels == rarest) < 2:
        raise DataError(
            f"{len(trials)} train trials cannot be split: there must be 2 or more {rarest.key} "
            "trials, or a dev list"
        )
    # Of few trials a fraction may be less than one of each class.
    size = max(math.ceil(fraction * len(trials)), len(Label))
    return _by_scikit_learn(trials, labels, size, seed)


def _notebook(
    trials: Sequence[Trial],
    labels: np.ndarray,  # noqa: ARG001 - the notebook did not look at them
    fraction: float,
    seed: int,
) -> Split:
    return _by_scikit_learn(trials, None, fraction, seed)


def _by_scikit_learn(
    trials: Sequence[Trial], stratify: np.ndarray | None, size: float, seed: int
) -> Split:
    # Only this function needs scikit-learn, which takes a second to import.
    from sklearn.model_selection import train_test_split

    try:
        train, dev = train_test_split(
            np.arange(len(trials)), test_size=size, random_state=seed, stratify=stratify
        )
    except ValueError as error:
        raise DataError(f"{len(trials)} train trials cannot be split: {error}") from error
    return train, dev


_SPLITS = {
    "speaker_disjoint": _speaker_disjoint,
    "stratified": _stratified,
    "notebook": _notebook,
}
