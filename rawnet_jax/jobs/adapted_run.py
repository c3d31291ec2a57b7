"""A trained detector fitted to somebody's own recordings, in a folder of its own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.atomic_file import refuse_used
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.adaptation import Adaptation, adapt, settings_of
from rawnet_jax.evaluation.adaptation_fit import Goal, Recordings, joined
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.jobs.derived_preset import write_derived
from rawnet_jax.jobs.measured_recordings import Named, known_recordings, left_out, measured
from rawnet_jax.labels import Label
from rawnet_jax.metrics.last_layer import LayerChange
from rawnet_jax.models.ensemble import members_of
from rawnet_jax.run import Run
from rawnet_jax.scoring.reference import (
    REFERENCE_FILE,
    Reference,
    load_reference,
    save_reference,
)
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    DecisionRule,
    OperatingPoint,
    how_scored,
    save_calibration,
    save_operating_point,
)

ADAPTED_JSON = "adapted.json"
"""What was done, and the scores of the known fakes that the next adaptation goes on from."""

_ADAPTED = "adaptation"
_LINEAR = ("", "mean")  # aggregations that a weighted sum goes through
_AGREES = 1e-3  # of the scores' spread: rounding of float32 stays far below


def adapt_run(
    run: Run,
    bonafide: Sequence[Named],
    spoof: Sequence[Named],
    output: Path,
    goal: Goal,
    *,
    others: Sequence[Named] = (),
    known_scores: np.ndarray | None = None,
    channel: int | None = None,
    progress: bool = True,
) -> Adaptation:
    """Fit a run to recordings and write a new folder.

    What the run's reference holds (`rawnet_jax.scoring.reference`) counts as known, too: its
    genuine speech among `others`, and its fakes where no scores of others are given.

    Args:
        run: stays as it is.
        bonafide: genuine speech.
        spoof: fakes; may be none.
        output: folder to make.
        goal: what to fit.
        others: genuine speech of other people; may be none.
        known_scores: float [K], scores of further fakes by this run; not with the last layer.
        channel: take this channel, 1 = the first; None = the average of all.
        progress: whether to show bars.

    Raises:
        RawnetError: there is too little to learn from, the run cannot be adapted so, or the folder
            cannot be written; then nothing is.
    """
    refuse_used(output, "--output")
    if goal.last_layer and run.recipe.aggregation not in _LINEAR:
        raise ConfigError(
            f"--last-layer: the run scores by {run.recipe.aggregation}, which is not a mean; leave "
            "it out, or set --config.eval.aggregate=mean"
        )
    decision, embeds = run.decision(), goal.last_layer
    genuine, given, theirs = (
        measured(run, decision, of, embeds, channel, title, progress)
        for of, title in ((bonafide, "genuine speech"), (spoof, "fakes"), (others, "others"))
    )
    reference = load_reference(run.workdir, run.step)
    old = [known_recordings(reference, decision, label, embeds=embeds) for label in Label]
    # The last layer needs embeddings, which scores alone lack.
    use_reference = embeds or known_scores is None
    known = old[Label.SPOOF] if use_reference else _of_scores(known_scores, decision)
    fakes = joined(given, known)
    if embeds and fakes is not None and len(genuine):
        _layer_of(run, genuine)
    found = adapt(
        genuine,
        fakes,
        goal,
        threshold=None if decision.point.on_llr else decision.point.threshold,
        calibration=decision.calibration,
        others=joined(theirs, old[Label.BONAFIDE]),
    )
    found = replace(found, notes=(*left_out(bonafide, genuine), *found.notes))
    kept = _kept(run, found.fitted.change, reference, theirs, given)
    _write(output, run, decision, found, goal, genuine, fakes, kept)
    return found


def known_scores_of(workdir: Path) -> np.ndarray | None:
    """Return float64 [K], the scores of fakes that an adapted run keeps; None where it keeps none.

    Raises:
        DataError: its file is damaged.
    """
    path = workdir / ADAPTED_JSON
    if not path.exists():
        return None
    scores = read_fitted(path, _ADAPTED).get("known_fakes")
    found = np.asarray(scores or [], np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise DataError(f"{path}: damaged: known_fakes must be a list of numbers")
    return found if found.size else None


def _of_scores(known: np.ndarray | None, decision: DecisionRule) -> Recordings:
    """Return fakes of which nothing but scores is known."""
    scores = np.zeros(0) if known is None else known
    called = [decision(score).label == Label.SPOOF for score in scores.tolist()]
    # A fake whose system nobody knows is a group of its own.
    groups = tuple(f"known fake {i}" for i in range(len(scores)))
    return Recordings(scores, np.zeros((len(scores), 0)), groups, np.array(called, bool))


def _kept(
    run: Run,
    change: LayerChange | None,
    old: Reference | None,
    others: Recordings,
    spoof: Recordings,
) -> Reference | None:
    """Return what the new detector knows: the same and what was given, with their new scores.

    None where the layer stays: then what the run has is still right.
    """
    if change is None:
        return None
    parts = [(others, Label.BONAFIDE), (spoof, Label.SPOOF)]
    given = [
        Reference(one.scores, one.embeddings, np.full(len(one), label), one.groups, run.step)
        for one, label in parts
        if len(one)
    ]
    known = [*given] if old is None else [old, *given]
    if not known:
        return None
    scores, embeddings, labels = (
        np.concatenate([getattr(one, name) for one in known])
        for name in ("scores", "embeddings", "labels")
    )
    groups = tuple(group for one in known for group in one.groups)
    return Reference(change.apply(scores, embeddings), embeddings, labels, groups, run.step)


def _layer_of(run: Run, measured: Recordings) -> str:
    """Return the name of the last layer, whose weighted sum of the embedding is the score.

    In an ensemble each member has one of that name, and the score is their mean.

    Raises:
        ConfigError: the network has none such.
    """
    count = run.config.model.members
    members = members_of(jax.device_get(run.variables["params"]), count)
    spread = max(float(np.ptp(measured.scores)), 1.0)
    for name, first in members[0].items():
        kernel = np.asarray(first.get("kernel", ()) if isinstance(first, dict) else ())
        if kernel.shape != (measured.embeddings.shape[1] // count, len(Label)):
            continue
        layers = [member[name] for member in members]
        kernel = np.concatenate([np.asarray(layer["kernel"], np.float64) for layer in layers])
        bias = sum(np.asarray(layer.get("bias", 0.0)) for layer in layers)
        logits = (measured.embeddings @ kernel + bias) / count
        again = logits[:, Label.BONAFIDE] - logits[:, Label.SPOOF]
        if np.abs(again - measured.scores).max() <= _AGREES * spread:
            return str(name)
    raise ConfigError(
        f"--last-layer: the score of {run.config.model.name} is not a weighted sum of its "
        "embedding; leave it out"
    )


def _with_change(run: Run, name: str, change: LayerChange) -> Run:
    """Return a run with another last layer."""
    variables, count = jax.device_get(run.variables), run.config.model.members
    members = members_of(variables["params"], count)
    for member, weights in zip(members, np.split(change.weights, count), strict=True):
        layer = member[name]
        if "bias" not in layer:
            raise ConfigError(
                f"--last-layer: the last layer of {run.config.model.name} has no bias"
            )
        kernel, bias = np.array(layer["kernel"]), np.array(layer["bias"])
        kernel[:, Label.BONAFIDE] += (count * weights).astype(kernel.dtype)
        bias[Label.BONAFIDE] += np.asarray(change.offset, bias.dtype)
        member[name] = {**layer, "kernel": kernel, "bias": bias}
    return replace(run, variables=jax.device_put(variables))


def _write(
    output: Path,
    run: Run,
    decision: DecisionRule,
    found: Adaptation,
    goal: Goal,
    genuine: Recordings,
    fakes: Recordings | None,
    kept: Reference | None,
) -> None:
    """Write the new folder, whole or not at all."""
    change, made = found.fitted.change, run
    if change is not None and np.any(change.weights):
        made = _with_change(run, _layer_of(run, genuine), change)

    def fitted(folder: Path) -> None:
        if found.fitted.calibration is not None:
            save_calibration(folder / CALIBRATION_JSON, found.fitted.calibration)
        save_operating_point(folder, _point(run, decision, found, genuine, fakes))
        if change is not None:  # the scores in the old one are of the old layer
            (folder / REFERENCE_FILE).unlink(missing_ok=True)
        if kept is not None:
            save_reference(folder, kept)
        write_fitted(folder / ADAPTED_JSON, _ADAPTED, _record(run, found, goal, fakes))

    what = "Threshold and calibration" if made is run else "Threshold, calibration, last layer"
    said = f"{what}. What was done, and what it did to false alarms and to\nknown fakes, is in "
    write_derived(
        output,
        made,
        f"{run.name}, adapted to {len(genuine)} genuine recordings",
        f"{said}{ADAPTED_JSON}.",
        fitted,
    )


def _point(
    run: Run,
    decision: DecisionRule,
    found: Adaptation,
    genuine: Recordings,
    fakes: Recordings | None,
) -> OperatingPoint:
    """Return the threshold with the range of scores that is judged, which only grows."""
    change, old = found.fitted.change, decision.point
    scores = [genuine.changed(change), *([] if fakes is None else [fakes.changed(change)])]
    low, high = (float(f(np.concatenate(scores))) for f in (np.min, np.max))
    return OperatingPoint(
        found.fitted.threshold,
        f"adapted to {len(genuine)} genuine recordings",
        False,
        run.step,
        how_scored(run.config.eval),
        None if old.lowest is None else min(old.lowest, low),
        None if old.highest is None else max(old.highest, high),
    )


def _record(run: Run, found: Adaptation, goal: Goal, fakes: Recordings | None) -> dict[str, Any]:
    known = [] if fakes is None else fakes.changed(found.fitted.change).tolist()
    made_from = {"name": run.workdir.resolve().name, "fingerprint": run.fingerprint}
    return {
        "made_from": made_from | {"step": run.step},
        "goal": settings_of(goal),
        **found.record,
        "known_fakes": known,
    }
