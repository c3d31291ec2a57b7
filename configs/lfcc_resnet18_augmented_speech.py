"""Small LFCC-ResNet18 with augmentation, for clips of any length, on a small speech corpus.

Command:  python train.py --config configs/lfcc_resnet18_augmented_speech.py \
              --workdir runs/recipe --config.data.root=FOLDER \
              --config.augment.noise_dir=NOISES --config.augment.rir_dir=RESPONSES
          python evaluate.py --workdir runs/recipe
Hardware: 2 CPU cores, within 30 minutes; figures of three seeds: docs/results.md.

Trained on crops of 1.5 s at random places; scored as the mean over windows of 1.5 s, so that a
recording of any length has a score of all of it. The last epoch counts as the best: dev has only
attacks that training knows, and which epoch is ahead there by a trial or two is luck.
"""

from rawnet_jax.augment.registry import augment_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config

NUM_FRAMES = 150


def get_config() -> Config:
    config = Config(name="lfcc_resnet18_augmented_speech")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "../shared/data/speech"
    config.data.train_protocol = "train.trl.txt"
    config.data.dev_protocol = "dev.trl.txt"
    config.data.eval_protocol = "eval.trl.txt"
    config.data.audio_dir = "flac"
    config.data.num_samples = 160 * (NUM_FRAMES + 1)
    config.data.crop = "random"
    config.augment = augment_config(
        {
            "rir": {"probability": 0.3},
            "noise": {"probability": 0.4, "snr_db": (5.0, 25.0)},
            "rawboost": {"algorithm": 5, "probability": 0.5},
            "frequency_mask": {"probability": 0.5},
            "gain": {},
        },
        noise_dir="../shared/data/noise",
        rir_dir="../shared/data/rir",
    )
    config.loss = loss_config("cross_entropy")
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.weight_decay = 1e-2
    config.optimizer.schedule.name = "cosine"
    config.optimizer.schedule.warmup_steps = 50
    config.train.batch_size = 32
    config.train.num_epochs = 40
    config.train.best_from_epoch = config.train.num_epochs
    config.eval.aggregate = "mean"
    config.eval.window_hop = 0.25
    config.model = model_config(
        "lfcc_resnet18",
        num_frames=NUM_FRAMES,
        channels=(16, 32, 64, 128),
        pooled_features=128,
        embedding_features=64,
        head="softmax",
    )
    return config
