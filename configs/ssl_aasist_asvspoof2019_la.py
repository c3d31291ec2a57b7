"""XLS-R 300M with AASIST on ASVspoof 2019 LA, the recipe of Tak et al. (Odyssey 2022).

Command:  python train.py --config configs/ssl_aasist_asvspoof2019_la.py \
              --workdir runs/ssl_aasist_2019la --config.data.root=/data/LA \
              --config.train.encoder_weights=xlsr2_300m.pt
Published: ASVspoof 2021 LA eval .82 % EER, .2066 min t-DCF; DF eval 2.85 % with RawBoost 3 in place
of 5 (--config.augment.steps.rawboost.algorithm=3). The authors augment dev too; here it stays
clean.
Not run here: neither the corpora nor weights of XLS-R were at hand.
"""

from configs.base.ssl import ssl_asvspoof2019_la
from rawnet_jax.config import Config


def get_config() -> Config:
    return ssl_asvspoof2019_la("ssl_aasist_asvspoof2019_la", "ssl_aasist", rawboost=5)
