"""The detector in the box: `spectral_resnet_pairs` on the pool of `build-pool`.

Command:  python -m benchmarks.general --pool pool --output runs/general
Hardware: one core, about 15 minutes per run; nine runs on folds, three on all (docs/results.md).

`pool` in the current folder is what ``build-pool --clones CLONES --vocoders vocoders --output
pool`` wrote. The lists below are those of all folds, so that dev is part of training; the benchmark
puts those of one fold in their place, whose dev has engine families, speakers, languages and
channels that its training lacks. So has the test part, which chose nothing.
"""

from configs.spectral_resnet_pairs import get_config as pairs_config
from rawnet_jax.config import Config


def get_config() -> Config:
    config = pairs_config()
    config.name = "general"
    config.data.root = "pool"
    config.data.train_protocol = "protocols/all.train.csv"
    config.data.dev_protocol = "protocols/fold3.dev.csv"
    config.data.eval_protocol = "protocols/test.csv"
    config.data.unpaired_share = 0.3  # the other fakes of the pool
    config.data.num_samples = 16_000
    config.data.min_samples = 12_000
    config.augment.noise_dir = "pool/noise"
    config.augment.rir_dir = "pool/rir"
    config.train.num_epochs = 8
    config.train.best_from_epoch = config.train.num_epochs
    return config
