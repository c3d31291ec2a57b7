"""XLS-R 300M with Nes2Net-X on ASVspoof 2019 LA, the recipe of Liu et al. (arXiv 2504.05657).

Command:  python train.py --config configs/nes2net_x_asvspoof2019_la.py \
              --workdir runs/nes2net_x_2019la --config.data.root=/data/LA \
              --config.train.encoder_weights=xlsr2_300m.pt
Published: best run (mean): ASVspoof 2021 LA eval 1.73 % (1.95) EER, DF eval 1.65 % (1.91), and 1.49
% (1.78) with the parameters of the 3 to 5 best epochs averaged; In-the-Wild 5.15 % (6.31) on whole
clips. train.swa averages epochs by another rule, so it is off.
Not run here: neither the corpora nor weights of XLS-R were at hand.
"""

from configs.base.ssl import ssl_asvspoof2019_la
from rawnet_jax.config import Config


def get_config() -> Config:
    config = ssl_asvspoof2019_la("nes2net_x_asvspoof2019_la", "nes2net_x", rawboost=4)
    config.optimizer.learning_rate = 2.5e-7
    config.train.batch_size = 12
    return config
