"""From clips to scores, on any number of devices and hosts."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from rawnet_jax.contract import Batch, HostBatch, StepOutput
from rawnet_jax.mesh import replicated, split_rows, to_devices

if TYPE_CHECKING:
    from rawnet_jax.losses import Loss

MAX_IN_FLIGHT = 8
"""Batches dispatched before the first result is fetched: enough to hide the host's work."""


def eval_step(
    variables: dict[str, Any],
    batch: Batch,
    *,
    model: nn.Module,
    loss: "Loss | None" = None,
    class_weights: tuple[float, ...] = (1.0, 1.0),
) -> StepOutput:
    """Score one batch with dropout off and running statistics.

    Args:
        variables: ``{"params", "batch_stats"}``.
        batch: one global batch.
        model: the network.
        loss: reported beside the scores, never used for them; None = none.
        class_weights: (spoof, bonafide), of the loss.
    """
    output: Any = model.apply(variables, batch["waveform"], batch["num_samples"], train=False)
    sums: tuple[Any, Any] = (0.0, 0.0)
    if loss is not None:
        from rawnet_jax.losses import batch_loss  # brings optax, which scores do not need

        sums = batch_loss(loss, output, batch, class_weights)
    return StepOutput(*sums, output.score, batch["label"], batch["index"])


@dataclass(frozen=True)
class Scores:
    """Scores of one partition.

    Attributes:
        score: float32 [N] in the partition's order, higher = more bona fide.
        loss: weighted mean loss over the labelled clips; NaN without a loss or a label.
    """

    score: np.ndarray
    loss: float


class Scorer:
    """Scores batches with one compiled step.

    Args:
        model: the network.
        mesh: the devices.
        loss: reported beside the scores; None = none.
        class_weights: (spoof, bonafide), of the loss.
        num_seeds: models of this kind to score with at once; the variables of several have them
            on the first axis of every leaf.
    """

    def __init__(
        self,
        model: nn.Module,
        mesh: Mesh,
        loss: "Loss | None" = None,
        class_weights: tuple[float, ...] = (1.0, 1.0),
        num_seeds: int = 1,
    ) -> None:
        self._mesh = mesh
        self._num_seeds = num_seeds
        step: Any = partial(eval_step, model=model, loss=loss, class_weights=class_weights)
        if num_seeds > 1:
            step = jax.vmap(step, in_axes=(0, None), out_axes=StepOutput(0, 0, 0, None, None))
        self._step = jax.jit(
            step,
            in_shardings=(replicated(mesh), split_rows(mesh)),
            out_shardings=replicated(mesh),
        )

    def score(
        self,
        variables: dict[str, Any],
        batches: Iterable[HostBatch],
        num_clips: int,
        progress: tqdm | None = None,
    ) -> list[Scores]:
        """Score every clip of a partition once.

        Args:
            variables: of the model, or of all seeds.
            batches: this process's rows of each batch, covering indices 0 … num_clips - 1.
            num_clips: N.
            progress: a bar to move by one a batch.

        Returns:
            The scores of each seed.
        """
        score = np.full((self._num_seeds, num_clips), np.nan, np.float32)
        sums = np.zeros((2, self._num_seeds))
        pending: deque[StepOutput] = deque()

        def collect() -> None:
            output = jax.device_get(pending.popleft())
            real = output.index >= 0
            score[:, output.index[real]] = output.score[..., real]
            sums[:] += np.reshape((output.loss_sum, output.weight_sum), sums.shape)

        for batch in batches:
            pending.append(self._step(variables, to_devices(self._mesh, batch)))
            if len(pending) > MAX_IN_FLIGHT:
                collect()
            if progress is not None:
                progress.update()
        while pending:
            collect()
        with np.errstate(invalid="ignore"):  # nothing is labelled, or no loss is asked for
            losses = sums[0] / sums[1]
        return [Scores(s, float(loss)) for s, loss in zip(score, losses, strict=True)]
