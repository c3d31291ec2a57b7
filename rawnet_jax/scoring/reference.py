"""Speech and fakes that a detector knows: scores and embeddings of some of its dev trials.

They stand for people and systems in general where a detector is fitted to somebody's recordings:
so that it goes on accepting others, and so that what it does to them is measured. No audio is kept.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.fitted_file import read_arrays, write_arrays
from rawnet_jax.labels import Label

REFERENCE_FILE = "reference.safetensors"
"""Beside ``config.json``, of the run's best checkpoint."""

MOST = 512
"""Recordings of a class that are kept."""

_CURE = "evaluate the run again, or delete the file"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Scores and embeddings.

    Attributes:
        scores: float64 [N], higher = more bona fide.
        embeddings: float64 [N, D]; the file has 16 bits of each number.
        labels: int64 [N], values of `Label`.
        groups: speaker, or system of a fake, of each; "" = nobody knows.
        step: of the checkpoint.
    """

    scores: np.ndarray
    embeddings: np.ndarray
    labels: np.ndarray
    groups: tuple[str, ...]
    step: int

    def __len__(self) -> int:
        return len(self.scores)

    def rows(self, rows: np.ndarray) -> "Reference":
        """Return those at `rows`, bool [N] or int [K]."""
        return replace(
            self,
            scores=self.scores[rows],
            embeddings=self.embeddings[rows],
            labels=self.labels[rows],
            groups=tuple(np.asarray(self.groups, dtype=object)[rows]),
        )


def save_reference(workdir: Path, reference: Reference, seed: int = 0) -> None:
    """Write `REFERENCE_FILE`, whole or not at all: at most `MOST` recordings of a class.

    Args:
        workdir: folder of a run or preset.
        reference: what is kept.
        seed: of the draw, where there are more.

    Raises:
        DataError: it cannot be written.
    """
    order = np.random.default_rng(seed).permutation(len(reference))
    kept = [order[reference.labels[order] == label][:MOST] for label in Label]
    one = reference.rows(np.sort(np.concatenate(kept)))
    arrays: dict[str, np.ndarray] = {
        "scores": one.scores.astype(np.float64),
        "embeddings": one.embeddings.astype(np.float16),
        "labels": one.labels.astype(np.int64),
        "groups": np.frombuffer(json.dumps(one.groups).encode(), np.uint8),
        "step": np.array(one.step, np.int64),
    }
    write_arrays(workdir / REFERENCE_FILE, arrays)


def load_reference(workdir: Path, step: int) -> Reference | None:
    """Read what `save_reference` wrote; None where there is none of this checkpoint.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    path = workdir / REFERENCE_FILE
    if not path.exists():
        return None
    names = ("scores", "embeddings", "labels", "groups", "step")
    arrays = read_arrays(path, names, _CURE)
    scores, embeddings, labels = (arrays[name] for name in names[:3])
    groups = tuple(json.loads(arrays["groups"].tobytes()))
    finite = np.isfinite(scores).all() and np.isfinite(embeddings).all()
    if not (finite and len(scores) == len(embeddings) == len(labels) == len(groups)):
        raise DataError(f"{path}: damaged: a finite score and embedding for each; {_CURE}")
    if int(arrays["step"]) != step:
        return None
    return Reference(scores, embeddings.astype(np.float64), labels, groups, step)
