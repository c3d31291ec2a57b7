"""Frozen XLS-R 300M with Spoof-SUPERB's probe on ASVspoof 2019 LA (Ali et al., arXiv 2603.01482).

Command:  python train.py --config configs/ssl_weighted_sum_asvspoof2019_la.py \
              --workdir runs/ssl_weighted_sum_2019la --config.data.root=/data/LA \
              --config.train.encoder_weights=xlsr2_300m.pt
Published: figures are in the paper; they were not at hand and are not repeated here. Batch, epochs
and layers are theirs; clip length, optimiser and rate were not at hand and are ours (S3PRL's usual
Adam at 1e-4).
Not run here: neither the corpora nor weights of XLS-R were at hand.
"""

from configs.base.ssl import ssl_asvspoof2019_la
from rawnet_jax.config import AugmentConfig, Config
from rawnet_jax.losses import loss_config


def get_config() -> Config:
    config = ssl_asvspoof2019_la("ssl_weighted_sum_asvspoof2019_la", "ssl_weighted_sum", 0)
    config.augment = AugmentConfig()
    config.loss = loss_config("cross_entropy")
    config.optimizer.learning_rate = 1e-4
    config.optimizer.weight_decay = 0.0
    config.optimizer.frozen = ("encoder",)
    config.train.batch_size = 64
    config.train.num_epochs = 50
    return config
