"""``probe``: a linear classifier of a frozen encoder's layers, as a run."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import new_folder, refuse_used
from rawnet_jax.config import Config, DataConfig, thawed
from rawnet_jax.config_check import checked
from rawnet_jax.config_file import load_config
from rawnet_jax.data.cache_files import cache_root
from rawnet_jax.data.partitions import Clips, load_training_caches
from rawnet_jax.data.recognise import settled_config
from rawnet_jax.data.score_file import score_table, write_scores
from rawnet_jax.data.trial import labels_of
from rawnet_jax.digest import digest_of
from rawnet_jax.encoders.catalog import encoder_config
from rawnet_jax.errors import ConfigError
from rawnet_jax.interop.encoder_files import read_encoder_weights
from rawnet_jax.interop.encoder_weights import EncoderWeights, first_layers
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.jobs.made_run import fill_run
from rawnet_jax.jobs.options import at_least
from rawnet_jax.losses import loss_config
from rawnet_jax.models.registry import model_config, spec_of
from rawnet_jax.poolings import POOLINGS, STATISTICS
from rawnet_jax.probe.features import Features, column_name
from rawnet_jax.probe.fits import ProbeData, ProbeSearch, search_probes
from rawnet_jax.progress import BatchBars
from rawnet_jax.reports.probe_page import format_probe, write_probe_files
from rawnet_jax.runtime import start_runtime
from rawnet_jax.scoring.recordings import recipe_of
from rawnet_jax.terminal import show

MODEL = "ssl_probe"
FOLDER = "probe"
"""In the work directory: what led to the choice."""

_FEATURES = "probe_features"
# Of training a network; a probe takes each clip once, as it is scored.
_OF_TRAINING = ("crop", "min_samples", "balance", "pairs", "unpaired_share", "host_augment")


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """Options of ``probe``, named as its flags; see ``probe --help``."""

    encoder_weights: Path
    encoder: str | None
    input_norm: str | None
    dtype: str | None
    config: str
    workdir: Path
    layers: Sequence[range] | None
    poolings: Sequence[str]
    strengths: Sequence[float]
    class_weight: str
    batch_size: int | None
    features: Path | None
    overrides: Sequence[str]
    progress: bool

    def __post_init__(self) -> None:
        at_least("--batch-size", self.batch_size, 1)
        for strength in self.strengths:
            if not 0 < strength < math.inf:
                raise ConfigError(f"--strengths {strength:g}: it must be above 0 and finite")


def probe(options: ProbeOptions) -> int:
    """Fit probes, choose one on dev and write it as a run; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with options, weights or corpus; then no work directory has
            been made. Features that were computed stay.
    """
    config = _config(options)
    refuse_used(options.workdir, "--workdir")
    start_runtime(config.runtime)
    bars = BatchBars(options.progress)
    whole = _encoder(options)
    layers = _layers(options.layers, whole.config.kept_layers)
    with ended_by_signals():
        train, dev = load_training_caches(config.data, options.progress)
        features = _features(options, config, whole, layers)
        data = _data(features, train, dev, bars)
        count = len(layers) * len(options.poolings) * len(options.strengths)
        with bars("logistic regression", count, unit="fit") as bar:
            found = search_probes(
                data,
                layers,
                options.poolings,
                options.strengths,
                options.class_weight,
                bar.update,
            )
        cut = _up_to(whole, found.best.layer)
        source = _source(options, features.digest, found, len(train), len(dev))
        _write(options.workdir, config, cut, found, dev, source)
    return 0


def _config(options: ProbeOptions) -> Config:
    """Return what the run's config has of the one that was given.

    Raises:
        ConfigError: scores of several windows would be put together in a way that is not linear.
    """
    given = load_config(options.config, options.overrides)
    given, _ = settled_config(given)
    if given.eval.aggregate not in ("", "mean"):
        raise ConfigError(
            f"config.eval.aggregate is {given.eval.aggregate!r}; a probe is fitted to the first "
            "window of a clip ('') or to the mean over its windows (mean); the run may be scored "
            "otherwise"
        )
    config = Config(name=given.name, note=given.note)
    for section in ("data", "eval", "gate", "runtime"):
        setattr(config, section, getattr(thawed(given), section))
    default = DataConfig()
    for name in _OF_TRAINING:
        setattr(config.data, name, getattr(default, name))
    config.loss = loss_config(spec_of(MODEL).loss)
    return config


def _encoder(options: ProbeOptions) -> EncoderWeights:
    """Read the whole encoder.

    Raises:
        ConfigError: there is nothing at the path.
    """
    if not options.encoder_weights.exists():
        raise ConfigError(
            f"--encoder-weights {options.encoder_weights}: does not exist; must be a file or "
            "folder with an encoder's weights"
        )
    config = None if options.encoder is None else encoder_config(options.encoder)
    found = read_encoder_weights(options.encoder_weights, config)
    given = {"input_norm": options.input_norm, "dtype": options.dtype}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(found, config=found.config.replaced(**changes))


def _layers(wanted: Sequence[range] | None, kept: int) -> list[int]:
    """Return the layers to try, in order.

    Raises:
        ConfigError: there is no such layer.
    """
    if wanted is None:
        return list(range(kept + 1))
    layers = sorted({layer for part in wanted for layer in part})
    if not layers or layers[0] < 0 or layers[-1] > kept:
        shown = f"{layers[0]} to {layers[-1]}" if layers else "none"
        raise ConfigError(
            f"--layers: {shown}; the encoder has 0 (what goes into the first layer) to {kept}"
        )
    return layers


def _up_to(whole: EncoderWeights, layer: int) -> EncoderWeights:
    """Return the encoder without the layers above one."""
    return whole if layer == whole.config.kept_layers else first_layers(whole, max(layer, 1))


def _features(
    options: ProbeOptions, config: Config, whole: EncoderWeights, layers: Sequence[int]
) -> Features:
    used = {name for pooling in options.poolings for name in POOLINGS[pooling]}
    return Features(
        _up_to(whole, max(layers)),
        digest_of(whole.variables),
        layers,
        [name for name in STATISTICS if name in used],
        recipe_of(config),
        options.batch_size or config.eval.batch_size,
        config.data.num_threads,
        options.features or cache_root(config.data) / _FEATURES,
    )


def _data(features: Features, train: Clips, dev: Clips, bars: BatchBars) -> ProbeData:
    """Compute the features of train and dev, or find them on disk."""
    train_labels, dev_labels = labels_of(train.trials), labels_of(dev.trials)
    # Of train and dev every trial has one.
    assert train_labels is not None
    assert dev_labels is not None
    of_train = features.fill(train, "features of train", bars)
    of_dev = features.fill(dev, "features of dev", bars)

    def read(layer: int, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        def columns(digests: Sequence[bytes]) -> np.ndarray:
            names = [column_name(layer, name) for name in POOLINGS[pooling]]
            return np.concatenate([features.store.read(digests, name) for name in names], axis=1)

        return columns(of_train), columns(of_dev)

    return ProbeData(read, train_labels, dev_labels)


def _write(
    workdir: Path,
    config: Config,
    weights: EncoderWeights,
    found: ProbeSearch,
    dev: Clips,
    source: dict[str, Any],
) -> None:
    """Make the work directory, whole or not at all, and say what is in it."""
    best = found.best
    config.model = model_config(
        MODEL,
        encoder=dataclasses.asdict(weights.config),
        layer=best.layer,
        pooling=best.pooling,
        variable_length=True,
    )
    config = checked(config)
    with new_folder(workdir, "--workdir") as folder:
        fill_run(folder, config, _variables(weights, found), source, dev_eer=best.dev_eer)
        (folder / FOLDER).mkdir()
        write_scores(folder / FOLDER / "dev_scores.txt", score_table(dev.trials, found.dev_scores))
        files = write_probe_files(folder / FOLDER, config.name, found, source)
    show(format_probe(found))
    show()
    written = [(what, workdir / FOLDER / path.name) for what, path in files]
    say_written([*written, ("run", workdir)])
    show(f"evaluate it: python evaluate.py --workdir {workdir}")


def _variables(weights: EncoderWeights, found: ProbeSearch) -> dict[str, Any]:
    """Return the run's variables."""
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, part in weights.variables.items():
        if part:
            variables[name]["encoder"] = part
    probe = found.probe
    kernel, bias = probe.weights[:, None], np.array([probe.offset])
    variables["params"]["head"] = {"kernel": _float32(kernel), "bias": _float32(bias)}
    moments = {"mean": _float32(probe.mean), "var": _float32(probe.std**2)}
    variables["batch_stats"]["standardised"] = moments
    return variables


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _source(
    options: ProbeOptions, digest: str, found: ProbeSearch, train: int, dev: int
) -> dict[str, Any]:
    """Return where the run came from, for source.json and the page."""
    return {
        "encoder_weights": str(options.encoder_weights),
        "encoder_sha256": digest,
        "layers": [one.layer for one in found.best_of_layers()],
        "poolings": list(options.poolings),
        "strengths": sorted(options.strengths),
        "class_weight": options.class_weight,
        "train_clips": train,
        "dev_clips": dev,
        "chosen": dataclasses.asdict(found.best),
    }
