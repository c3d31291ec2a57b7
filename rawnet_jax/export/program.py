"""A trained run as one pure function: waveform in, score out.

It is what every exported file holds: front end, network and calibration, the parameters as
constants. What a caller must know beside it (sample rate, length, padding, direction of the score)
is its `metadata`, which goes into the file too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from rawnet_jax.config import Config
from rawnet_jax.errors import ConfigError
from rawnet_jax.export.metadata import describe, how_to_read
from rawnet_jax.metrics.calibration import AffineCalibration, Calibration, IsotonicCalibration
from rawnet_jax.metrics.outlier import EmbeddingDistance
from rawnet_jax.metrics.source import SourceRule
from rawnet_jax.models.registry import build_model
from rawnet_jax.run import Run
from rawnet_jax.scoring.embedder import embedded
from rawnet_jax.scoring.outlier import OutlierRule
from rawnet_jax.scoring.verdict import OperatingPoint

DISTANCE = "distance"
"""Name of the output: how far each row is from what the network was trained on."""

COORDINATES = "coordinates"
"""Name of the output: where each row lies among the families of sources."""

_BATCH = 16

Outputs = dict[str, Any]
"""``score`` [B], with a calibration ``llr`` [B], with a rule on what is unlike training
``distance`` [B], with one on sources ``coordinates`` [B, D]; float32."""


@dataclass(frozen=True, eq=False)
class Program:
    """A run as a pure function.

    Attributes:
        model: the network.
        variables: its ``params`` and ``batch_stats``, NumPy arrays.
        num_samples: T, the length of every row.
        takes_num_samples: whether the score depends on how many samples of a row are clip; then
            that is a second input.
        metadata: see `rawnet_jax.export.metadata.describe`.
        calibration: from scores to log-likelihood ratios; None = there is none.
        measure: from embeddings to the distance from training; None = it is not measured.
        sources: names the family that a fake comes from; None = it is not named.
    """

    model: nn.Module
    variables: dict[str, Any]
    num_samples: int
    takes_num_samples: bool
    metadata: dict[str, Any]
    calibration: Calibration | None = None
    measure: EmbeddingDistance | None = None
    sources: SourceRule | None = None

    def with_decision(
        self,
        calibration: Calibration | None,
        threshold: OperatingPoint | None,
        licence: str = "",
        outliers: OutlierRule | None = None,
        sources: SourceRule | None = None,
    ) -> "Program":
        """Return this program with what its scores are read by.

        Args:
            calibration: of its scores; None = there is none.
            threshold: of its scores, or of their likelihood ratios; None = there is none.
            licence: of the trained parameters, in words; "" = nobody has said.
            outliers: the rule on what is unlike training; None = there is none.
            sources: the rule on the family of engines; None = there is none.
        """
        bound = None if outliers is None else outliers.bound
        return replace(
            self,
            calibration=calibration,
            measure=None if outliers is None else outliers.measure,
            sources=sources,
            metadata=self.metadata | how_to_read(calibration, threshold, licence, bound, sources),
        )

    @property
    def step(self) -> int:
        """Of the checkpoint."""
        return int(self.metadata["checkpoint"]["step"])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return ("waveform", "num_samples") if self.takes_num_samples else ("waveform",)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        llr = () if self.calibration is None else ("llr",)
        distance = () if self.measure is None else (DISTANCE,)
        return ("score", *llr, *distance, *(() if self.sources is None else (COORDINATES,)))

    def specs(self, batch: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Return shapes and types of the inputs.

        Args:
            batch: B, a number or a symbolic dimension (`jax.export.symbolic_shape`).
        """
        shapes = [
            jax.ShapeDtypeStruct((batch, self.num_samples), jnp.float32),
            jax.ShapeDtypeStruct((batch,), jnp.int32),
        ]
        return tuple(shapes[: len(self.inputs)])

    def __call__(self, waveform: jax.Array, num_samples: jax.Array | None = None) -> Outputs:
        """Score clips.

        Args:
            waveform: float32 [B, T], full scale = 1.
            num_samples: int32 [B], at least 1: samples of a row that are clip; None = all of them.

        Returns:
            ``score`` [B], higher = more bona fide; ``llr`` [B], natural logarithm, where there is a
            calibration; ``distance`` [B] where there is a rule on what is unlike training;
            ``coordinates`` [B, D] where there is one on sources.
        """
        if num_samples is None:
            num_samples = jnp.full(waveform.shape[:1], self.num_samples, jnp.int32)
        output: Any = self.model.apply(self.variables, waveform, num_samples, train=False)
        found = {"score": output.score}
        if self.calibration is not None:
            found["llr"] = calibrated(output.score, self.calibration)
        if self.measure is not None:
            found[DISTANCE] = distance_from(self.measure, output.embedding)
        if self.sources is not None:
            found[COORDINATES] = _coordinates(self.sources, output.embedding)
        return found


def program_of(run: Run, *, num_samples: int | None = None) -> Program:
    """Make a program of a run; `Program.with_decision` adds how its scores are read.

    Args:
        run: one network.
        num_samples: T; None = the run's window.

    Raises:
        ConfigError: the network cannot take rows of so many samples.
    """
    source = {"checkpoint": run.checkpoint, "step": run.step, "fingerprint": run.fingerprint}
    variables = jax.device_get(run.variables)
    length = num_samples or run.recipe.window
    return make_program(run.config, variables, source, num_samples=length)


def make_program(
    config: Config,
    variables: dict[str, Any],
    source: Mapping[str, Any],
    *,
    num_samples: int | None = None,
) -> Program:
    """Make a program of a network and its variables.

    Args:
        config: of the run.
        variables: ``{"params", "batch_stats"}``, NumPy arrays.
        source: noted in the metadata: which checkpoint it is.
        num_samples: T; None = ``config.data.num_samples``.

    Raises:
        ConfigError: the network cannot take rows of so many samples.
    """
    model, length = build_model(config.model), num_samples or config.data.num_samples
    try:
        takes = config.data.pad == "zero" and reads_num_samples(model, variables, length)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"model {config.model.name}, {length} samples: {reason}") from error
    return Program(model, variables, length, takes, describe(config, length, takes, source))


def calibrated(score: jax.Array, calibration: Calibration) -> jax.Array:
    """Return the log-likelihood ratios of scores [B], float32, as `Calibration.apply` does.

    Raises:
        TypeError: for a kind of calibration that is not known here.
    """
    if isinstance(calibration, AffineCalibration):
        llr = score * np.float32(calibration.scale) + np.float32(calibration.offset)
    elif isinstance(calibration, IsotonicCalibration):
        llr = _interpolated(score, calibration)
    else:
        raise TypeError(f"calibration of kind {calibration.kind!r} cannot be exported")
    bounds = calibration.bounds
    return llr if bounds is None else jnp.clip(llr, *map(np.float32, bounds))


def _interpolated(score: jax.Array, calibration: IsotonicCalibration) -> jax.Array:
    knots = calibration.scores.astype(np.float32)
    llrs = calibration.llrs.astype(np.float32)
    if len(knots) == 1:
        return jnp.full_like(score, llrs[0])
    # `jnp.interp` searches in a loop, which few formats have; all knots at once is as exact.
    inner = jnp.clip(score, knots[0], knots[-1])
    segment = (inner[:, None] >= knots[1:-1]).sum(axis=1)
    slope = np.diff(calibration.llrs) / np.diff(calibration.scores)
    table = np.stack([knots[:-1], llrs[:-1], slope.astype(np.float32)], axis=1)
    found = jnp.take(table, segment, axis=0, mode="clip")
    left, base, rise = (found[:, column] for column in range(3))
    return base + (inner - left) * rise


def distance_from(measure: EmbeddingDistance, embedding: jax.Array) -> jax.Array:
    """Return the distances of embeddings [B, D], float32, as `EmbeddingDistance` does."""
    nearest = None
    for mean in measure.means:
        offset = embedding - mean
        along = offset @ measure.directions
        across = offset - along @ measure.directions.T
        square = (jnp.square(along) * measure.weights).sum(axis=1)
        square = square + np.float32(measure.rest) * jnp.square(across).sum(axis=1)
        nearest = square if nearest is None else jnp.minimum(nearest, square)
    assert nearest is not None
    return jnp.sqrt(nearest * np.float32(1 / measure.means.shape[1]))


def _coordinates(sources: SourceRule, embedding: jax.Array) -> jax.Array:
    """Return where embeddings [B, D] lie, float32 [B, D], as `SourceRule.coordinates` does."""
    # In float32 the centre goes off first: what is left is small, and so are its roundings.
    return (embedding - sources.centre.astype(np.float32)) @ sources.whitening.astype(np.float32)


def reads_num_samples(model: nn.Module, variables: dict[str, Any], num_samples: int) -> bool:
    """Return whether a network's score depends on ``num_samples`` when it scores."""

    def score(waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
        output: Any = model.apply(variables, waveform, num_samples, train=False)
        return output.score

    shapes = (
        jax.ShapeDtypeStruct((1, num_samples), jnp.float32),
        jax.ShapeDtypeStruct((1,), jnp.int32),
    )
    jaxpr = jax.make_jaxpr(score)(*shapes).jaxpr
    needed = set(jaxpr.outvars)
    for equation in reversed(jaxpr.eqns):
        if needed.intersection(equation.outvars):
            needed.update(v for v in equation.invars if not isinstance(v, core.Literal))
    return jaxpr.invars[1] in needed


def flax_scores(program: Program, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
    """Return what Flax itself says of clips, float32 [N]; see `flax_rows`."""
    return flax_rows(program, waveform, num_samples)[:, 0]


def flax_rows(program: Program, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
    """Return what an exported file is held against: scores and embeddings, float32 [N, 1 + D].

    Args:
        program: its network and parameters are read, nothing else of it.
        waveform: float32 [N, T].
        num_samples: int32 [N].
    """
    found = jax.jit(partial(embedded, program.model))
    # All batches have one shape: the last one reaches back into the one before.
    size = min(len(waveform), _BATCH)
    kept: dict[int, np.ndarray] = {}
    for start in range(0, len(waveform), size):
        first = max(min(start, len(waveform) - size), 0)
        rows = slice(first, first + size)
        part = np.asarray(found(program.variables, waveform[rows], num_samples[rows]))
        kept |= dict(enumerate(part, first))
    return np.stack(list(kept.values()))
