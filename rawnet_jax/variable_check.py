"""Whether variables that were read fit the network that is to have them."""

from typing import Any

import jax
import numpy as np

from rawnet_jax.errors import CheckpointError


def check_shapes(saved: Any, wanted: Any, where: object) -> None:
    """Check that variables are those of the config's network.

    Args:
        saved: tree of what was read, or its shapes.
        wanted: tree of the network's variables, or their shapes.
        where: what was read.

    Raises:
        CheckpointError: naming the first array that differs.
    """
    found, needed = _shapes(saved), _shapes(wanted)
    for name in sorted(found | needed):
        if found.get(name) != needed.get(name):
            raise CheckpointError(
                f"{where}: made by another model: {name} is {found.get(name, 'not there')}, the "
                f"config's is {needed.get(name, 'not there')}"
            )


def check_finite(variables: Any, where: object, instead: str = "") -> None:
    """Check that every value is a finite number.

    Args:
        variables: tree of arrays.
        where: what was read.
        instead: what can be done, for the error.

    Raises:
        CheckpointError: naming the first array with other values.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.asarray(jax.device_get(leaf), np.float32)
        count = array.size - int(np.count_nonzero(np.isfinite(array)))
        if count:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise CheckpointError(
                f"{where}: {count:,} of {array.size:,} values of {name} are not finite; all must "
                f"be{instead and f'; {instead}'}"
            )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(getattr(tree, "tree", tree))
    return {jax.tree_util.keystr(k, simple=True, separator="/"): leaf.shape for k, leaf in leaves}
