"""Clips as they are scored: windows of many in one batch, folded back; the unjudgeable named."""

from dataclasses import replace

import numpy as np
import pytest

from rawnet_jax.config import Config, EvalConfig
from rawnet_jax.data.loader import BatchSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.data.window_plan import WindowedClips, window_starts
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label
from rawnet_jax.scoring.gate import Reason
from rawnet_jax.scoring.judged import GatedClips, ScoringPlan
from rawnet_jax.scoring.windows import aggregate

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


def scored(plan, batch_size=3):
    """Read all batches, out of order; the score of a row is the sum of its samples."""
    source = BatchSource(plan.source, batch_size=batch_size, num_samples=plan.num_samples)
    scores = np.full(len(plan.source), np.nan, np.float32)
    for step in reversed(range(len(source))):
        batch = source[step]
        assert batch["waveform"].shape == (batch_size, plan.num_samples)
        real = batch["index"] >= 0
        scores[batch["index"][real]] = batch["waveform"].sum(axis=1)[real]
    assert not np.isnan(scores).any()
    return plan.fold(scores, lambda table: [table])


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
    plan = ScoringPlan(clips, make_config(how))
    score, findings = scored(plan)
    np.testing.assert_allclose(score, by_hand(clips, how), atol=1e-3)
    assert score.dtype == np.float32
    assert findings.num_windows == 1 + 4 + 1 + 2 + 7
    assert findings.num_windows_skipped == 0
    assert findings.unjudged == ()


def test_window_and_hop_come_from_the_config():
    clips = Clips()
    config = make_config("mean", window_samples=3_000)
    plan = ScoringPlan(clips, config)
    assert plan.num_samples == 3_000
    np.testing.assert_allclose(
        scored(plan)[0], by_hand(clips, "mean", window=3_000, hop=1_500), atol=1e-3
    )
    config.eval.window_hop = 1.5
    with pytest.raises(ConfigError, match="window_hop"):
        ScoringPlan(clips, config)


def test_without_an_aggregate_the_first_part_is_scored_as_published():
    clips = Clips(silent=[(3, 0, 4_001)])
    score, findings = scored(ScoringPlan(clips, make_config()))
    expected = [np.float32(w[:4_000] / 32_768).sum(dtype=np.float32) for w in clips.waveforms]
    np.testing.assert_allclose(score, expected, atol=1e-3)
    assert clips.num_read == len(clips)
    [row] = findings.unjudged
    assert row == (3, Reason.DIGITAL_SILENCE, 0.0, 0.0)
    assert (findings.num_windows, findings.num_windows_skipped) == (5, 0)


def test_what_is_not_scored_is_not_looked_at():
    """Speech after the part that the network hears does not save a clip."""
    clips = Clips(silent=[(1, 0, 4_000), (4, 4_000, 14_500)])
    _, findings = scored(ScoringPlan(clips, make_config()))
    assert [row.position for row in findings.unjudged] == [1]


def test_windows_that_cannot_be_judged_have_no_say():
    silent = [(1, 0, 4_000), (3, 0, 4_001), (4, 4_000, 10_000)]
    clips = Clips(silent=silent)
    score, findings = scored(ScoringPlan(clips, make_config("mean")))
    skip = {(1, 0), (4, 4_000), (4, 6_000)}
    np.testing.assert_allclose(score, by_hand(clips, "mean", skip=skip), atol=1e-3)
    assert findings.num_windows_skipped == len(skip)
    assert [row[:2] for row in findings.unjudged] == [(3, Reason.DIGITAL_SILENCE)]


def test_a_gate_that_is_off_sees_nothing():
    clips = Clips(silent=[(1, 0, 4_000), (3, 0, 4_001)])
    config = make_config("mean")
    config.gate = replace(config.gate, enabled=False)
    score, findings = scored(ScoringPlan(clips, config))
    np.testing.assert_allclose(score, by_hand(clips, "mean"), atol=1e-3)
    assert findings.unjudged == ()
    assert findings.num_windows_skipped == 0


def test_processes_tell_each_other():
    """Each process reads some of the rows; all of them fold the same."""
    clips = Clips(silent=[(1, 0, 9_000), (2, 0, 4_000), (4, 0, 14_500)])
    plans = [ScoringPlan(clips, make_config("max_spoof")) for _ in range(2)]
    for position in range(len(plans[0].source)):
        plans[position % 2].source.waveform(position)
    scores = np.arange(len(plans[0].source), dtype=np.float32)
    tables = [plan.source.table() for plan in plans if isinstance(plan.source, GatedClips)]
    assert all(len(table) for table in tables)
    folded = [plan.fold(scores, lambda _: tables) for plan in plans]
    assert folded[0][1] == folded[1][1]
    assert [row.position for row in folded[0][1].unjudged] == [1, 2, 4]
    assert {row.limit for row in folded[0][1].unjudged} == {0.0}


def test_owners_of_windows_are_those_of_clips():
    clips = Clips()
    assert WindowedClips(clips, 4_000, 2_000).owner is None
    clips.owner = np.array([0, 1, 0, 1, 1])
    windows = WindowedClips(clips, 4_000, 2_000)
    assert windows.owner is not None
    assert windows.owner.tolist() == [0, 1, 1, 1, 1, 0, 1, 1, *[1] * 7]
    assert [t.utterance_id for t in windows.trials] == [f"U{c}" for c in windows.clip]
