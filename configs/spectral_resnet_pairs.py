"""Small residual network over log spectra, trained on pairs: genuine speech beside its copies.

Command:  python train.py --config configs/spectral_resnet_pairs.py \
              --workdir runs/pairs --config.data.root=COPIES \
              --config.augment.noise_dir=NOISES --config.augment.rir_dir=RESPONSES
          python evaluate.py --workdir runs/pairs
Hardware: 2 CPU cores, about two minutes per epoch of 2,000 pairs.

COPIES is what `vocode` left; of a pool of `build-pool` name the lists, such as
``--config.data.train_protocol=protocols/fold1.train.csv``. Both sides of a pair are cut and
augmented alike, and played faster or slower, so that the frequencies at which a vocoder shows
itself move.
"""

from typing import Any

from rawnet_jax.augment.registry import augment_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="spectral_resnet_pairs")
    config.data.corpus = "manifest"
    config.data.pairs = "source"
    config.data.num_samples = 24_160
    config.data.min_samples = 8_000  # of 0.5 s at least
    config.data.crop = "random"
    one_of: dict[str, dict[str, Any]] = {
        "rir": {"probability": 0.2},
        "noise": {"probability": 0.3, "snr_db": (3.0, 30.0)},
        "coloured_noise": {"probability": 0.12},
        "band_limit": {"probability": 0.13, "low_hz": (0.0, 300.0), "high_hz": (3400.0, 7600.0)},
        "mu_law": {"probability": 0.03},
        "clipping": {"probability": 0.03},
        "rawboost": {"algorithm": 5, "probability": 0.05},
    }
    config.augment = augment_config(
        {
            "speed": {"probability": 0.8, "factor": (0.75, 1.3)},
            **one_of,
            "frequency_mask": {"probability": 0.5},
            "gain": {"gain_db": (-20.0, 20.0)},
        },
        exclusive=tuple(one_of),
        by_pair=True,
        noise_dir="../shared/data/noise",
        rir_dir="../shared/data/rir",
    )
    config.loss = loss_config("pair_ranking", smoothing=0.1, ranking_weight=0.5)
    config.optimizer.name = "adamw"
    config.optimizer.weight_decay = 1e-2
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.warmup_steps = 50
    config.train.batch_size = 64
    config.train.num_epochs = 8
    config.train.best_from_epoch = config.train.num_epochs
    config.eval.aggregate = "mean"
    config.eval.window_samples = 51_200
    config.eval.window_hop = 0.25
    config.model = model_config("spectral_resnet", variable_length=True)
    return config
