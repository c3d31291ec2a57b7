"""LFCC-ResNet18 with AM-Softmax on ASVspoof 2019 LA, the recipe of Zhang, Jiang, Duan (2021).

Command:  python train.py --config configs/lfcc_resnet18_am_asvspoof2019_la.py \
              --workdir runs/lfcc_resnet18_am_2019_la --config.data.root=/data/LA
Published: 3.26 % EER, .082 min t-DCF on eval; the score files that the authors released give
3.165 % and .0771.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="lfcc_resnet18_am_asvspoof2019_la")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.data.num_samples = 120_160  # 750 frames; a shorter clip's own frames are repeated
    config.data.crop = "random"
    config.loss = loss_config("am_softmax")
    config.optimizer.learning_rate = 3e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 5e-4
    # The published code gives the loss's centres plain descent, on the same halving rate.
    config.optimizer.center_name = "sgd"
    config.optimizer.center_learning_rate = 3e-4
    config.optimizer.schedule.name = "step"
    config.optimizer.schedule.decay_factor = 0.5
    config.optimizer.schedule.decay_epochs = 10
    config.train.batch_size = 64
    config.train.num_epochs = 100
    config.train.seed = 688
    config.model = model_config("lfcc_resnet18", head="am_softmax")
    return config
