"""The models by name: one row each. Only this module imports the families."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from rawnet_jax.config import ModelConfig, unknown_field
from rawnet_jax.encoders.catalog import encoder_fields
from rawnet_jax.errors import ConfigError
from rawnet_jax.export_formats import FORMATS
from rawnet_jax.models import (
    aasist,
    eabn,
    lfcc_resnet18,
    nes2net,
    rawnet2,
    ssl_aasist,
    ssl_linear,
    ssl_sls,
    ssl_tcm,
    ssl_weighted_sum,
)
from rawnet_jax.models.conv1d import Conv1DClassifier
from rawnet_jax.models.ensemble import Ensemble
from rawnet_jax.models.lfcc_modulation import LfccModulation
from rawnet_jax.models.spectral_resnet import SpectralResNet
from rawnet_jax.models.ssl_probe import SslProbe
from rawnet_jax.models.torch_names import TorchNames

_XLSR_SIZE = 315_437_696
"""Parameters of XLS-R 300M without mask embedding; the same in MMS 300M."""
_XLSR_AS_IS = {"encoder": encoder_fields("xlsr_300m", input_norm="none")}
"""XLS-R 300M on samples that nothing normalises, as most detectors fine-tuned it."""

_WITH_ENCODER = ("stablehlo", "onnx")
"""Formats of networks with an encoder: what reads tflite is too small for them."""


@dataclass(frozen=True)
class ModelSpec:
    """One row of the registry.

    Attributes:
        module: the Linen class.
        num_params: trained parameters of the published network, checked by a test.
        num_samples: input length of the published network, in samples at 16 kHz.
        source: where the network was published.
        variant: constructor fields that make this row differ from the class's defaults.
        torch_names: how our variables are called in the published PyTorch state dict, as
            `rawnet_jax.interop.torch_weights` reads it; None = not published in PyTorch.
        loss: what the published network was trained with, a row of `rawnet_jax.losses.LOSSES`.
        formats: names of `rawnet_jax.export_formats.FORMATS` that it is exported to. A network
            with an operation that a format cannot hold leaves that format out.
    """

    module: type[nn.Module]
    num_params: int
    num_samples: int
    source: str
    variant: Mapping[str, Any] = field(default_factory=dict)
    torch_names: TorchNames | None = None
    loss: str = "cross_entropy"
    formats: tuple[str, ...] = FORMATS


MODELS: dict[str, ModelSpec] = {
    "conv1d": ModelSpec(
        Conv1DClassifier,
        num_params=13_217,
        num_samples=16_000,
        source="github.com/b423016/Audio_spoof-model, Momenta.ipynb (Keras)",
        loss="bce",
    ),
    "aasist": ModelSpec(
        aasist.AASIST,
        num_params=297_866,
        num_samples=64_600,
        source="Jung et al., AASIST, ICASSP 2022 (arXiv 2110.01200); github.com/clovaai/aasist",
        torch_names=aasist.TORCH_NAMES,
    ),
    "aasist_l": ModelSpec(
        aasist.AASIST,
        num_params=85_306,
        num_samples=64_600,
        source="Jung et al., AASIST-L, ICASSP 2022 (arXiv 2110.01200); github.com/clovaai/aasist",
        variant={
            "channels": (32, 32, 24, 24, 24, 24),
            "gat_dims": (24, 32),
            "pool_ratios": (0.4, 0.5, 0.7),
        },
        torch_names=aasist.TORCH_NAMES,
    ),
    "rawnet2_eurecom": ModelSpec(
        rawnet2.RawNet2,
        num_params=25_433_602,
        num_samples=64_600,
        source="Tak et al., ICASSP 2021 (arXiv 2011.01108); eurecom-asp/rawnet2-antispoofing",
        torch_names=rawnet2.TORCH_NAMES,
    ),
    "rawnet2_asvspoof2021": ModelSpec(
        rawnet2.RawNet2,
        num_params=17_621_410,
        num_samples=64_600,
        source="github.com/asvspoof-challenge/2021, LA/Baseline-RawNet2",
        variant={**rawnet2.ASVSPOOF_2021, "active_pre_activation": False},
        torch_names=rawnet2.TORCH_NAMES,
    ),
    "rawnet2_asvspoof5": ModelSpec(
        rawnet2.RawNet2,
        num_params=17_621_410,
        num_samples=64_000,
        source="github.com/asvspoof-challenge/asvspoof5, Baseline-RawNet2",
        variant=rawnet2.ASVSPOOF_2021,
        torch_names=rawnet2.TORCH_NAMES,
    ),
    "lfcc_resnet18": ModelSpec(
        lfcc_resnet18.LfccResNet18,
        num_params=12_450_290 + 256,  # the network, and the centre of OC-Softmax
        num_samples=120_160,  # 750 frames
        source="Zhang et al., IEEE SPL 2021 (arXiv 2010.13995); github.com/yzyouzhang/AIR-ASVspoof",
        torch_names=lfcc_resnet18.TORCH_NAMES,
        loss="oc_softmax",
    ),
    "lfcc_modulation": ModelSpec(
        LfccModulation,
        num_params=899_884,
        num_samples=24_160,  # 150 frames
        source="this project; Wu et al., Synthetic speech detection using temporal modulation "
        "feature, ICASSP 2013",
    ),
    "spectral_resnet": ModelSpec(
        SpectralResNet,
        num_params=567_602,
        num_samples=24_160,
        source="this project; blocks of Zhang et al., IEEE SPL 2021 (arXiv 2010.13995)",
        loss="pair_ranking",
    ),
    "eabn_efficientnet_a0": ModelSpec(
        eabn.Eabn,
        num_params=214_358 + 2 * 256,  # the network, and the centres of its loss
        num_samples=64_000,  # 400 frames
        source="Rostami et al., CSSP 2023 (arXiv 2109.02051), physical access; "
        "AmirmohammadRostami/ASV-anti-spoofing-with-EABN",
        variant={
            "front_end": "log_power",
            "perception": "efficientnet_a0",
            "embedding_features": 256,
        },
        torch_names=eabn.TORCH_NAMES,
        loss="eabn",
    ),
    "eabn_se_res2net50": ModelSpec(
        eabn.Eabn,
        num_params=963_942 + 2 * 128,  # the network, and the centres of its loss
        num_samples=64_160,  # 400 frames
        source="Rostami et al., CSSP 2023 (arXiv 2109.02051), logical access; "
        "AmirmohammadRostami/ASV-anti-spoofing-with-EABN",
        torch_names=eabn.TORCH_NAMES,
        loss="eabn",
    ),
    "ssl_linear": ModelSpec(
        ssl_linear.SslLinear,
        num_params=_XLSR_SIZE + 2_050,
        num_samples=208_000,  # 13 s; longer clips were cut in training
        source="Ge et al., AntiDeepfake, 2025 (arXiv 2506.21090); nii-yamagishilab/AntiDeepfake",
        variant={"encoder": encoder_fields("mms_300m")},
        torch_names=ssl_linear.TORCH_NAMES,
        formats=_WITH_ENCODER,
    ),
    "ssl_aasist": ModelSpec(
        ssl_aasist.SslAasist,
        num_params=_XLSR_SIZE + 447_242,
        num_samples=64_600,
        source="Tak et al., Odyssey 2022 (arXiv 2202.12233); TakHemlata/SSL_Anti-spoofing",
        variant=_XLSR_AS_IS,
        torch_names=ssl_aasist.TORCH_NAMES,
        formats=_WITH_ENCODER,
    ),
    "nes2net": ModelSpec(
        nes2net.Nes2Net,
        num_params=315_452_096 + 511_169,  # WavLM large, and the head with its fusion
        num_samples=64_000,
        source="Liu et al., Nes2Net, 2025 (arXiv 2504.05657), singing; Liu-Tianchi/Nes2Net",
        variant={
            "encoder": encoder_fields("wavlm_large"),
            "fusion": "sea",
            "dilation": 1,
            "num_logits": 1,
        },
        torch_names=nes2net.TORCH_NAMES_S3PRL,
        loss="bce",
        formats=_WITH_ENCODER,
    ),
    "nes2net_x": ModelSpec(
        nes2net.Nes2Net,
        num_params=_XLSR_SIZE + 512_039,
        num_samples=64_600,
        source="Liu et al., Nes2Net, 2025 (arXiv 2504.05657); Liu-Tianchi/Nes2Net_ASVspoof_ITW",
        variant=_XLSR_AS_IS | {"weighted": True},
        torch_names=nes2net.TORCH_NAMES,
        formats=_WITH_ENCODER,
    ),
    "ssl_sls": ModelSpec(
        ssl_sls.SslSls,
        num_params=_XLSR_SIZE + 23_399_429,
        num_samples=64_600,
        source="Zhang et al., SLS, ACM MM 2024; QiShanZhang/SLSforASVspoof-2021-DF",
        variant=_XLSR_AS_IS,
        torch_names=ssl_sls.TORCH_NAMES,
        formats=_WITH_ENCODER,
    ),
    "ssl_tcm": ModelSpec(
        ssl_tcm.SslTcm,
        num_params=_XLSR_SIZE + 2_382_628,
        num_samples=66_800,
        source="Truong et al., TCM, Interspeech 2024 (arXiv 2406.17376); ductuantruong/tcm_add",
        variant=_XLSR_AS_IS,
        torch_names=ssl_tcm.TORCH_NAMES,
        formats=_WITH_ENCODER,
    ),
    "ssl_weighted_sum": ModelSpec(
        ssl_weighted_sum.SslWeightedSum,
        num_params=_XLSR_SIZE + 262_939,
        num_samples=64_600,
        source="Ali et al., Spoof-SUPERB, ICASSP 2026 (arXiv 2603.01482)",
        variant={"encoder": encoder_fields("xlsr_300m")},
        formats=_WITH_ENCODER,
    ),
    "ssl_probe": ModelSpec(
        SslProbe,
        num_params=433_049_088 + 1_920 + 1,  # of the encoder, and of the linear layer
        num_samples=64_600,
        source="AI4T: mean of layer 9 of XLS-R 2B, logistic regression",
        variant={"encoder": encoder_fields("xlsr_2b", first_layers=9)},
        loss="bce",
        formats=_WITH_ENCODER,
    ),
}


def spec_of(name: str) -> ModelSpec:
    """Return the row of that name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in MODELS:
        raise ConfigError(f"config.model.name is {name!r}; it must be one of {', '.join(MODELS)}")
    return MODELS[name]


def default_fields(name: str) -> dict[str, Any]:
    """Return every constructor field of a model with its default, for configs and overrides."""
    spec = spec_of(name)
    names = [n for n in spec.module.__dataclass_fields__ if n not in ("parent", "name")]
    defaults = {n: spec.module.__dataclass_fields__[n].default for n in names}
    return {**defaults, **spec.variant}


def model_config(name: str, **fields: Any) -> ModelConfig:
    """Return the config section of a model, all fields spelt out.

    Args:
        name: a row of `MODELS`.
        **fields: constructor fields that differ from the row's.

    Raises:
        ConfigError: for an unknown model or field.
    """
    known = default_fields(name)
    for given in fields:
        if given not in known:
            raise ConfigError(f"model {name}: {unknown_field(given, known)}")
    return ModelConfig(name=name, fields=ConfigDict({**known, **fields}))


def build_model(config: ModelConfig) -> nn.Module:
    """Construct the network that a config names.

    Raises:
        ConfigError: for an unknown model or field.
    """
    module = spec_of(config.name).module
    fields = model_config(config.name, **config.fields.to_dict()).fields.to_dict()
    return Ensemble(module, config.members, fields) if config.members > 1 else module(**fields)
