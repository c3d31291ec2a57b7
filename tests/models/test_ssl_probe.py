"""The linear probe's own parts; the contract of every model is tested elsewhere."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.ssl_probe import Standardised, statistic
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.nn.lengths import Extent
from rawnet_jax.poolings import STATISTICS
from tests.models.small_models import ON_TINY


def test_statistics_are_of_a_clips_own_frames():
    x = np.random.default_rng(0).standard_normal((3, 6, 4)).astype(np.float32) - 2
    x[1, 4:], x[2] = np.nan, 9.0  # padding, and a filler row
    lengths = np.array([6, 4, 1], np.int32)
    extent = Extent(jnp.array([True, True, False]), jnp.asarray(lengths))
    found = jax.jit(lambda x: [statistic(name, x, extent) for name in STATISTICS])(x)
    for name, values in zip(STATISTICS, found, strict=True):
        for row in (0, 1):
            wanted = getattr(x[row, : lengths[row]], name)(axis=0)
            np.testing.assert_allclose(values[row], wanted, rtol=1e-5)
        assert np.isfinite(values[2]).all()


def test_standardised_with_the_statistics_that_it_is_given():
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    mean, var = np.array([1, 2, 3], np.float32), np.array([4, 0.25, 1], np.float32)
    found: Any = Standardised().apply({"batch_stats": {"mean": mean, "var": var}}, x)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var), rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer": 3}, "layer is 3; the encoder has layers 0 to 2"),
        ({"layer": 1, "pooling": "median"}, "pooling is 'median'; it must be one of mean, mean_s"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    model = build_model(model_config("ssl_probe", **ON_TINY, **fields))
    with pytest.raises(ConfigError, match=message):
        variable_shapes(model, 300)
