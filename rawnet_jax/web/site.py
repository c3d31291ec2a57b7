"""The page as a folder: what `make web` built, a model, and what the page says of the model."""

import json
import re
import shutil
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.scoring.enrolled import EnrolledVoice
from rawnet_jax.web.server import policy_with

MODEL = "model.onnx"
"""Name of the model in the folder."""

INFO = "page.json"
"""Name of what the page says of the model."""

_INDEX = "index.html"
_RUNTIME = "ort"
_THIS_MACHINE = ("localhost", "127.0.0.1")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
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


def server_origin(url: str) -> str:
    """Return the origin of a server that scores, as browsers write it.

    Args:
        url: ``https://HOST[:PORT]``; of this machine ``http://`` will do.

    Raises:
        ConfigError: it is another kind of address; a key would go over the network in the clear.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if not is_safe or not is_plain or not _HOST.fullmatch(host):
        raise ConfigError(
            f"--server {url}: must be https://HOST or https://HOST:PORT; http:// is for localhost "
            "and 127.0.0.1 alone"
        )
    is_default = port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def copy_page(folder: Path, server: str | None = None) -> None:
    """Copy the built page into an empty folder.

    Args:
        folder: where to.
        server: origin of the server that scores, which the page's policy then allows; ONNX Runtime
            stays behind. None = the page scores.

    Raises:
        ConfigError: see `built_folder`.
    """
    unused = shutil.ignore_patterns(_RUNTIME) if server is not None else None
    shutil.copytree(built_folder(), folder, dirs_exist_ok=True, ignore=unused)
    index = folder / _INDEX
    text = index.read_text(encoding="utf-8")
    write_text_atomically(index, policy_with(text, server))


def write_info(
    folder: Path,
    name: str,
    card: str,
    measured: Measured | None,
    server: str | None = None,
    voice: EnrolledVoice | None = None,
) -> None:
    """Write what the page says of the model.

    Args:
        folder: of the page.
        name: of the model.
        card: Markdown: what it was trained on, and where it fails.
        measured: error rates; None = none are known.
        server: origin of the server that scores; None = the page does.
        voice: of the person whom all recordings are said to be of; None = of anybody.

    Raises:
        DataError: it cannot be written.
    """
    rates, voice_of = (None if one is None else asdict(one) for one in (measured, voice))
    record = {"name": name, "card": card, "measured": rates, "server": server, "voice": voice_of}
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
