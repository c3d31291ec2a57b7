"""The files of a preset: a trained detector in one small folder that is read like a work directory.

``config.json`` and what was fitted are those of the run that it was made from; ``preset.json`` says
what it is and holds the SHA-256 of every file that decides a score or a verdict, so that a file
that is missing, damaged or of another preset is noticed before anything is scored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.config_file import FILE_NAME, PRESET_NAME
from rawnet_jax.errors import CheckpointError, DataError
from rawnet_jax.fitted_file import read_fitted
from rawnet_jax.regular_file import read_regular

WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "card.md"
CONTENT = "preset"
"""What `rawnet_jax.fitted_file` calls ``preset.json``."""

_DECIDING = (".json", ".safetensors")  # kinds of files that decide a score or a verdict
_TEXTS = ("name", "summary", "licence", "model", "fingerprint", "trained_by")
_TABLES = ("files", "figures", "made_with")


@dataclass(frozen=True, slots=True)
class Preset:
    """What ``preset.json`` says.

    Attributes:
        folder: of the preset.
        name: by which ``--workdir`` and `rawnet_jax.load` find one of the package.
        summary: one line.
        licence: of the weights.
        model: row of the registry of networks.
        step: of the checkpoint that it was made from.
        fingerprint: of the run that it was made from, as `rawnet_jax.run.Run` had it then.
        files: SHA-256 of each file that decides a score or a verdict, in hexadecimal, by name.
        figures: such as ``{"dev EER": "17 %"}``, as they were given.
        made_with: versions of Python packages.
        trained_by: the command that trained it, or "" where nobody said.
    """

    folder: Path
    name: str
    summary: str
    licence: str
    model: str
    step: int
    fingerprint: str
    files: Mapping[str, str]
    figures: Mapping[str, str]
    made_with: Mapping[str, str]
    trained_by: str

    def read(self, name: str) -> bytes:
        """Return the content of a file, which must be what it was when the preset was made.

        Raises:
            CheckpointError: it is missing or differs, or the preset has no such file.
        """
        path = self.folder / name
        try:
            content = read_regular(path)
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}; the preset must have it") from error
        if hashlib.sha256(content).hexdigest() != self.files.get(name):
            raise CheckpointError(
                f"{path}: damaged, or of another preset: its SHA-256 must be the one in "
                f"{PRESET_NAME}"
            )
        return content

    def check(self) -> None:
        """Check every file that decides a score or a verdict.

        Raises:
            CheckpointError: one is missing, differs, or was added later.
        """
        present = {path.name for path in self.folder.iterdir() if path.suffix in _DECIDING}
        for name in sorted({*self.files, *present} - {PRESET_NAME}):
            self.read(name)

    @property
    def num_bytes(self) -> int:
        """Size of all files together."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    @property
    def card(self) -> str:
        """The model card, Markdown.

        Raises:
            DataError: it cannot be read.
        """
        path = self.folder / CARD_NAME
        try:
            return read_regular(path).decode("utf-8")
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}; it must be the model card") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: {error}; it must be UTF-8") from error


def is_preset(folder: Path) -> bool:
    """Return whether a folder is a preset, if perhaps a damaged one."""
    if (folder / PRESET_NAME).exists():
        return True
    return (folder / WEIGHTS_NAME).exists() and (folder / FILE_NAME).exists()


def read_preset(folder: Path) -> Preset:
    """Read ``preset.json``; the other files are not looked at.

    Raises:
        DataError: it is missing, damaged or of a later version.
    """
    path = folder / PRESET_NAME
    record = read_fitted(path, CONTENT)
    try:
        texts: dict[str, Any] = {name: _typed(record, name, str) for name in _TEXTS}
        tables: dict[str, Any] = {name: _table(record, name) for name in _TABLES}
        step = _typed(record, "step", int)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error!r}") from error
    if not {FILE_NAME, WEIGHTS_NAME} <= set(tables["files"]):
        raise DataError(f"{path}: damaged: files must have {FILE_NAME} and {WEIGHTS_NAME}")
    return Preset(folder=folder, step=step, **texts, **tables)


def _typed(record: Mapping[str, Any], name: str, kind: type) -> Any:
    value = record[name]
    if type(value) is not kind:
        raise TypeError(f"{name} must be {kind.__name__}")
    return value


def _table(record: Mapping[str, Any], name: str) -> dict[str, str]:
    table = _typed(record, name, dict)
    if not all(type(value) is str for value in table.values()):
        raise TypeError(f"{name} must hold strings")
    if name == "files" and any(Path(key).name != key for key in table):
        raise TypeError("files must be of this folder")
    return dict(table)
