"""Conv1D classifier on the synthetic demo corpus.

Command:  make demo
Hardware: 2 CPU cores; see docs/results.md for time and figures.

The corpus is made by code: its figures show that the pipeline works, nothing about real attacks.
"""

from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="conv1d_demo")
    config.note = "The demo corpus is synthetic; its figures say nothing about real attacks."
    config.data.corpus = "asvspoof2017"
    config.data.root = "data/demo"
    # Keras' momentum of .99 takes hundreds of steps to forget where the running statistics began;
    # an epoch here has 15.
    config.model = model_config("conv1d", bn_momentum=0.9)
    config.train.num_epochs = 20
    # What people try a demo run on is often made by code too, and no speech to Silero.
    config.gate.speech = "energy"
    return config
