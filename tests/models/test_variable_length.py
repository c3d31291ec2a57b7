"""With `variable_length` what is behind a clip in its row changes nothing, in any model."""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.models.conv1d import POOLINGS, AttentiveStatisticsPooling, Conv1DClassifier
from rawnet_jax.models.registry import MODELS, default_fields
from rawnet_jax.models.res2net import average_of_frames
from rawnet_jax.models.variables import init_variables
from rawnet_jax.nn.layers import BatchNorm
from rawnet_jax.nn.lengths import Extent, clips_alone
from tests.models.small_models import CASES, QUICK, Case, distinct, padded_model, quickly


def test_every_model_has_the_field():
    assert all(default_fields(name)["variable_length"] is False for name in MODELS)


def drawn(model: nn.Module, num_samples: int) -> dict[str, Any]:
    """Variables that leave no layer without effect; drawn by numpy, which compiles nothing."""
    rng = np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> np.ndarray:
        if path[-1].key == "var":
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        mean = 1.0 if path[-1].key == "scale" else 0.0
        spread = math.prod(leaf.shape[:-1]) ** -0.5 if leaf.ndim > 1 else 0.2
        return (mean + spread * rng.standard_normal(leaf.shape)).astype(np.float32)

    key = jax.random.key(0)
    template = jax.eval_shape(lambda: init_variables(model, key, num_samples))
    return jax.tree_util.tree_map_with_path(draw, template)


def rows_of(clips: list[np.ndarray], num_samples: int, behind: float) -> Any:
    """Put clips into rows, with something behind them."""
    waveform = np.full((len(clips), num_samples), behind, np.float32)
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = clip
    return waveform, np.array([len(clip) for clip in clips], np.int32)


class Passes:
    """One compiled function of a model: scores, and gradients and statistics of a training step."""

    def __init__(self, case: Case, model: nn.Module) -> None:
        self.model, self.variables = model, drawn(model, case.padded.long)
        self.run = jax.jit(self._run, compiler_options=case.quick)

    def _total(self, params: Any, waveform: Any, num_samples: Any) -> tuple[Any, Any]:
        output, updates = self.model.apply(
            {**self.variables, "params": params},
            waveform,
            num_samples,
            train=True,
            mutable=["batch_stats"],
        )
        logits: Any = output.logits[:2]
        return (logits * jnp.arange(1.0, 1 + logits.size).reshape(logits.shape)).sum(), updates

    def _run(self, waveform: Any, num_samples: Any) -> Any:
        output: Any = self.model.apply(self.variables, waveform, num_samples)
        trained = jax.grad(self._total, has_aux=True)(
            self.variables["params"], waveform, num_samples
        )
        return (output.score, output.embedding), trained


@pytest.mark.parametrize("name", sorted(distinct(padded_model).values()))
def test_padding_changes_nothing(name):
    case, model = CASES[name].padded, padded_model(name)
    passes = Passes(CASES[name], model)
    rng = np.random.default_rng(1)
    long, other, short = (
        rng.standard_normal(size).astype(np.float32) for size in (case.long, case.long, case.short)
    )
    check_scores(passes, case, [long, other], short)
    check_training(passes, case, [long, other])
    check_rows_of_nothing(passes, case, [long, short])


def check_scores(passes, case, clips, short):
    """A clip alone, and in batches that pad it; another behind two different pads."""
    long, _ = clips
    scores = passes.run(*rows_of(clips, case.long, 0.0))[0][0]
    assert abs(float(scores[0] - scores[1])) > 1e-4  # what is in a clip matters
    alone, _ = passes.run(*rows_of([long, short], case.long, 0.0))
    for behind in (0.0, 2.0, np.nan):
        found, _ = passes.run(*rows_of([long, short, long[:0]], case.row, behind))
        for a, b in zip(alone, found, strict=True):
            np.testing.assert_allclose(a, b[:2], rtol=0, atol=1e-5)


def check_training(passes, case, clips):
    """The same gradients and statistics with padding and a filler row as without."""
    _, (grads, statistics) = passes.run(*rows_of(clips, case.long, 0.0))
    # Beside the largest: those of what a BatchNorm undoes are rounding.
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(grads))
    assert largest > 1e-3
    for behind in (2.0, np.nan):
        _, found = passes.run(*rows_of([*clips, clips[0][:0]], case.row, behind))
        for a, b in zip(jax.tree.leaves(grads), jax.tree.leaves(found[0]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * largest)
        for a, b in zip(jax.tree.leaves(statistics), jax.tree.leaves(found[1]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=case.atol)


def check_rows_of_nothing(passes, case, clips):
    """With lengths that differ, a clip of one sample among them, all stays finite."""
    long, short = clips
    for second in (short, short[:1]):
        quiet = passes.run(*rows_of([long, second, long[:0]], case.row, 0.0))
        loud = passes.run(*rows_of([long, second, long[:0]], case.row, np.inf))
        for a, b in zip(jax.tree.leaves(quiet), jax.tree.leaves(loud), strict=True):
            assert np.isfinite(a).all()
            np.testing.assert_array_equal(a, b)


def given(*values: Any) -> Any:
    return [np.array(each) for each in values]


@functools.cache
def conv1d(**fields: Any) -> tuple[Conv1DClassifier, dict[str, Any]]:
    model = Conv1DClassifier(**(CASES["conv1d"].padded.fields | fields))
    return model, drawn(model, 120)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_conv1d_pools_its_own_frames(pooling):
    model, variables = conv1d(pooling=pooling, variable_length=True)
    score = quickly(model.apply)
    clip = 0.3 * np.random.default_rng(2).standard_normal(75).astype(np.float32)
    alone: Any = score(variables, *rows_of([clip], 75, 0.0))
    padded: Any = score(variables, *rows_of([clip, clip[:0]], 118, -9.0))
    np.testing.assert_allclose(padded.embedding[0], alone.embedding[0], atol=1e-6)
    features = 2 * 4 if pooling == "attentive_statistics" else 4
    assert variables["params"]["hidden"]["kernel"].shape == (features, 3)


def test_conv1d_on_a_full_row_is_the_published_one():
    """Where its strides divide T. And its poolings differ."""
    clip = np.random.default_rng(2).standard_normal(80).astype(np.float32)
    found = {}
    for fields in ({}, {"variable_length": True}, {"pooling": "max"}):
        model, variables = conv1d(**fields)
        output: Any = quickly(model.apply)(variables, *rows_of([clip], 80, 0.0))
        found[tuple(fields)] = float(output.score[0])
    assert found[("variable_length",)] == pytest.approx(found[()], abs=1e-6)
    assert abs(found[("pooling",)] - found[()]) > 1e-3


def test_a_wrong_pooling_is_named():
    with pytest.raises(ConfigError, match="pooling is 'median'; it must be one of mean, max, att"):
        init_variables(Conv1DClassifier(pooling="median"), jax.random.key(0), 800)


def test_attentive_statistics_by_their_formula():
    """Okabe et al. 2018, with numpy, over the frames that count."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 6, 4)).astype(np.float32)
    pooling = AttentiveStatisticsPooling(5)
    extent = Extent(*given([True, True], [6, 4]))
    template = jax.eval_shape(lambda: pooling.init(jax.random.key(0), x, extent))
    params = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), template["params"]
    )
    found = quickly(pooling.apply)({"params": params}, x, extent)
    for row, length in enumerate((6, 4)):
        h = x[row, :length]
        hidden = np.tanh(h @ params["hidden"]["kernel"] + params["hidden"]["bias"])
        weight = np.exp(hidden @ params["score"]["kernel"])
        weight /= weight.sum()
        mean = (weight * h).sum(0)
        deviation = np.sqrt((weight * h**2).sum(0) - mean**2)
        np.testing.assert_allclose(found[row], np.concatenate([mean, deviation]), atol=1e-5)


def test_a_clip_too_short_is_followed_by_silence():
    model, variables = conv1d(variable_length=True)
    assert model.shortest == 5  # two windows, one after pooling
    score = quickly(model.apply)
    alone: Any = score(variables, np.ones((1, 2), np.float32), np.array([2], np.int32))
    silence: Any = score(variables, *rows_of([np.array([1, 1, 0, 0, 0], np.float32)], 5, 7.0))
    np.testing.assert_allclose(alone.score, silence.score, atol=1e-6)
    waveform, extent = clips_alone(jnp.ones((2, 3)), jnp.array([2, 0]), 5)
    np.testing.assert_array_equal(waveform, [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(extent.real, [True, False])
    np.testing.assert_array_equal(extent.num_frames, [5, 5])


@pytest.mark.parametrize(("width", "stride"), [(80, 16), (3, 1), (3, 2), (5, 2), (1, 2), (2, 5)])
def test_padding_is_that_of_same_where_the_stride_divides(width, stride):
    def pads(total: int) -> Any:
        x: Any = jax.ShapeDtypeStruct((1, 7, total, 2), jnp.float32)
        extent = Extent(*given([True], [total]))
        return extent.padding(x, (3, width), (2, stride))

    same = jax.lax.padtype_to_pads((7, 20 * stride), (3, width), (2, stride), "SAME")
    assert [tuple(map(int, pad)) for pad in pads(20 * stride)] == [tuple(pad) for pad in same]
    for total in range(
        1, 3 * stride + 3
    ):  # the left does not depend on T, nor the number of frames
        _, (left, right) = pads(total)
        assert left == pads(20 * stride)[1][0]
        assert (total + left + right - width) // stride + 1 == -(-total // stride)


def test_statistics_of_frames_and_their_gradients():
    """Rows of 4, 2 and 0 frames in a map of 3 rows: as of the six frames, one after the other."""
    rng = np.random.default_rng(4)
    x: Any = rng.standard_normal((3, 2, 4, 5)).astype(np.float32)
    extent = Extent(*given([True, True, False], [4, 2, 1]))
    counts = np.asarray(jnp.broadcast_to(extent.mask(x), (3, 2, 4, 1)))[..., 0]
    assert counts.sum() == 2 * (4 + 2)
    module = BatchNorm(activation=nn.silu, momentum=0.0)
    params = {"scale": np.arange(1.0, 6), "bias": np.arange(5.0) - 2}
    params = jax.tree.map(np.float32, params)
    start = {"mean": np.zeros(5, np.float32), "var": np.ones(5, np.float32)}
    cotangent = rng.standard_normal(x.shape).astype(np.float32) * counts[..., None]

    def ours(params, x):
        return module.apply(
            {"params": params, "batch_stats": start},
            x,
            extent.mask(x),
            True,
            mutable=["batch_stats"],
        )

    def formula(params, x):
        flat = x[counts]
        mean, var = flat.mean(0), flat.var(0)
        y = (x - mean) / jnp.sqrt(var + 1e-5) * params["scale"] + params["bias"]
        return nn.silu(y), {"batch_stats": {"mean": mean, "var": var * 12 / 11}}

    def all_of(f):
        y, pull, statistics = jax.vjp(f, params, x, has_aux=True)
        return jax.tree.leaves((y, pull(cotangent), statistics))

    found, wanted = jax.jit(lambda: (all_of(ours), all_of(formula)), compiler_options=QUICK)()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_average_pool_counts_frames_of_the_clip():
    x = np.arange(2 * 3 * 5, dtype=np.float32).reshape(1, 6, 5, 1).repeat(2, axis=0)
    extent = Extent(*given([True, True], [5, 3]))
    found = np.asarray(quickly(lambda: average_of_frames(jnp.asarray(x), extent, 2))())
    assert found.shape == (2, 3, 3, 1)
    np.testing.assert_allclose(found[0, 0, :, 0], [3.0, 5.0, 6.5])
    np.testing.assert_allclose(found[1, 0, :2, 0], [3.0, 4.5])  # the second: column 2 alone
