"""WavLM large with Nes2Net on CtrSVDD, singing, the recipe of Liu et al. (arXiv 2504.05657).

Command:  python train.py --config configs/nes2net_wavlm_ctrsvdd.py \
              --workdir runs/nes2net_ctrsvdd --config.data.root=/data/ctrsvdd \
              --config.train.encoder_weights=WavLM-Large.pt
Published: 2.22 % EER without attack A14 (mean of three seeds 2.27), 2.53 % without ACESinger too
(mean 2.55); Nes2Net-X (--config.model.fields.weighted=true) 2.20 % and 2.48 %: the README of the
published code. Its network has one logit, this one two, which the focal loss takes; of the same
difference they are the same loss. The list of clips is of your own (docs/datasets.md): the corpus's
own is not read.
Not run here: neither the corpus nor weights of WavLM were at hand.
"""

from rawnet_jax.augment.registry import augment_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="nes2net_wavlm_ctrsvdd")
    config.data.corpus = "manifest"
    config.data.root = "/data/ctrsvdd"
    config.data.num_samples = 64_000
    config.data.crop = "random"
    config.data.pad = "repeat"
    config.loss = loss_config("focal", gamma=2.0, alpha=0.25, smoothing=0.1)
    config.augment = augment_config({"rawboost": {"algorithm": 8, "probability": 1.0}})
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-6
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.period_epochs = 5.0
    config.optimizer.schedule.final_factor = 1e-3
    config.optimizer.schedule.per_epoch = True
    config.train.batch_size = 34
    config.train.num_epochs = 75
    config.train.seed = 42
    config.model = model_config("nes2net", num_logits=2)
    return config
