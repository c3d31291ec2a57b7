"""RawNet2 baseline of ASVspoof 5, track 1, closed condition.

Command:  python train.py --config configs/rawnet2_asvspoof5.py --workdir runs/rawnet2_asvspoof5 \
              --config.data.root=/data/ASVspoof5
Published: baseline B01: eval EER 36.04 %, minDCF .8266 (Wang et al., arXiv 2408.08739;
recalled, not looked up).
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="rawnet2_asvspoof5")
    config.data.corpus = "asvspoof5"
    config.data.root = "/data/ASVspoof5"
    config.data.num_samples = 64_000
    config.data.crop = "random"
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy", class_weights=(0.1, 0.9))
    config.optimizer.learning_rate = 1e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.train.num_epochs = 100
    config.train.batch_size = 128
    config.train.drop_last = True
    config.train.seed = 1234
    config.model = model_config("rawnet2_asvspoof5")
    return config
