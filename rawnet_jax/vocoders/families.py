"""The vocoders by name, and the settings that make one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import flax.linen as nn
import jax

from rawnet_jax.errors import ConfigError
from rawnet_jax.vocoders.codec import Codec
from rawnet_jax.vocoders.flow import Flow
from rawnet_jax.vocoders.hifigan import HifiGan
from rawnet_jax.vocoders.mel import MelSetting, log_mel
from rawnet_jax.vocoders.melgan import MelGan
from rawnet_jax.vocoders.network import Network
from rawnet_jax.vocoders.step import ADVERSARIAL, REGRESSION, Objective
from rawnet_jax.vocoders.vocos import Vocos


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of vocoder.

    Attributes:
        make: from the spectrogram's setting and further fields to a generator.
        upsampling: how it comes from frames to samples: vocoders that share this share faults.
        source: where it was published.
        summary: one line for `--help`.
        takes: from waveforms and the spectrogram's setting to the generator's input.
        objective: how it learns.
    """

    make: Callable[..., nn.Module]
    upsampling: str
    source: str
    summary: str
    takes: Callable[[jax.Array, MelSetting], jax.Array] = log_mel
    objective: Objective = ADVERSARIAL


@dataclass(frozen=True)
class VocoderSpec:
    """What makes a vocoder, but for its weights.

    Attributes:
        family: a row of `FAMILIES`.
        mel: the spectrogram that it takes.
        fields: of the generator, where they differ from the family's.
    """

    family: str
    mel: MelSetting = field(default_factory=MelSetting)
    fields: dict[str, Any] = field(default_factory=dict)

    def build(self) -> nn.Module:
        """Return the generator.

        Raises:
            ConfigError: the family is unknown, or does not take these settings.
        """
        if self.family not in FAMILIES:
            raise ConfigError(f"vocoder {self.family!r}; it must be one of {', '.join(FAMILIES)}")
        try:
            return FAMILIES[self.family].make(self.mel, **self.fields)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"vocoder {self.family}: {error}") from error

    def network(self) -> Network:
        """Return the generator with what it takes.

        Raises:
            ConfigError: as `build`.
        """
        module, takes = self.build(), FAMILIES[self.family].takes
        return Network(module, lambda waveform: takes(waveform, self.mel))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` takes them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "VocoderSpec":
        """Return the spec that `to_dict` gave.

        Raises:
            ConfigError: it is not one.
        """
        try:
            return cls(values["family"], MelSetting(**values["mel"]), dict(values["fields"]))
        except (LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"not the settings of a vocoder: {error}") from error


def _hifigan(mel: MelSetting, **fields: Any) -> HifiGan:
    generator = HifiGan(rates=fields.pop("rates", None) or _rates(mel.hop), **fields)
    _check_rates(generator.rates, generator.transform[1] if generator.transform else 1, mel.hop)
    return generator


def _check_rates(rates: Sequence[int], last: int, hop: int) -> None:
    product = math.prod(rates) * last
    if product != hop:
        raise ValueError(f"rates {tuple(rates)} multiply to {product}; hop is {hop}")


def _rates(hop: int, factors: Sequence[int] = (8, 8, 5, 4, 3, 2, 2)) -> tuple[int, ...]:
    """Divide a hop into upsamplings as HiFi-GAN V1 and V2 do: large ones first, four at most."""
    rates = []
    for rate in factors:
        if hop % rate == 0:
            rates.append(rate)
            hop //= rate
    return (*rates, hop) if hop > 1 else tuple(rates)


def _hifigan_v3(mel: MelSetting, **fields: Any) -> HifiGan:
    shallow = {"channels": 256, "kernels": (3, 5, 7), "is_paired": False}
    shallow["dilations"] = ((1, 2), (2, 6), (3, 12))
    return _hifigan(mel, **{**shallow, **fields})


def _istftnet(mel: MelSetting, **fields: Any) -> HifiGan:
    quarter = {"transform": (16, 4), "rates": _rates(_quarter(mel.hop))}
    return _hifigan_v3(mel, **{**quarter, **fields})


def _quarter(hop: int) -> int:
    if hop % 4:
        raise ValueError(f"hop is {hop}; it must be a multiple of 4")
    return hop // 4


def _melgan(mel: MelSetting, **fields: Any) -> MelGan:
    generator = MelGan(rates=fields.pop("rates", None) or _rates(mel.hop), **fields)
    _check_rates(generator.rates, generator.num_bands, mel.hop)
    return generator


def _mb_melgan(mel: MelSetting, **fields: Any) -> MelGan:
    banded = {"num_bands": 4, "channels": 384, "dilations": (1, 3, 9, 27)}
    banded["rates"] = _rates(_quarter(mel.hop), (5, 5, 4, 4, 4, 3, 2))
    return _melgan(mel, **{**banded, **fields})


def _vocos(mel: MelSetting, **fields: Any) -> Vocos:
    _check_overlap(mel)
    return Vocos(hop=mel.hop, size=mel.size, **fields)


def _flow(mel: MelSetting, **fields: Any) -> Flow:
    _check_overlap(mel)
    return Flow(mel, **fields)


def _codec(mel: MelSetting, **fields: Any) -> Codec:
    rates = fields.pop("rates", None) or _rates(mel.hop, (8, 5, 4, 4, 3, 2, 2))
    _check_rates(rates, 1, mel.hop)
    return Codec(rates=rates, **fields)


def _check_overlap(mel: MelSetting) -> None:
    if mel.size % mel.hop:
        raise ValueError(f"size {mel.size} must be a multiple of hop {mel.hop}")


def _itself(waveform: jax.Array, _setting: MelSetting) -> jax.Array:
    return waveform


_KONG = "Kong, Kim, Bae, HiFi-GAN, NeurIPS 2020"
FAMILIES = {
    "hifigan_v2": Family(
        _hifigan, "transposed convolution", _KONG, "HiFi-GAN V2: narrow, deep residual blocks"
    ),
    "hifigan_v3": Family(
        _hifigan_v3, "transposed convolution", _KONG, "HiFi-GAN V3: shallow residual blocks"
    ),
    "istftnet": Family(
        _istftnet,
        "transposed convolution, inverse STFT",
        "Kaneko et al., iSTFTNet, ICASSP 2022",
        "iSTFTNet: HiFi-GAN V3 up to a quarter of the rate, then a small inverse STFT",
    ),
    "melgan": Family(
        _melgan,
        "transposed convolution",
        "Kumar et al., MelGAN, NeurIPS 2019",
        "MelGAN: wide transposed convolutions, one stack of dilated convolutions after each",
    ),
    "mb_melgan": Family(
        _mb_melgan,
        "transposed convolution, 4 bands",
        "Yang et al., Multi-band MelGAN, SLT 2021",
        "multi-band MelGAN: four bands at a quarter of the rate, joined by a bank of filters",
    ),
    "vocos": Family(
        _vocos,
        "inverse STFT",
        "Siuzdak, Vocos, ICLR 2024",
        "Vocos: ConvNeXt blocks at frame rate, inverse STFT",
    ),
    "flow": Family(
        _flow,
        "inverse STFT of a flow",
        "Lipman et al., Flow Matching, ICLR 2023; Liu et al., RFWave, 2024",
        "flow matching: noise becomes spectra in 8 steps, ConvNeXt blocks at frame rate",
        _itself,
        REGRESSION,
    ),
    "codec": Family(
        _codec,
        "transposed convolution behind codes",
        "Zeghidour et al., SoundStream, TASLP 2022; Defossez et al., EnCodec, 2022",
        "neural codec: residual vector quantisation, 5 kbit/s at a hop of 256",
        _itself,
    ),
}
