"""Conv1D classifier on a small real-speech corpus in ASVspoof 2019 layout, the seed's recipe.

Command:  python train.py --config configs/conv1d_speech.py --workdir runs/conv1d_speech \
              --config.data.root=FOLDER
Expected: Keras, same recipe, two seeds: eval AUC .683 and .723, EER 38.8 % and 34.4 %. Ours, three
seeds: docs/results.md.
"""

from configs.base.speech import speech_config
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = speech_config("conv1d_speech")
    config.model = model_config("conv1d")
    return config
