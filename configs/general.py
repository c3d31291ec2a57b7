"""The detector in the box: `spectral_resnet_pairs` on the pool of `build-pool`.

Command:  python train.py --config configs/general.py --workdir runs/general
          python evaluate.py --workdir runs/general --threshold-rule miss=0.01
Hardware: one core, 33 minutes; EER 30.3 % on dev, 23.7 % on test (one seed, docs/results.md).

`pool` in the current folder is what ``build-pool --clones CLONES --vocoders vocoders --output
pool`` wrote. Dev has engine families, speakers, languages and channels that training lacks, and so
has the test part, which chose nothing. docs/pool.md says how to change the fold.
"""

from configs.spectral_resnet_pairs import get_config as pairs_config
from rawnet_jax.config import Config


def get_config() -> Config:
    config = pairs_config()
    config.name = "general"
    config.data.root = "pool"
    config.data.train_protocol = "protocols/fold3.train.csv"
    config.data.dev_protocol = "protocols/fold3.dev.csv"
    config.data.eval_protocol = "protocols/test.csv"
    config.data.unpaired_share = 0.3  # the other fakes of the pool
    config.data.num_samples = 16_000
    config.data.min_samples = 12_000
    config.augment.noise_dir = "pool/noise"
    config.augment.rir_dir = "pool/rir"
    config.train.num_epochs = 6
    config.train.best_from_epoch = config.train.num_epochs
    return config
