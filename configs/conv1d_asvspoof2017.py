"""Conv1D classifier on ASVspoof 2017 V2, the seed's recipe on the official partitions.

Command:  python train.py --config configs/conv1d_asvspoof2017.py --workdir runs/conv1d_2017 \
              --config.data.root=/data/ASVspoof2017
Published on train / dev / eval: nothing. The seed reports .9784 validation accuracy on a random
fifth of train, with the same speakers and sessions in both parts (configs/conv1d_notebook.py).
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="conv1d_asvspoof2017")
    config.data.corpus = "asvspoof2017"
    config.data.root = "/data/ASVspoof2017"
    config.model = model_config("conv1d")
    return config
