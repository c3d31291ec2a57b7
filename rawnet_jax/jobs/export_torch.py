"""``export-torch``: a run's weights for the published PyTorch code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.model_weights import variables_to_published
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_writer import write_state_dict
from rawnet_jax.jobs.import_torch import torch_names
from rawnet_jax.jobs.options import RunOptions
from rawnet_jax.mesh import make_mesh, replicated
from rawnet_jax.models.registry import build_model, spec_of
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.presets.variables import stored_variables
from rawnet_jax.run import configs_of
from rawnet_jax.runtime import start_runtime
from rawnet_jax.terminal import show


@dataclass(frozen=True, kw_only=True)
class ExportTorchOptions(RunOptions):
    """Options of ``export-torch``, named as its flags; see ``export-torch --help``."""

    output: Path


def export_torch(options: ExportTorchOptions) -> int:
    """Write a run's weights; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run or the file to write.
    """
    workdir, checkpoint, output = options.workdir, options.checkpoint, options.output
    config, _ = configs_of(workdir, options.overrides)
    names = torch_names(config.model.name)
    if not output.parent.is_dir():
        raise CheckpointError(f"--output {output}: its folder does not exist")
    start_runtime(config.runtime)
    model = build_model(config.model)
    shapes = variable_shapes(model, config.data.num_samples)
    variables, step = stored_variables(workdir, checkpoint, shapes, replicated(make_mesh()))
    state = variables_to_published(jax.device_get(variables), model, names)
    in_loss = {name: array for name, array in state.items() if names.is_in_loss(name)}
    network = {name: array for name, array in state.items() if name not in in_loss}
    _write_checked(output, network)
    show(f"{workdir}, checkpoint {checkpoint}, step {step}")
    show(f"written: {output}, {len(network)} tensors, read back bit for bit")
    if in_loss:
        # In the loss's own state dict they have no prefix.
        own = {alias: name for alias, name in names.aliases.items() if name in in_loss}
        own = own or {name: name for name in in_loss}
        path = output.with_name(f"{output.stem}_loss{output.suffix}")
        _write_checked(path, {alias: in_loss[name] for alias, name in own.items()})
        show(f"written: {path}, {len(own)} of the loss, read back bit for bit")
    show(f"load it in the published code ({spec_of(config.model.name).source}):")
    strict = ", strict=False" if isinstance(model, WithEncoder) else ""
    show(f"  model.load_state_dict(torch.load({output.name!r}, weights_only=True){strict})")
    if strict:
        show("  (strict=False: what the encoder's pre-training alone uses is not in the file)")
    return 0


def _write_checked(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Write a state dict and compare what can be read of it.

    Raises:
        CheckpointError: if a tensor comes back as another.
    """
    write_state_dict(path, state)
    found = read_state_dict(path)
    for name in state.keys() | found.keys():
        if name not in found or name not in state or not _same(found[name], state[name]):
            raise CheckpointError(f"{path}: {name} is not what was written")


def _same(found: np.ndarray, wanted: np.ndarray) -> bool:
    shape_and_type = (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    return shape_and_type and found.tobytes() == wanted.tobytes()
