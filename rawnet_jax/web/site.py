"""The page as a folder: what `make web` built, a model, and what the page says of the model."""

import json
import shutil
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import ConfigError, DataError

MODEL = "model.onnx"
"""Name of the model in the folder."""

INFO = "page.json"
"""Name of what the page says of the model."""

_INDEX = "index.html"
_NUM_POINTS = 400  # of a curve of error rates: as fine as the page's slider


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Error rates at one threshold.

    Attributes:
        threshold: bona fide where the score is at least this.
        miss: share of bona fide trials below it.
        false_alarm: share of spoof trials at or above it.
    """

    threshold: float
    miss: float
    false_alarm: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Error rates of a model.

    Attributes:
        on: which trials, in words.
        points: by rising threshold.
        is_curve: whether a threshold between two points has the rates of the lower one.
    """

    on: str
    points: tuple[ErrorRates, ...]
    is_curve: bool


def built_folder() -> Path:
    """Return the folder of the built page.

    Raises:
        ConfigError: it was not built.
    """
    folder = Path(str(resources.files("rawnet_jax.web"))) / "built"
    if not (folder / _INDEX).is_file():
        raise ConfigError(
            "web: this install has no built page; in a checkout, `make web` builds it (needs "
            "Node.js 20.19 or newer)"
        )
    return folder


def copy_page(folder: Path) -> None:
    """Copy the built page into an empty folder.

    Raises:
        ConfigError: see `built_folder`.
    """
    shutil.copytree(built_folder(), folder, dirs_exist_ok=True)


def write_info(folder: Path, name: str, card: str, measured: Measured | None) -> None:
    """Write what the page says of the model.

    Args:
        folder: of the page.
        name: of the model.
        card: Markdown: what it was trained on, and where it fails.
        measured: error rates; None = none are known.

    Raises:
        DataError: it cannot be written.
    """
    rates = None if measured is None else asdict(measured)
    record = {"name": name, "card": card, "measured": rates}
    write_text_atomically(folder / INFO, json.dumps(record, ensure_ascii=False) + "\n")


def known_rates(name: str) -> Measured | None:
    """Return the error rates that the card of a preset states; None where it states none.

    Args:
        name: of the preset.
    """
    text = (resources.files("rawnet_jax.web") / "measured.json").read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(text)
    if name not in record:
        return None
    points = tuple(ErrorRates(**point) for point in record[name]["points"])
    return Measured(record[name]["on"], points, False)


def rates_of(bonafide: np.ndarray, spoof: np.ndarray, on: str) -> Measured:
    """Return the error rates of scored trials, at thresholds over all of their range.

    Args:
        bonafide: scores [Nb], higher = more bona fide.
        spoof: scores [Ns].
        on: which trials, in words.

    Raises:
        DataError: a class has no trial.
    """
    if not len(bonafide) or not len(spoof):
        raise DataError(f"{on}: error rates need bona fide and spoof trials")
    rising, others = np.sort(bonafide), np.sort(spoof)
    thresholds = np.unique(np.concatenate((rising, others)))
    if len(thresholds) > _NUM_POINTS:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, _NUM_POINTS).astype(int)]
    miss = np.searchsorted(rising, thresholds) / len(rising)
    passed = 1 - np.searchsorted(others, thresholds) / len(others)
    rows = zip(thresholds.tolist(), miss.tolist(), passed.tolist(), strict=True)
    return Measured(on, tuple(ErrorRates(*row) for row in rows), True)
