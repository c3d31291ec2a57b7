"""``presets``: what comes with the package."""

from pathlib import Path

from rawnet_jax.errors import ConfigError
from rawnet_jax.presets.catalog import is_default, list_presets, run_folder
from rawnet_jax.presets.files import Preset, is_preset, read_preset
from rawnet_jax.terminal import say, show, sized


def show_presets() -> int:
    """Print a paragraph per preset of the package; returns the exit status.

    Raises:
        DataError: one is damaged.
    """
    found = list_presets()
    show("\n\n".join(_paragraph(preset) for preset in found) or "this package has no preset")
    if found:
        show("\npython -m rawnet_jax presets NAME: its card, which tells where it fails")
    return 0


def show_card(name: str) -> int:
    """Print the model card of a preset; returns the exit status.

    Args:
        name: of a preset of the package, or folder of one.

    Raises:
        RawnetError: there is no such preset, or it is damaged.
    """
    folder = run_folder(Path(name))
    if not is_preset(folder):
        raise ConfigError(f"{name}: is neither the name nor the folder of a preset")
    card = read_preset(folder).card
    say(card if card.endswith("\n") else f"{card}\n")
    return 0


def _paragraph(preset: Preset) -> str:
    name, summary = preset.folder.name, preset.summary and f": {preset.summary}"
    lines = [
        f"{name}{' (default)' if is_default(preset) else ''}{summary}",
        f"  {preset.model}, {sized(preset.num_bytes)}, licence: {preset.licence}",
    ]
    figures = ", ".join(f"{what} {value}" for what, value in preset.figures.items())
    return "\n".join([*lines, *([f"  {figures}"] if figures else [])])
