"""AASIST on ASVspoof 2019 LA, official partitions, the paper's recipe.

Command:  python train.py --config configs/aasist_asvspoof2019_la.py \
              --workdir runs/aasist_2019la --config.data.root=/data/LA
Published: best run .83 % EER, .0275 min t-DCF on eval; mean of three seeds 1.13 %, .0347 (Jung et
al., ICASSP 2022). The authors chose their best checkpoint by the t-DCF on eval; here dev chooses.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="aasist_asvspoof2019_la")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
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
    config.train.swa = True
    config.train.seed = 1234
    config.model = model_config("aasist")
    return config
