"""What an experiment is: every setting, its default, its unit.

A file in `configs/` returns a `Config` that differs from these defaults in a few fields; the
command line overrides single fields (``--config.optimizer.learning_rate=3e-4``). Model settings are
the fields of the model's Linen module and live in ``model.fields``.
"""

import copy
import dataclasses
import difflib
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ml_collections import ConfigDict

from rawnet_jax.errors import ConfigError


def one_of(default: str, *others: str) -> Any:
    """Declare a field that takes one of a few words; the first is the default."""
    return field(default=default, metadata={"choices": (default, *others)})


def at_least(default: float, lowest: float) -> Any:
    """Declare a number field with a smallest allowed value."""
    return field(default=default, metadata={"lowest": lowest})


def some_of(*members: str) -> Any:
    """Declare a field that takes any of a few words, in any order; by default none."""
    return field(default=(), metadata={"members": members})


class Section:
    """Base of all parts of a config: a misspelt field fails, and a frozen part stays as it is."""

    _frozen = False

    def __setattr__(self, name: str, value: Any) -> None:
        if self._frozen:
            raise ConfigError(f"the config is in use; its field {name!r} can no longer be changed")
        known = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        if name not in known:
            raise ConfigError(f"{unknown_field(name, known)} in {type(self).__name__}")
        super().__setattr__(name, value)


def unknown_field(name: str, known: typing.Iterable[str]) -> str:
    """Report that a field does not exist and name the nearest that does."""
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else "known: " + ", ".join(known)
    return f"unknown config field {name!r}; {hint}"


@dataclass
class ProblemPolicy(Section):
    """What happens when data is not as it should be: ``"error"`` stops, ``"warn"`` counts on.

    A warned-about line or file is left out, counted and named in the log.
    """

    # a protocol line with the wrong number or form of columns
    bad_line: str = one_of("error", "warn")
    # a key that is neither bona fide nor spoof
    unknown_key: str = one_of("error", "warn")
    # named twice in a protocol; "warn" keeps the first
    duplicate_utterance: str = one_of("error", "warn")
    # named in the protocol, not on disk
    missing_audio: str = one_of("error", "warn")
    # on disk, named in no protocol (2019 LA enrolment files)
    unlisted_audio: str = one_of("warn", "error")
    # unreadable, empty, truncated, silent, NaN, out of bounds
    bad_audio: str = one_of("error", "warn")


@dataclass
class AudioConfig(Section):
    """Bounds on what is decoded. They hold while decoding, whatever a file's header says."""

    min_duration_s: float = 0.01  # shorter is "too short"
    max_duration_s: float = 600.0  # longer is "too long", counted after resampling
    min_sample_rate_hz: int = at_least(4_000, 1)
    max_sample_rate_hz: int = 384_000
    max_channels: int = 16  # averaged to mono
    min_peak: float = 1e-4  # full scale = 1; a file that never exceeds it is "silent"


@dataclass
class HostAugmentConfig(Section):
    """What is done to training clips on the host. `host_augment_config` spells out all fields."""

    chain: tuple[str, ...] = ()  # rows of rawnet_jax.data.host_augment, in this order; () = none
    # of these a clip gets one at most, by their probabilities; a name that chain lacks is left out
    exclusive: tuple[str, ...] = ()
    # name -> its fields and its probability for a clip; a name that chain lacks is left out
    steps: ConfigDict = field(default_factory=ConfigDict)


@dataclass
class DataConfig(Section):
    """Which corpus, which part of it, and how clips become fixed-size arrays."""

    # a name from rawnet_jax.data.corpus.CORPORA; "auto" = the one that is recognised below root
    corpus: str = "asvspoof2017"
    root: str = ""  # folder of the corpus in its published layout
    train_protocol: str = ""  # relative to root; "" = where the published layout has it
    dev_protocol: str = ""
    eval_protocol: str = ""
    audio_dir: str = ""  # relative to root, for all partitions; "" = published layout
    # what the command `manifest` wrote of object storage, tar files or folders: the audio is looked
    # for in it; "" = in the corpus's folders
    recordings: str = ""
    # only trials of this subset, such as eval of the ASVspoof 2021 keys or for-norm of Fake-or-Real
    subset: str = ""  # "" = all
    one_means: str = one_of("unstated", "bonafide", "spoof")  # key 1 in lists of one's own; 0 = not

    dev_source: str = one_of("auto", "official", "speaker_disjoint", "stratified", "notebook")
    dev_fraction: float = 0.2  # share of train held out when dev is not the official one
    split_seed: int = at_least(42, 0)  # seed of that split

    problems: ProblemPolicy = field(default_factory=ProblemPolicy)
    audio: AudioConfig = field(default_factory=AudioConfig)

    num_samples: int = at_least(16_000, 1)  # clip length in samples at 16 kHz
    crop: str = one_of("first", "random")  # which part of a longer clip in training
    pad: str = one_of("zero", "repeat")  # how a shorter clip is filled: on the right, or tiled
    # rows are as long as the first of these, ascending, that holds the clip, and a batch is of one
    # length; the last is num_samples; () = every row is num_samples long
    bucket_samples: tuple[int, ...] = ()
    # in training each clip is cut to a length drawn from this to what it has, at a place drawn at
    # random whatever crop is; 0 = off
    min_samples: int = at_least(0, 0)
    # in training an epoch is divided equally over the values of the first of these, each part over
    # those of the second, and so on; () = each clip once
    balance: tuple[str, ...] = some_of("class", "attack", "speaker")
    # column of the train list that names the bona fide clip that a spoof clip is a copy of, such as
    # source: in training, rows 2i and 2i + 1 are then a bona fide clip and a fake; "" = no pairs
    pairs: str = ""
    unpaired_share: float = at_least(0.0, 0.0)  # of these pairs, those whose fake is not a copy
    # in training a crop goes by the segments that the list states of its clip: where it holds less
    # fake speech than min_fake_s it is bona fide
    window_labels: bool = False
    min_fake_s: float = at_least(0.0, 0.0)  # in seconds; 0 = any
    host_augment: HostAugmentConfig = field(default_factory=HostAugmentConfig)

    cache_dir: str = ""  # decoded audio; "" = $RAWNET_JAX_CACHE or ~/.cache/rawnet_jax
    num_workers: int = at_least(0, 0)  # decoding processes; 0 = one per core
    num_threads: int = at_least(1, 1)  # threads that assemble batches
    prefetch_batches: int = at_least(8, 1)  # batches kept ready on the host
    # of several processes, each decodes and reads only its share of the clips, and its rows of a
    # batch are drawn from those; False: every process can read all of them
    divide_clips: bool = False
    # train clips in device memory for the whole run; "auto" = where half of what is free will do
    resident: str = one_of("auto", "on", "off")


@dataclass
class ModelConfig(Section):
    """Which network. `fields` go to its constructor by name."""

    name: str = "conv1d"  # a row of rawnet_jax.models.registry
    members: int = 1  # networks whose scores are averaged; more than 1 is made by `ensemble`
    fields: ConfigDict = field(default_factory=ConfigDict)


@dataclass
class LossConfig(Section):
    """What training minimises. `fields` are the loss's own numbers, by name."""

    name: str = "bce"  # a row of rawnet_jax.losses.LOSSES
    class_weights: tuple[float, ...] = (1.0, 1.0)  # (spoof, bonafide)
    fields: ConfigDict = field(default_factory=ConfigDict)


@dataclass
class AugmentConfig(Section):
    """What is done to training clips on the device. `augment_config` spells out all fields."""

    chain: tuple[str, ...] = ()  # rows of rawnet_jax.augment.registry, in this order; () = none
    # of these a clip gets one at most, by their probabilities; a name that chain lacks is left out
    exclusive: tuple[str, ...] = ()
    # name -> its fields and its probability for a clip; a name that chain lacks is left out
    steps: ConfigDict = field(default_factory=ConfigDict)
    # rows 2i and 2i + 1 get the same draws: with config.data.pairs, both sides of a pair
    by_pair: bool = False
    # folders, and folders in them, of audio files: of MUSAN, RIRS_NOISES (each takes what is its
    # own there) or any others
    noise_dir: str = ""  # what "noise" adds
    rir_dir: str = ""  # what "rir" convolves with
    noise_max_files: int = at_least(0, 0)  # so many, spread evenly over the folder; 0 = all
    rir_max_files: int = at_least(0, 0)
    noise_max_s: float = at_least(0.0, 0.0)  # of each noise only its beginning; 0 = all of it
    rir_max_s: float = 1.0  # longer impulse responses are cut


@dataclass
class ScheduleConfig(Section):
    """Learning rate over time, as a factor on `OptimizerConfig.learning_rate`."""

    name: str = one_of("constant", "cosine", "step", "exponential", "noam")
    warmup_steps: int = at_least(0, 0)  # linear from 0; 0 = none; noam: where the rate is highest
    final_factor: float = 0.0  # cosine: factor at the last step
    decay_factor: float = 0.5  # step, exponential: factor per period
    # step, exponential: length of a period in epochs; 0 = the run behind the warm-up
    decay_epochs: float = at_least(10.0, 0.0)
    # cosine: epochs from the highest rate to the lowest; 0 = the run behind the warm-up
    period_epochs: float = at_least(0.0, 0.0)
    # cosine, behind its period: the rate rises as it fell, or starts again at its highest
    cycle: str = one_of("mirror", "restart")
    per_epoch: bool = False  # the rate moves once an epoch, counted from the end of the warm-up
    noam_dim: int = at_least(64, 1)  # noam: the rate is divided by the root of this
    # after so many epochs without a better dev accuracy, time in the schedule runs twice as fast
    stall_epochs: int = at_least(0, 0)  # 0 = never


@dataclass
class LoraConfig(Section):
    """Low-rank adaptation: an encoder stays as it is, but for small matrices beside its own."""

    rank: int = at_least(0, 0)  # of the matrices; 0 = off
    alpha: float = at_least(16.0, 0.0)  # what they add counts alpha / rank
    # dense layers of the encoder, by names in their parameters' paths
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = at_least(0.0, 0.0)  # share of a layer's inputs that they do not see in a step


@dataclass
class OptimizerConfig(Section):
    """How parameters move. Defaults are the notebook's: Keras Adam."""

    name: str = one_of("adam", "amsgrad", "adamw", "sgd", "rmsprop")
    learning_rate: float = at_least(1e-3, 0.0)
    beta1: float = at_least(0.9, 0.0)  # adam, amsgrad, adamw
    beta2: float = at_least(0.999, 0.0)  # adam, amsgrad, adamw; rmsprop: decay of squared gradients
    epsilon: float = at_least(1e-7, 0.0)
    momentum: float = at_least(0.0, 0.0)  # sgd, rmsprop
    # adamw: decoupled; the others: L2 added to the gradient
    weight_decay: float = at_least(0.0, 0.0)
    clip_norm: float = at_least(0.0, 0.0)  # global gradient norm; 0 = no clipping
    # rule of the parameters called center or centers: "" = the same as all others; "sgd" = plain
    # descent without decay, at its own rate but on the same schedule
    center_name: str = one_of("", "sgd")
    center_learning_rate: float = at_least(3e-4, 0.0)
    # parameters that are not trained, by names in their paths: "encoder/network/feature_extractor",
    # "layers/layer[:9]" = the encoder's first 9 layers
    frozen: tuple[str, ...] = ()
    # parts with another rate, by names in their parameters' paths, and the factor on it; of several
    # that fit the first one counts
    rate_parts: tuple[str, ...] = ()
    rate_factors: tuple[float, ...] = ()
    # factor on the rate per layer of the encoder, counted from the head down; 1 = off
    layer_decay: float = at_least(1.0, 0.001)
    sam_radius: float = at_least(0.0, 0.0)  # the gradient is taken so far uphill: SAM; 0 = off
    sam_adaptive: bool = False  # that distance is relative to each parameter's size: ASAM
    lora: LoraConfig = field(default_factory=LoraConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


@dataclass
class TrainConfig(Section):
    """The loop."""

    num_epochs: int = at_least(10, 1)  # a finished run may be asked for more
    batch_size: int = at_least(32, 1)  # over all devices and hosts together
    # a batch goes through the network in so many parts, one after the other, before the update
    accumulate_steps: int = at_least(1, 1)
    seed: int = at_least(0, 0)  # initial parameters, dropout, order of clips, crops
    save_every_steps: int = at_least(0, 0)  # checkpoint inside an epoch too; 0 = only at its end
    log_every_steps: int = at_least(20, 1)  # scalars and the check for NaN
    keep_checkpoints: int = at_least(1, 1)  # best ones kept, beside the latest
    # no epoch before this one is ever the best, but for the last; so from num_epochs on: the last
    best_from_epoch: int = at_least(1, 1)
    drop_last: bool = False  # leave an epoch's short last batch out
    # average the parameters of all epochs whose dev EER was no worse than any before; at the end
    # estimate BatchNorm's statistics again on train and save it as the checkpoint "swa"
    swa: bool = False
    # average every epoch from this one on, whatever dev says; 0 = as above
    swa_from_epoch: int = at_least(0, 0)
    init_from: str = ""  # work directory of a run whose best checkpoint this one starts from
    encoder_weights: str = (
        ""  # published weights that the model's encoder starts from: a folder, a file
    )
    # models with the seeds seed, seed + 1, … trained side by side in one program
    num_seeds: int = at_least(1, 1)
    # what layers compute in; parameters, gradients and statistics stay float32
    compute_dtype: str = one_of("float32", "bfloat16")
    # steps in one program: 0 = as many as take about a second where the corpus is resident, else 1
    steps_per_dispatch: int = at_least(0, 0)


@dataclass
class EvalConfig(Section):
    """Scoring."""

    batch_size: int = at_least(64, 1)  # over all devices and hosts together
    spoof_threshold: float = 0.5  # accuracy, F1: spoof if P(spoof) is at least this
    # "" = the first config.data.num_samples of a clip, as published; else windows over all of it,
    # and their scores in one: mean, most spoofed window, or mean without the extremes
    aggregate: str = one_of("", "mean", "max_spoof", "trimmed")
    window_samples: int = at_least(0, 0)  # length of a window; 0 = config.data.num_samples
    window_hop: float = at_least(0.5, 0.001)  # from one window to the next, in windows; at most 1
    # share of genuine dev speech that may be unlike training; what is farther away from it gets no
    # verdict; 0 = anything gets one
    outlier_share: float = at_least(0.01, 0.0)
    outlier_clips: int = at_least(500, 2)  # of each class of train, drawn to say what is like it
    reference_clips: int = at_least(256, 0)  # of each class of dev, whose embeddings `adapt` uses


@dataclass
class GateConfig(Section):
    """Input that gets no score. What is checked is the part that would be scored.

    Every real clip that the bounds were tried on passes; docs/scoring.md has the numbers.
    """

    enabled: bool = True  # look at all
    # evaluate: "report" counts such clips and scores them, as every published number does;
    # "refuse" leaves them out of scores and metrics
    action: str = one_of("report", "refuse")
    min_duration_s: float = at_least(0.1, 0.0)  # shorter is "too short"
    silence_dbfs: float = -80.0  # RMS of 20 ms; 0 = a square wave of full scale; below is silence
    min_active_s: float = at_least(0.1, 0.0)  # less than this above silence is "near silence"
    max_dc_share: float = at_least(0.99, 0.0)  # share of the power that may be a constant offset
    # share of samples that may lie within 1 % of the highest or lowest
    max_clipped_share: float = at_least(0.3, 0.0)
    # power of the average of channels over theirs; less means that they cancel each other
    min_mix_share: float = at_least(0.01, 0.0)
    # what looks for speech; evaluate looks for none unless action is "refuse"; "off" = nothing
    speech: str = one_of("silero", "energy", "off")
    # less in a window is "no speech"; a window below four times this needs a quarter
    min_speech_s: float = at_least(0.2, 0.0)


@dataclass
class RuntimeConfig(Section):
    """What depends on the machine, not on the experiment."""

    matmul_precision: str = one_of("highest", "high", "default")  # on GPU and TPU
    # folder of compiled programs, used again by later runs; "auto" = JAX_COMPILATION_CACHE_DIR or
    # the user's cache folder, "" = none
    compilation_cache: str = "auto"


@dataclass
class Config(Section):
    """One experiment."""

    name: str = "experiment"
    note: str = ""  # stands in the report: what a reader of its numbers must know
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)


def walk(section: Section, prefix: str = "config") -> Iterator[tuple[str, Section, Any]]:
    """Yield ``(dotted name, section, field)`` for every leaf field, depth first."""
    for f in dataclasses.fields(section):  # type: ignore[arg-type]
        value = getattr(section, f.name)
        if isinstance(value, Section):
            yield from walk(value, f"{prefix}.{f.name}")
        else:
            yield f"{prefix}.{f.name}", section, f


def streams(data: DataConfig) -> bool:
    """Return whether batches can only come from the host."""
    return bool(data.bucket_samples or data.host_augment.chain)


def frozen(config: Config) -> Config:
    """Return a deep copy that can no longer be changed."""
    config = copy.deepcopy(config)
    _set_frozen(config, True)
    return config


def thawed(config: Config) -> Config:
    """Return a deep copy that may be changed."""
    config = copy.deepcopy(config)
    _set_frozen(config, False)
    return config


def _set_frozen(section: Section, frozen: bool) -> None:
    for f in dataclasses.fields(section):  # type: ignore[arg-type]
        value = getattr(section, f.name)
        if isinstance(value, Section):
            _set_frozen(value, frozen)
        elif isinstance(value, ConfigDict):
            value.lock() if frozen else value.unlock()
    object.__setattr__(section, "_frozen", frozen)
