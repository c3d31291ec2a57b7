"""A study on disk: its trials in SQLite, a folder per trial, any number of processes at work on it.

``FOLDER/study.db`` holds what was drawn and what came of it, ``FOLDER/trials/0007`` is the work
directory of trial 7. Whoever runs a trial holds a lock on its file in ``FOLDER/locks``, which the
operating system takes back when the process ends, however it ends. So a trial that is under way
but not locked was killed, and its successor resumes in its folder.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout

from rawnet_jax.config import Config
from rawnet_jax.config_file import (
    FREE_TO_CHANGE,
    differences,
    from_dict,
    to_dict,
    with_overrides,
)
from rawnet_jax.errors import ConfigError, Interrupted, RawnetError
from rawnet_jax.search.optional import optuna_module
from rawnet_jax.search.space import Space, Value, parse_space

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial

DATABASE = "study.db"
TRIALS = "trials"
LOCKS = "locks"
MAX_ATTEMPTS = 3
"""So often is a trial begun whose process is killed with no epoch done; then it has failed."""

CONTINUES = "continues"
ATTEMPT = "attempt"
LEFT = "left"
REASON = "reason"

_NAME = "search"
_DATABASE_WAIT_S = 120
# Trials of other length cannot be compared, though a single run may be asked for more epochs.
_MAY_DIFFER = tuple(name for name in FREE_TO_CHANGE if name != "config.train.num_epochs")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search is carried out; may change from one start of it to the next.

    Attributes:
        num_trials: trials in all, with those of earlier starts.
        seed: of what is drawn; trial n draws from (seed, n).
        pruner: ``median``, ``hyperband`` or ``none``.
        warmup_epochs: ``median`` stops no trial before so many epochs.
    """

    num_trials: int
    seed: int = 0
    pruner: str = "median"
    warmup_epochs: int = 2

    def make_pruner(self, num_epochs: int) -> "BasePruner":
        """Return what decides when a trial is hopeless."""
        pruners = optuna_module().pruners
        if self.pruner == "none":
            return pruners.NopPruner()
        if self.pruner == "hyperband":
            return pruners.HyperbandPruner(min_resource=1, max_resource=num_epochs)
        return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=self.warmup_epochs)


PRUNERS = ("median", "hyperband", "none")


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One trial that this process is to carry out.

    Attributes:
        config: of the trial.
        workdir: of the trial; may hold what a killed process has left.
        report: takes the number of the epoch, from 1, and the lowest dev EER up to it, as a
            fraction; raises `optuna.TrialPruned` where it should stop.
    """

    config: Config
    workdir: Path
    report: Callable[[int, float], None]


Objective = Callable[[TrialRun], float]
"""Carries out a trial and returns its lowest dev EER, as a fraction."""


@dataclass(slots=True)
class SearchStudy:
    """A study and its folder. Any number of processes may have one of the same folder.

    Attributes:
        folder: of the study.
        config: what all trials have in common.
        space: what they differ in.
        plan: how the search is carried out.
        study: Optuna's.
    """

    folder: Path
    config: Config
    space: Space
    plan: Plan
    study: "Study"
    _lock: BaseFileLock = field(init=False)

    def __post_init__(self) -> None:
        self._lock = _lock_of_study(self.folder)

    def workdir(self, number: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / TRIALS / f"{number:04d}"

    def trials(self) -> "list[FrozenTrial]":
        """Return all trials but those that another one continues, in their order."""
        found = self.study.get_trials(deepcopy=False)
        continued = {trial.user_attrs.get(CONTINUES) for trial in found}
        return [trial for trial in found if trial.number not in continued]

    def num_finished(self) -> int:
        """Return the number of trials that are complete, pruned or failed."""
        return sum(trial.state.is_finished() for trial in self.trials())

    @property
    def num_wanted(self) -> int:
        """Number of trials to make in all: as planned, or as many as differ."""
        return int(min(self.plan.num_trials, self.space.size))

    def retry_dead(self) -> None:
        """Mark trials as failed whose process is gone, and line up their successors."""
        with self._lock:
            self._retry_dead()

    def next_trial(self) -> "tuple[Trial, BaseFileLock] | None":
        """Draw a trial, or take one that waits; None if there are enough.

        Returns:
            The trial, and the lock to release when it is finished.
        """
        with self._lock:
            self._retry_dead()
            trials = self.trials()
            states = optuna_module().trial.TrialState
            waiting = [trial for trial in trials if trial.state == states.WAITING]
            if len(trials) - len(waiting) >= self.plan.num_trials:
                return None
            if not waiting and not self._line_up(trials):
                return None
            # Trials that others continue do not count: an interrupted study draws the same ones.
            seed = np.random.SeedSequence([self.plan.seed, len(trials)]).generate_state(1)
            self.study.sampler = optuna_module().samplers.TPESampler(seed=int(seed[0]))
            trial = self.study.ask(self.space.distributions())
            lock = self._lock_of(trial.number)
            lock.acquire(timeout=0)
            self._take_over(trial)
            return trial, lock

    def overrides(self, values: Mapping[str, Value]) -> list[str]:
        """Return what sets the config to the values of a trial, as for the command line."""
        return self.space.overrides(self.config, values)

    def carry_out(self, trial: "Trial", objective: Objective) -> str:
        """Run a trial and write down what came of it; return why it failed, if it did.

        Whatever goes wrong in it is the trial's own failure, such as a loss that is not a number,
        a network that cannot be built from its fields or does not fit into memory.
        """
        optuna = optuna_module()
        states = optuna.trial.TrialState
        known = set(self.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

        def report(epoch: int, eer: float) -> None:
            # An epoch is done twice if its process was killed before it was saved.
            if epoch not in known:
                trial.report(eer, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            config = with_overrides(self.config, self.overrides(trial.params))
            value = objective(TrialRun(config, self.workdir(trial.number), report))
            if not math.isfinite(value):
                raise ValueError(f"its dev EER is {value}")
        except optuna.TrialPruned:
            self.study.tell(trial, state=states.PRUNED)
        except (Interrupted, KeyboardInterrupt):
            trial.set_user_attr(LEFT, True)
            raise
        except Exception as error:
            reason = _in_one_line(error)
            trial.set_user_attr(REASON, reason)
            self.study.tell(trial, state=states.FAIL)
            return reason
        else:
            self.study.tell(trial, value)
        return ""

    def _line_up(self, trials: "list[FrozenTrial]") -> bool:
        """Queue a trial that need not be sampled, if any; False = every combination was tried."""
        if self.space.size <= self.plan.num_trials:
            tried = [trial.params for trial in trials]
            left = (values for values in self.space.combinations() if values not in tried)
            values = next(left, None)
            if values is None:
                return False
            self.study.enqueue_trial(values)
        elif not trials and (own := self.space.values_in(self.config)):
            self.study.enqueue_trial(own)
        return True

    def _retry_dead(self) -> None:
        states = optuna_module().trial.TrialState
        for seen in self.study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            lock = self._lock_of(seen.number)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            trials = self.study.get_trials(deepcopy=False)
            trial = trials[seen.number]
            # It may have come to its end between the look at it and the lock.
            if trial.state == states.RUNNING:
                attempt = _next_attempt(trial, trials)
                if attempt <= MAX_ATTEMPTS:
                    attributes = {CONTINUES: trial.number, ATTEMPT: attempt}
                    self.study.enqueue_trial(trial.params, user_attrs=attributes)
                self.study.tell(trial.number, state=states.FAIL)
            lock.release()

    def _take_over(self, trial: "Trial") -> None:
        """Let a trial resume where the one that it continues was killed."""
        number = trial.user_attrs.get(CONTINUES)
        if number is None:
            return
        before = self.study.get_trials(deepcopy=False)[number]
        for epoch, eer in before.intermediate_values.items():
            trial.report(eer, epoch)
        if self.workdir(number).exists():
            os.replace(self.workdir(number), self.workdir(trial.number))

    def _lock_of(self, number: int) -> BaseFileLock:
        return FileLock(self.folder / LOCKS / f"{number:04d}")


def _next_attempt(trial: "FrozenTrial", trials: "Sequence[FrozenTrial]") -> int:
    """Return 1 for a trial that was stopped on purpose or got on, else one more than it had."""
    before = trial.user_attrs.get(CONTINUES)
    known = 0 if before is None else len(trials[before].intermediate_values)
    if LEFT in trial.user_attrs or len(trial.intermediate_values) > known:
        return 1
    return int(trial.user_attrs.get(ATTEMPT, 1)) + 1


def _lock_of_study(folder: Path) -> BaseFileLock:
    return FileLock(folder / LOCKS / "study")


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    text = text if len(text) <= 300 else f"{text[:299]}…"
    return text if isinstance(error, RawnetError) else f"{type(error).__name__}: {text}"


def open_study(folder: Path, plan: Plan, config: Config, space: Space) -> SearchStudy:
    """Begin a study, or resume the one in a folder.

    Raises:
        ConfigError: the folder holds a study of another config or space, or cannot be written.
    """
    try:
        (folder / LOCKS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--study {folder}: {error.strerror}; it must be a folder") from error
    with _lock_of_study(folder):
        study = _load(folder, plan, config, create=True)
        saved = study.user_attrs
        if "space" in saved:
            _refuse_other(folder, saved, config, space)
        study.set_user_attr("config", to_dict(config))
        study.set_user_attr("space", space.declarations())
    return SearchStudy(folder, config, space, plan, study)


def reopen_study(folder: Path, plan: Plan) -> SearchStudy:
    """Open the study in a folder, with the config and space that it was begun with.

    Raises:
        ConfigError: there is none.
    """
    if not (folder / DATABASE).is_file():
        raise ConfigError(f"--study {folder}: no study here ({DATABASE} is missing)")
    study = _load(folder, plan, None, create=False)
    config = from_dict(study.user_attrs["config"], str(folder / DATABASE))
    study.pruner = plan.make_pruner(config.train.num_epochs)
    return SearchStudy(folder, config, parse_space(study.user_attrs["space"], config), plan, study)


def _load(folder: Path, plan: Plan, config: Config | None, *, create: bool) -> "Study":
    optuna = optuna_module()
    pruner = plan.make_pruner(config.train.num_epochs) if config else None
    try:
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{(folder / DATABASE).absolute()}",
            # Several processes write to it, each for a moment.
            engine_kwargs={"connect_args": {"timeout": _DATABASE_WAIT_S}},
        )
        if create:
            return optuna.create_study(
                storage=storage, study_name=_NAME, pruner=pruner, load_if_exists=True
            )
        return optuna.load_study(storage=storage, study_name=_NAME, pruner=pruner)
    except Exception as error:  # SQLAlchemy, alembic and Optuna raise many kinds for damaged files
        raise ConfigError(
            f"{folder / DATABASE}: cannot be read as a study: {_in_one_line(error)}"
        ) from error


def _refuse_other(folder: Path, saved: Mapping[str, Any], config: Config, space: Space) -> None:
    before, now = set(saved["space"]), set(space.declarations())
    different = [f"--search {one} is gone" for one in sorted(before - now)]
    different += [f"--search {one} is new" for one in sorted(now - before)]
    config_before = from_dict(saved["config"], str(folder / DATABASE))
    different += differences(config_before, config, _MAY_DIFFER)
    if different:
        raise ConfigError(
            f"{folder} holds a study with other settings: {'; '.join(different)}; "
            "use another --study, or the settings of that one"
        )
