"""EABN with LFCC and EfficientNet-A0 on 2 s clips of a small speech corpus in ASVspoof 2019 layout.

Published with a log-power spectrogram: eight times as many rows, and as slow.

Command:  python train.py --config configs/eabn_efficientnet_a0_speech.py \
              --workdir runs/eabn_efficientnet_a0_speech --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from configs.base.speech import eabn_speech
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = eabn_speech("eabn_efficientnet_a0_speech")
    config.model = model_config(
        "eabn_efficientnet_a0",
        front_end="lfcc",
        slice_frames=200,
        slice_hop=100,
        efficientnet_bn_momentum=0.9,  # the published .99 lags behind for most of so few steps
    )
    return config
