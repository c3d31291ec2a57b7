"""Corpora as they are published through the commands: check, one epoch of training, evaluate."""

import json

import pytest

from rawnet_jax.cli.main import main
from tests.data.made_corpora import MADE

CONFIG = """
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config():
    config = Config(name="tiny")
    config.data.corpus = "auto"
    config.data.cache_dir = {cache!r}
    config.data.num_samples = 800
    config.data.num_workers = 1
    config.train.batch_size = 8
    config.train.num_epochs = 1
    config.eval.batch_size = 8
    config.gate.enabled = False
    config.model = model_config("conv1d", channels=(3, 4), hidden_features=5)
    return config
"""


@pytest.mark.parametrize("name", ["mlaad", "deepfake_eval_2024"])
def test_from_check_to_figures(name, tmp_path, capsys):
    root, run = tmp_path / "data", tmp_path / "run"
    root.mkdir()
    counts = MADE[name].write(root)
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG.format(cache=str(tmp_path / "cache")))
    how = ["--config", str(config), f"--config.data.root={root}", "--no-progress"]
    assert main(["check", *how]) == 0
    assert f"recognised as {name} because" in capsys.readouterr().out
    assert main(["train", *how, "--workdir", str(run)]) == 0
    trained = json.loads((run / "config.json").read_text())
    assert trained["data"]["corpus"] == name  # whatever lies there later
    assert main(["evaluate", "--workdir", str(run), "--no-bootstrap", "--no-progress"]) == 0
    said = capsys.readouterr().out
    bonafide, spoof = counts["eval"]
    assert f"{bonafide + spoof} trials ({bonafide} bona fide, {spoof} spoof)" in said
    assert ("published without partitions" in said) == (name == "mlaad")
