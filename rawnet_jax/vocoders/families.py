"""The vocoders by name, and the settings that make one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.errors import ConfigError
from rawnet_jax.vocoders.hifigan import HifiGan
from rawnet_jax.vocoders.mel import MelSetting, log_mel
from rawnet_jax.vocoders.melgan import MelGan
from rawnet_jax.vocoders.vocos import Vocos


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of vocoder.

    Attributes:
        make: from the hop, the DFT's size and further fields to a generator.
        upsampling: how it comes from frames to samples: vocoders that share this share faults.
        source: where it was published.
        summary: one line for `--help`.
    """

    make: Callable[..., nn.Module]
    upsampling: str
    source: str
    summary: str


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
            return FAMILIES[self.family].make(self.mel.hop, self.mel.size, **self.fields)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"vocoder {self.family}: {error}") from error

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


def copied(generator: nn.Module, mel: MelSetting, params: Any, waveform: jax.Array) -> jax.Array:
    """Return a generator's copy of waveforms [B, T], T a multiple of the hop."""
    return jnp.asarray(generator.apply({"params": params}, log_mel(waveform, mel)))


def _hifigan(hop: int, _size: int, **fields: Any) -> HifiGan:
    generator = HifiGan(rates=fields.pop("rates", None) or _rates(hop), **fields)
    _check_rates(generator.rates, generator.transform[1] if generator.transform else 1, hop)
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


def _hifigan_v3(hop: int, size: int, **fields: Any) -> HifiGan:
    shallow = {"channels": 256, "kernels": (3, 5, 7), "is_paired": False}
    shallow["dilations"] = ((1, 2), (2, 6), (3, 12))
    return _hifigan(hop, size, **{**shallow, **fields})


def _istftnet(hop: int, size: int, **fields: Any) -> HifiGan:
    quarter = {"transform": (16, 4), "rates": _rates(_quarter(hop))}
    return _hifigan_v3(hop, size, **{**quarter, **fields})


def _quarter(hop: int) -> int:
    if hop % 4:
        raise ValueError(f"hop is {hop}; it must be a multiple of 4")
    return hop // 4


def _melgan(hop: int, _size: int, **fields: Any) -> MelGan:
    generator = MelGan(rates=fields.pop("rates", None) or _rates(hop), **fields)
    _check_rates(generator.rates, generator.num_bands, hop)
    return generator


def _mb_melgan(hop: int, size: int, **fields: Any) -> MelGan:
    banded = {"num_bands": 4, "channels": 384, "dilations": (1, 3, 9, 27)}
    banded["rates"] = _rates(_quarter(hop), (5, 5, 4, 4, 4, 3, 2))
    return _melgan(hop, size, **{**banded, **fields})


def _vocos(hop: int, size: int, **fields: Any) -> Vocos:
    if size % hop:
        raise ValueError(f"size {size} must be a multiple of hop {hop}")
    return Vocos(hop=hop, size=size, **fields)


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
}
