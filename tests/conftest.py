"""What several tests share."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

import tests.environment  # noqa: F401  # before anything starts JAX

# No deadline, since a busy machine is not a defect; the same examples in every run, so that a red
# test stays red.
settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Take what is there by now out of the garbage collector's way: it stays to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


REPO = Path(__file__).resolve().parent.parent
TINY_SIZES = {"train": 44, "dev": 16, "eval": 19}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings, protocols and reference outputs; the test skips without it.

    `RAWNET_JAX_TEST_DATA` names it; by default it is looked for beside the checkout.
    """
    path = Path(os.environ.get("RAWNET_JAX_TEST_DATA", REPO.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no test data in {path}; set RAWNET_JAX_TEST_DATA")
    return path


def write_tiny_corpus(root: Path) -> Path:
    """Write 79 clips of 0.05 to 0.15 s in ASVspoof 2019 layout: tones against noise."""
    (root / "flac").mkdir(parents=True)
    rng = np.random.default_rng(5)
    for partition, size in TINY_SIZES.items():
        lines = []
        for i in range(size):
            bonafide, utterance = i % 2 == 0, f"{partition[0].upper()}_{i:03d}"
            time_s = np.arange(rng.integers(800, 2400)) / 16_000
            tone = np.sin(2 * np.pi * rng.uniform(200, 900) * time_s) * bonafide
            waveform = 0.1 * tone + 0.2 * rng.standard_normal(len(time_s))
            soundfile.write(root / "flac" / f"{utterance}.flac", waveform, 16_000)
            attack, key = ("-", "bonafide") if bonafide else (f"A0{1 + i % 3}", "spoof")
            lines.append(f"SPK_{partition}_{i % 4} {utterance} - {attack} {key}\n")
        (root / f"{partition}.txt").write_text("".join(lines), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that trains in seconds."""
    return write_tiny_corpus(tmp_path_factory.mktemp("tiny") / "corpus")


TINY_CONFIG = """
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config():
    config = Config(name="tiny")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = {root!r}
    for partition in ("train", "dev", "eval"):
        setattr(config.data, f"{{partition}}_protocol", f"{{partition}}.txt")
    config.data.audio_dir = "flac"
    config.data.cache_dir = {cache!r}
    config.data.num_samples = 800
    config.data.num_workers = 1
    config.data.crop = "random"
    config.train.batch_size = 8
    config.train.num_epochs = 4
    config.train.log_every_steps = 2
    config.eval.batch_size = 8
    config.model = model_config("conv1d", channels=(3, 4), hidden_features=5)
    return config
"""


@pytest.fixture(scope="session")
def tiny_config(tiny_corpus: Path) -> Path:
    """A config file for the tiny corpus: 6 steps an epoch, the last batch half filler."""
    path = tiny_corpus.parent / "tiny.py"
    cache = str(tiny_corpus.parent / "cache")
    path.write_text(TINY_CONFIG.format(root=str(tiny_corpus), cache=cache), encoding="utf-8")
    return path
