"""The variables of a trained network, from wherever a run has them."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.errors import CheckpointError
from rawnet_jax.flat_weights import unpacked
from rawnet_jax.presets.files import WEIGHTS_NAME, is_preset, read_preset
from rawnet_jax.variable_check import check_finite, check_shapes


def stored_variables(
    workdir: Path, which: str, template: dict[str, Any], sharding: jax.sharding.Sharding
) -> tuple[dict[str, Any], int]:
    """Restore what scoring needs: of a run from its checkpoints, of a preset from its weights.

    Args:
        workdir: of the run, or folder of the preset.
        which: ``best``, ``latest``, ``swa`` or a step number; a preset has its best one alone.
        template: the model's variables, or their shapes.
        sharding: where to put them.

    Returns:
        ``{"params", "batch_stats"}`` and the step that they were saved at.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged, of another model, or has
            values that are not finite.
        DataError: what says what the preset is is damaged.
    """
    if not is_preset(workdir):
        # Brings orbax, which a preset does not need.
        from rawnet_jax.checkpoint import restore_variables

        return restore_variables(workdir, which, template, sharding)
    preset, path = read_preset(workdir), workdir / WEIGHTS_NAME
    if which not in (BEST, str(preset.step)):
        raise CheckpointError(
            f"{workdir}: no {which[:40]} checkpoint here: a preset has one, {BEST}, of step "
            f"{preset.step}"
        )
    try:
        found = unpacked(preset.read(WEIGHTS_NAME))
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    variables = {name: found.get(name, {}) for name in template}
    check_shapes(found, template, path)
    check_finite(variables, path)
    placed = jax.tree.map(
        lambda leaf, wanted: jax.make_array_from_process_local_data(
            sharding, np.asarray(leaf, wanted.dtype)
        ),
        *(variables, dict(template)),
    )
    return placed, preset.step
