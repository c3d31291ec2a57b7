"""AASIST-L on a small real-speech corpus in ASVspoof 2019 layout.

Command:  python train.py --config configs/aasist_l_speech.py --workdir runs/aasist_l_speech \
              --config.data.root=FOLDER
Not yet run here.
"""

from configs.base.speech import aasist_speech
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = aasist_speech("aasist_l_speech")
    config.model = model_config("aasist_l")
    return config
