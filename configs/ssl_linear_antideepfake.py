"""Post-training of MMS 300M with a linear head, the recipe of AntiDeepfake (Ge et al., 2025).

Command:  python train.py --config configs/ssl_linear_antideepfake.py \
              --workdir runs/ssl_linear --config.data.root=/data/lists \
              --config.train.encoder_weights=mms_300m
Published: 56,000 hours of genuine and 18,000 of fake speech, 800,000 steps (arXiv 2506.21090); its
figures are not repeated here. The corpora are many: lists of your own (docs/datasets.md) in place
of them. Published batches are 100 s of clips of like length, whatever their number; here they are
16 clips in rows of up to 13 s. RawBoost 5 is the published default; without it their models are
called NDA. Their fp16 is not used.
Not run here: neither the corpora nor weights of MMS were at hand.
"""

from rawnet_jax.augment.registry import augment_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="ssl_linear_antideepfake")
    config.data.corpus = "manifest"
    config.data.root = "/data/lists"
    config.data.num_samples = 208_000
    config.data.bucket_samples = (64_000, 104_000, 156_000, 208_000)
    config.data.crop = "random"
    config.loss = loss_config("cross_entropy")
    config.augment = augment_config({"rawboost": {"algorithm": 5, "probability": 1.0}})
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-7
    config.optimizer.epsilon = 1e-6
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 100.0
    config.optimizer.schedule.name = "exponential"
    config.optimizer.schedule.warmup_steps = 80_000
    config.optimizer.schedule.decay_epochs = 0.0
    config.optimizer.schedule.decay_factor = 0.01
    config.train.batch_size = 16
    config.train.num_epochs = 10
    config.model = model_config("ssl_linear", variable_length=True)
    return config
