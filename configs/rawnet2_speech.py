"""RawNet2 (ASVspoof 2021's form) on a small real-speech corpus in ASVspoof 2019 layout.

Command:  python train.py --config configs/rawnet2_speech.py --workdir runs/rawnet2_speech \
              --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from configs.base.speech import speech_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = speech_config("rawnet2_speech")
    config.data.num_samples = 32_000
    config.data.crop = "random"
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy")
    config.optimizer.learning_rate = 3e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.train.num_epochs = 4
    config.train.batch_size = 16
    config.model = model_config("rawnet2_asvspoof2021")
    return config
