"""AASIST baseline of ASVspoof 5, track 1, closed condition: the network of 2019, unchanged.

Command:  python train.py --config configs/aasist_asvspoof5.py --workdir runs/aasist_asvspoof5 \
              --config.data.root=/data/ASVspoof5
Published: baseline B02: eval EER 29.12 %, minDCF .7106 (Wang et al., arXiv 2408.08739; recalled,
not looked up). Unlike the recipe of 2019, the baseline's code never uses its averaged weights.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="aasist_asvspoof5")
    config.data.corpus = "asvspoof5"
    config.data.root = "/data/ASVspoof5"
    config.data.num_samples = 64_600
    config.data.crop = "random"
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy", class_weights=(0.1, 0.9))
    config.optimizer.learning_rate = 1e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.final_factor = 0.05  # 5e-6 at the last step
    config.train.num_epochs = 100
    config.train.batch_size = 24
    config.train.drop_last = True
    config.train.seed = 1234
    config.model = model_config("aasist")
    return config
