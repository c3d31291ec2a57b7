"""EABN with log-power spectrogram and EfficientNet-A0 on ASVspoof 2019 PA, Rostami et al. (2023).

Command:  python train.py --config configs/eabn_efficientnet_a0_asvspoof2019_pa.py \
              --workdir runs/eabn_efficientnet_a0_2019pa --config.data.root=/data/PA
Published: .86 % EER, .0239 min t-DCF on eval.
Neither config that the authors released is this pair of features and network: what they share of
the recipe is combined here. They train on whole clips, cut into slices; here a longer clip is
cropped at random to two slices' length in training, and to its first part at scoring.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="eabn_efficientnet_a0_asvspoof2019_pa")
    config.data.corpus = "asvspoof2019_pa"
    config.data.root = "/data/PA"
    config.data.num_samples = 128_000  # 800 frames, three slices
    config.data.crop = "random"
    # What a class weighs is the other one's share of the clips.
    config.loss = loss_config("eabn", class_weights=(0.1, 0.9))
    config.optimizer.name = "amsgrad"
    config.optimizer.beta1 = 0.9
    config.optimizer.beta2 = 0.98
    config.optimizer.epsilon = 1e-9
    config.optimizer.weight_decay = 1e-4
    config.optimizer.learning_rate = 1.0
    config.optimizer.schedule.name = "noam"
    config.optimizer.schedule.noam_dim = 64
    config.optimizer.schedule.warmup_steps = 1_000
    config.optimizer.schedule.stall_epochs = 4
    config.train.batch_size = 4
    config.train.num_epochs = 40
    config.train.seed = 1010
    # P(spoof) of a score of log .5, since the score is a mean of log P(bonafide).
    config.eval.spoof_threshold = 2 / 3
    config.model = model_config("eabn_efficientnet_a0")
    return config
