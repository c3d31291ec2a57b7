"""Checkpoints that training writes: the latest states to resume from, and the best ones."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from rawnet_jax.checkpoint import (
    abstract,
    check_digests,
    digests,
    explained,
    open_manager,
    read_or_explain,
)
from rawnet_jax.checkpoint_names import BEST, LATEST
from rawnet_jax.training.lora import kernels_under, with_kernels
from rawnet_jax.training.state import TrainState

NUM_LATEST = 2
"""Latest checkpoints kept: if one is damaged, the run resumes from the one before."""


def _split(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
    optimizer = {
        "step": state.step,
        "opt_state": state.opt_state,
        "position": state.position,
        "pace": state.pace,
        "average": state.average,
        "key": state.key,
        "failed_step": state.failed_step,
    }
    if state.lora:
        # To go on to the bit, since `variables` has the products in its kernels.
        kernels = kernels_under(state.params, state.lora)
        optimizer |= {"lora": state.lora, "kernels": kernels}
    return state.variables, optimizer


def _joined(template: TrainState, variables: Any, optimizer: Any) -> TrainState:
    """Undo `_split`."""
    params, rest = variables["params"], dict(optimizer)
    if template.lora:
        params = with_kernels(params, rest.pop("kernels"))
    return template.replace(params=params, batch_stats=variables["batch_stats"], **rest)


class Checkpoints:
    """Writes and reads the checkpoints of one run.

    Args:
        workdir: of the run: the latest states, of all seeds together.
        best_workdirs: one per seed, for its best states.
        keep_best: how many of the best to keep of each.
    """

    def __init__(self, workdir: Path, best_workdirs: Sequence[Path], keep_best: int) -> None:
        latest = ocp.CheckpointManagerOptions(max_to_keep=NUM_LATEST, create=True)
        best = ocp.CheckpointManagerOptions(
            max_to_keep=keep_best,
            best_fn=lambda metrics: metrics["dev_eer"],
            best_mode="min",
            create=True,
        )
        self._latest = open_manager(workdir, LATEST, latest)
        self._best = [open_manager(one, BEST, best) for one in best_workdirs]

    def save_latest(self, state: TrainState, step: int, run: dict[str, Any]) -> None:
        """Save a state to resume from, of all seeds; returns once it may be changed."""
        variables, optimizer = _split(state)
        self._wait()
        if step in self._latest.all_steps():
            return
        args = ocp.args.Composite(
            variables=ocp.args.StandardSave(variables),
            optimizer=ocp.args.StandardSave(optimizer),
            run=ocp.args.JsonSave(run),
            digest=ocp.args.JsonSave(digests(variables=variables, optimizer=optimizer)),
        )
        with explained(Path(self._latest.directory)):
            self._latest.save(step, args=args)

    def save_best(
        self, seed: int, state: TrainState, step: int, run: dict[str, Any], dev_eer: float
    ) -> None:
        """Offer a state of one seed as its best; it is dropped if enough better ones exist."""
        self._wait()
        args = ocp.args.Composite(
            variables=ocp.args.StandardSave(state.variables),
            run=ocp.args.JsonSave(run),
            digest=ocp.args.JsonSave(digests(variables=state.variables)),
        )
        with explained(Path(self._best[seed].directory)):
            self._best[seed].save(step, metrics={"dev_eer": dev_eer}, args=args)

    def restore_latest(
        self, template: TrainState, sharding: jax.sharding.Sharding
    ) -> tuple[TrainState, dict[str, Any]] | None:
        """Restore the newest state, or return None where the run is new.

        Best checkpoints of later steps are removed: the run is about to make them again.

        Raises:
            CheckpointError: if the newest checkpoint cannot be read; names what to delete.
        """
        step = self._latest.latest_step()
        if step is None:
            return None
        variables, optimizer = jax.eval_shape(_split, template)
        wanted = ocp.args.Composite(
            variables=ocp.args.StandardRestore(abstract(variables, sharding)),
            optimizer=ocp.args.StandardRestore(abstract(optimizer, sharding)),
            run=ocp.args.JsonRestore(),
        )
        restored = read_or_explain(
            self._latest, step, partial(self._latest.restore, step, args=wanted)
        )
        check_digests(
            self._latest,
            step,
            variables=restored["variables"],
            optimizer=restored["optimizer"],
        )
        for best in self._best:
            for later in [s for s in best.all_steps() if s > step]:
                best.delete(later)
        state = _joined(template, restored["variables"], restored["optimizer"])
        return state, restored["run"]

    def _wait(self) -> None:
        """Let a save in the background end; two at once mix up orbax's barriers between hosts."""
        for manager in (self._latest, *self._best):
            with explained(Path(manager.directory)):
                manager.wait_until_finished()

    def close(self) -> None:
        """Wait until all is written."""
        for manager in (self._latest, *self._best):
            with explained(Path(manager.directory)):
                manager.close()
