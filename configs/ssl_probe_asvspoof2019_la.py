"""Linear probe of a frozen speech encoder on ASVspoof 2019 LA, official partitions.

Command:  python -m rawnet_jax probe --config configs/ssl_probe_asvspoof2019_la.py \
              --encoder-weights wav2vec2-xls-r-2b --workdir runs/probe_2019la \
              --config.data.root=/data/LA
          python -m rawnet_jax cross-corpus --workdir runs/probe_2019la \
              --corpus wild=in_the_wild:/data/release_in_the_wild
Published: AI4T, layer 9 of XLS-R 2B, mean over time, logistic regression: 3.4 % EER on In-the-Wild.
Not yet run here: neither the corpora nor these weights are at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="ssl_probe_asvspoof2019_la")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.data.num_samples = 64_600
    config.eval.batch_size = 16
    config.eval.aggregate = "mean"
    config.model = model_config("ssl_probe", variable_length=True)
    config.loss = loss_config("bce")
    return config
