"""Conv1D classifier on a random fifth of ASVspoof 2017 V2 train, the original notebook's split.

Command:  python train.py --config configs/conv1d_notebook.py --workdir runs/conv1d_notebook \
              --config.data.root=/data/ASVspoof2017
Published: validation accuracy .9784, loss .1017 after 10 epochs on 311 genuine + 292 spoof clips.
The call and its 2,411 / 603 clips are the same here, the clips are not: the notebook listed files
in the order of its own disk, which nobody knows. In the protocol's order 321 + 282 are held out.
Speakers and sessions are the same in both parts: this reproduces a number, it measures no detector.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="conv1d_notebook")
    config.data.corpus = "asvspoof2017"
    config.data.root = "/data/ASVspoof2017"
    config.data.dev_source = "notebook"
    config.model = model_config("conv1d")
    return config
