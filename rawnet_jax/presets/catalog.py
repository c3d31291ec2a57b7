"""The presets that come with the package, by name. No download: what is listed is here."""

import os
from pathlib import Path

from rawnet_jax.config_file import PRESET_NAME
from rawnet_jax.errors import ConfigError
from rawnet_jax.presets.files import Preset, read_preset

DEFAULT = "general_1"
"""Name of the preset that is used where no run is named; "" = none.

This is the one place that says so."""

FOLDER = Path(__file__).parent
"""Each preset is a folder in it, called as the preset is."""


def list_presets() -> list[Preset]:
    """Return the presets of the package: the default one first, the others by name.

    Raises:
        DataError: one is damaged.
    """
    names = sorted(path.parent.name for path in FOLDER.glob(f"*/{PRESET_NAME}"))
    return [read_preset(FOLDER / name) for name in sorted(names, key=lambda name: name != DEFAULT)]


def preset_folder(name: str) -> Path | None:
    """Return the folder of a preset of the package; None where there is none of that name."""
    if not name or Path(name).name != name:
        return None
    folder = FOLDER / name
    return folder if os.path.exists(folder / PRESET_NAME) else None


def is_default(preset: Preset) -> bool:
    """Return whether this preset is used where no run is named."""
    return preset.folder == preset_folder(DEFAULT)


def default_folder() -> Path:
    """Return the folder of the default preset.

    Raises:
        ConfigError: the package has none.
    """
    folder = preset_folder(DEFAULT)
    if folder is None:
        raise ConfigError(
            "--workdir must be given, the folder of a trained run: this package has no default "
            "preset"
        )
    return folder


def run_folder(given: Path | None) -> Path:
    """Return the folder that a user means: of a run, or of a preset.

    Args:
        given: a folder, or the name of a preset where there is no such path; None = the default.

    Raises:
        ConfigError: there is no default preset, or neither a folder nor a preset of that name.
    """
    if given is None:
        return default_folder()
    if os.path.exists(given):  # a name that no file can have is none, either
        return given
    found = preset_folder(str(given))
    if found is None and given.name == str(given) and (known := known_names()):
        raise ConfigError(f"{given}: no such folder, and no preset has that name; {known}")
    return found or given


def known_names() -> str:
    """Return the names of all presets for a message; "" where there are none."""
    names = [preset.folder.name for preset in list_presets()]
    return f"presets: {', '.join(names)}" if names else ""
