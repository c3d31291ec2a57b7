"""``import-torch``: published weights become a work directory."""

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.atomic_file import new_folder, refuse_used
from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.config import Config, LossConfig
from rawnet_jax.config_file import SOURCE_NAME, load_config, with_overrides
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.encoder_files import read_tensors
from rawnet_jax.interop.model_weights import PublishedWeights, variables_from_published
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_records import first_names, shortened
from rawnet_jax.interop.torch_weights import lacks
from rawnet_jax.jobs.made_run import fill_run
from rawnet_jax.losses import make_loss
from rawnet_jax.models.registry import MODELS, build_model, model_config, spec_of
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.variables import init_variables, variable_shapes
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.runtime import start_runtime
from rawnet_jax.terminal import show

PACKAGE = "rawnet_jax"


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of ``import-torch``, named as its flags; see ``import-torch --help``."""

    checkpoints: Sequence[Path]
    model: str
    workdir: Path
    config: str | None
    licence: str
    overrides: Sequence[str]


def import_torch(options: ImportOptions) -> int:
    """Make a work directory of published weights; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the files, the settings or the work directory; then
            no work directory has been made.
    """
    names = torch_names(options.model)
    config = _config(options)
    refuse_used(options.workdir, "--workdir")
    start_runtime(config.runtime)
    model = build_model(config.model)
    state = _read(options.checkpoints, isinstance(model, WithEncoder))
    shapes = variable_shapes(model, config.data.num_samples)
    _refuse_other_loss(config, model, shapes)
    drawn = lacks(state, names, shapes)
    template = _drawn(model, config, names, drawn) if drawn else shapes
    files = ", ".join(path.name for path in options.checkpoints)
    try:
        found = variables_from_published(state, model, names, template)
    except CheckpointError as error:
        raise CheckpointError(
            f"{files}: not the weights of this {options.model}; {error} (sizes are set by "
            "--config.model.fields.NAME=VALUE)"
        ) from None
    _write(options.workdir, config, found.variables, _source(options, state, drawn))
    _report(options, files, len(state) - len(found.unused), found, drawn)
    return 0


def torch_names(model: str) -> TorchNames:
    """Return how a model's variables are called in PyTorch.

    Raises:
        ConfigError: if there is no such model, or it was not published in PyTorch.
    """
    names = spec_of(model).torch_names
    if names is None:
        known = ", ".join(name for name, spec in MODELS.items() if spec.torch_names)
        raise ConfigError(
            f"model {model} was not published in PyTorch, so its weights have no names there; "
            f"those that were: {known}"
        )
    return names


def _config(options: ImportOptions) -> Config:
    if options.config is not None:
        config = load_config(options.config, options.overrides)
    else:
        spec = spec_of(options.model)
        plain = Config(name=options.model, model=model_config(options.model))
        plain.note = "Imported weights, not trained here: " + ", ".join(
            path.name for path in options.checkpoints
        )
        plain.data.num_samples = spec.num_samples
        plain.data.pad = "repeat"
        plain.loss = LossConfig(name=spec.loss)
        config = with_overrides(plain, options.overrides)
    if config.model.name != options.model:
        raise ConfigError(f"--model is {options.model}, the config's is {config.model.name}")
    return config


def _read(paths: Sequence[Path], with_encoder: bool) -> dict[str, np.ndarray]:
    """Read and put together several files; those of networks with an encoder come in more forms."""
    state: dict[str, np.ndarray] = {}
    origin: dict[str, Path] = {}
    for path in paths:
        if path.is_dir() or path.name.endswith(".index.json"):
            raise CheckpointError(f"{path}: must be one file of weights, .safetensors or PyTorch's")
        for name, array in (read_tensors if with_encoder else read_state_dict)(path).items():
            if name in state:
                raise CheckpointError(f"{shortened(name)} is in {origin[name]} and in {path}")
            state[name], origin[name] = array, path
    return state


def _refuse_other_loss(config: Config, model: nn.Module, shapes: Any) -> None:
    """Check that the loss takes what the model gives: evaluate reports it."""
    rows = 3  # not the number of classes, so that shapes cannot be mistaken
    loss = make_loss(config.loss)

    def values(variables: Any) -> Any:
        waveform = jnp.zeros((rows, config.data.num_samples))
        lengths = jnp.full((rows,), config.data.num_samples, jnp.int32)
        output: Any = model.apply(variables, waveform, lengths, train=False)
        return loss(output, jnp.zeros((rows,), jnp.int32), jnp.ones((rows,)))

    try:
        fits = jax.eval_shape(values, shapes).shape == (rows,)
    except (ValueError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise ConfigError(
            f"config.loss.name is {config.loss.name!r}, which does not take what this "
            f"{config.model.name} gives; set --config.loss.name "
            f"(published: {spec_of(config.model.name).loss})"
        )


def _drawn(model: nn.Module, config: Config, names: TorchNames, wanted: Sequence[str]) -> Any:
    """Draw initial variables, zeros where not wanted: their draws would take long to compile."""

    def draw(key: jax.Array) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: leaf if name(path) in wanted else jnp.zeros_like(leaf),
            init_variables(model, key, config.data.num_samples),
        )

    def name(path: Any) -> str:
        return names.torch_name(jax.tree_util.keystr(path[1:], simple=True, separator="/"))

    return jax.jit(draw)(jax.random.key(config.train.seed))


def _source(
    options: ImportOptions, state: Mapping[str, np.ndarray], drawn: Sequence[str]
) -> dict[str, Any]:
    """Return where the weights came from, for source.json."""
    try:
        version = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    return {
        "files": [
            {
                "name": path.name,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in options.checkpoints
        ],
        "tensors": len(state),
        "drawn_anew": list(drawn),
        "model": options.model,
        "published": spec_of(options.model).source,
        "licence": options.licence,
        "imported": datetime.now(UTC).isoformat(timespec="seconds"),
        "rawnet_jax": version,
    }


def _write(
    workdir: Path, config: Config, variables: dict[str, Any], source: dict[str, Any]
) -> None:
    """Make the work directory, whole or not at all."""
    with new_folder(workdir, "--workdir") as folder:
        fill_run(folder, config, variables, source)


def _report(
    options: ImportOptions,
    files: str,
    used: int,
    found: PublishedWeights,
    drawn: Sequence[str],
) -> None:
    params, statistics = (
        sum(leaf.size for leaf in jax.tree.leaves(found.variables[part]))
        for part in ("params", "batch_stats")
    )
    show(
        f"{files}: {used} tensors, all of {options.model}: {params:,} parameters and "
        f"{statistics:,} running statistics"
    )
    if found.unused:
        show(
            f"of the encoder's pre-training, or of layers that are not kept: {len(found.unused)} "
            f"tensors, not used: {first_names(found.unused)}"
        )
    if drawn:
        show(f"not in it, so set at random (only training uses them): {', '.join(drawn)}")
    show(f"written: {options.workdir} (config.json, {SOURCE_NAME}, checkpoints/{BEST}/0)")
    where = "" if options.config else " --config.data.corpus=NAME --config.data.root=FOLDER"
    show(f"score with it: python evaluate.py --workdir {options.workdir}{where}")
