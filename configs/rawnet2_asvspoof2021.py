"""RawNet2 baseline of ASVspoof 2021, trained on ASVspoof 2019 LA as published.

Command:  python train.py --config configs/rawnet2_asvspoof2021.py \
              --workdir runs/rawnet2_asvspoof2021 --config.data.root=/data/LA
Published: baseline B04: 2021 LA eval EER 9.50 %, min t-DCF .4257; DF eval EER 22.38 % (Yamagishi et
al., arXiv 2109.00537; recalled, not looked up).
Not yet run here: neither corpus is at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="rawnet2_asvspoof2021")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.data.num_samples = 64_600
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy", class_weights=(0.1, 0.9))
    config.optimizer.learning_rate = 1e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.train.num_epochs = 100
    config.train.batch_size = 32
    config.train.drop_last = True
    config.train.seed = 1234
    config.model = model_config("rawnet2_asvspoof2021")
    return config
