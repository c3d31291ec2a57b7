"""Divided clips: every process knows all, reads its own, and they agree on positions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rawnet_jax.config_file import load_config
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.divided_cache import DividedCache, Share, open_divided
from rawnet_jax.data.partitions import load_scoring_cache
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError


@dataclass
class Own:
    """A process's cache: numbers of its clips in its list, and their lengths."""

    clip_numbers: np.ndarray
    num_samples: np.ndarray
    skipped_reasons = ()

    def waveform(self, position: int) -> np.ndarray:
        return np.full(self.num_samples[position], position, np.int16)


@dataclass(frozen=True)
class Numbered:
    trial: int


def test_positions_are_those_of_the_undivided_list():
    """Seven clips, two processes; clip 3, the second of process 1, cannot be used."""
    clips: Any = [Numbered(n) for n in range(7)]
    parts = [
        np.array([[0, 10], [2, 12], [4, 14], [6, 16]]),
        np.array([[1, 11], [5, 15]]),
    ]
    owns: Any = [
        Own(np.arange(4), np.array([10, 12, 14, 16])),
        Own(np.array([0, 2]), np.array([11, 15])),
    ]
    for index, own in enumerate(owns):
        sent: list[np.ndarray] = []

        def gather(table, sent=sent):
            sent.append(table)
            return parts

        cache = DividedCache(clips, own, Share(index, 2, gather))
        np.testing.assert_array_equal(sent[0], parts[index])
        assert list(map(str, cache.trials)) == list("012456")
        assert cache.num_samples.tolist() == [10, 11, 12, 14, 15, 16]
        assert cache.owner.tolist() == [0, 1, 0, 0, 1, 0]
        for position in range(6):
            if cache.owner[position] == index:
                assert len(cache.waveform(position)) == cache.num_samples[position]
            else:
                with pytest.raises(IndexError, match="belongs to process"):
                    cache.waveform(position)


def keep(tables: list[np.ndarray], table: np.ndarray) -> list[np.ndarray]:
    tables.append(table)
    return [table]


def test_two_shares_of_a_corpus_are_the_whole(tiny_config, tmp_path):
    config = load_config(str(tiny_config), [f"--config.data.cache_dir={tmp_path}"]).data
    clips = load_partition(config, "eval", ProblemLedger(config.problems))
    whole = load_scoring_cache(config, "eval", progress=False)
    tables: list[np.ndarray] = []
    for index in range(2):  # the exchange, one process after the other
        share = Share(index, 2, lambda table: keep(tables, table))
        open_divided(clips, config, ProblemLedger(config.problems), share, progress=False)
    for index in range(2):
        share = Share(index, 2, lambda _: tables)
        cache = open_divided(clips, config, ProblemLedger(config.problems), share, progress=False)
        assert cache.trials == whole.trials
        for position in np.flatnonzero(cache.owner == index).tolist():
            np.testing.assert_array_equal(cache.waveform(position), whole.waveform(position))


def test_more_processes_than_clips(tiny_config):
    config = load_config(str(tiny_config)).data
    clips = load_partition(config, "eval", ProblemLedger(config.problems))
    share = Share(0, 20, lambda table: [table])
    with pytest.raises(DataError, match="19 clips cannot be divided among 20 processes"):
        open_divided(clips, config, ProblemLedger(config.problems), share, progress=False)
