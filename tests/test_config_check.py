"""Settings of which each is possible, but not together."""

import pytest

from rawnet_jax.config import Config
from rawnet_jax.config_check import checked
from rawnet_jax.data.host_augment import host_augment_config
from rawnet_jax.errors import ConfigError


def with_fields(**fields) -> Config:
    config = Config()
    for name, value in fields.items():
        section, _, field = name.partition("__")
        setattr(getattr(config, section), field, value)
    return config


BUCKETS = (8_000, 16_000)
CODED = host_augment_config({"mp3": {}})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data__bucket_samples": (8_000,)}, "bucket_samples is .* up to .*, 16000"),
        ({"data__bucket_samples": (8_000.0, 16_000)}, "whole numbers of at least 1"),
        ({"data__min_samples": 16_001}, "min_samples is 16001; .* at most .*, 16000"),
        ({"data__balance": ("class", "sex")}, "it must be a tuple of class, attack, speaker"),
        ({"data__balance": "class"}, "balance is 'class'"),
        ({"data__bucket_samples": BUCKETS, "data__resident": "on"}, "use auto or off"),
        ({"data__host_augment": CODED, "data__resident": "on"}, "use auto or off"),
        ({"data__bucket_samples": BUCKETS, "train__steps_per_dispatch": 2}, "use 0 or 1"),
    ],
)
def test_what_is_not_possible_is_said(fields, message):
    with pytest.raises(ConfigError, match=message):
        checked(with_fields(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"data__bucket_samples": BUCKETS, "data__min_samples": 16_000},
        {"data__bucket_samples": BUCKETS, "train__steps_per_dispatch": 1},
        {"data__balance": ("speaker", "class"), "data__resident": "on"},
        {"data__min_samples": 100, "data__resident": "on", "train__steps_per_dispatch": 9},
        {"data__host_augment": CODED, "train__steps_per_dispatch": 4},
    ],
)
def test_what_is_possible_is_let_through(fields):
    assert checked(with_fields(**fields))
