"""The one train loop: batches in, checkpoints and a log out; it goes on where it stopped."""

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from tqdm import tqdm

from rawnet_jax.checkpoint import SWA, Checkpoints, restore_variables, save_variables, steps_saved
from rawnet_jax.config import Config
from rawnet_jax.config_file import (
    FILE_NAME,
    read_config,
    refuse_other_experiment,
    save_config,
    to_dict,
)
from rawnet_jax.contract import Batch, StepOutput
from rawnet_jax.data.cache import Cache
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.partitions import load_training_caches
from rawnet_jax.errors import CheckpointError, ConfigError, Interrupted, TrainingError
from rawnet_jax.losses import Loss, make_loss
from rawnet_jax.mesh import (
    barrier,
    check_batch_size,
    make_mesh,
    replicated,
    split_rows,
    to_devices,
)
from rawnet_jax.models.registry import build_model
from rawnet_jax.progress import BatchBars
from rawnet_jax.scoring.scorer import Scorer
from rawnet_jax.training.dev_history import DevHistory
from rawnet_jax.training.figures import EpochRecord, figures_of
from rawnet_jax.training.interrupt import StopRequest
from rawnet_jax.training.optimizer import make_optimizer, make_schedule
from rawnet_jax.training.state import NO_FAILURE, TrainState, create_state
from rawnet_jax.training.step import train_step
from rawnet_jax.training.swa import add_to_average, batch_statistics, estimate_statistics
from rawnet_jax.training.writer import RunLog

MAX_IN_FLIGHT = 4
"""Steps the host runs ahead of the device: enough to hide its work, few enough to stop soon."""


def prepare_workdir(config: Config, workdir: Path) -> None:
    """Make the work directory, or check that it holds this very experiment.

    Raises:
        ConfigError: if it cannot be made, or holds a run with other settings.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--workdir {workdir}: {error.strerror}; wanted a folder") from error
    if (workdir / FILE_NAME).exists():
        refuse_other_experiment(read_config(workdir), config, workdir)
    if jax.process_index() == 0:
        save_config(config, workdir)
    barrier("workdir")


class Trainer:
    """One run of one experiment.

    Args:
        config: the experiment.
        workdir: where its config, log and checkpoints are.
        progress: whether to draw progress bars.
    """

    def __init__(self, config: Config, workdir: Path, *, progress: bool = True) -> None:
        self.config = config
        self.workdir = workdir
        self.mesh = make_mesh()
        check_batch_size(self.mesh, config.train.batch_size, "config.train.batch_size")
        check_batch_size(self.mesh, config.eval.batch_size, "config.eval.batch_size")
        model, loss = build_model(config.model), make_loss(config.loss)
        # Shapes are tried out before hours of decoding.
        make_state = partial(create_state, model, optax.identity(), 0, config.data.num_samples)
        jax.eval_shape(make_state)
        prepare_workdir(config, workdir)
        self.first = jax.process_index() == 0
        self.bars = BatchBars(progress and self.first)
        self.train_cache, self.dev_cache = load_training_caches(config.data, self.bars.shown)
        self.source = self._source(self.train_cache, train=True)
        self.num_steps = self.source.batches_per_epoch * config.train.num_epochs
        self._compile(model, loss)
        self.checkpoints = Checkpoints(workdir, config.train.keep_checkpoints)
        self.trials_id = _fingerprint(self.train_cache)
        self.dev_history = DevHistory()

    def _compile(self, model: nn.Module, loss: Loss) -> None:
        """Make the schedule, the jitted functions (compiled at their first call) and the scorer."""
        config = self.config
        self.schedule = make_schedule(
            config.optimizer.schedule,
            config.optimizer.learning_rate,
            self.source.batches_per_epoch,
            config.train.num_epochs,
        )
        optimizer = make_optimizer(config.optimizer, self.schedule)
        self.make_state = jax.jit(
            partial(
                create_state,
                model,
                optimizer,
                config.train.seed,
                config.data.num_samples,
                swa=config.train.swa,
            ),
            out_shardings=replicated(self.mesh),
        )
        self.step = jax.jit(
            partial(
                train_step,
                model=model,
                loss=loss,
                optimizer=optimizer,
                class_weights=config.loss.class_weights,
            ),
            donate_argnums=0,
            in_shardings=(replicated(self.mesh), split_rows(self.mesh)),
            out_shardings=replicated(self.mesh),
        )
        self.statistics_of = jax.jit(
            partial(batch_statistics, model=model),
            in_shardings=(replicated(self.mesh), split_rows(self.mesh), replicated(self.mesh)),
            out_shardings=replicated(self.mesh),
        )
        self.scorer = Scorer(model, self.mesh, loss, config.loss.class_weights)

    def _source(self, cache: Cache, *, train: bool) -> BatchSource:
        config = self.config
        return BatchSource(
            cache,
            batch_size=config.train.batch_size if train else config.eval.batch_size,
            num_samples=config.data.num_samples,
            crop=config.data.crop if train else "first",
            pad=config.data.pad,
            shuffle=train,
            drop_last=train and config.train.drop_last,
            seed=config.train.seed,
            num_epochs=config.train.num_epochs if train else 1,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    def run(self) -> TrainState:
        """Train to the last epoch, from the latest checkpoint if there is one.

        Returns:
            The final state.

        Raises:
            Interrupted: after SIGTERM or Ctrl-C, with the state saved.
            TrainingError: after a loss or gradient that is not finite, with the last good state
                saved.
        """
        state, record = self._start()
        position = int(state.step)
        if position >= self.num_steps and self.first:
            print(f"{self.workdir}: all {self.config.train.num_epochs} epochs are trained already")
        log = RunLog(self.workdir, position, self.first)
        batches = BatchIterator(
            self.source,
            num_threads=self.config.data.num_threads,
            prefetch_batches=self.config.data.prefetch_batches,
            step=position,
        )
        try:
            with StopRequest() as stop:
                while position < self.num_steps:
                    state = self._epoch(state, record, batches, log, stop)
                    position = int(state.step)
                    record = EpochRecord()
            if self.config.train.swa:
                self._finish_average(state, log)
        finally:
            batches.close()
            log.close()
            self.checkpoints.close()
        return state

    def _start(self) -> tuple[TrainState, EpochRecord]:
        template = jax.eval_shape(self.make_state)
        found = self.checkpoints.restore_latest(template, replicated(self.mesh))
        if found is None:
            return self._first_state(), EpochRecord()
        state, run = found
        self.dev_history = DevHistory.load(run["dev_history"])
        if run["trials"] != self.trials_id:
            raise CheckpointError(
                f"{self.workdir}: its checkpoint was trained on another list of clips than "
                f"{self.config.data.root} has now; use another --workdir"
            )
        if self.first:
            print(f"going on from step {int(state.step)} of {self.num_steps} in {self.workdir}")
        return state, EpochRecord.load(run["epoch"])

    def _first_state(self) -> TrainState:
        """Draw the parameters, or take those of the run that the config names."""
        state, source = self.make_state(), self.config.train.init_from
        if not source:
            return state
        variables, step = restore_variables(
            Path(source), "best", state.variables, replicated(self.mesh)
        )
        if self.first:
            print(f"starting from the parameters of {source}, step {step}")
        return state.replace(params=variables["params"], batch_stats=variables["batch_stats"])

    def _epoch(
        self,
        state: TrainState,
        record: EpochRecord,
        batches: BatchIterator,
        log: RunLog,
        stop: StopRequest,
    ) -> TrainState:
        """Train to the end of the current epoch, score dev, log and save."""
        per_epoch = self.source.batches_per_epoch
        epoch, done = divmod(int(state.step), per_epoch)
        title = f"epoch {epoch + 1}/{self.config.train.num_epochs}"
        started = time.perf_counter()
        pending: deque[tuple[StepOutput, jax.Array]] = deque()
        with self.bars(title, per_epoch, initial=done) as bar:
            for position in range(epoch * per_epoch + done + 1, (epoch + 1) * per_epoch + 1):
                batch = to_devices(self.mesh, next(batches))
                state, output, failed = self.step(state, batch)
                pending.append((output, failed))
                if len(pending) > MAX_IN_FLIGHT:
                    jax.block_until_ready(pending[-1 - MAX_IN_FLIGHT])
                bar.update()
                if position % self.config.train.log_every_steps == 0:
                    self._look(state, record, pending, MAX_IN_FLIGHT)
                    loss = record.take_interval_loss()
                    if loss is not None:
                        bar.set_postfix(loss=f"{loss:.4f}")
                        figures = {"train_step": {"loss": loss}}
                        log.write("step", position - len(pending), figures)
                if position % per_epoch == 0:
                    break
                stopping = stop.wanted(position)
                every = self.config.train.save_every_steps
                if stopping or (every and position % every == 0):
                    self._look(state, record, pending, 0)
                    self.checkpoints.save_latest(state, self._run_part(position, record))
                if stopping:
                    self._leave(position, stop)
            self._look(state, record, pending, 0)
        state = self._finish_epoch(state, record, log, title, time.perf_counter() - started)
        if stop.wanted(int(state.step)) and int(state.step) < self.num_steps:
            self._leave(int(state.step), stop)
        return state

    def _look(
        self,
        state: TrainState,
        record: EpochRecord,
        pending: deque[tuple[StepOutput, jax.Array]],
        leave: int,
    ) -> None:
        """Fetch the figures of all but the newest `leave` steps, and stop at a failed one."""
        while len(pending) > leave:
            output, failed = jax.device_get(pending.popleft())
            if failed != NO_FAILURE:
                self._fail(state, record, int(failed))
            record.add(output)

    def _fail(self, state: TrainState, record: EpochRecord, step: int) -> None:
        """Keep the last good state and say which batch it was."""
        good = state.replace(failed_step=jnp.full_like(state.failed_step, NO_FAILURE))
        self.checkpoints.save_latest(good, self._run_part(step, record))
        epoch, batch = divmod(step, self.source.batches_per_epoch)
        index = self.source[step]["index"]
        ids = [self.train_cache.trials[i].utterance_id for i in index[index >= 0]]
        more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
        raise TrainingError(
            f"loss or gradient is not finite at step {step} (epoch {epoch + 1}, batch {batch + 1} "
            f"of clips {', '.join(ids[:8])}{more}); the state before it is saved in "
            f"{self.workdir}. Try a lower config.optimizer.learning_rate or "
            "config.optimizer.clip_norm=1"
        )

    def _run_part(self, position: int, record: EpochRecord) -> dict[str, Any]:
        return {
            "loader": {"next_step": position},
            "trials": self.trials_id,
            "epoch": record.dump(),
            "dev_history": self.dev_history.dump(),
            "config": to_dict(self.config),
        }

    def _leave(self, position: int, stop: StopRequest) -> None:
        self.checkpoints.close()
        raise Interrupted(
            f"stopped at step {position} of {self.num_steps}; the same command goes on from there",
            stop.signal_number or 0,
        )

    def _finish_epoch(
        self, state: TrainState, record: EpochRecord, log: RunLog, title: str, seconds: float
    ) -> TrainState:
        step = int(state.step)
        rate = float(self.schedule(state.position - state.pace))
        train = record.figures(self.config.eval.spoof_threshold)
        dev = self._score_dev(state.variables)
        state = self._look_back(state, dev)
        figures = {
            "epoch": step // self.source.batches_per_epoch,
            "train": train,
            "dev": dev,
            "learning_rate": rate,
            "seconds": round(seconds, 3),
        }
        log.write("epoch", step, figures)
        run = self._run_part(step, EpochRecord())
        self.checkpoints.save_best(state, run, dev["eer"])
        self.checkpoints.save_latest(state, run)
        if self.first:
            tqdm.write(
                f"{title}: train loss {train['loss']:.4f} acc {train['accuracy']:.3f} "
                f"auc {train['auc']:.3f} | dev loss {dev['loss']:.4f} acc {dev['accuracy']:.3f} "
                f"auc {dev['auc']:.3f} eer {100 * dev['eer']:.2f} % | {seconds:.1f} s"
            )
        return state

    def _look_back(self, state: TrainState, dev: dict[str, float]) -> TrainState:
        """Do what depends on how dev compares with the epochs before."""
        if self.dev_history.ties_best_eer(dev["eer"]) and self.config.train.swa:
            state = add_to_average(state)
        schedule = self.config.optimizer.schedule
        if self.dev_history.stalls(dev["accuracy"], schedule.stall_epochs):
            state = state.replace(pace=2 * state.pace)
        return state

    def _finish_average(self, state: TrainState, log: RunLog) -> None:
        """Estimate BatchNorm's statistics for the averaged parameters, score dev and save."""
        step = int(state.step)
        if step in steps_saved(self.workdir, SWA):
            return
        source = self._source(self.train_cache, train=True)
        variables = {"params": state.average["params"], "batch_stats": state.batch_stats}
        with (
            self.bars("averaged model", source.batches_per_epoch) as bar,
            BatchIterator(source) as batches,
        ):

            def on_devices() -> Iterator[Batch]:
                for _ in range(source.batches_per_epoch):
                    yield to_devices(self.mesh, next(batches))
                    bar.update()

            variables = estimate_statistics(variables, on_devices(), self.statistics_of, state.key)
        dev = self._score_dev(variables)
        count = int(state.average["count"])
        log.write("average", step, {"epochs_averaged": count, "dev": dev})
        run = self._run_part(step, EpochRecord())
        save_variables(self.workdir, SWA, step, variables, run)
        if self.first:
            tqdm.write(
                f"average of {count} epochs: dev loss {dev['loss']:.4f} acc {dev['accuracy']:.3f} "
                f"auc {dev['auc']:.3f} eer {100 * dev['eer']:.2f} %"
            )

    def _score_dev(self, variables: dict[str, Any]) -> dict[str, float]:
        source = self._source(self.dev_cache, train=False)
        with (
            self.bars("dev", source.batches_per_epoch) as bar,
            BatchIterator(source) as batches,
        ):
            scores = self.scorer.score(variables, batches, len(self.dev_cache), bar)
        labels = [trial.label for trial in self.dev_cache.trials]
        figures = figures_of(scores.score, labels, self.config.eval.spoof_threshold)
        return {"loss": scores.loss, **figures}


def _fingerprint(cache: Cache) -> str:
    """Name a list of clips: a run may only go on over the list that it began with."""
    digest = hashlib.sha256()
    for trial in cache.trials:
        digest.update(f"{trial.utterance_id} {trial.label}\n".encode())
    return digest.hexdigest()
