"""Every number of a speech encoder, and how it is run."""

import dataclasses
from dataclasses import dataclass

from rawnet_jax.errors import ConfigError

FAMILIES = ("wav2vec2", "hubert", "wavlm")
INPUT_NORMS = ("none", "hf", "layer_norm")
CONV_NORMS = ("group", "layer")
DTYPES = ("float32", "bfloat16")
_RATES = ("dropout", "attention_dropout", "activation_dropout", "input_dropout", "layer_drop")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """One encoder of the wav2vec 2.0 kind; the defaults are wav2vec 2.0 base.

    Attributes:
        family: wav2vec2 (XLS-R and MMS too), hubert or wavlm. wavlm alone has a relative position
            bias; the others differ in the names of their weights.
        width: channels of a hidden state.
        heads: of the attention; they share the width.
        feed_forward: channels inside a layer's feed-forward part.
        num_layers: layers of the published network.
        first_layers: how many of them are kept, from the first on; 0 = all. Hidden states up to
            that layer are those of the whole network.
        norm_first: LayerNorm before attention and feed-forward, not behind them.
        conv_norm: of the convolutions over samples: group = of the first one, each channel over
            time; layer = of each one, each frame over channels.
        conv_bias: whether these convolutions have one.
        conv_features: their channels.
        conv_kernels: their widths.
        conv_strides: their steps.
        projection_norm: LayerNorm between convolutions and projection.
        position_kernel: frames that the position embedding sees.
        position_groups: of its convolution.
        position_batch_norm: BatchNorm before that convolution, in place of its weight norm.
        buckets: of distances, in wavlm.
        max_distance: in frames, from which on all distances are in one bucket, in wavlm.
        input_norm: of each clip's samples: none; hf (mean 0, variance 1, 1e-7 added to it);
            layer_norm (the same with 1e-5). Weights expect what they were trained with.
        dropout: probability of a 0 behind position embedding, attention and feed-forward.
        attention_dropout: of an attention weight.
        activation_dropout: of a value inside the feed-forward part.
        input_dropout: of a value of the projection.
        layer_drop: probability that a layer is left out of a training step.
        conv_gradient: factor of the convolutions' gradient; 0 = they are not trained.
        dtype: what is computed in. "" = the type of the parameters. LayerNorm's statistics and
            softmax are float32 always.
        remat: compute a layer anew in the backward pass and keep its input alone.
        unroll: layers per turn of the loop over layers. More of them compile longer.
    """

    family: str = "wav2vec2"
    width: int = 768
    heads: int = 12
    feed_forward: int = 3072
    num_layers: int = 12
    first_layers: int = 0
    norm_first: bool = False
    conv_norm: str = "group"
    conv_bias: bool = False
    conv_features: int = 512
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    projection_norm: bool = True
    position_kernel: int = 128
    position_groups: int = 16
    position_batch_norm: bool = False
    buckets: int = 320
    max_distance: int = 800
    input_norm: str = "none"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    input_dropout: float = 0.0
    layer_drop: float = 0.0
    conv_gradient: float = 1.0
    dtype: str = ""
    remat: bool = False
    unroll: int = 1

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ConfigError: for one that is wrong, or does not fit to another.
        """
        _check_words(self)
        _check_sizes(self)
        for name in _RATES:
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")

    @property
    def kept_layers(self) -> int:
        """How many layers are computed."""
        return self.first_layers or self.num_layers

    @property
    def relative_bias(self) -> bool:
        """Whether attention has wavlm's bias by distance."""
        return self.family == "wavlm"

    @property
    def shortest(self) -> int:
        """Samples of one frame: shorter clips are followed by zeros up to here."""
        samples = 1
        for kernel, stride in zip(self.conv_kernels[::-1], self.conv_strides[::-1], strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames (of 20 ms, in every published encoder) samples give."""
        frames = max(num_samples, self.shortest)
        for kernel, stride in zip(self.conv_kernels, self.conv_strides, strict=True):
            frames = (frames - kernel) // stride + 1
        return frames

    def replaced(self, **changes: object) -> "EncoderConfig":
        """Return a copy with some fields changed.

        Raises:
            ConfigError: for a field that is not there, or a value that is wrong.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ConfigError(f"an encoder has no field {name}; it has {', '.join(known)}")
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def _check_words(config: EncoderConfig) -> None:
    choices = (
        ("family", FAMILIES),
        ("conv_norm", CONV_NORMS),
        ("input_norm", INPUT_NORMS),
        ("dtype", ("", *DTYPES)),
    )
    for name, words in choices:
        if getattr(config, name) not in words:
            raise ConfigError(
                f"{name} is {getattr(config, name)!r}; it must be one of "
                f"{', '.join(map(repr, words))}"
            )


def _check_sizes(config: EncoderConfig) -> None:
    for name in ("width", "heads", "feed_forward", "num_layers", "conv_features", "unroll"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} is {getattr(config, name)}; it must be at least 1")
    if not 0 <= config.first_layers <= config.num_layers:
        raise ConfigError(
            f"first_layers is {config.first_layers}; it must be from 1 to the network's "
            f"{config.num_layers} layers, or 0 for all"
        )
    for name in ("heads", "position_groups"):
        if config.width % getattr(config, name):
            raise ConfigError(
                f"{name} is {getattr(config, name)}; it must divide the width, {config.width}"
            )
    if len(config.conv_kernels) != len(config.conv_strides) or not config.conv_kernels:
        raise ConfigError(
            f"conv_kernels has {len(config.conv_kernels)} numbers, conv_strides "
            f"{len(config.conv_strides)}; they must be as many, and at least one"
        )
