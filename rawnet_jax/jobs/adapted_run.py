"""A trained detector fitted to somebody's own recordings, in a folder of its own.

The new folder is a preset (`rawnet_jax.presets.files`): every command opens it. The old run is read
and left as it is, so that to undo is to use the old one.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np

from rawnet_jax import __version__
from rawnet_jax.atomic_file import new_folder, refuse_used, write_bytes_atomically
from rawnet_jax.config_file import PRESET_NAME, save_config
from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.adaptation import Adaptation, adapt, settings_of
from rawnet_jax.evaluation.adaptation_fit import Goal, Recordings
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.flat_weights import packed
from rawnet_jax.jobs.make_preset import config_of_copy, sha256_of
from rawnet_jax.labels import Label
from rawnet_jax.metrics.last_layer import LayerChange
from rawnet_jax.presets.files import CARD_NAME, CONTENT, WEIGHTS_NAME
from rawnet_jax.progress import BatchBars
from rawnet_jax.run import Run
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.file_windows import Recording
from rawnet_jax.scoring.outlier import refusal_by
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    FITTED_FILES,
    THRESHOLD_JSON,
    DecisionRule,
    OperatingPoint,
    how_scored,
    save_calibration,
    save_operating_point,
)
from rawnet_jax.scoring.windows import deciding_windows

ADAPTED_JSON = "adapted.json"
"""What was done, and the scores of the known fakes that the next adaptation goes on from."""

_ADAPTED = "adaptation"
_LINEAR = ("", "mean")  # aggregations that a weighted sum goes through
_AGREES = 1e-3  # of the scores' spread: rounding of float32 stays far below
_CARD = """\
# {name}

{summary}

{fields}. What was done, and what it did to false alarms and to
known fakes, is in {file}. For all else the card of the detector that it was made from holds,
above all for where it fails.
"""


@dataclass(frozen=True, slots=True)
class Named:
    """A recording with its name, and its speaker or system.

    Attributes:
        name: for messages.
        source: what is decoded.
        group: speaker of genuine speech, system of a fake; "" = nobody knows.
    """

    name: str
    source: Recording
    group: str = ""


def adapt_run(
    run: Run,
    bonafide: Sequence[Named],
    spoof: Sequence[Named],
    output: Path,
    goal: Goal,
    *,
    known_scores: np.ndarray | None = None,
    channel: int | None = None,
    progress: bool = True,
) -> Adaptation:
    """Fit a run to recordings and write a new folder.

    Args:
        run: stays as it is.
        bonafide: genuine speech.
        spoof: fakes; may be none.
        output: folder to make.
        goal: what to fit.
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
    decision = run.decision()
    genuine = measured(run, decision, bonafide, goal, channel, "genuine speech", progress)
    fakes = _known_fakes(run, decision, spoof, known_scores, goal, channel, progress)
    if goal.last_layer and fakes is not None and len(genuine):
        _layer_of(run, genuine)
    found = adapt(
        genuine,
        fakes,
        goal,
        threshold=None if decision.point.on_llr else decision.point.threshold,
        calibration=decision.calibration,
    )
    found = replace(found, notes=(*_left_out(bonafide, genuine), *found.notes))
    _write(output, run, decision, found, goal, genuine, fakes)
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


def measured(
    run: Run,
    decision: DecisionRule,
    recordings: Sequence[Named],
    goal: Goal,
    channel: int | None,
    title: str,
    progress: bool,
) -> Recordings:
    """Score recordings; those that cannot be judged are left out.

    Args:
        run: that scores.
        decision: that says what is called spoof.
        recordings: of one class.
        goal: with `Goal.last_layer` embeddings are kept.
        channel: take this channel, 1 = the first; None = the average of all.
        title: of the bar.
        progress: whether to show one.

    Raises:
        AudioError: one cannot be read.
    """
    results = score_recordings(
        [(one.name, one.source) for one in recordings],
        run.embed_batch if goal.last_layer else run.score_batch,
        run.recipe,
        channel=channel,
        num_threads=min(usable_cores(), max(len(recordings), 1)),
        num_devices=run.num_devices,
    )
    rows: list[tuple[float, np.ndarray, str, bool]] = []
    with BatchBars(progress)(title, len(recordings), unit="file") as bar:
        for one, found in zip(recordings, results, strict=True):
            if found.outcome == Outcome.UNREADABLE:
                raise DataError(f"{one.name}: {found.reason}")
            if (row := _row(run, decision, found, goal)) is not None:
                rows.append((*row[:2], one.group, row[2]))
            bar.update()
    width = len(rows[0][1]) if rows else 0
    return Recordings(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.float64).reshape(len(rows), width),
        tuple(row[2] for row in rows),
        np.array([row[3] for row in rows], bool),
    )


def _row(
    run: Run, decision: DecisionRule, found: FileScore, goal: Goal
) -> tuple[float, np.ndarray, bool] | None:
    """Return score, embedding and whether it is called spoof; None where it cannot be judged."""
    if found.score is None:
        return None
    embedding, distance = np.zeros(0), found.distance
    if goal.last_layer:
        windows, aggregation = found.windows, run.recipe.aggregation
        of = deciding_windows(windows.score[windows.counted], aggregation)
        more = windows.more[windows.counted][of]
        embedding = more.mean(axis=0, dtype=np.float64)
        distance = None if run.outliers is None else float(run.outliers.measure(more).mean())
    if refusal_by(decision.outliers, distance) is not None:
        return None
    is_judged = decision.refusal(found.score, distance) is None
    return found.score, embedding, is_judged and decision(found.score).label == Label.SPOOF


def _known_fakes(
    run: Run,
    decision: DecisionRule,
    spoof: Sequence[Named],
    known: np.ndarray | None,
    goal: Goal,
    channel: int | None,
    progress: bool,
) -> Recordings | None:
    if goal.last_layer:
        known = None  # scores without embeddings
    if not spoof and known is None:
        return None
    given = measured(run, decision, spoof, goal, channel, "fakes", progress)
    if known is None:
        return given
    called = [decision(score).label == Label.SPOOF for score in known.tolist()]
    return Recordings(
        np.concatenate((given.scores, known)),
        np.zeros((len(given) + len(known), 0)),
        # A fake whose system nobody knows is a group of its own.
        (*given.groups, *(f"known fake {i}" for i in range(len(known)))),
        np.concatenate((given.called_spoof, np.array(called, bool))),
    )


def _left_out(bonafide: Sequence[Named], genuine: Recordings) -> list[str]:
    num = len(bonafide) - len(genuine)
    if not num:
        return []
    return [
        f"{num} of {len(bonafide)} genuine recordings cannot be judged (no speech, or unlike "
        "training); they count for nothing, and adapting does not change that"
    ]


def _layer_of(run: Run, measured: Recordings) -> str:
    """Return the name of the last layer, whose weighted sum of the embedding is the score.

    Raises:
        ConfigError: the network has none such.
    """
    params = jax.device_get(run.variables["params"])
    spread = max(float(np.ptp(measured.scores)), 1.0)
    for name, layer in params.items():
        kernel = np.asarray(layer.get("kernel", ()) if isinstance(layer, dict) else ())
        if kernel.shape != (measured.embeddings.shape[1], len(Label)):
            continue
        logits = measured.embeddings @ kernel.astype(np.float64) + layer.get("bias", 0.0)
        again = logits[:, Label.BONAFIDE] - logits[:, Label.SPOOF]
        if np.abs(again - measured.scores).max() <= _AGREES * spread:
            return str(name)
    raise ConfigError(
        f"--last-layer: the score of {run.config.model.name} is not a weighted sum of its "
        "embedding; leave it out"
    )


def _with_change(run: Run, name: str, change: LayerChange) -> Run:
    """Return a run with another last layer."""
    variables = jax.device_get(run.variables)
    layer = dict(variables["params"][name])
    kernel, bias = np.array(layer["kernel"]), layer.get("bias")
    if bias is None:
        raise ConfigError(f"--last-layer: the last layer of {run.config.model.name} has no bias")
    bias = np.array(bias)
    kernel[:, Label.BONAFIDE] += change.weights.astype(kernel.dtype)
    bias[Label.BONAFIDE] += np.asarray(change.offset, bias.dtype)
    params = {**variables["params"], name: {**layer, "kernel": kernel, "bias": bias}}
    changed = {**variables, "params": params}
    return replace(run, variables=jax.device_put(changed))


def _write(
    output: Path,
    run: Run,
    decision: DecisionRule,
    found: Adaptation,
    goal: Goal,
    genuine: Recordings,
    fakes: Recordings | None,
) -> None:
    """Write the new folder, whole or not at all."""
    change, made = found.fitted.change, run
    if change is not None and np.any(change.weights):
        made = _with_change(run, _layer_of(run, genuine), change)
    summary = f"{run.name}, adapted to {len(genuine)} genuine recordings"
    fields = "Threshold and calibration" if made is run else "Threshold, calibration, last layer"
    name = output.resolve().name
    with new_folder(output, "--output") as folder:
        save_config(config_of_copy(run), folder)
        write_bytes_atomically(folder / WEIGHTS_NAME, packed(jax.device_get(made.variables)))
        for fitted in FITTED_FILES:
            if fitted != THRESHOLD_JSON and (run.workdir / fitted).exists():
                shutil.copyfile(run.workdir / fitted, folder / fitted)
        if found.fitted.calibration is not None:
            save_calibration(folder / CALIBRATION_JSON, found.fitted.calibration)
        save_operating_point(folder, _point(run, decision, found, genuine, fakes))
        write_fitted(folder / ADAPTED_JSON, _ADAPTED, _record(run, found, goal, fakes))
        files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        card = _CARD.format(name=name, summary=summary, fields=fields, file=ADAPTED_JSON)
        write_bytes_atomically(folder / CARD_NAME, card.encode())
        write_fitted(folder / PRESET_NAME, CONTENT, _preset_record(name, made, summary, files))
        Run.open(folder)


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


def _preset_record(name: str, made: Run, summary: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "summary": summary,
        "licence": "",
        "model": made.config.model.name,
        "step": made.step,
        "fingerprint": made.fingerprint,
        "files": files,
        "figures": {},
        "made_with": {
            "rawnet_jax": __version__,
            "jax": jax.__version__,
            "flax": flax.__version__,
        },
        "trained_by": "",
    }


def speaker_of(path: str, folder: str) -> str:
    """Return the sub-folder of `folder` that a file lies in, its speaker; "" = in none."""
    parts = os.path.relpath(path, folder).split(os.sep)
    return parts[0] if len(parts) > 1 else ""
