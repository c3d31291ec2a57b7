"""AASIST on a small real-speech corpus in ASVspoof 2019 layout.

Command:  python train.py --config configs/aasist_speech.py --workdir runs/aasist_speech \
              --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="aasist_speech")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "../shared/data/speech"
    config.data.train_protocol = "train.trl.txt"
    config.data.dev_protocol = "dev.trl.txt"
    config.data.eval_protocol = "eval.trl.txt"
    config.data.audio_dir = "flac"
    config.data.num_samples = 16_000
    config.data.crop = "random"
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy")
    config.optimizer.learning_rate = 1e-3
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.final_factor = 0.05
    config.train.num_epochs = 3
    config.train.batch_size = 8
    config.model = model_config("aasist")
    return config
