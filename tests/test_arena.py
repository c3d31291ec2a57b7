"""A run as a bench of spoof detectors asks for one."""

import numpy as np
import pytest

import rawnet_jax
from rawnet_jax import arena
from tests.small_run import write_run

RATE = 16_000
ROWS = (0.1 * np.random.default_rng(4).standard_normal((3, 9_000))).astype(np.float32)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("arena") / "x", num_samples=3_200)


@pytest.fixture(scope="module")
def detector(workdir):
    return arena.load(workdir)


def test_scores_are_those_of_the_run(workdir, detector):
    plain = rawnet_jax.load(workdir, speech="off")
    wanted = [result.score for result in plain.score([(row, RATE) for row in ROWS])]
    found = detector.score(ROWS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(wanted, np.float32))
    assert len(set(wanted)) == 3


def test_nothing_is_refused(detector):
    silent = np.zeros(9_000, np.float32)
    short = ROWS[0, :5]
    assert np.isfinite(detector.score([silent, short, 1e-6 * ROWS[1]])).all()


def test_rows_may_have_any_length(detector):
    lengths = [9_000, 2_000, 3_000]
    clips = [row[:length] for row, length in zip(ROWS, lengths, strict=True)]
    np.testing.assert_array_equal(detector.score(ROWS, lengths), detector.score(clips))
    assert detector.score(ROWS, lengths)[1] != detector.score(ROWS)[1]


def test_whole_clips_are_scored_where_asked(workdir, detector):
    whole = arena.load(workdir, overrides=["--config.eval.aggregate=mean"])
    assert (whole.score(ROWS) != detector.score(ROWS)).all()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([ROWS[0], ROWS[:2]], r"row 1 of the batch: .*shape \[2, 9000\]: must be \[n\]"),
        ([ROWS[0][:0]], r"row 0 of the batch: .*shape \[0\]"),
        ([np.full(9_000, np.nan, np.float32)], "NaN"),
    ],
)
def test_what_is_no_clip_is_an_error(detector, batch, message):
    with pytest.raises(rawnet_jax.AudioError, match=message):
        detector.score(batch)


def test_counts_must_be_as_many_as_rows(detector):
    with pytest.raises(ValueError, match="shorter"):
        detector.score(ROWS, [9_000])
