"""Conv1D classifier on ASVspoof 2019 LA, official partitions.

Command:  python train.py --config configs/conv1d_asvspoof2019_la.py --workdir runs/conv1d_2019la \
              --config.data.root=/data/LA
Published: nothing for this network on this corpus.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="conv1d_asvspoof2019_la")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.loss.class_weights = (0.1, 0.9)  # nine spoof clips to one bona fide
    config.model = model_config("conv1d")
    return config
