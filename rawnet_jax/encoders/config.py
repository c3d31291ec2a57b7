"""Every number of a speech encoder, and how it is run."""

import abc
import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError

FAMILIES = ("wav2vec2", "hubert", "wavlm")
WHISPER = "whisper"
INPUT_NORMS = ("none", "hf", "layer_norm")
CONV_NORMS = ("group", "layer")
_MOST = 10_000_000  # of channels, layers, samples of a frame; with more, arithmetic overflows
DTYPES = ("float32", "bfloat16")
WHISPER_HOP = 160  # samples from one frame of the spectrogram to the next
WHISPER_STRIDE = 2 * WHISPER_HOP  # and from one hidden state to the next
WHISPER_FFT = 400
WHISPER_SHORTEST = WHISPER_FFT // 2 + 1  # a clip is mirrored by half a frame at its edges


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(abc.ABC):
    """What all encoders have: a stack of layers, and how it is run.

    A detector needs to know no more of its encoder. `Wav2Vec2Config` and `WhisperConfig` are the
    networks; `rawnet_jax.encoders.encoder.SpeechEncoder` builds either.

    Attributes:
        family: which network.
        width: channels of a hidden state.
        heads: of the attention; they share the width.
        feed_forward: channels inside a layer's feed-forward part.
        num_layers: layers of the published network.
        first_layers: how many of them are kept, from the first on; 0 = all. Hidden states up to
            that layer are those of the whole network.
        dropout: probability of a 0 behind position embedding, attention and feed-forward.
        attention_dropout: of an attention weight.
        activation_dropout: of a value inside the feed-forward part.
        layer_drop: probability that a layer is left out of a training step.
        dtype: what is computed in. "" = the type of the parameters. LayerNorm's statistics and
            softmax are float32 always.
        remat: compute a layer again in the backward pass and keep its input alone.
        unroll: layers per turn of the loop over layers. More of them compile longer.
    """

    family: str
    width: int
    heads: int
    feed_forward: int
    num_layers: int
    first_layers: int = 0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    layer_drop: float = 0.0
    dtype: str = ""
    remat: bool = False
    unroll: int = 1

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ConfigError: for one that is wrong, or does not fit to another.
        """
        check_word("dtype", self.dtype, ("", *DTYPES))
        check_counts(self, "width", "heads", "feed_forward", "num_layers", "unroll")
        check_rates(self, "dropout", "attention_dropout", "activation_dropout", "layer_drop")
        check_divides(self, "heads")
        if not 0 <= self.first_layers <= self.num_layers:
            raise ConfigError(
                f"first_layers is {self.first_layers}; it must be from 1 to the network's "
                f"{self.num_layers} layers, or 0 for all"
            )

    @property
    def kept_layers(self) -> int:
        """How many layers are computed."""
        return self.first_layers or self.num_layers

    @property
    def norm_first(self) -> bool:
        """Whether LayerNorm is before attention and feed-forward, not behind them."""
        return True

    @property
    def key_bias(self) -> bool:
        """Whether the attention's keys have a bias, as its queries and values have."""
        return True

    @property
    def relative_bias(self) -> bool:
        """Whether attention has wavlm's bias by distance."""
        return False

    @property
    @abc.abstractmethod
    def shortest(self) -> int:
        """Samples that the network needs: shorter clips are followed by zeros up to here."""

    @property
    @abc.abstractmethod
    def hop(self) -> int:
        """Samples from one frame to the next."""

    @abc.abstractmethod
    def samples_of(self, num_frames: int) -> int:
        """Return the fewest samples that give so many frames."""

    @abc.abstractmethod
    def num_frames(self, num_samples: int) -> int:
        """Return how many frames (of 20 ms, in every published encoder) samples give."""

    def replaced(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Raises:
            ConfigError: for a field that is not there, or a value that is wrong.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ConfigError(f"an encoder has no field {name}; it has {', '.join(known)}")
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Wav2Vec2Config(EncoderConfig):
    """An encoder of the wav2vec 2.0 kind; the defaults are wav2vec 2.0 base.

    Attributes:
        family: wav2vec2 (XLS-R and MMS too), hubert or wavlm. wavlm alone has a relative position
            bias; the others differ in the names of their weights.
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
        input_dropout: of a value of the projection.
        conv_gradient: factor of the convolutions' gradient; 0 = they are not trained.
    """

    width: int = 768
    heads: int = 12
    feed_forward: int = 3072
    num_layers: int = 12
    family: str = "wav2vec2"
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
    input_dropout: float = 0.0
    conv_gradient: float = 1.0

    def __post_init__(self) -> None:
        """Check the fields; see `EncoderConfig`."""
        check_word("family", self.family, FAMILIES)
        check_word("conv_norm", self.conv_norm, CONV_NORMS)
        check_word("input_norm", self.input_norm, INPUT_NORMS)
        super().__post_init__()
        check_counts(self, "conv_features", "position_kernel", "position_groups")
        check_counts(self, "conv_kernels", "conv_strides", "buckets", "max_distance")
        check_rates(self, "input_dropout")
        check_divides(self, "position_groups")
        if len(self.conv_kernels) != len(self.conv_strides) or not self.conv_kernels:
            raise ConfigError(
                f"conv_kernels has {len(self.conv_kernels)} numbers, conv_strides "
                f"{len(self.conv_strides)}; they must be as many, and at least one"
            )
        if self.shortest > _MOST:
            raise ConfigError(
                f"conv_kernels and conv_strides make one frame of {self.shortest} samples; it must "
                f"be at most {_MOST}"
            )

    @property
    def relative_bias(self) -> bool:
        """Whether attention has wavlm's bias by distance."""
        return self.family == "wavlm"

    @property
    def shortest(self) -> int:
        """Samples of one frame: shorter clips are followed by zeros up to here."""
        return self.samples_of(1)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(self.conv_strides)

    def samples_of(self, num_frames: int) -> int:
        """Return the fewest samples that give so many frames."""
        samples = num_frames
        for kernel, stride in zip(self.conv_kernels[::-1], self.conv_strides[::-1], strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames (of 20 ms, in every published encoder) samples give."""
        frames = max(num_samples, self.shortest)
        for kernel, stride in zip(self.conv_kernels, self.conv_strides, strict=True):
            frames = (frames - kernel) // stride + 1
        return frames


@dataclass(frozen=True, kw_only=True)
class WhisperConfig(EncoderConfig):
    """An encoder of Whisper; the defaults are those of Whisper tiny.

    Attributes:
        family: whisper, no other.
        mel_bands: of the log-mel spectrogram; 128 in large-v3, 80 in all others.
        positions: frames that there are positions for: 1,500, which is 30 s. No clip may be longer.
        pad_to_s: seconds up to which a clip is followed by silence, which counts in attention and
            in the spectrogram's loudest value. 0 = not at all, which takes the least time; 30 =
            as Whisper was trained. Frames of the output are the clip's own either way.
    """

    width: int = 384
    heads: int = 6
    feed_forward: int = 1536
    num_layers: int = 4
    family: str = WHISPER
    mel_bands: int = 80
    positions: int = 1500
    pad_to_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the fields; see `EncoderConfig`."""
        super().__post_init__()
        check_word("family", self.family, (WHISPER,))
        check_counts(self, "mel_bands", "positions")
        if self.width % 2 or self.width < 4:
            raise ConfigError(f"width is {self.width}; it must be even, and at least 4")
        if not 0 <= self.pad_to_s <= self.longest_s:
            raise ConfigError(
                f"pad_to_s is {self.pad_to_s}; it must be at most {self.longest_s:g} (so many "
                "positions there are), or 0 for no padding"
            )

    @property
    def key_bias(self) -> bool:
        """Whether the attention's keys have a bias."""
        return False

    @property
    def longest_s(self) -> float:
        """Seconds of the longest clip."""
        return self.positions * WHISPER_STRIDE / SAMPLE_RATE_HZ

    @property
    def shortest(self) -> int:
        """Samples that every clip is brought to: what its edges need, or `pad_to_s`."""
        return max(WHISPER_SHORTEST, round((self.pad_to_s or 0.0) * SAMPLE_RATE_HZ))

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return WHISPER_STRIDE

    def samples_of(self, num_frames: int) -> int:
        """Return the fewest samples that give so many frames."""
        return max(WHISPER_SHORTEST, (2 * num_frames - 1) * WHISPER_HOP)

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames of 20 ms samples give, without those of `pad_to_s`."""
        hops = max(num_samples, WHISPER_SHORTEST) // WHISPER_HOP
        return -(-hops * WHISPER_HOP // WHISPER_STRIDE)


def check_word(name: str, value: object, words: tuple[object, ...]) -> None:
    """Raise ConfigError unless a field is one of some words."""
    if value not in words:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, words))}")


def check_counts(config: EncoderConfig, *names: str) -> None:
    """Raise ConfigError for a field that is not a count, or has one that no network could have."""
    for name in names:
        value = getattr(config, name)
        for count in value if isinstance(value, tuple) else (value,):
            if count < 1:
                raise ConfigError(f"{name} is {value}; it must be at least 1")
            if count > _MOST:
                raise ConfigError(f"{name} is {value}; it must be at most {_MOST}")


def check_rates(config: EncoderConfig, *names: str) -> None:
    """Raise ConfigError for a field that is not a probability below 1."""
    for name in names:
        if not 0.0 <= getattr(config, name) < 1.0:
            raise ConfigError(f"{name} is {getattr(config, name)}; it must be in [0, 1)")


def check_divides(config: EncoderConfig, name: str) -> None:
    """Raise ConfigError for a field that does not divide the width."""
    if config.width % getattr(config, name):
        raise ConfigError(
            f"{name} is {getattr(config, name)}; it must divide the width, {config.width}"
        )
