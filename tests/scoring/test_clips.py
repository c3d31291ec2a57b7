"""Lists of clips: windows of many in one batch, one score per clip; what is refused is named."""

from dataclasses import replace

import numpy as np
import pytest

from rawnet_jax.config import Config, EvalConfig
from rawnet_jax.data.divided_cache import Share
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label
from rawnet_jax.scoring.clips import score_clips
from rawnet_jax.scoring.gate import Reason
from rawnet_jax.scoring.recordings import recipe_of
from rawnet_jax.scoring.windows import aggregate
from tests.scoring.slow_windows import window_starts

LENGTHS = [2_000, 9_000, 4_000, 4_001, 14_500]


class Clips:
    """Noise of several lengths; sample 0 of a window tells it apart."""

    def __init__(self, lengths=LENGTHS, silent=()):
        rng = np.random.default_rng(1)
        self.waveforms = [rng.integers(-9_000, 9_000, n).astype(np.int16) for n in lengths]
        for clip, start, end in silent:
            self.waveforms[clip][start:end] = 0
        self.trials = [Trial(f"U{i}", Label(i % 2), f"U{i}") for i in range(len(lengths))]
        self.num_samples = np.array(lengths, np.int64)
        self.num_read = 0
        self.owner: np.ndarray | None = None

    def __len__(self):
        return len(self.trials)

    def waveform(self, position):
        self.num_read += 1
        return self.waveforms[position]


def make_config(how="", **fields):
    config = Config()
    config.data.num_samples = 4_000
    config.eval = EvalConfig(aggregate=how, window_hop=0.5, **fields)
    return config


def sums(waveform, num_samples):
    """The score of a row is the sum of its samples."""
    return np.where(num_samples > 0, waveform.sum(axis=1), np.nan).astype(np.float32)


def scored(clips, config, batch_size=3, score_batch=sums, **more):
    return score_clips(clips, score_batch, recipe_of(config), batch_size=batch_size, **more)


def by_hand(clips, how, window=4_000, hop=2_000, skip=()):
    totals = []
    for clip, waveform in enumerate(clips.waveforms):
        parts = [
            np.float32(waveform[start : start + window] / 32_768).sum(dtype=np.float32)
            for start in window_starts(len(waveform), window, hop)
            if (clip, start) not in skip
        ]
        totals.append(aggregate(np.array(parts), how))
    return np.array(totals)


@pytest.mark.parametrize("how", ["mean", "max_spoof", "trimmed"])
def test_windows_are_folded_by_clip(how):
    clips = Clips()
    found = scored(clips, make_config(how))
    np.testing.assert_allclose(found.score, by_hand(clips, how), atol=1e-3)
    assert found.score.dtype == np.float32
    assert found.num_windows == 1 + 4 + 1 + 2 + 7
    assert found.num_windows_skipped == 0
    assert found.refused == ()


def test_window_and_hop_come_from_the_config():
    clips = Clips()
    config = make_config("mean", window_samples=3_000)
    found = scored(clips, config)
    by_3_000 = by_hand(clips, "mean", window=3_000, hop=1_500)
    np.testing.assert_allclose(found.score, by_3_000, atol=1e-3)
    config.eval.window_hop = 1.5
    with pytest.raises(ConfigError, match="window_hop"):
        scored(clips, config)


def test_without_an_aggregate_the_first_part_is_scored_as_published():
    clips = Clips(silent=[(3, 0, 4_001)])
    found = scored(clips, make_config())
    expected = [np.float32(w[:4_000] / 32_768).sum(dtype=np.float32) for w in clips.waveforms]
    np.testing.assert_allclose(found.score, expected, atol=1e-3)
    assert clips.num_read == len(clips)
    [row] = found.refused
    assert row == (3, Reason.DIGITAL_SILENCE, 0.0, 0.0)
    assert (found.num_windows, found.num_windows_skipped) == (5, 0)


def test_what_is_not_scored_is_not_looked_at():
    """Speech after the part that the network hears does not save a clip."""
    clips = Clips(silent=[(1, 0, 4_000), (4, 4_000, 14_500)])
    found = scored(clips, make_config())
    assert [row.position for row in found.refused] == [1]


def test_windows_that_cannot_be_judged_have_no_say():
    silent = [(1, 0, 4_000), (3, 0, 4_001), (4, 4_000, 10_000)]
    clips = Clips(silent=silent)
    found = scored(clips, make_config("mean"))
    skip = {(1, 0), (4, 4_000), (4, 6_000)}
    np.testing.assert_allclose(found.score, by_hand(clips, "mean", skip=skip), atol=1e-3)
    assert found.num_windows_skipped == len(skip)
    assert [row[:2] for row in found.refused] == [(3, Reason.DIGITAL_SILENCE)]


def test_a_gate_that_is_off_sees_nothing():
    clips = Clips(silent=[(1, 0, 4_000), (3, 0, 4_001)])
    config = make_config("mean")
    config.gate = replace(config.gate, enabled=False)
    found = scored(clips, config)
    np.testing.assert_allclose(found.score, by_hand(clips, "mean"), atol=1e-3)
    assert found.refused == ()
    assert found.num_windows_skipped == 0


@pytest.mark.parametrize("owner", [None, [0, 1, 0, 1, 1]])
def test_processes_tell_each_other(owner):
    """Each process scores some of the clips; all of them know all scores."""
    clips = Clips(silent=[(1, 0, 9_000), (2, 0, 4_000), (4, 0, 14_500)])
    alone = scored(clips, make_config("max_spoof"))
    clips.owner = None if owner is None else np.array(owner)
    tables: list[np.ndarray] = []

    def own(table):
        tables.append(table)
        return [table]

    for index in (0, 1):
        clips.num_read = 0
        scored(clips, make_config("max_spoof"), share=Share(index, 2, own))
        assert clips.num_read == (owner or [0, 1, 0, 1, 0]).count(index)
    for index in (0, 1):
        share = Share(index, 2, lambda _: tables)
        found = scored(clips, make_config("max_spoof"), share=share)
        np.testing.assert_array_equal(found.score, alone.score)
        assert found.refused == alone.refused
        assert [row.position for row in found.refused] == [1, 2, 4]
        assert {row.limit for row in found.refused} == {0.0}


def test_a_window_goes_into_the_shortest_row_that_holds_it():
    """As in training and at every evaluation since; each length is a program of its own."""
    shapes = []

    def look(waveform, num_samples):
        shapes.append((waveform.shape, num_samples.tolist()))
        return sums(waveform, num_samples)

    config = make_config("mean", window_samples=3_000)
    config.data.bucket_samples = (1_000, 2_500, 4_000)
    for pad, short in (("zero", 2_000), ("repeat", 2_500)):
        shapes.clear()
        config.data.pad = pad
        scored(Clips([2_000, 3_000]), config, 1, look)
        assert sorted(shapes) == [((1, 2_500), [short]), ((1, 3_000), [3_000])]


def test_a_score_that_is_not_finite_is_not_passed_over():
    """A window's NaN is a defect of the network, not something that the gate refused."""

    def broken(waveform, num_samples):
        return np.where(np.arange(len(waveform)) == 1, np.nan, sums(waveform, num_samples))

    found = scored(Clips([9_000]), make_config("mean"), 4, broken)
    assert np.isnan(found.score).all()
    assert found.refused == ()
