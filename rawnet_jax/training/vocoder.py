"""Training a vocoder on a folder of recordings; it resumes where it stopped."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rawnet_jax.checkpoint import restore_variables, save_variables, steps_saved
from rawnet_jax.checkpoint_names import LATEST
from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data.audio_index import audio_files
from rawnet_jax.data.cache import Cache, open_or_build
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError, Interrupted, TrainingError
from rawnet_jax.labels import Label
from rawnet_jax.mesh import make_mesh, replicated
from rawnet_jax.progress import BatchBars
from rawnet_jax.training.interrupt import StopRequest
from rawnet_jax.training.report import say
from rawnet_jax.training.writer import RunLog
from rawnet_jax.vocoders.discriminators import Discriminators
from rawnet_jax.vocoders.families import FAMILIES, VocoderSpec
from rawnet_jax.vocoders.objective import mel_distance
from rawnet_jax.vocoders.step import Parts, Step, VocoderState, first_state
from rawnet_jax.vocoders.vocoder import Vocoder

_DEV_CLIPS = 64  # whose mel distance is logged; they are never trained on
_FINAL_RATE = 0.05  # of the learning rate, at the last step


@dataclass(frozen=True)
class Recipe:
    """How a vocoder is trained.

    Attributes:
        num_steps: optimiser steps.
        spectral_steps: the first of them, without discriminators, of families that have them.
        batch_size: segments of a step.
        segment: samples of a segment; a multiple of the hop.
        learning_rate: at first; it falls along a cosine.
        seed: of parameters, order and segments.
        save_every: steps between saves.
    """

    num_steps: int = 20_000
    spectral_steps: int = 5_000
    batch_size: int = 16
    segment: int = 8_192
    learning_rate: float = 5e-4
    seed: int = 0
    save_every: int = 500

    def optimizer(self) -> optax.GradientTransformation:
        """Return AdamW with the betas and the decay of HiFi-GAN (section 3)."""
        schedule = optax.cosine_decay_schedule(self.learning_rate, self.num_steps, _FINAL_RATE)
        adam = optax.adamw(schedule, b1=0.8, b2=0.99, weight_decay=0.01)
        return optax.chain(optax.clip_by_global_norm(10.0), adam)


def recordings_below(folder: Path, data: DataConfig, *, progress: bool) -> tuple[Cache, Cache]:
    """Decode all recordings of a folder once.

    Args:
        folder: searched recursively; every file counts as genuine speech.
        data: bounds on audio, place of the cache, number of processes.
        progress: whether to show bars.

    Returns:
        Clips to train on, and clips to measure on: every n-th, `_DEV_CLIPS` at most.

    Raises:
        DataError: there are too few, or the cache cannot be written.
    """
    names = sorted(audio_files(folder, recursive=True))
    if len(names) < 2:
        raise DataError(f"{folder}: {len(names)} recordings; there must be 2 or more")
    clips = [Clip(Trial(name, Label.BONAFIDE, name), folder / name) for name in names]
    every = max(2, len(clips) // _DEV_CLIPS)
    ledger = ProblemLedger(ProblemPolicy(bad_audio="warn"))
    dev = [clip for n, clip in enumerate(clips) if n % every == 0]
    train = [clip for n, clip in enumerate(clips) if n % every]
    return (
        open_or_build(train, data, ledger, progress=progress),
        open_or_build(dev, data, ledger, progress=progress),
    )


class VocoderTrainer:
    """One training run of one vocoder.

    Args:
        spec: the vocoder.
        recipe: how it is trained.
        workdir: where log, checkpoint and the vocoder go.
        caches: clips to train on and to measure on.
        discriminators: which the vocoder is trained against, where its family has them.
        start: parameters of the generator by their first name, in place of drawn ones; those of
            layers that have another shape here are not used.
        progress: whether to show a bar.
    """

    def __init__(
        self,
        spec: VocoderSpec,
        recipe: Recipe,
        workdir: Path,
        caches: tuple[Cache, Cache],
        *,
        discriminators: Discriminators | None = None,
        start: Mapping[str, Any] | None = None,
        progress: bool = True,
    ) -> None:
        self.spec, self.recipe, self.workdir = spec, recipe, workdir
        network = spec.network()
        self.objective = FAMILIES[spec.family].objective
        judges = (discriminators or Discriminators()) if self.objective.is_adversarial else None
        self.parts = Parts(network, judges, recipe.optimizer(), recipe.seed)
        self.source = self._batches(caches[0], recipe.batch_size, shuffle=True)
        self.dev = self._batches(caches[1], min(recipe.batch_size, len(caches[1])), shuffle=False)
        self.bars = BatchBars(progress)
        self._start_params = start or {}
        self._steps = {
            step: jax.jit(partial(step, parts=self.parts), donate_argnums=0)
            for step in {self.objective.first, self.objective.then}
        }
        self._distance = jax.jit(self._dev_distance)

    def _batches(self, cache: Cache, batch_size: int, *, shuffle: bool) -> BatchSource:
        recipe = self.recipe
        per_epoch = max(1, len(cache) // batch_size)
        return BatchSource(
            cache,
            batch_size=min(batch_size, len(cache)),
            num_samples=recipe.segment,
            crop="random" if shuffle else "first",
            pad="repeat",
            shuffle=shuffle,
            drop_last=shuffle,
            seed=recipe.seed,
            num_epochs=recipe.num_steps // per_epoch + 1 if shuffle else 1,
        )

    def run(self) -> Vocoder:
        """Train to the last step.

        Raises:
            Interrupted: after SIGTERM or Ctrl-C, with the state saved.
            TrainingError: the loss is not finite.
        """
        recipe = self.recipe
        state, begun = self._start()
        log = RunLog(self.workdir, begun, True)
        source = BatchIterator(self.source, step=begun) if begun < recipe.num_steps else None
        started = time.perf_counter()
        try:
            with (
                StopRequest() as stop,
                self.bars(self.spec.family, recipe.num_steps, begun, "step") as bar,
            ):
                for step in range(begun, recipe.num_steps):
                    assert source is not None
                    waveform = next(source)["waveform"]
                    state, figures = self._step_at(step)(state, waveform)
                    bar.update()
                    done, stopping = step + 1, stop.wanted(step + 1)
                    if done % recipe.save_every == 0 or done == recipe.num_steps or stopping:
                        self._save(state, done, figures, log, time.perf_counter() - started)
                        started = time.perf_counter()
                    if stopping and done < recipe.num_steps:
                        raise Interrupted(
                            f"stopped at step {done} of {recipe.num_steps}; the same command "
                            "resumes from there",
                            stop.signal_number or 0,
                        )
        finally:
            log.close()
            if source is not None:
                source.close()
        return Vocoder.load(self.workdir)

    def _step_at(self, step: int) -> Step:
        is_first = step < self.recipe.spectral_steps
        return self._steps[self.objective.first if is_first else self.objective.then]

    def _start(self) -> tuple[VocoderState, int]:
        recipe = self.recipe
        make: Callable[[], VocoderState] = partial(first_state, self.parts, recipe.segment)
        if not steps_saved(self.workdir, LATEST):
            state = jax.jit(make)()
            drawn = state.generator
            fitting = {
                name: layer
                for name, layer in self._start_params.items()
                if jax.tree.map(jnp.shape, layer) == jax.tree.map(jnp.shape, drawn.get(name))
            }
            return state.replace(generator={**drawn, **fitting}), 0
        template = {"state": jax.eval_shape(make)}
        found, step = restore_variables(self.workdir, LATEST, template, replicated(make_mesh()))
        say(f"resuming from step {step} of {recipe.num_steps} in {self.workdir}")
        return found["state"], step

    def _save(
        self,
        state: VocoderState,
        step: int,
        figures: dict[str, jax.Array],
        log: RunLog,
        seconds: float,
    ) -> None:
        train = {name: float(value) for name, value in figures.items()}
        distance = self._mean_dev_distance(state.generator)
        if not np.isfinite(distance + sum(train.values())):
            raise TrainingError(
                f"{self.workdir}: a loss is not finite at step {step}; the state of an earlier "
                "step is saved. Try a lower --learning-rate"
            )
        facts = {"steps": step, "dev_mel_distance": distance, "seed": self.recipe.seed}
        Vocoder(self.spec, state.generator, facts).save(self.workdir)
        save_variables(self.workdir, LATEST, step, {"state": state}, {"step": step})
        log.write("save", step, {"train": train, "dev_mel": distance, "seconds": round(seconds, 1)})
        said = ", ".join(f"{name} {value:.3f}" for name, value in train.items())
        say(f"step {step}: {said}; mel distance on dev {distance:.3f} ({seconds:.0f} s)")

    def _mean_dev_distance(self, params: Any) -> float:
        batches = (self.dev[n] for n in range(len(self.dev)))
        found = [
            (float(self._distance(params, batch["waveform"])), np.count_nonzero(batch["index"] + 1))
            for batch in batches
        ]
        values, weights = zip(*found, strict=True)
        return float(np.average(values, weights=weights))

    def _dev_distance(self, params: Any, waveform: jax.Array) -> jax.Array:
        return mel_distance(waveform, self.parts.generator.copied(params, waveform))
