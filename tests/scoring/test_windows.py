"""Windows over a stream are those of the whole waveform, in memory that does not grow."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import Samples, read_waveform, waveform_blocks
from rawnet_jax.errors import ConfigError, MetricError
from rawnet_jax.scoring.file_scorer import Rows, score_files
from rawnet_jax.scoring.file_windows import Reading
from rawnet_jax.scoring.windows import WindowCutter, aggregate, hop_samples
from tests.scoring.slow_windows import window_starts

NOISE = (0.1 * np.random.default_rng(0).standard_normal(4_000)).astype(np.float32)


def weighted(waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
    """Score batches so that every sample, its place and the length count."""
    place = np.arange(1, waveform.shape[1] + 1)
    return waveform @ place + 1e-3 * num_samples


def offline(waveform, window, hop, pad="zero"):
    """Start, end and score of every window of a whole waveform, one at a time."""
    rows = []
    for start in window_starts(len(waveform), window, hop).tolist():
        part = waveform[start : start + window]
        num_samples = window if pad == "repeat" else len(part)
        if len(part) < window:
            part = np.resize(part, window) if pad == "repeat" else np.resize(
                np.append(part, np.zeros(window, np.float32)), window)  # fmt: skip
        score = weighted(part[None], np.array([num_samples]))[0]
        rows.append((start, min(start + window, len(waveform)), score))
    return np.array(rows).T


@pytest.mark.parametrize(
    ("num_samples", "window", "hop", "starts"),
    [
        (10, 4, 2, [0, 2, 4, 6]),
        (11, 4, 2, [0, 2, 4, 6, 7]),
        (10, 4, 4, [0, 4, 6]),
        (4, 4, 2, [0]),
        (5, 4, 4, [0, 1]),
        (3, 4, 2, [0]),
        (1, 4, 1, [0]),
    ],
)
def test_starts_reach_the_end_and_never_beyond(num_samples, window, hop, starts):
    assert window_starts(num_samples, window, hop).tolist() == starts


def test_hop_is_a_part_of_a_window():
    assert [hop_samples(9, hop) for hop in (1.0, 0.5, 0.01)] == [9, 4, 1]
    for hop in (0.0, 1.01, -1.0):
        with pytest.raises(ConfigError, match="window_hop"):
            hop_samples(9, hop)


def score_windows(blocks, score_batch, *, window, hop, batch_size, pad="zero", gate=None):
    """Score a recording through the pipeline; returns the scores of its windows."""
    waveform = np.concatenate([np.zeros(0, np.float32), *blocks])
    reading = Reading(window, hop, gate=gate or GateConfig(enabled=False))
    rows = Rows((window,), batch_size, pad, aggregation="mean")
    source = Samples(waveform, 16_000)
    [found] = score_files([("noise", source)], score_batch, reading, rows)
    return found.windows


@given(
    num_samples=st.integers(1, 90),
    window=st.integers(1, 20),
    hop=st.integers(1, 20),
    batch_size=st.integers(1, 5),
    pad=st.sampled_from(["zero", "repeat"]),
    seed=st.integers(0, 9),
)
def test_a_stream_gives_the_windows_of_the_whole(num_samples, window, hop, batch_size, pad, seed):
    hop = min(hop, window)
    waveform = NOISE[:num_samples]
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(0, num_samples + 1, rng.integers(0, 6)))
    shapes, num_rows = set(), []

    def score_batch(waveforms, lengths):
        shapes.add((waveforms.shape, lengths.shape, waveforms.dtype, lengths.dtype))
        assert not waveforms[lengths == 0].any()
        num_rows.append(np.count_nonzero(lengths))
        return weighted(waveforms, lengths)

    pieces = list(WindowCutter(np.split(waveform, cuts), window, hop))
    assert [first for first, _ in pieces] == window_starts(num_samples, window, hop).tolist()
    for first, piece in pieces:
        np.testing.assert_array_equal(piece, waveform[first : first + window])
    found = score_windows(
        [waveform],
        score_batch,
        window=window,
        hop=hop,
        batch_size=batch_size,
        pad=pad,
    )
    start, end, score = offline(waveform, window, hop, pad)
    np.testing.assert_allclose(found.start_s, start / 16_000)
    np.testing.assert_allclose(found.end_s, end / 16_000)
    np.testing.assert_allclose(found.score, score, rtol=1e-4, atol=1e-4)
    assert sum(num_rows) == len(found)
    np_types = (np.dtype(np.float32), np.dtype(np.int32))
    assert shapes == {((batch_size, window), (batch_size,), *np_types)}


def test_nothing_gives_no_window():
    found = score_windows([], weighted, window=4, hop=2, batch_size=2)
    assert len(found) == 0
    with pytest.raises(MetricError, match="no window can be judged"):
        found.aggregate("mean")


@pytest.mark.parametrize("sizes", [(4, 0), (4, 5)])
def test_sizes_without_sense_are_refused(sizes):
    with pytest.raises(ConfigError, match="a hop of at most a window"):
        Reading(window=sizes[0], hop=sizes[1])


def test_windows_that_cannot_be_judged_have_no_score():
    gate = GateConfig(speech="off")
    waveform = np.tile(NOISE, 4)
    waveform[4_000:8_000] = 0
    scored = []

    def count(waveforms, lengths):
        scored.append(int(np.count_nonzero(lengths)))
        return weighted(waveforms, lengths)

    found = score_windows([waveform], count, window=4_000, hop=2_000, batch_size=3, gate=gate)
    plain = score_windows([waveform], weighted, window=4_000, hop=2_000, batch_size=3)
    assert found.counted.tolist() == [True, True, False, True, True, True, True]
    assert plain.counted.all()
    assert scored == [3, 3]
    np.testing.assert_array_equal(found.score[found.counted], plain.score[found.counted])
    assert found.aggregate("max_spoof") == found.score[found.counted].min()


def test_aggregates():
    scores = np.array([5.0, -9.0, 1.0, 2.0, 3.0])
    assert aggregate(scores, "mean") == pytest.approx(0.4)
    assert aggregate(scores, "max_spoof") == -9
    assert aggregate(scores, "trimmed") == 2
    assert aggregate(scores[:4], "trimmed") == aggregate(scores[:4], "mean")
    for how in ("mean", "max_spoof", "trimmed"):
        assert aggregate(scores[:1], how) == 5
    with pytest.raises(ConfigError, match="one of mean, max_spoof, trimmed"):
        aggregate(scores, "median")


def test_an_hour_takes_no_more_memory_than_a_minute():
    def peak(seconds):
        source = Samples(np.repeat(np.arange(seconds, dtype=np.float32) / 4_096, 16_000), 16_000)
        reading = Reading(64_600, 32_300, audio=AudioConfig(max_duration_s=seconds))
        reading = replace(reading, gate=GateConfig(enabled=False))

        def score_batch(waveforms, lengths):
            return waveforms[:, 0] + 0 * lengths

        tracemalloc.start()
        rows = Rows((64_600,), 8, aggregation="mean")
        [found] = score_files([("long", source)], score_batch, reading, rows)
        bytes_used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found.windows, bytes_used

    (hour, in_hour), (_, in_minute) = peak(3_600), peak(60)
    assert len(hour) == len(window_starts(3_600 * 16_000, 64_600, 32_300))
    assert hour.end_s[-1] == 3_600
    assert hour.score[-1] == 3_595 / 4_096
    # Blocks and windows that wait are bounded; a minute does not fill all of that.
    assert in_hour < in_minute + 40e6 < 80e6


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000])
def test_a_file_in_pieces_is_the_file(tmp_path, rate, monkeypatch):
    monkeypatch.setattr("rawnet_jax.data.audio._BLOCK_VALUES", 5_000)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.tile(NOISE, (2, 12)).T, rate)
    blocks = list(waveform_blocks(path, AudioConfig()))
    whole = read_waveform(path, AudioConfig())
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    monkeypatch.undo()
    np.testing.assert_allclose(read_waveform(path, AudioConfig()), whole, atol=1e-6)
    found = score_windows(blocks, weighted, window=4_000, hop=2_000, batch_size=4)
    np.testing.assert_allclose(found.score, offline(whole, 4_000, 2_000)[2], rtol=1e-3, atol=1e-3)
