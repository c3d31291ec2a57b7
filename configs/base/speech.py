"""What the ``*_speech`` configs share: a small real-speech corpus in ASVspoof 2019 layout."""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config


def speech_config(name: str) -> Config:
    """Return a config of this name for that corpus."""
    config = Config(name=name)
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "../shared/data/speech"
    config.data.train_protocol = "train.trl.txt"
    config.data.dev_protocol = "dev.trl.txt"
    config.data.eval_protocol = "eval.trl.txt"
    config.data.audio_dir = "flac"
    return config


def aasist_speech(name: str) -> Config:
    """Return the recipe of both sizes of AASIST; the model is missing."""
    config = speech_config(name)
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
    return config


def eabn_speech(name: str) -> Config:
    """Return the recipe of both forms of EABN; the model is missing."""
    config = speech_config(name)
    config.data.num_samples = 32_160  # 200 frames, one slice
    config.data.crop = "random"
    config.loss = loss_config("eabn", class_weights=(0.5, 0.5))
    config.optimizer.name = "amsgrad"
    config.optimizer.beta1 = 0.9
    config.optimizer.beta2 = 0.98
    config.optimizer.epsilon = 1e-9
    config.optimizer.weight_decay = 1e-4
    config.optimizer.learning_rate = 1e-3  # too few steps for the published warm-up of 1,000
    config.train.batch_size = 16
    config.train.num_epochs = 2
    # P(spoof) of a score of log .5, since the score is a mean of log P(bonafide).
    config.eval.spoof_threshold = 2 / 3
    return config
