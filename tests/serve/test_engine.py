"""The thread that scores: batches, shapes, rounding, deadlines, the self-test."""

import math
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.scoring.decoded import Decoded
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.serve.decode_pool import Expired
from rawnet_jax.serve.engine import Engine, Full
from rawnet_jax.serve.rounding import STEP, rounded
from rawnet_jax.serve.settings import Settings
from tests.serve.running import StubModel, noise

LATER = math.inf


class Batches(StubModel):
    """Scores that depend on the batch in their last digits, as those of a network do."""

    jitter = 4e-6

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.break_on: Callable[[np.ndarray], object] = lambda waveform: None

    def score_batch(self, waveform, num_samples):
        self.break_on(waveform)
        self.sizes.append(len(waveform))
        found = super().score_batch(waveform, num_samples)
        return (found + self.jitter * (len(waveform) - 1)).astype(np.float32)


def engine_of(model, **settings):
    return Engine(model, model.decision(), Settings(**settings))


@pytest.fixture
def model():
    return Batches()


@pytest.fixture
def engine(model):
    found = engine_of(model, batch_wait_s=0.2, queue=20)
    found.start()
    yield found
    model.may_go.set()
    found.close()


def submitted(engine, *waveforms, all_windows=False, until_s=LATER):
    return [
        engine.submit(str(n), Decoded(one), all_windows=all_windows, until_s=until_s)
        for n, one in enumerate(waveforms)
    ]


def test_what_waits_is_scored_together_and_comes_back_in_order(engine, model):
    del model.sizes[:]
    waveforms = [noise(3_200, level=level) for level in (0.01, 0.1, 0.2, 0.3, 0.4)]
    found = [one.result(5).found for one in submitted(engine, *waveforms)]
    assert [one.path for one in found] == ["0", "1", "2", "3", "4"]
    for one, waveform in zip(found, waveforms, strict=True):
        assert one.score == pytest.approx(np.abs(waveform).mean(), abs=2 * STEP)
    assert model.sizes == [8]


def test_no_shape_is_new_after_the_start(engine, model):
    before = set(model.shapes)
    assert {rows for rows, _ in before} == {1, 2, 4, 8}
    rng = np.random.default_rng(1)
    for number in range(1, 12):
        lengths = rng.integers(1_700, 20_000, number)
        waves = [noise(int(length)) for length in lengths]
        for one in submitted(engine, *waves, all_windows=bool(number % 2)):
            one.result(5)
    assert model.shapes == before


def at(score: float) -> np.ndarray:
    """Return a waveform that the stub gives this score."""
    wave = noise(3_200).astype(np.float64)
    return (score / np.abs(wave).mean() * wave).astype(np.float32)


@pytest.mark.parametrize("beyond", [-2e-5, -1e-6, 0.0, 1e-6, 2e-5, 4.9e-5, 5.1e-5])
def test_a_batch_turns_no_verdict(engine, model, beyond):
    """The same recording, alone and among seven others, near threshold and edge of rounding."""
    for edge in (model.threshold, model.threshold - STEP / 2):
        close = at(edge + beyond)
        [alone] = submitted(engine, close)
        alone = alone.result(5)
        together = submitted(engine, close, *[at(0.2)] * 7)[0].result(5)
        decision = model.decision()
        assert alone.found.score == together.found.score
        assert decision(alone.found.score).label == decision(together.found.score).label


def test_scores_have_four_digits_wherever_they_are_told(engine):
    [one] = submitted(engine, noise(10_000), all_windows=True)
    found = one.result(5).found
    assert len(found.windows) == 4
    for score in (found.score, *found.windows.score.tolist()):
        assert score == round(score, 4)


def test_rounding_leaves_what_has_no_score():
    model = StubModel()
    engine = engine_of(model)
    engine.start()
    [one] = submitted(engine, np.zeros(5_000, np.float32))
    found = one.result(5).found
    engine.close()
    assert found.outcome == Outcome.CANNOT_JUDGE
    assert found.score is None
    assert rounded(found).reason == found.reason


def test_what_waited_too_long_is_not_scored(engine, model):
    model.may_go.clear()
    [first] = submitted(engine, at(0.1))
    time.sleep(0.3)
    late = submitted(engine, at(0.1), until_s=time.monotonic() + 0.05)[0]
    early = submitted(engine, at(0.1))[0]
    time.sleep(0.1)
    del model.sizes[:]
    model.may_go.set()
    assert first.result(5).found.score == pytest.approx(0.1)
    assert early.result(5).found.score == pytest.approx(0.1)
    with pytest.raises(Expired):
        late.result(5)
    assert model.sizes == [1]


def test_a_full_queue_takes_no_more_and_a_closed_one_neither(model):
    engine = engine_of(model, queue=3)
    engine.start()
    model.may_go.clear()
    submitted(engine, at(0.1))
    time.sleep(0.2)
    waiting = submitted(engine, *[at(0.1)] * 3)
    with pytest.raises(Full):
        submitted(engine, at(0.1))
    threading.Timer(0.2, model.may_go.set).start()
    engine.close()
    for one in waiting:
        with pytest.raises(Full):
            one.result(1)


def test_audio_that_waits_is_bounded(model):
    engine = engine_of(model, queue_audio_s=1.0)
    engine.start()
    model.may_go.clear()
    submitted(engine, noise(80_000))  # one is taken however long it is
    time.sleep(0.2)
    submitted(engine, noise(16_000))
    with pytest.raises(Full):
        submitted(engine, noise(3_200))
    model.may_go.set()
    engine.close()


def test_what_breaks_a_batch_costs_its_own_recording_alone(engine, model):
    def break_on(waveform):
        if (np.abs(waveform).mean(axis=1) > 0.24).any():
            raise RuntimeError("of one recording")

    model.break_on = break_on
    good, bad, other = submitted(engine, at(0.1), at(0.25), at(0.2))
    assert good.result(5).found.score == pytest.approx(0.1)
    assert other.result(5).found.score == pytest.approx(0.2)
    with pytest.raises(RuntimeError, match="of one recording"):
        bad.result(5)
    assert engine.failure == ""


@pytest.mark.parametrize("jitter", [1.0, math.nan])
def test_a_network_that_is_not_the_same_in_every_batch_does_not_start(model, jitter):
    model.jitter = jitter
    with pytest.raises(CheckpointError, match="self-test gave"):
        engine_of(model).start()


def test_a_network_that_changes_fails_its_self_test_and_recovers(model):
    engine = engine_of(model, self_test_s=0.05)
    engine.start()
    try:
        assert engine.failure == ""
        model.shift = 7.0
        until(lambda: "self-test gave 7" in engine.failure)
        model.shift = 0.0
        until(lambda: engine.failure == "")
    finally:
        engine.close()


def until(condition, most_s=5.0):
    end_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_audio_of_a_batch_is_bounded(model):
    engine = engine_of(model, batch_audio_s=1.0, batch_wait_s=0.2)
    engine.start()
    try:
        del model.sizes[:]
        for one in submitted(engine, *[noise(8_000)] * 6):
            one.result(5)
        assert model.sizes == [2, 2, 2]
    finally:
        engine.close()
