"""Which run a command uses where none is named, and where it leaves its results."""

from pathlib import Path

from rawnet_jax.presets.files import is_preset
from rawnet_jax.scoring.verdict import load_operating_point
from rawnet_jax.terminal import complain

_said: set[Path] = set()


def say_default(folder: Path) -> None:
    """Say on standard error, once, which detector is used since no run was named.

    Raises:
        DataError: its threshold file is damaged.
    """
    if folder in _said:
        return
    _said.add(folder)
    point = load_operating_point(folder)
    judged = "without a threshold of its own" if point is None else point.text
    complain(
        f"note: the detector is {folder.name}, the default preset, {judged}; where it fails: "
        f"python -m rawnet_jax presets {folder.name}"
    )


def results_folder(workdir: Path) -> Path:
    """Return where results on a run go: its work directory, which a preset must not be.

    Args:
        workdir: of the run, or folder of the preset.

    Returns:
        `workdir`, or a folder for this preset in the current folder.
    """
    if not is_preset(workdir):
        return workdir
    return Path(f"{workdir.resolve().name}_results")
