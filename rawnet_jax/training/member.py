"""One seed of a run: its log, its metrics, its memory of earlier epochs; its part of the state."""

import copy
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.config import Config
from rawnet_jax.contract import StepOutput
from rawnet_jax.training.dev_history import DevHistory
from rawnet_jax.training.figures import EpochRecord
from rawnet_jax.training.writer import RunLog


class Member:
    """What one seed keeps on the host.

    Args:
        config: of this seed alone.
        workdir: of this seed.

    Attributes:
        record: metrics of the running epoch.
        dev_history: of the epochs before.
        log: None until `open_log`.
    """

    def __init__(self, config: Config, workdir: Path) -> None:
        self.config = config
        self.workdir = workdir
        self.record = EpochRecord()
        self.dev_history = DevHistory()
        self.log: RunLog | None = None

    def open_log(self, step: int, active: bool) -> None:
        """Begin to log after `step`."""
        self.log = RunLog(self.workdir, step, active)

    def write(self, event: str, step: int, figures: dict[str, Any]) -> None:
        """Log an event."""
        assert self.log is not None
        self.log.write(event, step, figures)

    def close(self) -> None:
        """Write the log out."""
        if self.log is not None:
            self.log.close()

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes, as plain JSON values."""
        return {"epoch": self.record.dump(), "dev_history": self.dev_history.dump()}

    def load(self, values: dict[str, Any]) -> None:
        """Restore what `dump` returned."""
        self.record = EpochRecord.load(copy.deepcopy(values["epoch"]))
        self.dev_history = DevHistory.load(values["dev_history"])


def of_seed(tree: Any, number: int, num_seeds: int) -> Any:
    """Pick one seed's part of a tree whose leaves have the seeds on their first axis.

    With one seed there is no such axis, and the tree is returned as it is.
    """
    return tree if num_seeds == 1 else jax.tree.map(lambda leaf: leaf[number], tree)


def with_seed(tree: Any, number: int, num_seeds: int, part: Any) -> Any:
    """Put one seed's part back; the inverse of `of_seed`."""
    if num_seeds == 1:
        return part
    return jax.tree.map(lambda leaf, new: leaf.at[number].set(new), tree, part)


def step_of(output: StepOutput, step: int, seed: int, num_seeds: int) -> StepOutput:
    """Pick the numbers of one step and seed out of those of a dispatch, on the host."""
    at = (step,) if num_seeds == 1 else (step, seed)
    return StepOutput(*(np.asarray(column)[at] for column in output))
