"""RawNet2 of ICASSP 2021 on ASVspoof 2019 LA, in the paper's recipe.

Command:  python train.py --config configs/rawnet2_eurecom_asvspoof2019_la.py \
              --workdir runs/rawnet2_eurecom --config.data.root=/data/LA
Published: eval EER / min t-DCF by filter bank: mel (S1, this file) 5.64 % / .1301, inverse mel (S2)
5.13 % / .1175, linear (S3) 4.66 % / .1294; fused with a high-resolution LFCC-GMM, S1 1.12 % / .0330
(Tak et al., arXiv 2011.01108).
Other banks: --config.model.fields.filterbank=s2_inverse_mel, s3_linear, or inverse_mel, which is
the bank that the paper describes and its code does not make.
Differs: the paper moves 90 % of dev into train; here dev stays dev and chooses the checkpoint.
Not yet run here: the corpus is not at hand.
"""

from rawnet_jax.config import Config
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config


def get_config() -> Config:
    config = Config(name="rawnet2_eurecom_asvspoof2019_la")
    config.data.corpus = "asvspoof2019_la"
    config.data.root = "/data/LA"
    config.data.num_samples = 64_600
    config.data.pad = "repeat"
    config.loss = loss_config("cross_entropy", class_weights=(1.0, 9.0))
    config.optimizer.learning_rate = 1e-4
    config.optimizer.epsilon = 1e-8
    config.optimizer.weight_decay = 1e-4
    config.train.num_epochs = 100
    config.train.batch_size = 32
    config.train.seed = 1234
    config.model = model_config("rawnet2_eurecom")
    return config
