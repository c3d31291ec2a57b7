"""A network as a function of one clip: what fills the input is not a part of the clip."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import ModelOutput
from rawnet_jax.errors import ConfigError, MetricError
from rawnet_jax.explain.choice import choose_window, parse_window
from rawnet_jax.explain.clip_model import ClipModel
from rawnet_jax.mesh import make_mesh

WINDOW = 1_000
NOISE = (0.1 * np.random.default_rng(0).standard_normal((20, 3_000))).astype(np.float32)


class Weighted(nn.Module):
    """Scores the mean over a clip's samples of w x², with a parameter for each place."""

    @nn.compact
    def __call__(self, waveform, num_samples, *, train=False):
        weight = self.param("weight", nn.initializers.normal(1.0), (WINDOW,))
        inside = jnp.arange(WINDOW) < num_samples[:, None]
        total = (weight * jnp.square(waveform) * inside).sum(axis=1)
        score = total / jnp.maximum(num_samples, 1)
        return ModelOutput(score, score, score[:, None])


WEIGHT = np.random.default_rng(1).standard_normal(WINDOW)


def variables(weight):
    return {"params": {"weight": weight.astype(np.float32)}}


def make(pad="zero", buckets=()):
    return ClipModel(Weighted(), variables(WEIGHT), window=WINDOW, pad=pad, buckets=buckets)


def by_hand(clip, pad, buckets=()):
    """Return the score of a clip and its gradient."""
    filled = len(clip)
    if pad == "repeat":
        filled = next((n for n in buckets if n >= filled), WINDOW)
    row = np.resize(clip, filled).astype(np.float64)
    gradient = np.zeros(len(clip))
    np.add.at(gradient, np.arange(filled) % len(clip), 2 * WEIGHT[:filled] * row / filled)
    return np.sum(WEIGHT[:filled] * row**2) / filled, gradient


@pytest.mark.parametrize(
    ("pad", "buckets", "length"),
    [("zero", (), 1_000), ("zero", (), 300), ("repeat", (), 300), ("repeat", (400, 700), 300)],
)
def test_scores_and_gradients_are_of_the_clip_alone(pad, buckets, length):
    """Also in numbers that fill no batch: 17 scores, 9 gradients."""
    model = make(pad, buckets)
    clips = NOISE[:17, :length]
    wanted = [by_hand(clip, pad, buckets) for clip in clips]
    np.testing.assert_allclose(model.score(iter(clips)), [s for s, _ in wanted], rtol=1e-4)
    scores, gradients = model.gradient(clips[:9])
    np.testing.assert_allclose(scores, [s for s, _ in wanted[:9]], rtol=1e-4)
    np.testing.assert_allclose(gradients, [g for _, g in wanted[:9]], rtol=1e-3, atol=1e-9)
    assert model.score_rows % make_mesh().size == model.gradient_rows % make_mesh().size == 0


def test_without_attention_there_is_none():
    assert make().attention(NOISE[0, :WINDOW]) == []


@pytest.mark.parametrize(
    ("which", "start"), [("most-spoofed", 1_500), ("most-bonafide", 500), (0.1, 1_600), (0.0, 0)]
)
def test_a_window_is_chosen_by_its_score_or_its_time(which, start):
    """The clip is quiet but for one loud place; all w are -1, so loud is low."""
    model = ClipModel(Weighted(), variables(-np.ones(WINDOW)), window=WINDOW, mesh=make_mesh())
    clip = 0.01 * NOISE[0]
    clip[2_000:2_500] = 0.5
    clip[1_400:1_500] = 0.0
    choice = choose_window(clip, model, which, hop=500)
    scores = choice.windows.score
    assert len(scores) == 5
    if which == "most-bonafide":
        start = 500 * int(scores.argmax())
        assert scores.argmax() in (0, 1)
    assert choice.start == start
    np.testing.assert_array_equal(choice.waveform, clip[start : start + WINDOW])
    assert (choice.start_s, choice.end_s) == (start / 16_000, (start + WINDOW) / 16_000)
    assert choice.how in ("the most spoofed of 5 windows", "the most bona fide of 5 windows") or (
        not isinstance(which, str) and choice.how == "chosen by its time"
    )


def test_a_short_clip_is_its_own_window():
    choice = choose_window(NOISE[0, :300], make("repeat"), hop=500, gate=GateConfig())
    assert (choice.start, len(choice.waveform), choice.how) == (0, 300, "")
    assert choice.windows.score[0] == pytest.approx(by_hand(NOISE[0, :300], "repeat")[0], rel=1e-4)


def test_what_cannot_be_judged_is_not_chosen():
    gate = GateConfig(min_duration_s=0.01, min_active_s=0.01, speech="off")
    model = ClipModel(Weighted(), variables(np.ones(WINDOW)), window=WINDOW)
    clip = NOISE[0].copy()
    clip[:1_000] = 0  # would be the most spoofed, with a score of 0
    assert choose_window(clip, model, hop=500).start == 0
    assert choose_window(clip, model, hop=500, gate=gate).start == 500
    with pytest.raises(MetricError, match="no window of it can be judged"):
        choose_window(0 * clip, model, hop=500, gate=gate)


@pytest.mark.parametrize("which", [-0.1, 0.2])
def test_a_window_outside_of_the_clip(which):
    with pytest.raises(ConfigError, match=r"between 0 and 0\.125 s"):
        choose_window(NOISE[0], make(), which, hop=500)


def test_windows_as_a_user_names_them():
    assert parse_window("most-spoofed") == "most-spoofed"
    assert parse_window("2.5") == 2.5
    for text in ("loudest", "nan", ""):
        with pytest.raises(ConfigError, match="--window"):
            parse_window(text)
