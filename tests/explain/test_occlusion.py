"""Occlusion finds the one part that a known score listens to, and nothing else."""

import numpy as np
import pytest

from rawnet_jax.explain.occlusion import occlude
from tests.explain.known import BASELINE, PARTS, WAVEFORM, energy, in_band, in_span, linear

SPAN = 800  # samples of each of the five


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_one_span_that_counts_is_found(sign):
    """A score that hears samples 2,000 to 2,200, inside the third span."""
    found = occlude(WAVEFORM, BASELINE, PARTS, energy(in_span(2_000, 2_200), sign).score)
    assert np.sign(found.spans[2]) == sign
    assert (np.delete(found.spans, 2) == 0).all()
    assert found.spans[2] == pytest.approx(found.score - found.baseline_score, rel=1e-6)
    assert found.grid is not None
    assert (np.delete(found.grid, 2, axis=0) == 0).all()


def test_the_one_band_that_counts_is_found():
    found = occlude(WAVEFORM, BASELINE, PARTS, energy(in_band(2_200, 2_800)).score)
    assert found.bands.argmax() == 2
    assert np.abs(np.delete(found.bands, 2)).max() < 0.01 * found.bands[2]
    # Little of it is in any one span, but as much in each.
    assert found.grid is not None
    assert (found.grid.argmax(axis=1) == 2).all()


def test_a_cell_of_the_grid_is_found():
    """A tone in one span: a score that hears its frequency names its time too."""
    inside = slice(3 * SPAN + 100, 4 * SPAN - 100)
    tone = np.zeros_like(WAVEFORM)
    tone[inside] = np.sin(2 * np.pi * 3_500 * np.arange(SPAN - 200) / 16_000) * np.hanning(600)
    quiet = np.zeros_like(tone)
    found = occlude(tone, quiet, PARTS, energy(in_band(3_000, 4_000), -1).score)
    assert found.grid is not None
    assert found.grid.argmin() == 3 * 5 + 3
    assert np.abs(np.delete(found.grid.ravel(), 3 * 5 + 3)).max() < 0.01 * -found.grid[3, 3]


def test_occluding_nothing_changes_nothing():
    found = occlude(WAVEFORM, WAVEFORM, PARTS, energy(in_span(0, 4_000)).score)
    assert found.score == found.baseline_score
    assert found.grid is not None
    for changes in (found.spans, found.bands, found.grid):
        assert (changes == 0).all()


def test_of_a_linear_score_the_parts_sum_to_the_whole():
    """And every cell is what the same part of the waveform scores."""
    known = linear(np.random.default_rng(4).standard_normal(len(WAVEFORM)))
    found = occlude(WAVEFORM, BASELINE, PARTS, known.score)
    assert found.grid is not None
    for changes in (found.spans, found.bands, found.grid):
        assert changes.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-4)
    np.testing.assert_allclose(found.grid.sum(axis=0), found.bands, atol=1e-4)
    np.testing.assert_allclose(found.grid.sum(axis=1), found.spans, atol=1e-4)
    assert np.abs(found.spans).min() > 0.01


@pytest.mark.parametrize(("grid", "count"), [(True, 2 + 5 + 5 + 25), (False, 2 + 5 + 5)])
def test_the_grid_costs_its_scores_only_where_asked_for(grid, count):
    known = energy(in_span(0, 10))
    found = occlude(WAVEFORM, BASELINE, PARTS, known.score, grid=grid)
    assert known.num_scored == count
    assert (found.grid is not None) == grid
    assert found.spans.shape == found.bands.shape == (5,)
