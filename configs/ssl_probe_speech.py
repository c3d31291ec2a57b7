"""Linear probe of a frozen speech encoder on a small real-speech corpus.

Command:  python -m rawnet_jax probe --config configs/ssl_probe_speech.py \
              --encoder-weights FOLDER --workdir runs/probe --config.data.root=FOLDER
          python evaluate.py --workdir runs/probe
Hardware: 2 CPU cores, minutes with Whisper tiny; figures: docs/results.md.

Scored in windows of 3.2 s, of which no clip of this corpus needs a second, and the mean over them.
"""

from configs.base.speech import speech_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = speech_config("ssl_probe_speech")
    config.data.num_samples = 51_200
    config.eval.batch_size = 16
    config.eval.aggregate = "mean"
    config.eval.window_hop = 0.25
    config.model = model_config("ssl_probe", variable_length=True)
    config.loss = loss_config("bce")
    return config
