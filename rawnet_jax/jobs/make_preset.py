"""``presets --make``: a trained run as a small folder that is read like a work directory."""

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax
import jax

from rawnet_jax import __version__
from rawnet_jax.atomic_file import new_folder, refuse_used, write_bytes_atomically
from rawnet_jax.config import Config, thawed
from rawnet_jax.config_file import PRESET_NAME, read_config, save_config
from rawnet_jax.errors import CheckpointError, ConfigError, DataError
from rawnet_jax.fitted_file import write_fitted
from rawnet_jax.flat_weights import in_16_bit, packed
from rawnet_jax.jobs.card_fairness import fairness_section
from rawnet_jax.jobs.console import say_written
from rawnet_jax.presets.files import CARD_NAME, CONTENT, WEIGHTS_NAME, read_preset
from rawnet_jax.regular_file import read_regular
from rawnet_jax.run import Run
from rawnet_jax.scoring.fitted_files import FITTED_FILES
from rawnet_jax.terminal import complain, sized

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Where things lay on the machine of the training: of no use elsewhere, and nobody's business.
_PLACES = (
    *("data.root", "data.recordings", "data.cache_dir", "augment.noise_dir", "augment.rir_dir"),
    "train.init_from",
)
_IN_ROOT = ("train_protocol", "dev_protocol", "eval_protocol", "audio_dir")
_CARD = """\
# {name}

{summary}

Nobody has written down what this detector was trained on, how it was measured and where it fails.
"""


@dataclass(frozen=True, kw_only=True)
class MakeOptions:
    """Options of ``presets --make``, named as its flags; see ``presets --help``."""

    make: Path
    output: Path
    seed: str | None
    name: str | None
    summary: str
    licence: str
    card: Path | None
    fairness: Path | None
    figures: Sequence[tuple[str, str]]
    trained_by: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.title):
            raise ConfigError(
                f"--name {self.title!r}: it must be letters, digits, '_', '-' and '.', such as "
                "small_2"
            )
        if "\n" in self.summary:
            raise ConfigError("--summary: it must be one line")

    @property
    def title(self) -> str:
        """Name of the preset."""
        return self.output.resolve().name if self.name is None else self.name


def make_preset(options: MakeOptions) -> int:
    """Make a preset; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run or the options; then nothing is made.
    """
    refuse_used(options.output, "--output")
    card = _card(options)
    run = Run.open(options.make, seed=options.seed)
    notes = run.decision().notes
    with new_folder(options.output, "--output") as folder:
        save_config(config_of_copy(run), folder)
        write_bytes_atomically(folder / WEIGHTS_NAME, packed(in_16_bit(run.variables)))
        for name in FITTED_FILES:
            if (run.workdir / name).exists():
                shutil.copyfile(run.workdir / name, folder / name)
        files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        write_bytes_atomically(folder / CARD_NAME, card)
        write_fitted(folder / PRESET_NAME, CONTENT, _record(options, run, files))
        if Run.open(folder).fingerprint != run.fingerprint:
            raise CheckpointError(f"{options.output}: what was written is another detector")
    for note in notes:
        complain(f"note: {note}")
    made = read_preset(options.output)
    say_written(
        [
            ("run", f"{run.workdir}, checkpoint {run.checkpoint}, step {run.step}"),
            ("preset", f"{options.output}, {sized(made.num_bytes)}"),
            ("use it", f"python -m rawnet_jax score --workdir {options.output} FILE"),
        ]
    )
    return 0


def _record(options: MakeOptions, run: Run, files: dict[str, str]) -> dict[str, Any]:
    versions = {"rawnet_jax": __version__, "jax": jax.__version__, "flax": flax.__version__}
    return {
        "name": options.title,
        "summary": options.summary,
        "licence": options.licence,
        "model": run.config.model.name,
        "step": run.step,
        "fingerprint": run.fingerprint,
        "files": files,
        "figures": dict(options.figures),
        "made_with": versions,
        "trained_by": options.trained_by,
    }


def _card(options: MakeOptions) -> bytes:
    card = _own_card(options)
    if options.fairness is None:
        return card
    return card.rstrip() + b"\n\n" + fairness_section(options.fairness).encode()


def _own_card(options: MakeOptions) -> bytes:
    if options.card is None:
        return _CARD.format(name=options.title, summary=options.summary).encode()
    try:
        content = read_regular(options.card)
        content.decode("utf-8")
    except OSError as error:
        raise DataError(
            f"--card {options.card}: {error.strerror}; --card takes Markdown"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"--card {options.card}: {error}; it must be UTF-8") from error
    return content


def config_of_copy(run: Run) -> Config:
    """Return the config that a run was trained with, for a folder with the run's one network.

    Places on the machine of the training are left out: no score depends on them.
    """
    config = thawed(read_config(run.workdir))
    config.model.members, config.train.num_seeds = run.config.model.members, 1
    for dotted in _PLACES:
        section, name = dotted.split(".")
        setattr(getattr(config, section), name, "")
    for name in _IN_ROOT:
        if Path(getattr(config.data, name)).is_absolute():
            setattr(config.data, name, "")
    config.runtime.compilation_cache = "auto"
    return config


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
