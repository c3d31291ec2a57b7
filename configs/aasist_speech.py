"""AASIST on a small real-speech corpus in ASVspoof 2019 layout.

Command:  python train.py --config configs/aasist_speech.py --workdir runs/aasist_speech \
              --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from configs.base.speech import aasist_speech
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = aasist_speech("aasist_speech")
    config.model = model_config("aasist")
    return config
