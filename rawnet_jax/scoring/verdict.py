"""From a score to what a user wants to know: likelihood ratio, P(spoof), verdict, record of a file.

`evaluate` fits a calibration and chooses a threshold on dev trials and leaves both in the work
directory, for the checkpoint and for the way of scoring that they were found with. Everything that
scores later reads them here.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.config import Config, EvalConfig
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.labels import Label, spoof_probability
from rawnet_jax.metrics.calibration import Calibration, calibration_from_dict
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.outlier import OutlierBound, refusal_by
from rawnet_jax.scoring.windows import WindowScores

Record = dict[str, Any]
"""Names of `FIELDS` to strings, numbers, None and (``notes``) a list of strings, ready for JSON;
``spoof_s`` and ``windows`` only where the time line is asked for."""

CALIBRATION_JSON = "calibration.json"
THRESHOLD_JSON = "threshold.json"
"""Beside ``config.json``, of the run's best checkpoint; a calibration also lies among results."""

CANNOT_JUDGE = Outcome.CANNOT_JUDGE.value
"""The verdict on what has no score, or one that nothing can be concluded from."""

FIELDS = (
    *("path", "verdict", "score", "llr", "p_spoof", "prior", "duration_s", "scored_s"),
    *("num_windows", "scored_from_s", "reason", "notes"),
)

_CONTENT = "threshold"
_HOW = ("aggregate", "window_samples", "window_hop")  # of config.eval: what decides a clip's score
_FIRST = "the first part of a clip"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold that was chosen once, and for what.

    Attributes:
        threshold: bona fide where the score is at least this.
        rule: how it was found, in words.
        on_llr: whether it applies to calibrated scores instead of the scores as they are.
        step: of the checkpoint.
        how: the fields of ``config.eval`` that decide the score of a clip, as they were.
        lowest: no verdict is given on a score below it; None = on any.
        highest: nor above it.
    """

    threshold: float
    rule: str
    on_llr: bool = False
    step: int | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    lowest: float | None = None
    highest: float | None = None

    @property
    def text(self) -> str:
        """The rule as a phrase."""
        of = "log-likelihood ratio" if self.on_llr else "score"
        return f"bona fide at a {of} of {self.threshold:.4g} or more ({self.rule})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one score.

    Attributes:
        score: higher = more bona fide.
        llr: calibrated natural-log likelihood ratio, bona fide over spoof; None = not calibrated.
        p_spoof: P(spoof) at the prior of `DecisionRule`; None = not calibrated.
        label: at the threshold.
    """

    score: float
    llr: float | None
    p_spoof: float | None
    label: Label


@dataclass(frozen=True, slots=True, eq=False)
class DecisionRule:
    """Reads scores by a run's calibration and threshold.

    Attributes:
        point: the threshold.
        calibration: None = there is none.
        prior: of spoof, for P(spoof); it moves no threshold.
        notes: what a user must know of these; each one sentence.
        outliers: how far from training may be what is judged; None = there is no such bound.
    """

    point: OperatingPoint
    calibration: Calibration | None = None
    prior: float = 0.5
    notes: tuple[str, ...] = ()
    outliers: OutlierBound | None = None

    def __post_init__(self) -> None:
        if not 0 < self.prior < 1:
            raise ConfigError(f"prior of spoof {self.prior:g}: it must be above 0 and below 1")
        if self.point.on_llr and self.calibration is None:
            raise DataError("the threshold is of calibrated scores, and there is no calibration")

    def __call__(self, score: float) -> Verdict:
        """Return what a finite score stands for; see `refusal` first."""
        llr = None if self.calibration is None else float(self.calibration.apply(score))
        p_spoof = None
        if llr is not None:
            p_spoof = float(spoof_probability(np.array(llr - math.log(self.prior_odds))))
        judged = llr if self.point.on_llr and llr is not None else score
        label = Label.BONAFIDE if judged >= self.point.threshold else Label.SPOOF
        return Verdict(float(score), llr, p_spoof, label)

    def refusal(
        self, score: float, distance: float | None = None, *, of_window: bool = False
    ) -> str | None:
        """Return why there is no verdict on a finite score; None where there is one.

        Args:
            score: of a clip or window.
            distance: how far it is from training; None = that is not known.
            of_window: whether it is a single window.
        """
        low, high = self.point.lowest, self.point.highest
        if (low is None or score >= low) and (high is None or score <= high):
            return refusal_by(self.outliers, distance, of_window=of_window)
        judged = " to ".join(f"{bound:+.4g}" for bound in (low, high) if bound is not None)
        if low is None or high is None:
            judged = f"{'up to' if low is None else 'from'} {judged}"
        return f"outside the range of dev scores: {score:+.4g}; {judged} is judged"

    @property
    def prior_odds(self) -> float:
        """Spoof against bona fide."""
        return self.prior / (1 - self.prior)

    @property
    def record(self) -> dict[str, Any]:
        """Return all that decides a verdict, ready for JSON."""
        point = asdict(self.point)
        calibration = None if self.calibration is None else self.calibration.to_dict()
        return (
            {"prior": self.prior, "calibration": calibration}
            | {name: point[name] for name in ("threshold", "rule", "on_llr", "lowest", "highest")}
            | ({} if self.outliers is None else {"outliers": asdict(self.outliers)})
        )

    @property
    def text(self) -> str:
        """Say what scores are judged by."""
        said = self.point.text
        if self.calibration is None:
            return f"{said}; not calibrated, so no likelihood ratio and no P(spoof)"
        return f"{said}; P(spoof) at a prior of {self.prior:g}"


def how_scored(config: EvalConfig) -> dict[str, Any]:
    """Return the settings that decide the score of a clip."""
    found = {name: getattr(config, name) for name in _HOW}
    return found if config.aggregate else {"aggregate": ""}


def save_operating_point(workdir: Path, point: OperatingPoint) -> None:
    """Write ``threshold.json`` into a work directory, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    write_fitted(workdir / THRESHOLD_JSON, _CONTENT, asdict(point))


def load_operating_point(workdir: Path) -> OperatingPoint | None:
    """Read what `save_operating_point` wrote; None where there is none.

    Raises:
        DataError: the file is damaged.
    """
    path = workdir / THRESHOLD_JSON
    if not path.exists():
        return None
    record = read_fitted(path, _CONTENT)
    try:
        step = record["step"]
        if type(record["threshold"]) not in (int, float) or type(record["on_llr"]) is not bool:
            raise TypeError("threshold must be a number, on_llr true or false")
        point = OperatingPoint(
            float(record["threshold"]),
            str(record["rule"]),
            bool(record["on_llr"]),
            None if step is None else int(step),
            dict(record["how"]),
            *(_bound(record.get(name)) for name in ("lowest", "highest")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: damaged: {error!r}") from error
    if not math.isfinite(point.threshold):
        raise DataError(f"{path}: threshold {point.threshold}; it must be finite")
    return point


def _bound(value: Any) -> float | None:
    """Read one end of the range of scores; files of older versions have none."""
    if value is not None and not (type(value) in (int, float) and math.isfinite(value)):
        raise TypeError("lowest and highest must be finite numbers")
    return None if value is None else float(value)


def save_calibration(path: str | Path, calibration: Calibration) -> None:
    """Write a calibration as JSON, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    write_fitted(path, "calibration", calibration.to_dict())


def load_calibration(path: str | Path) -> Calibration:
    """Read what `save_calibration` wrote; it calibrates the same to the last bit.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    record = read_fitted(path, "calibration")
    try:
        return calibration_from_dict(record)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def load_decision(
    workdir: Path,
    config: Config,
    step: int,
    *,
    point: OperatingPoint | None = None,
    is_best: bool = True,
    prior: float = 0.5,
    threshold: float | None = None,
    outliers: OutlierBound | None = None,
) -> DecisionRule:
    """Read by what the scores of a run are judged.

    Args:
        workdir: of the run.
        config: of the run, with the ``config.eval`` that clips are now scored by.
        step: of the checkpoint that scores.
        point: what `load_operating_point` found; None = read it now.
        is_best: whether that is the run's best one. Calibration and threshold belong to it and are
            not used for another.
        prior: of spoof.
        threshold: use this one, of scores as they are, instead of the run's.
        outliers: see `DecisionRule`.

    Raises:
        ConfigError: a number is out of range.
        DataError: a file of the run is damaged.
    """
    notes: list[str] = []
    point = point or load_operating_point(workdir)
    path = workdir / CALIBRATION_JSON
    calibration = load_calibration(path) if path.exists() else None
    belongs = is_best if point is None or point.step is None else point.step == step
    if not belongs and (point or calibration):
        notes.append(
            f"calibration and threshold in {workdir} are of another checkpoint and are not used"
        )
        point = calibration = None
    if point is not None:
        notes += _other_way(point, config.eval)
    elif threshold is None:
        point = _by_spoof_threshold(config.eval)
        notes.append(
            f"no threshold was chosen on dev trials (evaluate --workdir {workdir} does); "
            f"{point.rule}"
        )
    if threshold is not None:
        if not math.isfinite(threshold):
            raise ConfigError(f"--threshold {threshold}: it must be finite")
        bounds = (None, None) if point is None else (point.lowest, point.highest)
        point = OperatingPoint(threshold, "given by the user", False, None, {}, *bounds)
    assert point is not None
    if calibration is None:
        notes.append("no calibration: no log-likelihood ratio and no P(spoof)")
    else:
        notes += calibration.warnings
    return DecisionRule(point, calibration, prior, tuple(notes), outliers)


def _other_way(point: OperatingPoint, now: EvalConfig) -> list[str]:
    if not point.how or dict(point.how) == how_scored(now):
        return []
    before = point.how.get("aggregate") or _FIRST
    return [
        f"calibration and threshold were found on scores of another kind ({before}; now "
        f"{now.aggregate or _FIRST}); evaluate with the same --config.eval settings to fit them"
    ]


def _by_spoof_threshold(config: EvalConfig) -> OperatingPoint:
    share = min(max(config.spoof_threshold, 1e-9), 1 - 1e-9)
    rule = f"spoof where the score, read as log odds, gives P(spoof) of {share:g} or more"
    return OperatingPoint(math.log((1 - share) / share), rule)


def record_of(found: FileScore, decision: DecisionRule, *, time_line: bool = False) -> Record:
    """Return all that is said of a file.

    Args:
        found: its scores.
        decision: reads them.
        time_line: with ``windows`` (each with start_s, end_s, verdict, score, llr, p_spoof) and
            ``spoof_s``, the spans that windows of spoof cover: [start, end] in seconds.
    """
    windows = found.windows
    record: Record = {"path": found.path} | verdict_record(found.score, decision, found.distance)
    if found.score is None:
        record["verdict"] = found.outcome.value
    record |= {
        "prior": None if decision.calibration is None else decision.prior,
        "duration_s": found.duration_s,
        "scored_s": found.scored_s,
        "num_windows": found.num_windows,
        "scored_from_s": found.scored_from_s,
        "reason": found.reason or None,
        "notes": list(found.notes),
    }
    if found.score is not None:
        record["reason"] = decision.refusal(found.score, found.distance)
    if found.source is not None:
        record["source"] = found.source if record["verdict"] == Label.SPOOF.key else None
    if time_line:
        record["spoof_s"] = spoof_spans(windows, decision)
        rows = window_records(windows, decision)
        record["windows"] = [{"start_s": start, "end_s": end} | said for start, end, said in rows]
    return record


def spoof_spans(windows: WindowScores, decision: DecisionRule) -> list[list[float]]:
    """Return what the windows that are called spoof cover: [start, end] in s, apart and rising."""
    spans: list[list[float]] = []
    for start, end, said in window_records(windows, decision):
        if said["verdict"] != Label.SPOOF.key:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return spans


def window_records(
    windows: WindowScores, decision: DecisionRule
) -> Iterator[tuple[float, float, Record]]:
    """Yield start, end and `verdict_record` of each window."""
    rows = (windows.start_s, windows.end_s, windows.score, windows.distance)
    for start, end, score, distance in zip(*(row.tolist() for row in rows), strict=True):
        known = None if math.isnan(score) else score
        yield start, end, verdict_record(known, decision, distance, of_window=True)


def verdict_record(
    score: float | None,
    decision: DecisionRule,
    distance: float | None = None,
    *,
    of_window: bool = False,
) -> Record:
    """Return verdict, score, log-likelihood ratio and P(spoof) of a score; None = no score.

    A score that `DecisionRule.refusal` refuses stays, and nothing is concluded from it; of an
    unknown kind of input, its likelihood ratio stays, too. The other arguments are of `refusal`.
    """
    if score is None:
        return {"verdict": CANNOT_JUDGE, "score": None, "llr": None, "p_spoof": None}
    if decision.refusal(score) is not None:
        return {"verdict": CANNOT_JUDGE, "score": score, "llr": None, "p_spoof": None}
    said = decision(score)
    if decision.refusal(score, distance, of_window=of_window) is not None:
        return {"verdict": CANNOT_JUDGE, "score": score, "llr": said.llr, "p_spoof": None}
    return {
        "verdict": said.label.key,
        "score": said.score,
        "llr": said.llr,
        "p_spoof": said.p_spoof,
    }
