"""Segment measures against slow second implementations on a fine grid."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.data.segments import (
    Segment,
    frames_to_segments,
    segments_of,
    segments_to_frames,
    text_of,
)
from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.spans import (
    all_time,
    detection_at,
    frame_scores,
    pieces_of,
    range_eer,
    weighed_time,
)

GRID_S = 0.01  # all times below are multiples of it
LENGTH = 60


@st.composite
def _recordings(draw):
    """Draw windows (start, end, score) and fake spans, in steps of the grid."""
    windows = draw(
        st.lists(
            st.tuples(st.integers(0, LENGTH - 2), st.integers(1, 20), st.integers(-3, 3)),
            min_size=1,
            max_size=8,
        )
    )
    bounds = sorted(draw(st.sets(st.integers(0, LENGTH), min_size=2, max_size=6)))
    fake = list(zip(bounds[::2], bounds[1::2], strict=False))
    return [(a, min(a + n, LENGTH), float(s)) for a, n, s in windows], fake


def _score_of_steps(windows) -> list[float]:
    """Return the score of each step of the grid; NaN where there is none."""
    found = []
    for step in range(LENGTH):
        over = [score for start, end, score in windows if start <= step < end]
        found.append(sum(over) / len(over) if over else math.nan)
    return found


def _pieces(windows):
    start, end, score = (np.array(column, np.float64) for column in zip(*windows, strict=True))
    return pieces_of(start * GRID_S, end * GRID_S, score)


@given(_recordings(), st.sampled_from([1, 2, 4, 8, 16]))
def test_scores_of_frames(recording, frame) -> None:
    windows, _ = recording
    steps = _score_of_steps(windows)
    wanted = []
    for first in range(0, LENGTH, frame):
        known = [s for s in steps[first : first + frame] if not math.isnan(s)]
        wanted.append(min(known) if known else math.nan)
    found = frame_scores(_pieces(windows), frame * GRID_S, math.ceil(LENGTH / frame))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@given(st.lists(_recordings(), min_size=1, max_size=3))
@settings(max_examples=60)
def test_time_is_counted_as_on_a_grid(recordings) -> None:
    rows = []  # of every step with a score: score, whether it is fake
    parts = []
    for windows, fake in recordings:
        for step, score in enumerate(_score_of_steps(windows)):
            if not math.isnan(score):
                rows.append((round(score, 9), any(a <= step < b for a, b in fake)))
        parts.append(weighed_time(_pieces(windows), [(a * GRID_S, b * GRID_S) for a, b in fake]))
    bonafide = [score for score, is_fake in rows if not is_fake]
    spoof = [score for score, is_fake in rows if is_fake]
    if not bonafide or not spoof:
        with pytest.raises(MetricError, match="time with a score"):
            all_time(parts)
        return
    time = all_time(parts)
    best = (math.inf, math.nan)
    for threshold in [*sorted({score for score, _ in rows}), math.inf]:
        frr = sum(score < threshold for score in bonafide) / len(bonafide)
        far = sum(score >= threshold for score in spoof) / len(spoof)
        if abs(frr - far) < best[0] - 1e-9:
            best = abs(frr - far), (frr + far) / 2
    found = range_eer(time)
    assert abs(found.frr - found.far) == pytest.approx(best[0], abs=1e-9)
    if abs(found.eer - best[1]) > 1e-9:  # two points are as near
        frr = sum(score < found.threshold - 1e-9 for score in bonafide) / len(bonafide)
        assert frr == pytest.approx(found.frr, abs=1e-9)
    threshold = rows[0][0] + 1e-6
    at = detection_at(time, threshold)
    called = [is_fake for score, is_fake in rows if score < threshold]
    assert at.recall == pytest.approx(sum(called) / len(spoof))
    if called:
        assert at.precision == pytest.approx(sum(called) / len(called))
    else:
        assert at.precision is None
        assert at.f1 == 0


@given(
    st.lists(st.integers(0, 1), min_size=1, max_size=40),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
)
def test_a_coarse_frame_with_any_fake_in_it_is_fake(labels, times) -> None:
    fine = np.array(labels)
    segments = frames_to_segments(fine, 0.02)
    assert segments_of(text_of(segments)) == segments
    assert segments_to_frames(segments, 0.02, 0.02 * len(labels)).tolist() == labels
    coarse = segments_to_frames(segments, 0.02 * times, 0.02 * len(labels))
    wanted = [min(labels[at : at + times]) for at in range(0, len(labels), times)]
    assert coarse.tolist() == wanted


@pytest.mark.parametrize(
    "text", ["0-1.5-bonafide 1.5-2-spoof", "0-1.5-T/1.5-2-F", "0.0-1.5-real; 1.5-2.0-Fake"]
)
def test_forms_of_segments(text) -> None:
    wanted = (Segment(0.0, 1.5, Label.BONAFIDE), Segment(1.5, 2.0, Label.SPOOF))
    assert segments_of(text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0-1-maybe", "must be start-end-key"),
        ("1-spoof", "must be start-end-key"),
        ("1-1-spoof", "ends before it begins"),
        ("0-1-spoof 0.5-2-bonafide", "begins before the last one ends"),
    ],
)
def test_segments_that_cannot_be_are_named(text, words) -> None:
    with pytest.raises(DataError, match=words):
        segments_of(text)


def test_windows_without_a_score_cover_nothing() -> None:
    pieces = pieces_of([0.0, 1.0, 1.5], [1.0, 2.0, 2.5], [1.0, np.nan, 3.0])
    assert pieces.start_s.tolist() == [0.0, 1.5]
    assert pieces.end_s.tolist() == [1.0, 2.5]
    assert np.isnan(frame_scores(pieces, 0.25, 10)[[4, 5]]).all()
    with pytest.raises(MetricError, match="ends before it begins"):
        pieces_of([1.0], [1.0], [0.0])
