"""XLS-R 300M with SLS on ASVspoof 2019 LA, the recipe of Zhang et al. (ACM MM 2024).

Command:  python train.py --config configs/ssl_sls_asvspoof2019_la.py \
              --workdir runs/ssl_sls_2019la --config.data.root=/data/LA \
              --config.train.encoder_weights=xlsr2_300m.pt
Published: ASVspoof 2021 DF eval 1.92 % EER, LA eval 2.87 %, In-the-Wild 7.46 %. The authors look at
no dev: they stop once the training loss rises. Here dev chooses, and all 50 epochs are trained.
Not run here: neither the corpora nor weights of XLS-R were at hand.
"""

from configs.base.ssl import ssl_asvspoof2019_la
from rawnet_jax.config import Config


def get_config() -> Config:
    config = ssl_asvspoof2019_la("ssl_sls_asvspoof2019_la", "ssl_sls", rawboost=3)
    config.train.batch_size = 5
    config.train.num_epochs = 50
    return config
