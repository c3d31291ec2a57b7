"""LFCC-ResNet18 with OC-Softmax on 2 s clips of a small speech corpus in ASVspoof 2019 layout.

Command:  python train.py --config configs/lfcc_resnet18_speech.py \
              --workdir runs/lfcc_resnet18_speech --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from configs.base.speech import speech_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = speech_config("lfcc_resnet18_speech")
    config.data.num_samples = 32_160  # 200 frames
    config.data.crop = "random"
    config.loss = loss_config("oc_softmax")
    config.optimizer.learning_rate = 3e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 5e-4
    config.optimizer.center_name = "sgd"
    config.optimizer.center_learning_rate = 3e-4
    config.train.batch_size = 16
    config.train.num_epochs = 3
    # P(spoof) of a cosine of .55, half-way between the loss's margins.
    config.eval.spoof_threshold = 0.366
    config.model = model_config("lfcc_resnet18", num_frames=200)
    return config
