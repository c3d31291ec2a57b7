"""What is known of one recording: verdict, score, likelihood ratio, windows, picture."""

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.verdict import DecisionRule, Record, record_of

if TYPE_CHECKING:  # drawing imports matplotlib, which a score does not need
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model gave a result, and by what rule.

    Attributes:
        name: of the run.
        digest: SHA-256 of everything that determines a score, in hexadecimal.
        threshold: bona fide at and above it.
        threshold_on: "score" or "llr".
        threshold_rule: how the threshold was found.
        calibration: kind and numbers; None = the run is not calibrated.
    """

    name: str
    digest: str
    threshold: float
    threshold_on: str
    threshold_rule: str
    calibration: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a recording.

    Attributes:
        start_s: where it begins, in seconds.
        end_s: where it ends, in seconds.
        verdict: "bonafide", "spoof" or "cannot judge".
        score: higher = more bona fide; None where there is none.
        llr: natural-log likelihood ratio, bona fide over spoof; None without a calibration.
        p_spoof: P(spoof) at the prior of the result; None without a calibration.
    """

    start_s: float
    end_s: float
    verdict: str
    score: float | None
    llr: float | None
    p_spoof: float | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """The result for one recording.

    Attributes:
        path: name of the recording.
        verdict: "bonafide", "spoof", "cannot judge" or, in a list of recordings, "unreadable".
        score: higher = more bona fide; None where there is none.
        llr: natural-log likelihood ratio, bona fide over spoof; None without a calibration.
        p_spoof: P(spoof) at `prior`; None without a calibration.
        prior: of spoof; None without a calibration.
        reason: why there is no verdict; None where there is one.
        duration_s: length of the recording in seconds; None where it could not be read.
        scored_s: seconds that count in the score.
        num_windows: windows that count in the score.
        scored_from_s: where the first of them begins, in seconds.
        windows: every window that was scored, in order of time.
        notes: what a listener should know of the file, such as bytes behind its end.
        source: family of engines that a fake comes from, or "none of these"; None where it is not
            called spoof, or the detector knows no sources.
        model: which model, threshold and calibration.
    """

    path: str
    verdict: str
    score: float | None
    llr: float | None
    p_spoof: float | None
    prior: float | None
    reason: str | None
    duration_s: float | None
    scored_s: float
    num_windows: int
    scored_from_s: float
    windows: tuple[Window, ...]
    notes: tuple[str, ...]
    source: str | None
    model: ModelInfo
    _found: FileScore = field(repr=False)
    _decision: DecisionRule = field(repr=False)

    def to_dict(self, *, windows: bool = False) -> Record:
        """Return the record that ``score --format jsonl`` writes.

        Args:
            windows: with the keys ``spoof_s`` and ``windows``, as ``--windows`` adds them.
        """
        return record_of(self._found, self._decision, time_line=windows)

    def __bool__(self) -> bool:
        """Refuse: a verdict is not a yes or no.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            'a verdict is not a yes or no (it may be "cannot judge"); compare result.verdict '
            'with "spoof" or "bonafide"'
        )

    def __str__(self) -> str:
        """Return one line: verdict, score, P(spoof), seconds judged."""
        length = "?" if self.duration_s is None else f"{self.duration_s:.1f}"
        parts = [f"{self.path}: {self.verdict}"]
        if self.reason is not None:
            return f"{parts[0]} ({self.reason})"
        parts.append(f"score {self.score:+.3f}")
        if self.llr is not None:
            parts.append(f"log-likelihood ratio {self.llr:+.2f}")
            parts.append(f"P(spoof) {self.p_spoof:.3f} at a prior of {self.prior:g}")
        start = f", from {self.scored_from_s:.1f} s on" if self.scored_from_s else ""
        parts.append(f"{self.scored_s:.1f} of {length} s judged{start}")
        return ", ".join(parts)

    __repr__ = __str__

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw the waveform and the scores of its windows over time.

        Args:
            path: also save the picture there; the extension names the format.

        Returns:
            A matplotlib figure, which a notebook shows.

        Raises:
            ValueError: nothing of the recording could be read.
        """
        from rawnet_jax.reports.time_line import time_line_figure

        figure = time_line_figure(self._time_line())
        if path is not None:
            figure.savefig(path)
        return figure

    def _repr_html_(self) -> str:
        """Return the line and the picture as self-contained HTML, for notebooks."""
        said = f"<p>{html.escape(str(self))}</p>"
        if self._found.watched is None or not self._found.watched.num_samples:
            return said
        from rawnet_jax.reports.time_line import time_line_svg

        return f"<div>{said}{time_line_svg(self._time_line())}</div>"

    def _time_line(self) -> Any:
        from rawnet_jax.reports.time_line import time_line_of

        if self._found.watched is None or not self._found.watched.num_samples:
            raise ValueError(f"{self.path}: nothing to draw: {self.reason}")
        return time_line_of(self._found, self.to_dict(), self._decision)


def result_of(found: FileScore, decision: DecisionRule, model: ModelInfo) -> Result:
    """Return the result for one recording.

    Args:
        found: its scores.
        decision: the decision rule.
        model: where they are from.
    """
    record = record_of(found, decision, time_line=True)
    record.pop("spoof_s")
    windows = tuple(Window(**window) for window in record.pop("windows"))
    more = {"notes": tuple(record.pop("notes")), "source": record.pop("source", None)}
    return Result(**record, **more, windows=windows, model=model, _found=found, _decision=decision)
