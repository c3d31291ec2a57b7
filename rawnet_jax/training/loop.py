"""The one train loop: batches in, checkpoints and a log out; it resumes where it stopped."""

import hashlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rawnet_jax.augment.chain import make_chain
from rawnet_jax.checkpoint import save_variables, steps_saved
from rawnet_jax.checkpoint_names import LATEST, SWA
from rawnet_jax.config import Config
from rawnet_jax.config_file import to_dict
from rawnet_jax.contract import Batch, StepOutput
from rawnet_jax.data.augment_banks import read_banks
from rawnet_jax.data.divided_cache import Share
from rawnet_jax.data.host_augment import check_host_augment
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.partitions import Clips, load_training_caches
from rawnet_jax.data.sources import scoring_source, training_source
from rawnet_jax.errors import CheckpointError, Interrupted, TrainingError
from rawnet_jax.mesh import (
    check_batch_size,
    dividing_rows,
    gathered,
    make_mesh,
    replicated,
    to_devices,
    to_every_device,
)
from rawnet_jax.progress import BatchBars
from rawnet_jax.terminal import show
from rawnet_jax.training.checkpoints import Checkpoints
from rawnet_jax.training.feed import Feed, make_feed
from rawnet_jax.training.figures import EpochRecord, figures_of
from rawnet_jax.training.interrupt import StopRequest
from rawnet_jax.training.member import Member, of_seed, step_of, with_seed
from rawnet_jax.training.pace import Pace
from rawnet_jax.training.programs import Programs
from rawnet_jax.training.report import epoch_line, say
from rawnet_jax.training.start import first_state, read_origin, trainable_model
from rawnet_jax.training.state import NO_FAILURE, TrainState, create_state
from rawnet_jax.training.swa import add_to_average, estimate_statistics
from rawnet_jax.training.tuning import make_tuning
from rawnet_jax.training.workdir import member_config, member_workdirs, prepare_workdir

MAX_IN_FLIGHT = 4
"""Single steps the host runs ahead of the device: enough to hide its work, few enough to stop
soon. Of dispatches that take a second, one ahead is enough."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Steps that the devices were asked for, and where their numbers will be."""

    position: int  # steps before it
    count: int
    output: StepOutput
    failed: jax.Array


class Trainer:
    """One run of one experiment, of one seed or of several at once.

    Args:
        config: the experiment.
        workdir: where its config, log and checkpoints are.
        progress: whether to draw progress bars.
    """

    def __init__(self, config: Config, workdir: Path, *, progress: bool = True) -> None:
        self.config = config
        self.workdir = workdir
        self.mesh = make_mesh()
        parts = config.train.accumulate_steps
        name = "config.train.batch_size" + (f" / accumulate_steps, {parts}," if parts > 1 else "")
        check_batch_size(self.mesh, config.train.batch_size // parts, name)
        # Codecs and shapes are tried out before hours of decoding.
        check_host_augment(config.data.host_augment)
        model = trainable_model(config)
        make_state = partial(create_state, model, optax.identity(), 0, config.data.num_samples)
        jax.eval_shape(make_state)
        tuning = make_tuning(config, model)
        prepare_workdir(config, workdir)
        self.origin = None if steps_saved(workdir, LATEST) else read_origin(config, model)
        self.first = jax.process_index() == 0
        if self.first and tuning.sizes:
            show("training {:,} numbers; the network has {:,} parameters".format(*tuning.sizes))
        self.bars = BatchBars(progress and self.first)
        share = Share(jax.process_index(), jax.process_count(), gathered)
        self.train_cache, self.dev_cache = load_training_caches(config.data, self.bars.shown, share)
        folders = member_workdirs(config, workdir)
        self.num_seeds = len(folders)
        self.members = [Member(member_config(config, n), f) for n, f in enumerate(folders)]
        self.sources = [self._source(self.train_cache, member) for member in self.members]
        self.per_epoch = self.sources[0].batches_per_epoch
        self.num_steps = self.per_epoch * config.train.num_epochs
        chain = make_chain(config.augment, self.mesh)
        banks = read_banks(config.augment, config.data.audio, chain.needs, config.data.num_samples)
        self.banks = to_every_device(self.mesh, banks)
        augment = chain.apply if chain.steps else None
        self.programs = Programs(config, self.mesh, self.per_epoch, augment, tuning)
        self.make_state = self.programs.make_state
        self.checkpoints = Checkpoints(workdir, folders, config.train.keep_checkpoints)
        self.trials_id = _fingerprint(self.train_cache, jax.tree.leaves(banks))

    def _source(self, cache: Clips, member: Member | None) -> BatchSource:
        """Return batches of train for a member, or of dev for all."""
        data, where = self.config.data, (jax.process_index(), jax.process_count())
        if member is None:
            rows = dividing_rows(self.mesh, self.config.eval.batch_size)
            return scoring_source(cache, data, replace(self.config.eval, batch_size=rows), *where)
        return training_source(cache, data, member.config.train, *where)

    def run(self) -> TrainState:
        """Train to the last epoch, from the latest checkpoint if there is one.

        Returns:
            The final state; of several seeds, with the seeds on the first axis of every leaf.

        Raises:
            Interrupted: after SIGTERM or Ctrl-C, with the state saved.
            TrainingError: after a loss or gradient that is not finite, with the last good state
                saved.
        """
        state, position = self._start()
        if position >= self.num_steps and self.first:
            show(f"{self.workdir}: all {self.config.train.num_epochs} epochs are trained already")
        feed = make_feed(
            self.train_cache,
            self.sources,
            self.mesh,
            self.config.data,
            self.config.train.steps_per_dispatch,
            position,
            self.bars,
        )
        for member in self.members:
            member.open_log(position if self.origin is None else -1, self.first)
            if self.origin:
                member.write("encoder_weights", position, self.origin.record)
        try:
            with StopRequest() as stop:
                epochs = _Epochs(self, feed, stop)
                while position < self.num_steps:
                    state = epochs.train(state, position)
                    position = (position // self.per_epoch + 1) * self.per_epoch
            if self.config.train.swa:
                for number in range(self.num_seeds):
                    self._finish_average(state, number)
        finally:
            feed.close()
            for member in self.members:
                member.close()
            self.checkpoints.close()
        return state

    def _start(self) -> tuple[TrainState, int]:
        """Return the state to begin with and the number of steps it has seen."""
        template = jax.eval_shape(self.make_state)
        found = self.checkpoints.restore_latest(template, replicated(self.mesh))
        if found is None:
            start = self.make_state()
            return first_state(self.config, start, self.mesh, self.origin, self.first), 0
        state, run = found
        if run["trials"] != self.trials_id:
            raise CheckpointError(
                f"{self.workdir}: its checkpoint was trained on another list of clips than "
                f"{self.config.data.root} has now, with other noises or impulse responses, or "
                "divided among another number of processes; use another --workdir"
            )
        for member, values in zip(self.members, run["members"], strict=True):
            member.load(values)
        position = int(run["loader"]["next_step"])
        if self.first:
            show(f"resuming from step {position} of {self.num_steps} in {self.workdir}")
        return state, position

    def fail(self, state: TrainState, number: int, step: int) -> None:
        """Keep the last good state and report which batch it was."""
        good = state.replace(failed_step=jnp.full_like(state.failed_step, NO_FAILURE))
        self.checkpoints.save_latest(good, step, self.run_part(step))
        epoch, batch = divmod(step, self.per_epoch)
        index = self.sources[number].plan.rows(step).index
        ids = [self.train_cache.trials[i].utterance_id for i in index[index >= 0]]
        more = f" and {len(ids) - 8} more" if len(ids) > 8 else ""
        seed = f"seed {self.members[number].config.train.seed}: " if self.num_seeds > 1 else ""
        raise TrainingError(
            f"{seed}loss or gradient is not finite at step {step} (epoch {epoch + 1}, batch "
            f"{batch + 1} of clips {', '.join(ids[:8])}{more}); the state before it is saved in "
            f"{self.workdir}. Try a lower config.optimizer.learning_rate or "
            "config.optimizer.clip_norm=1"
        )

    def run_part(self, position: int) -> dict[str, Any]:
        """Return what a checkpoint holds beside the state, as plain JSON values."""
        return {
            "loader": {"next_step": position},
            "trials": self.trials_id,
            "members": [member.dump() for member in self.members],
            "config": to_dict(self.config),
        }

    def leave(self, position: int, stop: StopRequest) -> None:
        """End the run on request; all is saved."""
        self.checkpoints.close()
        raise Interrupted(
            f"stopped at step {position} of {self.num_steps}; the same command resumes from there",
            stop.signal_number or 0,
        )

    def finish_epoch(self, state: TrainState, step: int, title: str, seconds: float) -> TrainState:
        """Score dev, log, and save the latest and, if it is one, the best state of each seed."""
        devs = self._score_dev(state.variables)
        settings, trains = self.config.train, []
        for number, (member, dev) in enumerate(zip(self.members, devs, strict=True)):
            own = of_seed(state, number, self.num_seeds)
            train = member.record.figures(self.config.eval.spoof_threshold)
            figures: dict[str, Any] = {
                "epoch": step // self.per_epoch,
                "train": train,
                "dev": dev,
                "learning_rate": float(self.programs.schedule(own.position - own.pace)),
                "seconds": round(seconds, 3),
            }
            trains.append(train)
            member.record = EpochRecord()
            member.write("epoch", step, figures)
            after = self._look_back(own, member, dev, figures["epoch"])
            state = with_seed(state, number, self.num_seeds, after)
            if figures["epoch"] >= min(settings.best_from_epoch, settings.num_epochs):
                self.checkpoints.save_best(number, own, step, self.run_part(step), dev["eer"])
        self.checkpoints.save_latest(state, step, self.run_part(step))
        if self.first:
            say(epoch_line(title, trains, devs, seconds))
        return state

    def _look_back(
        self, state: TrainState, member: Member, dev: dict[str, float], epoch: int
    ) -> TrainState:
        """Do what depends on how dev compares with the epochs before."""
        settings, is_good = self.config.train, member.dev_history.ties_best_eer(dev["eer"])
        if settings.swa_from_epoch:
            is_good = epoch >= min(settings.swa_from_epoch, settings.num_epochs)
        if settings.swa and is_good:
            state = add_to_average(state)
        schedule = self.config.optimizer.schedule
        if member.dev_history.stalls(dev["accuracy"], schedule.stall_epochs):
            state = state.replace(pace=2 * state.pace)
        return state

    def _finish_average(self, state: TrainState, number: int) -> None:
        """Estimate BatchNorm's statistics for the averaged parameters, score dev and save."""
        member, step = self.members[number], self.num_steps
        if step in steps_saved(member.workdir, SWA):
            return
        own = of_seed(state, number, self.num_seeds)
        source = self._source(self.train_cache, member)
        variables = {"params": own.average["params"], "batch_stats": own.batch_stats}
        with (
            self.bars("averaged model", self.per_epoch) as bar,
            BatchIterator(source) as batches,
        ):

            def on_devices() -> Iterator[Batch]:
                for _ in range(self.per_epoch):
                    yield to_devices(self.mesh, next(batches))
                    bar.update()

            variables = estimate_statistics(
                variables, on_devices(), self.programs.statistics_of, own.key, self.banks
            )
        whole = with_seed(state.variables, number, self.num_seeds, variables)
        dev = self._score_dev(whole)[number]
        count = int(own.average["count"])
        member.write("average", step, {"epochs_averaged": count, "dev": dev})
        save_variables(member.workdir, SWA, step, variables, self.run_part(step))
        if self.first:
            say(
                f"average of {count} epochs: dev loss {dev['loss']:.4f} acc {dev['accuracy']:.3f} "
                f"auc {dev['auc']:.3f} eer {100 * dev['eer']:.2f} %"
            )

    def _score_dev(self, variables: dict[str, Any]) -> list[dict[str, float]]:
        """Return the metrics of each seed."""
        source = self._source(self.dev_cache, None)
        with (
            self.bars("dev", source.batches_per_epoch) as bar,
            BatchIterator(source) as batches,
        ):
            scores = self.programs.scorer.score(variables, batches, len(self.dev_cache), bar)
        labels = source.plan.labels_by_clip().tolist()
        threshold = self.config.eval.spoof_threshold
        return [{"loss": s.loss, **figures_of(s.score, labels, threshold)} for s in scores]


class _Epochs:
    """Trains epoch by epoch: asks the devices for steps and looks at what comes back.

    Args:
        trainer: whose run it is.
        feed: the batches.
        stop: whether the user wants to stop.
    """

    def __init__(self, trainer: Trainer, feed: Feed, stop: StopRequest) -> None:
        self._trainer = trainer
        self._config = trainer.config.train
        self._feed = feed
        self._stop = stop
        self._steps = trainer.programs.steps(feed.batch_of)
        self._fixed = {"corpus": feed.corpus, "banks": trainer.banks}
        self._pace = Pace(feed.max_steps)
        self._ahead = MAX_IN_FLIGHT if feed.max_steps == 1 else 1

    def train(self, state: TrainState, position: int) -> TrainState:
        """Train to the end of the current epoch, score dev, log and save."""
        trainer, per_epoch = self._trainer, self._trainer.per_epoch
        epoch, done = divmod(position, per_epoch)
        end = position - done + per_epoch
        title = f"epoch {epoch + 1}/{self._config.num_epochs}"
        started = time.perf_counter()
        self._pace.pause()
        pending: deque[Dispatch] = deque()
        with trainer.bars(title, per_epoch, initial=done) as bar:
            while position < end:
                count = self._pace.next(self._until_save(position, end))
                rows = self._feed.take(position, count)
                state, output, failed = self._steps(state, self._fixed, rows, count)
                pending.append(Dispatch(position, count, output, failed))
                position += count
                if len(pending) > self._ahead:
                    self._collect(state, pending.popleft(), bar)
                if position < end:
                    self._save(state, position, pending, bar)
            while pending:
                self._collect(state, pending.popleft(), bar)
        state = trainer.finish_epoch(state, end, title, time.perf_counter() - started)
        if self._stop.wanted(end) and end < trainer.num_steps:
            trainer.leave(end, self._stop)
        return state

    def _until_save(self, position: int, end: int) -> int:
        every = self._config.save_every_steps
        return min(end - position, every - position % every if every else end)

    def _save(self, state: TrainState, position: int, pending: deque[Dispatch], bar: Any) -> None:
        """Save where the config or the user asks for it, and leave if the user does."""
        stopping = self._stop.wanted(position)
        every = self._config.save_every_steps
        if not stopping and not (every and position % every == 0):
            return
        while pending:
            self._collect(state, pending.popleft(), bar)
        trainer = self._trainer
        trainer.checkpoints.save_latest(state, position, trainer.run_part(position))
        if stopping:
            trainer.leave(position, self._stop)

    def _collect(self, state: TrainState, dispatch: Dispatch, bar: Any) -> None:
        """Fetch the numbers of a dispatch, log them, and stop at a step that failed."""
        trainer = self._trainer
        output, failed = jax.device_get((dispatch.output, dispatch.failed))
        self._pace.done(dispatch.count)
        for n in range(dispatch.count):
            step = dispatch.position + n + 1
            for number, member in enumerate(trainer.members):
                bad = int(of_seed(failed[n], number, trainer.num_seeds))
                if bad != NO_FAILURE:
                    trainer.fail(state, number, bad)
                member.record.add(step_of(output, n, number, trainer.num_seeds))
                if step % self._config.log_every_steps == 0:
                    loss = member.record.take_interval_loss()
                    member.write("step", step, {"train_step": {"loss": loss}})
                    bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
        bar.update(dispatch.count)


def _fingerprint(cache: Clips, banks: Sequence[np.ndarray]) -> str:
    """Name what a run is trained on: it may only resume with what it began with."""
    digest = hashlib.sha256()
    for trial in cache.trials:
        digest.update(f"{trial.utterance_id} {trial.label}\n".encode())
    for array in banks:
        digest.update(array.tobytes())
    if cache.owner is not None:  # then the number of processes decides on the batches
        digest.update(cache.owner.tobytes())
    return digest.hexdigest()
