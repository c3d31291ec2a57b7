"""XLS-R 300M with a Conformer with TCM on ASVspoof 2019 LA, the recipe of Truong et al. (2024).

Command:  python train.py --config configs/ssl_tcm_asvspoof2019_la.py \
              --workdir runs/ssl_tcm_2019la --config.data.root=/data/LA \
              --config.train.encoder_weights=xlsr2_300m.pt
Published: figures are in Interspeech 2024 (arXiv 2406.17376); they were not at hand and are not
repeated here. The authors stop after 7 epochs without a better dev loss, after 75 at most, and
average the parameters of the 5 best; here dev chooses one of 75 epochs. RawBoost is 5 for the LA
set and 3 for the DF set (--config.augment.steps.rawboost.algorithm=3).
Not run here: neither the corpora nor weights of XLS-R were at hand.
"""

from configs.base.ssl import ssl_asvspoof2019_la
from rawnet_jax.config import Config


def get_config() -> Config:
    config = ssl_asvspoof2019_la("ssl_tcm_asvspoof2019_la", "ssl_tcm", rawboost=5)
    config.data.num_samples = 66_800
    config.train.batch_size = 20
    config.train.num_epochs = 75
    return config
