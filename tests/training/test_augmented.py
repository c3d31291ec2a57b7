"""Augmentation inside the training step: drawn again each step, the same however a run is done."""

import jax
import numpy as np
import pytest

from rawnet_jax.config_file import load_config
from rawnet_jax.errors import CheckpointError
from rawnet_jax.training.loop import Trainer


def trained(tiny_config, tiny_corpus, workdir, *overrides, chain=("gain", "noise")):
    base = [
        f"--config.augment.chain={chain}",
        f"--config.augment.noise_dir={tiny_corpus / 'flac'}",
        "--config.train.num_epochs=1",
        "--config.train.swa=True",
    ]
    config = load_config(str(tiny_config), [*base, *overrides])
    return jax.device_get(Trainer(config, workdir, progress=False).run())


def kernel(state):
    return state.params["conv_0"]["kernel"]


def test_same_from_host_and_device_memory_and_for_seeds(tiny_config, tiny_corpus, tmp_path):
    streamed = trained(tiny_config, tiny_corpus, tmp_path / "a")
    seeds = trained(
        tiny_config,
        tiny_corpus,
        tmp_path / "b",
        "--config.data.resident=on",
        "--config.train.num_seeds=2",
    )
    plain = trained(tiny_config, tiny_corpus, tmp_path / "c", chain=())
    np.testing.assert_allclose(kernel(streamed), kernel(seeds)[0], atol=2e-5)
    assert np.abs(kernel(streamed) - kernel(plain)).max() > 1e-3


def test_other_noises_are_refused_when_a_run_goes_on(tiny_config, tiny_corpus, tmp_path):
    trained(tiny_config, tiny_corpus, tmp_path / "run")
    fewer = tmp_path / "noises"
    fewer.mkdir()
    (fewer / "one.flac").write_bytes((tiny_corpus / "flac" / "T_001.flac").read_bytes())
    with pytest.raises(CheckpointError, match="other noises or impulse responses"):
        trained(
            tiny_config,
            tiny_corpus,
            tmp_path / "run",
            f"--config.augment.noise_dir={fewer}",
            "--config.train.num_epochs=2",
        )
