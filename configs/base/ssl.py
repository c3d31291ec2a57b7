"""What published detectors on a fine-tuned XLS-R 300M share on ASVspoof 2019 LA."""

from rawnet_jax.augment.registry import augment_config
from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def ssl_asvspoof2019_la(name: str, model: str, rawboost: int) -> Config:
    """Return that recipe: first samples of each clip, RawBoost on all, Adam at 1e-6, L2.

    Args:
        name: of the config.
        model: a row of the registry.
        rawboost: its algorithm.
    """
    config = Config(name=name)
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.data.num_samples = 64_600
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy", class_weights=(0.1, 0.9))
    config.augment = augment_config({"rawboost": {"algorithm": rawboost, "probability": 1.0}})
    config.optimizer.learning_rate = 1e-6
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.train.num_epochs = 100
    config.train.batch_size = 14
    config.train.drop_last = True
    config.train.seed = 1234
    config.model = model_config(model)
    return config
