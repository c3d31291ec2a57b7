"""Every registered network can be explained: gradients and attention are its own."""

import json

import jax
import numpy as np
import pytest

from rawnet_jax.dsp.filters import mel_edges_hz
from rawnet_jax.errors import ConfigError
from rawnet_jax.explain.choice import choose_window
from rawnet_jax.explain.clip_model import ClipModel
from rawnet_jax.explain.explanation import Settings, explain
from rawnet_jax.explain.record import explanation_record, level_dbfs, summary_lines
from rawnet_jax.mesh import make_mesh
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import init_variables
from tests.models.parity_fixture import taps_of
from tests.models.small_models import CASES, DISTINCT, unlike

SETTINGS = Settings(num_spans=2, band_edges_hz=(0, 2000, 8000), max_gradients=4)


def network(name, **fields):
    """Return a small network and variables; drawn by NumPy, since programs that draw take long."""
    case = CASES[name]
    model = build_model(model_config(name, **case.fields, **fields))
    key = jax.random.key(0)
    shapes = jax.eval_shape(lambda: init_variables(model, key, case.num_samples))
    rng = np.random.default_rng(1)

    def drawn(path, leaf):
        if path[-1].key in ("scale", "var"):
            return np.ones(leaf.shape, leaf.dtype)
        fan_in = max(int(np.prod(leaf.shape[:-1])), 1)
        return (rng.standard_normal(leaf.shape) / np.sqrt(fan_in)).astype(leaf.dtype)

    return model, jax.tree_util.tree_map_with_path(drawn, shapes)


class OneProgram(ClipModel):
    """Takes scores from the program that gives gradients too: one less to compile."""

    def score(self, waveforms, progress=None):
        return self.gradient(np.stack(list(waveforms)), progress)[0]


def make(name, kind=OneProgram, **fields):
    # One device: what is split over several is compiled for longer.
    mesh = make_mesh(jax.devices()[:1])
    return kind(*network(name, **fields), window=CASES[name].num_samples, mesh=mesh)


def noise(num_samples):
    return (0.1 * np.random.default_rng(0).standard_normal(num_samples)).astype(np.float32)


@pytest.mark.parametrize("name", unlike(sorted(DISTINCT.values())))
def test_every_model_is_explained(name):
    model = make(name)
    choice = choose_window(noise(model.window), model, hop=1)
    found = explain(choice.waveform, model, SETTINGS)
    assert found.attribution is not None
    # With its gradient the network is another program: on some CPUs the last bit differs. Of
    # logits of order 1, where the score is the difference of two.
    assert found.attribution.score == pytest.approx(found.score, rel=1e-6, abs=1e-6)
    assert choice.windows.score[0] == pytest.approx(found.score, rel=1e-6, abs=1e-6)
    assert [one.name for one in found.attention] == list(CASES[name].attention)

    # The gradient is what the score does along one direction: where it rises fastest.
    [slope] = model.gradient(found.waveform[None])[1]
    direction = 3e-4 * np.linalg.norm(found.waveform) * slope / np.linalg.norm(slope)
    moved = found.waveform + np.stack([direction, -direction]).astype(np.float32)
    ends = model.score(moved)
    assert (ends[0] - ends[1]) / 2 == pytest.approx(float(slope @ direction), rel=0.1, abs=1e-7)

    record = json.loads(json.dumps(explanation_record(found, choice), allow_nan=False))
    assert record["window"]["chosen"] == "the whole clip"
    count = found.parts.num_spans
    assert len(record["occlusion"]["grid"]) == len(record["gradient"]["spans"]) == count
    for one in record["attention"]:
        assert one["spans"] is None or len(one["spans"]) == count
    assert summary_lines(found, choice)[0].startswith("spans: ")


def sown(name, waveform, wanted):
    """Return one of the tensors that layers show."""
    model, variables = network(name)

    def run(values, *batch):
        _, state = model.apply(values, *batch, mutable=["intermediates"])
        return taps_of(state["intermediates"])[wanted]

    return jax.jit(run)(variables, waveform[None], np.array([len(waveform)], np.int32))


def test_the_mask_of_overlapping_slices_is_their_mean():
    """9 frames of 10 ms in slices of 8 every 4: three slices, of which the last is all repeats."""
    name = "eabn_se_res2net50"
    clip = noise(CASES[name].num_samples)
    [one] = make(name).attention(clip)
    mask = np.asarray(sown(name, clip, "attention.mask"))[..., 0]
    assert mask.shape == (3, 60, 8)
    assert one.values.shape == (60, 9)
    np.testing.assert_allclose(one.values[:, :4], mask[0, :, :4], atol=1e-5)
    np.testing.assert_allclose(one.values[:, 5], (mask[0, :, 5] + mask[1, :, 1]) / 2, atol=1e-5)
    np.testing.assert_allclose(one.values[:, 8], (mask[1, :, 4] + mask[2, :, 0]) / 2, atol=1e-5)
    assert one.time_edges_s is not None
    np.testing.assert_allclose(one.time_edges_s[:2], [0.005, 0.015])
    assert one.row_edges_hz is None  # rows of LFCC are not frequencies
    assert one.by_band(np.array([0, 8000])) is None


def test_nodes_of_a_graph_have_times_and_frequencies():
    name = "aasist"
    clip = noise(CASES[name].num_samples)
    spectral, temporal = make(name).attention(clip)
    assert temporal.time_edges_s is not None
    assert spectral.row_edges_hz is not None
    # 17 taps lose 8 samples at either end; a node is what three poolings by 3 leave.
    np.testing.assert_allclose(temporal.time_edges_s * 16_000, 8 + 27 * np.arange(6))
    np.testing.assert_allclose(spectral.row_edges_hz, mel_edges_hz(4))
    assert spectral.time_edges_s is None
    kept = sown(name, clip, "pool_T.index")[0].tolist()
    assert np.argsort(-temporal.values[0], kind="stable")[: len(kept)].tolist() == kept
    assert len(kept) == 2


def test_attentive_pooling_is_shown_where_a_config_asks_for_it():
    [one] = make("conv1d", pooling="attentive_statistics").attention(noise(640))
    assert one.values.mean() == pytest.approx(1, abs=1e-5)
    assert one.time_edges_s is not None
    np.testing.assert_allclose(np.diff(one.time_edges_s), 32 / 16_000)
    assert one.time_edges_s[-1] == pytest.approx(0.04)
    halves = one.by_span(np.array([0, 0.02, 0.04]))
    assert halves is not None
    np.testing.assert_allclose(halves, one.values[0].reshape(2, -1).mean(axis=1))


def test_the_same_settings_give_the_same_explanation():
    model = make("conv1d", ClipModel)
    clip = noise(640)
    first, again = (explain(clip, model, SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(first.occlusion.grid, again.occlusion.grid)
    none = explain(clip, model, Settings(num_spans=2, grid=False, gradient="none"))
    assert (none.attribution, none.occlusion.grid) == (None, None)
    smooth = explain(clip, model, Settings(num_spans=2, gradient="smooth", max_gradients=3))
    assert smooth.attribution is not None
    assert smooth.attribution.num_gradients == 3
    assert level_dbfs(clip) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize(
    ("settings", "length", "said"),
    [
        (Settings(gradient="x"), 640, "gradient is 'x'"),
        (Settings(max_gradients=1), 640, "1 gradients"),
        (Settings(), 641, "641 samples"),
        (Settings(), 0, "0 samples"),
        (Settings(fill="x"), 640, "fill is 'x'"),
    ],
)
def test_what_makes_no_sense_is_one_line(settings, length, said):
    with pytest.raises(ConfigError, match=said):
        explain(noise(length), make("conv1d"), settings)
