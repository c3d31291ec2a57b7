"""LFCC-ResNet18 with plain softmax on ASVspoof 2019 LA, the recipe of Zhang, Jiang, Duan (2021).

Command:  python train.py --config configs/lfcc_resnet18_softmax_asvspoof2019_la.py \
              --workdir runs/lfcc_resnet18_softmax_2019_la --config.data.root=/data/LA
Published: 4.69 % EER, .125 min t-DCF on eval; the score files that the authors released give
5.058 % and .1208.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="lfcc_resnet18_softmax_asvspoof2019_la")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.data.num_samples = 120_160  # 750 frames; a shorter clip's own frames are repeated
    config.data.crop = "random"
    config.loss = loss_config("cross_entropy")
    config.optimizer.learning_rate = 3e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 5e-4
    config.optimizer.schedule.name = "step"
    config.optimizer.schedule.decay_factor = 0.5
    config.optimizer.schedule.decay_epochs = 10
    config.train.batch_size = 64
    config.train.num_epochs = 100
    config.train.seed = 688
    config.model = model_config("lfcc_resnet18", head="softmax")
    return config
