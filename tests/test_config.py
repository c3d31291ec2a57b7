"""Configs: what they accept, how overrides and files come back."""

import dataclasses
import json
import runpy
from pathlib import Path

import pytest

from rawnet_jax.config import Config, walk
from rawnet_jax.config_check import checked
from rawnet_jax.config_file import (
    from_dict,
    load_config,
    read_config,
    refuse_other_experiment,
    save_config,
    to_dict,
    with_overrides,
)
from rawnet_jax.errors import ConfigError
from rawnet_jax.models.registry import build_model, model_config

CONFIG_FILES = sorted((Path(__file__).resolve().parent.parent / "configs").glob("*.py"))


def conv1d_config() -> Config:
    config = Config()
    config.model = model_config("conv1d")
    return config


@pytest.mark.parametrize("path", CONFIG_FILES, ids=lambda path: path.stem)
def test_every_config_file_is_whole(path):
    """It loads, its model can be built, its name is its file's, its header says how to run it."""
    config = load_config(str(path))
    assert config.name == path.stem
    build_model(config.model)
    header = runpy.run_path(str(path))["__doc__"]
    assert "Command:" in header
    assert all(word in header for word in header.split("--config configs/")[1:2])


def test_every_field_can_be_overridden_and_survives_json():
    changed = {str: "error", int: 7, float: 0.25}
    config = conv1d_config()
    words = []
    for name, section, f in walk(config):
        if f.type in changed and not f.metadata.get("choices"):
            words.append(f"--{name}={changed[f.type]}")
        assert hasattr(section, f.name)
    words += ["--config.model.fields.channels=(3,4)", "--config.loss.class_weights=(0.1,0.9)"]
    words.append("--config.train.batch_size=14")  # 7 parts of whole pairs
    words.append("--config.data.audio_dir=")  # not with config.data.recordings
    found = with_overrides(config, words)
    assert found.optimizer.learning_rate == 0.25
    assert found.train.num_epochs == 7
    assert found.model.fields.channels == (3, 4)
    assert found.loss.class_weights == (0.1, 0.9)
    again = from_dict(json.loads(json.dumps(to_dict(found))), "test")
    assert to_dict(again) == to_dict(found)
    assert config.train.num_epochs == 10


def test_a_config_in_use_cannot_be_changed():
    config = checked(conv1d_config())
    with pytest.raises(ConfigError, match="no longer be changed"):
        config.train.seed = 3
    with pytest.raises(AttributeError):
        config.model.fields.new = 3


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("train", "batch_size", "32", r"config\.train\.batch_size is '32' \(str\); it must be int"),
        ("train", "batch_size", True, r"it must be int"),
        ("data", "root", None, r"config\.data\.root is None"),
        ("optimizer", "learning_rate", -1.0, r"must be at least 0\.0"),
        ("optimizer", "name", "adagrad", r"must be one of adam, amsgrad, adamw, sgd"),
        ("loss", "class_weights", (1.0,), r"two numbers"),
        ("loss", "class_weights", ("a", "b"), r"class_weights is \('a', 'b'\)"),
    ],
)
def test_wrong_values_in_a_config_file(group, name, value, message):
    config = conv1d_config()
    setattr(getattr(config, group), name, value)
    with pytest.raises(ConfigError, match=message):
        checked(config)


def test_an_integer_is_a_fine_number():
    config = conv1d_config()
    config.optimizer.learning_rate = 1
    assert checked(config).optimizer.learning_rate == 1.0


def test_saved_config_comes_back(tmp_path):
    config = checked(conv1d_config())
    save_config(config, tmp_path)
    assert to_dict(read_config(tmp_path)) == to_dict(config)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_what_may_change_when_a_run_goes_on(tmp_path):
    config = conv1d_config()
    free = ["--config.data.root=/elsewhere", "--config.train.num_epochs=20"]
    refuse_other_experiment(config, with_overrides(config, free), tmp_path)
    with pytest.raises(ConfigError, match=r"config\.train\.seed was 0 and is 1; use another"):
        refuse_other_experiment(config, with_overrides(config, ["--config.train.seed=1"]), tmp_path)


def test_cosine_fixes_the_number_of_epochs(tmp_path):
    config = with_overrides(conv1d_config(), ["--config.optimizer.schedule.name=cosine"])
    longer = with_overrides(config, ["--config.train.num_epochs=20"])
    with pytest.raises(ConfigError, match="num_epochs was 10 and is 20"):
        refuse_other_experiment(config, longer, tmp_path)


@pytest.mark.parametrize(
    ("name", "field", "value", "free"),
    [
        ("cosine", "period_epochs", 5, True),
        ("exponential", "decay_epochs", 0, False),
        ("exponential", "decay_epochs", 5, True),
        ("step", "decay_epochs", 0, False),
    ],
)
def test_a_schedule_over_the_run_fixes_its_length(tmp_path, name, field, value, free):
    schedule = "--config.optimizer.schedule"
    config = with_overrides(Config(), [f"{schedule}.name={name}", f"{schedule}.{field}={value}"])
    longer = with_overrides(config, ["--config.train.num_epochs=20"])
    if free:
        refuse_other_experiment(config, longer, tmp_path)
    else:
        with pytest.raises(ConfigError, match="num_epochs was 10 and is 20"):
            refuse_other_experiment(config, longer, tmp_path)


def test_fields_that_an_older_file_lacks_take_their_defaults():
    values = to_dict(conv1d_config())
    del values["data"]["crop"]
    assert from_dict(values, "old").data.crop == dataclasses.asdict(Config().data)["crop"]
