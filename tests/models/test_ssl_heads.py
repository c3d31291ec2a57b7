"""Heads on an encoder, against slow forms of them; the encoder itself is left out."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from rawnet_jax.encoders.encoder import EncoderOutput
from rawnet_jax.errors import ConfigError
from rawnet_jax.interop.torch_weights import variables_to_torch
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.nn.lengths import Extent
from tests.models import slow_heads
from tests.models.small_models import ON_TINY, QUICK
from tests.models.test_variable_length import drawn

WIDTH, STATES = 16, 4
LENGTHS = (13, 8)  # frames, odd and even
AASIST = {"features": 15, "channels": (3, 4), "attention_features": 5, "gat_dims": (4, 3)}
TCM = {"features": 6, "heads": 2, "blocks": 2, "feed_forward": 2, "conv_factor": 2, "kernel": 4}
NES: dict[str, Any] = {"scales": (4, 2), "dilation": 2}
SLOW_NES = functools.partial(slow_heads.nes2net, **NES)

CASES: dict[str, tuple[str, dict[str, Any], Callable[..., np.ndarray]]] = {
    "linear": ("ssl_linear", {}, slow_heads.ssl_linear),
    "weighted sum": ("ssl_weighted_sum", {"features": 5}, slow_heads.ssl_weighted_sum),
    "sls, mean": (
        "ssl_sls",
        {"pooling": "mean", "embedding_features": 5},
        functools.partial(slow_heads.ssl_sls, flat=False),
    ),
    "tcm": ("ssl_tcm", TCM, functools.partial(slow_heads.ssl_tcm, heads=2, blocks=2)),
    "aasist": (
        "ssl_aasist",
        AASIST,
        functools.partial(slow_heads.ssl_aasist, blocks=2, temperatures=(2, 2, 100)),
    ),
    "nes2net-x": ("nes2net_x", NES, functools.partial(SLOW_NES, crossed=True)),
    "nes2net-x, astp": (
        "nes2net_x",
        NES | {"pooling": "astp", "attention_features": 3, "se_ratio": 2},
        functools.partial(SLOW_NES, crossed=True),
    ),
    "nes2net, sea": ("nes2net", NES, functools.partial(SLOW_NES, crossed=False, sea=True)),
}


def states(num_frames: int = max(LENGTHS)) -> np.ndarray:
    """What an encoder gives for two clips and a filler row, [L + 2, B, T, D]: h_0 … h_L, `last`."""
    shape = (STATES + 1, 3, num_frames, WIDTH)
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def head(
    monkeypatch: pytest.MonkeyPatch, name: str, num_frames: Any, given: np.ndarray, **fields: Any
) -> tuple[Any, dict[str, Any]]:
    """Return a network that takes these states for its encoder's, and variables."""
    real: Any = np.array([True, True, False])
    counts: Any = None if num_frames is None else np.array([*num_frames, 1])
    extent = Extent(real, counts)

    def encoded(self: Any, *_: Any, hidden: bool = False, **__: Any) -> EncoderOutput:
        return EncoderOutput(given[-1], extent, given[:-1] if hidden else None)

    monkeypatch.setattr(WithEncoder, "encoded", encoded)
    long = num_frames is not None
    model = build_model(model_config(name, **(ON_TINY | fields), variable_length=long))
    return model, drawn(model, 100)


@pytest.mark.parametrize("case", CASES)
def test_a_head_is_its_slow_form(monkeypatch, case):
    """Each clip by its own frames alone; what is behind them, and in filler rows, is noise."""
    name, fields, slow = CASES[case]
    given = states()
    check(monkeypatch, name, fields, slow, given, LENGTHS)


def test_sls_as_published_takes_all_frames_in_one_vector(monkeypatch):
    fields, given = {"embedding_features": 5}, states(10)
    check(monkeypatch, "ssl_sls", fields, slow_heads.ssl_sls, given, None)


def check(monkeypatch, name, fields, slow, given, lengths):
    model, variables = head(monkeypatch, name, lengths, given, **fields)
    output = jax.jit(model.apply, compiler_options=QUICK)(
        variables, np.zeros((3, 100), np.float32), np.array([100, 100, 0], np.int32)
    )
    names = MODELS[name].torch_names or TorchNames()
    state = {key: a.astype(np.float64) for key, a in variables_to_torch(variables, names).items()}
    own = [given[:, i, : lengths[i] if lengths else None].astype(np.float64) for i in range(2)]
    wanted = np.stack([slow(state, each[-1], each[:-1]) for each in own])
    found = np.asarray(output.logits)[:2].reshape(wanted.shape)
    assert np.ptp(wanted, axis=0).min() > 1e-3  # the clip matters
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    is_logit = name in ("ssl_aasist", "nes2net_x", "ssl_tcm", "nes2net")
    score = wanted[:, -1] if is_logit else wanted[:, 1] - wanted[:, 0]
    np.testing.assert_allclose(output.score[:2], score, rtol=0, atol=1e-4)
    assert np.isfinite(output.score[2])


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("ssl_sls", {"variable_length": True}, "pooling is 'flatten'; with variable_length it"),
        ("ssl_sls", {"pooling": "max"}, "pooling is 'max'; it must be one of flatten, mean"),
        ("ssl_tcm", {"heads": 5}, "heads is 5; it must divide features, 144"),
        ("nes2net", {"scales": (3, 2)}, r"their product must divide the encoder's width, 8"),
        ("nes2net", {"fusion": "sum"}, "fusion is 'sum'; it must be one of last, sea"),
        ("nes2net", {"num_logits": 3}, "num_logits is 3; it must be 1 or 2"),
        ("nes2net", {"scales": (1, 2)}, r"scales are \(1, 2\)"),
    ],
)
def test_what_does_not_fit_is_one_line(name, fields, said):
    model = build_model(model_config(name, **(ON_TINY | fields)))
    with pytest.raises(ConfigError, match=said):
        variable_shapes(model, 300)


@pytest.mark.parametrize(("name", "shortest"), [("ssl_linear", 30), ("ssl_aasist", 70)])
def test_too_short_a_row_is_named(name, shortest):
    model = build_model(model_config(name, **ON_TINY))
    with pytest.raises(ConfigError, match=f"the network needs at least {shortest} samples"):
        variable_shapes(model, shortest - 1)
    variable_shapes(model, shortest)
