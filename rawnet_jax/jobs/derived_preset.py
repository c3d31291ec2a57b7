"""A run or preset with something fitted again, in a folder of its own.

The new folder is a preset (`rawnet_jax.presets.files`): every command opens it. The old one is read
and left as it is, so that to undo is to use the old one.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax
import jax

from rawnet_jax import __version__
from rawnet_jax.atomic_file import new_folder, write_bytes_atomically
from rawnet_jax.config_file import PRESET_NAME, save_config
from rawnet_jax.fitted_file import write_fitted
from rawnet_jax.flat_weights import in_16_bit, packed
from rawnet_jax.jobs.make_preset import config_of_copy, sha256_of
from rawnet_jax.presets.files import CARD_NAME, CONTENT, WEIGHTS_NAME
from rawnet_jax.run import Run
from rawnet_jax.scoring.fitted_files import FITTED_FILES

_CARD = """\
# {name}

{summary}

{changed} For all else the card of the detector that it was made from holds, above all for where it
fails.
"""


def write_derived(
    output: Path, run: Run, summary: str, changed: str, fitted: Callable[[Path], None]
) -> None:
    """Write the new folder, whole or not at all.

    Args:
        output: folder to make.
        run: the old one, perhaps with other variables.
        summary: one line.
        changed: sentences for the card: what is not as it was.
        fitted: writes what was fitted again into the folder, in which the old files lie already.

    Raises:
        RawnetError: it cannot be written, or cannot be opened then.
    """
    name = output.resolve().name
    with new_folder(output, "--output") as folder:
        save_config(config_of_copy(run), folder)
        write_bytes_atomically(folder / WEIGHTS_NAME, packed(in_16_bit(run.variables)))
        for old in FITTED_FILES:
            if (run.workdir / old).exists():
                shutil.copyfile(run.workdir / old, folder / old)
        fitted(folder)
        files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        card = _CARD.format(name=name, summary=summary, changed=changed)
        write_bytes_atomically(folder / CARD_NAME, card.encode())
        write_fitted(folder / PRESET_NAME, CONTENT, _record(name, run, summary, files))
        Run.open(folder)


def _record(name: str, run: Run, summary: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "licence": "",
        "model": run.config.model.name,
        "step": run.step,
        "fingerprint": run.fingerprint,
        "files": files,
        "figures": {},
        "made_with": {
            "rawnet_jax": __version__,
            "jax": jax.__version__,
            "flax": flax.__version__,
        },
        "trained_by": "",
    }
