"""Settings of which each is possible, but not together."""

import re

import pytest

from rawnet_jax.config import Config
from rawnet_jax.config_check import checked
from rawnet_jax.config_file import with_overrides
from rawnet_jax.data.host_augment import host_augment_config
from rawnet_jax.errors import ConfigError
from rawnet_jax.models.registry import model_config


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


@pytest.mark.parametrize(
    ("setting", "must"),
    [
        ("data.audio.max_duration_s=nan", "must be finite"),
        ("data.audio.max_duration_s=inf", "must be finite"),
        ("optimizer.schedule.decay_epochs=nan", "must be finite"),
        ("model.fields.hidden_dropout=1.0", "must be at least 0 and below 1"),
        ("model.fields.hidden_dropout=7.0", "must be at least 0 and below 1"),
        ("model.fields.hidden_dropout=nan", "must be finite and at most 65536"),
        ("model.fields.bn_momentum=nan", "must be finite and at most 65536"),
        ("model.fields.strides=(0,1)", "must be at least 1"),
        ("model.fields.channels=(100000000,64)", "must be finite and at most 65536"),
        ("model.fields.kernel_sizes=(100000000,3)", "must be finite and at most 65536"),
        ("train.seed=100000000000000000000", "must be at most 2147483647"),
        ("train.batch_size=100000000", "must be at most 2147483648 samples"),
        ("train.num_seeds=1000000", "must be at most 1000"),
        ("data.num_workers=1000000", "must be at most 1024"),
        ("train.steps_per_dispatch=1000000000", "must be at most 100000"),
        ("data.num_samples=1000000000000000000", "must be at most 57600000"),
        ("eval.batch_size=100000000", "must be at most 2147483648 samples"),
        ("model.fields.bn_momentum=-5.0", "must be from 0 to 1"),
        ("optimizer.beta1=7.0", "must be below 1"),
        ("optimizer.beta2=1.0", "must be below 1"),
        ("optimizer.epsilon=-1.0", "must be at least 0.0"),
        ("optimizer.schedule.warmup_steps=-5", "must be at least 0"),
        ("data.split_seed=-1", "must be at least 0"),
        ("loss.class_weights=(0.0,0.0)", r"one of them above it: \(spoof, bonafide\)"),
        ("eval.window_samples=2000000000", "must be at most 57600000"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_allocated(setting, must):
    name = setting.partition("=")[0]
    conv1d = Config(model=model_config("conv1d"))
    with pytest.raises(ConfigError, match=rf"config\.{re.escape(name)} is .*{must}$") as error:
        with_overrides(conv1d, [f"--config.{setting}"])
    assert "\n" not in str(error.value)
