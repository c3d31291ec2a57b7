"""An encoder's config as Hugging Face writes it in ``config.json``, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.encoders.config import (
    WHISPER,
    WHISPER_FFT,
    WHISPER_HOP,
    EncoderConfig,
    Wav2Vec2Config,
    WhisperConfig,
)
from rawnet_jax.errors import CheckpointError, ConfigError

_ARCHITECTURES = {
    "wav2vec2": "Wav2Vec2Model",
    "hubert": "HubertModel",
    "wavlm": "WavLMModel",
    "whisper": "WhisperModel",
}
_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
_SHARED = {
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
}


@dataclass(frozen=True)
class _Form:
    """How one kind of encoder is described.

    Attributes:
        default: what their classes take where a file is silent.
        fields: our field -> theirs.
        fixed: what our network has in one form only: their field -> the values that are this form.
    """

    default: EncoderConfig
    fields: Mapping[str, str]
    fixed: Mapping[str, tuple[Any, ...]]


_WAV2VEC2 = _Form(
    Wav2Vec2Config(dropout=0.1, attention_dropout=0.1, activation_dropout=0.1, layer_drop=0.1),
    _SHARED
    | {
        "width": "hidden_size",
        "heads": "num_attention_heads",
        "feed_forward": "intermediate_size",
        "num_layers": "num_hidden_layers",
        "norm_first": "do_stable_layer_norm",
        "conv_norm": "feat_extract_norm",
        "conv_bias": "conv_bias",
        "conv_kernels": "conv_kernel",
        "conv_strides": "conv_stride",
        "position_kernel": "num_conv_pos_embeddings",
        "position_groups": "num_conv_pos_embedding_groups",
        "position_batch_norm": "conv_pos_batch_norm",
        "projection_norm": "feat_proj_layer_norm",
        "buckets": "num_buckets",
        "max_distance": "max_bucket_distance",
        "dropout": "hidden_dropout",
        "input_dropout": "feat_proj_dropout",
        "layer_drop": "layerdrop",
    },
    {
        "hidden_act": ("gelu",),
        "feat_extract_activation": ("gelu",),
        "layer_norm_eps": (1e-5,),
        "add_adapter": (False, None),
        "adapter_attn_dim": (None,),
    },
)
_WHISPER = _Form(
    WhisperConfig(),
    _SHARED
    | {
        "width": "d_model",
        "heads": "encoder_attention_heads",
        "feed_forward": "encoder_ffn_dim",
        "num_layers": "encoder_layers",
        "mel_bands": "num_mel_bins",
        "positions": "max_source_positions",
        "dropout": "dropout",
        "layer_drop": "encoder_layerdrop",
    },
    {"activation_function": ("gelu",), "scale_embedding": (False,)},
)


def config_from_hugging_face(found: Mapping[str, Any]) -> EncoderConfig:
    """Return the config of a ``config.json``; the input's normalisation is not in it.

    Args:
        found: what the file holds.

    Raises:
        CheckpointError: it is of another network, or a value is wrong.
    """
    family = found.get("model_type")
    if family not in _ARCHITECTURES:
        raise CheckpointError(
            f"model_type is {family!r}; it must be one of {', '.join(_ARCHITECTURES)}"
        )
    form = _WHISPER if family == WHISPER else _WAV2VEC2
    for theirs, allowed in form.fixed.items():
        value = found.get(theirs, allowed[0])
        if value not in allowed:
            raise CheckpointError(f"{theirs} is {value!r}; only {allowed[0]!r} is read here")
    fields = {"family": family}
    if form is _WAV2VEC2:
        fields["conv_features"] = _channels(found)
    for ours, theirs in form.fields.items():
        if found.get(theirs) is not None:
            fields[ours] = _value(theirs, found[theirs], getattr(form.default, ours))
    try:
        return form.default.replaced(**fields)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _channels(found: Mapping[str, Any]) -> int:
    default = Wav2Vec2Config()
    whole = (default.conv_features,) * len(default.conv_kernels)
    channels = set(_value("conv_dim", found.get("conv_dim", whole), whole) or whole)
    if len(channels) != 1:
        raise CheckpointError("conv_dim has several numbers; all must be the same")
    return int(channels.pop())


def _value(name: str, value: Any, like: Any) -> Any:
    """Return a value of the type of our default."""
    if isinstance(like, tuple):
        fits = isinstance(value, list | tuple) and all(type(number) is int for number in value)
        if fits:
            return tuple(value)
    elif isinstance(like, bool):
        if type(value) is bool:
            return value
    elif type(value) in _TYPES[type(like).__name__]:
        return value
    raise CheckpointError(f"{name} is {value!r}; it must be like {like!r}")


def config_to_hugging_face(config: EncoderConfig) -> dict[str, Any]:
    """Return what ``config.json`` must hold for Hugging Face's classes to build the encoder.

    Layers that were not kept are not in it.
    """
    form = _WHISPER if isinstance(config, WhisperConfig) else _WAV2VEC2
    written: dict[str, Any] = {"architectures": [_ARCHITECTURES[config.family]]}
    written["model_type"] = config.family
    written |= {theirs: allowed[0] for theirs, allowed in form.fixed.items()}
    for ours, theirs in form.fields.items():
        value = getattr(config, ours)
        written[theirs] = list(value) if isinstance(value, tuple) else value
    if isinstance(config, Wav2Vec2Config):
        written |= {
            "conv_dim": [config.conv_features] * len(config.conv_kernels),
            "num_feat_extract_layers": len(config.conv_kernels),
            # No masking: an encoder here has no embedding for it.
            "mask_time_prob": 0.0,
            "mask_feature_prob": 0.0,
        }
    else:
        written |= _NO_DECODER | {
            "decoder_attention_heads": config.heads,
            "decoder_ffn_dim": config.feed_forward,
        }
    return written | {form.fields["num_layers"]: config.kept_layers}


# Their class always has a decoder: here one without layers, over one token.
_NO_DECODER: dict[str, Any] = {
    "decoder_layers": 0,
    "max_target_positions": 1,
    "vocab_size": 1,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "decoder_start_token_id": 0,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}


def input_to_hugging_face(config: EncoderConfig) -> dict[str, Any]:
    """Return what ``preprocessor_config.json`` must say of the samples that the encoder expects."""
    written: dict[str, Any] = {"sampling_rate": SAMPLE_RATE_HZ, "padding_value": 0.0}
    if isinstance(config, Wav2Vec2Config):
        return written | {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "feature_size": 1,
            "return_attention_mask": config.conv_norm == "layer",
            "do_normalize": config.input_norm != "none",
        }
    assert isinstance(config, WhisperConfig)
    return written | {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": config.mel_bands,
        "hop_length": WHISPER_HOP,
        "n_fft": WHISPER_FFT,
        "chunk_length": round(config.longest_s),
        "return_attention_mask": False,
        "do_normalize": False,
    }
