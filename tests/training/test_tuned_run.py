"""A run that adapts a published encoder: from the file to scores, and on from a stop to the bit."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from rawnet_jax.config import Config, LoraConfig, thawed
from rawnet_jax.config_check import checked
from rawnet_jax.config_file import load_config
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.encoder_files import write_encoder_weights
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.run import Run
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.start import read_origin
from rawnet_jax.training.writer import read_log
from tests.encoders.small_encoders import drawn
from tests.training.test_loop import final_state
from tests.training.tiny_encoder import CONFIG, FIELDS

STEPS_PER_EPOCH = 3


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """A folder as Hugging Face lays it out, and what is in it."""
    folder, variables = tmp_path_factory.mktemp("published") / "encoder", drawn(CONFIG)
    write_encoder_weights(folder, variables, CONFIG)
    return folder, variables


@pytest.fixture
def config(tiny_config, encoder) -> Config:
    """Two epochs of LoRA in two parts a step, from the published encoder."""
    config = thawed(load_config(str(tiny_config)))
    config.model = model_config("ssl_linear", **FIELDS)
    config.loss.name = "cross_entropy"
    config.train.batch_size = 16  # two parts of a row a device
    config.train.accumulate_steps = 2
    config.train.num_epochs = 2
    config.train.encoder_weights = str(encoder[0])
    config.optimizer.learning_rate = 0.01
    config.optimizer.lora = LoraConfig(rank=2, alpha=4.0, dropout=0.1)
    return config


def test_a_published_encoder_is_adapted_resumed_and_scored(config, encoder, tmp_path, capsys):
    Trainer(checked(config), tmp_path / "straight", progress=False).run()
    assert "training 210 numbers; the network has" in capsys.readouterr().out
    config.train.num_epochs = 1
    Trainer(checked(config), tmp_path / "stopped", progress=False).run()
    config.train.num_epochs = 2
    Trainer(checked(config), tmp_path / "stopped", progress=False).run()
    assert "resuming from step 3 of 6" in capsys.readouterr().out
    arrays = [final_state(tmp_path / name, 6) for name in ("straight", "stopped")]
    for a, b in zip(*arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    events = [e for e in read_log(tmp_path / "stopped") if e["event"] == "encoder_weights"]
    [event] = events
    assert event["path"] == str(encoder[0])
    assert len(event["sha256"]) == 64

    run = Run.open(tmp_path / "straight", "latest")
    found = flatten_dict(jax.device_get(run.variables["params"]["encoder"]))
    for path, published in flatten_dict(encoder[1]["params"]).items():
        adapted = path[-2] in ("q_proj", "v_proj") and path[-1] == "kernel"
        assert np.array_equal(found[path], published) != adapted, path
        assert np.abs(found[path] - published).max() < 0.1
    waveform = np.random.default_rng(0).standard_normal((8, 800)).astype(np.float32)
    assert np.isfinite(run.score_batch(waveform, np.full(8, 800, np.int32))).all()


def test_encoders_that_cannot_be_meant(config, encoder, tmp_path):
    def origin(name: str, source: object = encoder[0]) -> Any:
        config.model = model_config(name, **(FIELDS if name == "ssl_linear" else {}))
        config.train.encoder_weights = str(source)
        return read_origin(config, build_model(config.model))

    with pytest.raises(ConfigError, match=r"encoder_weights is .*; there is no such file"):
        origin("ssl_linear", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="the network conv1d has no encoder"):
        origin("conv1d")
    other = CONFIG.replaced(width=16)
    write_encoder_weights(tmp_path / "other", drawn(other), other)
    with pytest.raises(CheckpointError, match=r"config.train.encoder_weights: .*not the weights"):
        origin("ssl_linear", tmp_path / "other")
    biased = CONFIG.replaced(conv_bias=True)
    write_encoder_weights(tmp_path / "biased", drawn(biased), biased)
    with pytest.raises(CheckpointError, match=r"conv_0/bias is \(6,\), the config's is not there"):
        origin("ssl_linear", tmp_path / "biased")
    config.train.init_from = "run"
    with pytest.raises(ConfigError, match="encoder_weights and init_from are both set"):
        origin("ssl_linear")
