"""EABN with LFCC and EfficientNet-A0 on 2 s clips of a small speech corpus in ASVspoof 2019 layout.

Published with a log-power spectrogram: eight times as many rows, and as slow.

Command:  python train.py --config configs/eabn_efficientnet_a0_speech.py \
              --workdir runs/eabn_efficientnet_a0_speech --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="eabn_efficientnet_a0_speech")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "../shared/data/speech"
    config.data.train_protocol = "train.trl.txt"
    config.data.dev_protocol = "dev.trl.txt"
    config.data.eval_protocol = "eval.trl.txt"
    config.data.audio_dir = "flac"
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
    config.model = model_config(
        "eabn_efficientnet_a0",
        front_end="lfcc",
        slice_frames=200,
        slice_hop=100,
        efficientnet_bn_momentum=0.9,  # the published .99 lags behind for most of so few steps
    )
    return config
