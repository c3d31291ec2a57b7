"""An encoder's config as Hugging Face writes it in ``config.json``, both ways."""

from collections.abc import Mapping
from typing import Any

from rawnet_jax.encoders.config import FAMILIES, Wav2Vec2Config
from rawnet_jax.errors import CheckpointError, ConfigError

_ARCHITECTURES = {"wav2vec2": "Wav2Vec2Model", "hubert": "HubertModel", "wavlm": "WavLMModel"}
# Our field -> theirs. What their file does not say has the default of their classes, which is the
# one that `Wav2Vec2Config` has, but for the rates.
_FIELDS = {
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
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "input_dropout": "feat_proj_dropout",
    "layer_drop": "layerdrop",
}
_RATES = {"dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.1, "layer_drop": 0.1}
_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,)}
# What our network has in one form only: their field -> the values that are this form.
_FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu",),
    "feat_extract_activation": ("gelu",),
    "layer_norm_eps": (1e-5,),
    "add_adapter": (False, None),
    "adapter_attn_dim": (None,),
}


def config_from_hugging_face(found: Mapping[str, Any]) -> Wav2Vec2Config:
    """Return the config of a ``config.json``; the input's normalisation is not in it.

    Args:
        found: what the file holds.

    Raises:
        CheckpointError: it is of another network, or a value is wrong.
    """
    family = found.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(f"model_type is {family!r}; it must be one of {', '.join(FAMILIES)}")
    for theirs, allowed in _FIXED.items():
        value = found.get(theirs, allowed[0])
        if value not in allowed:
            raise CheckpointError(f"{theirs} is {value!r}; only {allowed[0]!r} is read here")
    if len(set(_channels(found))) != 1:
        raise CheckpointError("conv_dim has several numbers; all must be the same")
    fields = _RATES | {"family": family, "conv_features": _channels(found)[0]}
    for ours, theirs in _FIELDS.items():
        if theirs in found and found[theirs] is not None:
            fields[ours] = _value(theirs, found[theirs], getattr(Wav2Vec2Config(), ours))
    try:
        return Wav2Vec2Config(**fields)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _channels(found: Mapping[str, Any]) -> tuple[int, ...]:
    default = Wav2Vec2Config()
    whole = (default.conv_features,) * len(default.conv_kernels)
    channels: tuple[int, ...] = _value("conv_dim", found.get("conv_dim", whole), whole)
    return channels or whole


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


def config_to_hugging_face(config: Wav2Vec2Config) -> dict[str, Any]:
    """Return what ``config.json`` must hold for Hugging Face's classes to build the encoder.

    Layers that were not kept are not in it. Masking is off: an encoder here has no embedding for
    it.
    """
    written: dict[str, Any] = {
        "architectures": [_ARCHITECTURES[config.family]],
        "model_type": config.family,
        "conv_dim": [config.conv_features] * len(config.conv_kernels),
        "num_feat_extract_layers": len(config.conv_kernels),
        "hidden_act": "gelu",
        "feat_extract_activation": "gelu",
        "layer_norm_eps": 1e-5,
        "mask_time_prob": 0.0,
        "mask_feature_prob": 0.0,
    }
    for ours, theirs in _FIELDS.items():
        value = getattr(config, ours)
        written[theirs] = list(value) if isinstance(value, tuple) else value
    return written | {"num_hidden_layers": config.kept_layers}
