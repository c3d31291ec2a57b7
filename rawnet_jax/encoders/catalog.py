"""The published encoders by name: one row each."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rawnet_jax.encoders.config import (
    WHISPER,
    EncoderConfig,
    Wav2Vec2Config,
    WhisperConfig,
)
from rawnet_jax.errors import ConfigError


@dataclass(frozen=True)
class EncoderSpec:
    """One row of the table.

    Attributes:
        config: sizes, input normalisation and dropout as the weights were pre-trained.
        num_params: parameters, without the mask embedding of pre-training, with Whisper's table of
            positions; a test counts.
        source: where it was published.
    """

    config: EncoderConfig
    num_params: int
    source: str


_BASE = Wav2Vec2Config(
    dropout=0.1, attention_dropout=0.1, input_dropout=0.1, layer_drop=0.05, conv_gradient=0.1
)
_LARGE = Wav2Vec2Config(
    width=1024,
    heads=16,
    feed_forward=4096,
    num_layers=24,
    norm_first=True,
    conv_norm="layer",
    conv_bias=True,
    input_norm="layer_norm",
)
_1B = _LARGE.replaced(width=1280, feed_forward=5120, num_layers=48, input_dropout=0.1)
_2B = _1B.replaced(width=1920, feed_forward=7680)
_HUBERT = {"family": "hubert", "conv_bias": False}
_WAVLM = {"family": "wavlm", "conv_bias": False}

_TINY = WhisperConfig()
_WHISPER_BASE = WhisperConfig(width=512, heads=8, feed_forward=2048, num_layers=6)
_SMALL = WhisperConfig(width=768, heads=12, feed_forward=3072, num_layers=12)
_MEDIUM = WhisperConfig(width=1024, heads=16, feed_forward=4096, num_layers=24)
_WHISPER_LARGE = WhisperConfig(width=1280, heads=20, feed_forward=5120, num_layers=32)

_WAV2VEC2 = "Baevski et al., wav2vec 2.0, NeurIPS 2020 (arXiv 2006.11477)"
_XLSR = "Babu et al., XLS-R, Interspeech 2022 (arXiv 2111.09296)"
_MMS = "Pratap et al., MMS, JMLR 2024 (arXiv 2305.13516)"
_HUBERT_PAPER = "Hsu et al., HuBERT, TASLP 2021 (arXiv 2106.07447)"
_WAVLM_PAPER = "Chen et al., WavLM, JSTSP 2022 (arXiv 2110.13900)"
_WHISPER = "Radford et al., Whisper, ICML 2023 (arXiv 2212.04356)"

ENCODERS: dict[str, EncoderSpec] = {
    "wav2vec2_base": EncoderSpec(_BASE, 94_370_944, _WAV2VEC2),
    "wav2vec2_large": EncoderSpec(_LARGE, 315_437_696, _WAV2VEC2 + ", LV-60k"),
    "xlsr_300m": EncoderSpec(_LARGE, 315_437_696, _XLSR),
    "xlsr_1b": EncoderSpec(_1B, 962_496_128, _XLSR),
    "xlsr_2b": EncoderSpec(_2B, 2_159_257_728, _XLSR),
    "mms_300m": EncoderSpec(_LARGE, 315_437_696, _MMS),
    "mms_1b": EncoderSpec(_1B, 962_496_128, _MMS),
    "hubert_base": EncoderSpec(_BASE.replaced(**_HUBERT), 94_370_944, _HUBERT_PAPER),
    "hubert_large": EncoderSpec(_LARGE.replaced(**_HUBERT), 315_434_112, _HUBERT_PAPER),
    "hubert_xl": EncoderSpec(_1B.replaced(**_HUBERT), 962_492_544, _HUBERT_PAPER),
    "mhubert_147": EncoderSpec(
        _BASE.replaced(**_HUBERT, position_batch_norm=True),
        94_372_352,
        "Zanon Boito et al., mHuBERT-147, Interspeech 2024 (arXiv 2406.06371)",
    ),
    "wavlm_base": EncoderSpec(_BASE.replaced(**_WAVLM), 94_381_168, _WAVLM_PAPER),
    "wavlm_base_plus": EncoderSpec(_BASE.replaced(**_WAVLM), 94_381_168, _WAVLM_PAPER),
    "wavlm_large": EncoderSpec(_LARGE.replaced(**_WAVLM), 315_452_096, _WAVLM_PAPER),
    "whisper_tiny": EncoderSpec(_TINY, 8_208_384, _WHISPER),
    "whisper_tiny_en": EncoderSpec(_TINY, 8_208_384, _WHISPER),
    "whisper_base": EncoderSpec(_WHISPER_BASE, 20_590_592, _WHISPER),
    "whisper_base_en": EncoderSpec(_WHISPER_BASE, 20_590_592, _WHISPER),
    "whisper_small": EncoderSpec(_SMALL, 88_154_112, _WHISPER),
    "whisper_small_en": EncoderSpec(_SMALL, 88_154_112, _WHISPER),
    "whisper_medium": EncoderSpec(_MEDIUM, 307_216_384, _WHISPER),
    "whisper_medium_en": EncoderSpec(_MEDIUM, 307_216_384, _WHISPER),
    "whisper_large": EncoderSpec(_WHISPER_LARGE, 636_784_640, _WHISPER),
    "whisper_large_v2": EncoderSpec(_WHISPER_LARGE, 636_784_640, _WHISPER),
    "whisper_large_v3": EncoderSpec(_WHISPER_LARGE.replaced(mel_bands=128), 636_968_960, _WHISPER),
}


def encoder_config(name: str, **changes: object) -> EncoderConfig:
    """Return a published encoder's config.

    Args:
        name: a row of `ENCODERS`.
        changes: fields that differ, such as ``first_layers=9``.

    Raises:
        ConfigError: for a name that is not there, and as `EncoderConfig.replaced`.
    """
    if name not in ENCODERS:
        raise ConfigError(f"there is no encoder {name!r}; there are {', '.join(ENCODERS)}")
    return ENCODERS[name].config.replaced(**changes)


def encoder_fields(name: str, **changes: object) -> dict[str, Any]:
    """Return a published encoder as the field `encoder` of a detector's config: every number of it.

    Args:
        name: a row of `ENCODERS`.
        changes: fields that differ, such as ``first_layers=9``.

    Raises:
        ConfigError: as `encoder_config`.
    """
    return dataclasses.asdict(encoder_config(name, **changes))


def encoder_from_fields(fields: Mapping[str, Any]) -> EncoderConfig:
    """Return the encoder of a detector's config.

    Args:
        fields: as `encoder_fields` gives them; those that are left out take their defaults.

    Raises:
        ConfigError: for a field that is not there, or a value that is wrong.
    """
    form = WhisperConfig if fields.get("family") == WHISPER else Wav2Vec2Config
    return form().replaced(**fields)
