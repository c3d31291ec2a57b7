"""EABN with LFCC and SE-Res2Net50 on 2 s clips of a small speech corpus in ASVspoof 2019 layout.

Command:  python train.py --config configs/eabn_se_res2net50_speech.py \
              --workdir runs/eabn_se_res2net50_speech --config.data.root=FOLDER
Measured: one seed: docs/results.md.
"""

from configs.base.speech import eabn_speech
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = eabn_speech("eabn_se_res2net50_speech")
    config.model = model_config("eabn_se_res2net50", slice_frames=200, slice_hop=100)
    return config
