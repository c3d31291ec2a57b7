"""What a search minimises: the lowest dev EER that a training reaches."""

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from rawnet_jax.checkpoint_names import FOLDER, LATEST
from rawnet_jax.config import Config
from rawnet_jax.errors import Interrupted
from rawnet_jax.search.study import TrialRun
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.state import TrainState


class ReportingTrainer(Trainer):
    """The one train loop, which tells after each epoch how far it has come.

    Args:
        config: the experiment.
        workdir: of the run.
        report: takes the number of the epoch, from 1, and the lowest dev EER up to it; whatever it
            raises ends the run.
    """

    def __init__(self, config: Config, workdir: Path, report: Callable[[int, float], None]) -> None:
        super().__init__(config, workdir, progress=False)
        self._report = report

    def finish_epoch(self, state: TrainState, step: int, title: str, seconds: float) -> TrainState:
        """Score dev, log, save and report."""
        state = super().finish_epoch(state, step, title, seconds)
        self._report(step // self.per_epoch, self.lowest_dev_eer())
        return state

    def lowest_dev_eer(self) -> float:
        """Return the lowest dev EER up to now, as a fraction; of several seeds, their mean."""
        return float(np.mean([member.dev_history.best_eer for member in self.members]))


def train_trial(run: TrialRun) -> float:
    """Train a trial, from its latest checkpoint if it has one.

    Only the best checkpoint stays, and only if training went to its end.

    Raises:
        optuna.TrialPruned: the trial was not worth continuing.
        Interrupted: the process shall stop; all is saved.
        Exception: whatever goes wrong.
    """
    try:
        trainer = ReportingTrainer(run.config, run.workdir, run.report)
        trainer.run()
    except Interrupted:
        raise
    except Exception:
        _remove(run.workdir, FOLDER)
        raise
    finally:
        jax.clear_caches()  # the next trial is another program
    _remove(run.workdir, f"{FOLDER}/{LATEST}")
    return trainer.lowest_dev_eer()


def _remove(workdir: Path, name: str) -> None:
    """Remove a folder of a run, and of each seed of it."""
    for folder in (workdir, *workdir.glob("seed_*")):
        shutil.rmtree(folder / name, ignore_errors=True)
