"""Small LFCC-ResNet18 beside modulation spectra, augmented, on a small speech corpus.

Command:  python train.py --config configs/lfcc_modulation_speech.py \
              --workdir runs/recipe --config.data.root=FOLDER \
              --config.augment.noise_dir=NOISES --config.augment.rir_dir=RESPONSES
          python evaluate.py --workdir runs/recipe
Hardware: 2 CPU cores, within 30 minutes; figures of three seeds: docs/results.md.

Trained on crops of .5 to 1.5 s at random places; scored in windows of 3.2 s, of which no clip of
this corpus needs a second, and the mean over them. Of rooms, noises, RawBoost, narrow bands,
telephones and clipping a clip gets one at most, and three clips in ten none: noise covers what
modulation spectra show, and all of these at once would leave little to learn from. The last epoch
counts as the best: dev has only attacks that training knows, and which epoch is ahead there by a
trial or two is luck.
"""

from typing import Any

from configs.base.speech import speech_config
from rawnet_jax.augment.registry import augment_config
from rawnet_jax.config import Config
from rawnet_jax.data.host_augment import host_augment_config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = speech_config("lfcc_modulation_speech")
    config.data.num_samples = 24_160  # 150 frames
    config.data.min_samples = 8_000  # of 0.5 s at least
    config.data.crop = "random"
    config.data.host_augment = host_augment_config(
        {"mp3": {"probability": 0.12, "kbps": (24.0, 128.0)}}
    )
    one_of: dict[str, dict[str, Any]] = {
        "rir": {"probability": 0.18},
        "noise": {"probability": 0.27, "snr_db": (0.0, 25.0)},
        "rawboost": {"algorithm": 5, "probability": 0.05},
        "band_limit": {"probability": 0.07, "low_hz": (0.0, 300.0), "high_hz": (3400.0, 7000.0)},
        "mu_law": {"probability": 0.08},
        "clipping": {"probability": 0.05},
    }
    config.augment = augment_config(
        {**one_of, "frequency_mask": {"probability": 0.5}, "gain": {"gain_db": (-20.0, 20.0)}},
        exclusive=tuple(one_of),
        noise_dir="../shared/data/noise",
        rir_dir="../shared/data/rir",
    )
    config.loss = loss_config("cross_entropy", smoothing=0.1)
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.weight_decay = 1e-2
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.warmup_steps = 50
    config.train.batch_size = 32
    config.train.num_epochs = 60
    config.train.best_from_epoch = config.train.num_epochs
    config.eval.aggregate = "mean"
    config.eval.window_samples = 51_200
    config.eval.window_hop = 0.25
    config.model = model_config("lfcc_modulation", variable_length=True)
    return config
