"""A work directory whose network was not trained there: imported, probed, or put together."""

import json
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.checkpoint import save_variables
from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.config import Config
from rawnet_jax.config_file import SOURCE_NAME, save_config, to_dict


def fill_run(
    folder: Path, config: Config, variables: Any, source: dict[str, Any], **record: Any
) -> None:
    """Write config, checkpoint and source into a folder.

    Args:
        folder: empty.
        config: of the run.
        variables: ``{"params", "batch_stats"}``.
        source: where the network is from, for ``source.json``.
        **record: what else the checkpoint's record says.
    """
    save_variables(folder, BEST, 0, variables, {"config": to_dict(config), **record, **source})
    write_text_atomically(folder / SOURCE_NAME, json.dumps(source, indent=2) + "\n")
    save_config(config, folder)
