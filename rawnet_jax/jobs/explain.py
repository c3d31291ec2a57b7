"""``explain``: files in, a picture and a JSON file for each out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import make_folder, write_files
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.data.inputs import STDIN, find_inputs, picture_names, stdin_as_file
from rawnet_jax.errors import AudioError, ConfigError, DataError, MetricError
from rawnet_jax.explain.choice import Choice, choose_window, parse_window
from rawnet_jax.explain.clip_model import clip_model_of
from rawnet_jax.explain.explanation import Settings, explain
from rawnet_jax.explain.parts import DEFAULT_BAND_EDGES_HZ, parse_bands
from rawnet_jax.explain.record import UNITS, explanation_record, summary_lines
from rawnet_jax.jobs.chosen_run import results_folder
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.jobs.options import SpoolOptions, at_least
from rawnet_jax.labels import Label
from rawnet_jax.reports.explanation_picture import Caption, explanation_png
from rawnet_jax.run import Run
from rawnet_jax.scoring.gate import ChannelMix, gate_refusal, read_gated
from rawnet_jax.scoring.verdict import verdict_record
from rawnet_jax.scoring.windows import hop_samples
from rawnet_jax.terminal import complain, say


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(SpoolOptions):
    """Options of ``explain``, named as its flags; see ``explain --help``."""

    paths: Sequence[str]
    output: Path | None
    window: str
    spans: int
    bands: str | None
    fill: str
    grid: bool
    gradient: str
    max_gradients: int
    seed: int
    progress: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("--spans", self.spans, 1)
        at_least("--max-gradients", self.max_gradients, 2)
        at_least("--seed", self.seed, 0)


def explain_files(options: ExplainOptions) -> int:
    """Explain files; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run or the options.
    """
    job = _Job(options)
    inputs = find_inputs(options.paths)
    if not inputs.paths:
        raise DataError("; ".join(inputs.problems) or "there is no file to explain")
    output = options.output or results_folder(options.workdir) / "explain"
    make_folder(output)
    for problem in inputs.problems:
        complain(f"error: {problem}")
    failed = [EXIT_UNREADABLE] * len(inputs.problems)
    for path, picture in picture_names(inputs.paths).items():
        try:
            job.explain(path, output, picture)
        except AudioError as error:
            complain(f"error: {error}")
            failed.append(EXIT_UNREADABLE)
        except MetricError as error:
            complain(f"error: {path}: {error}")
            failed.append(EXIT_CANNOT_JUDGE)
    return min(failed, default=0)


class _Job:
    """A run that is ready, and how its scores are to be explained."""

    def __init__(self, options: ExplainOptions) -> None:
        self._options = options
        self._settings = _settings(options)
        self._which = parse_window(options.window)
        run = Run.open(options.workdir, options.checkpoint, options.settings)
        self._config, self._step = run.config, run.step
        self._model = clip_model_of(run)
        self._outliers = run.outliers
        self._decision = run.decision(prior=options.p_spoof, threshold=options.threshold)
        for note in self._decision.notes:
            complain(f"note: {note}")

    def explain(self, path: str, folder: Path, picture: str) -> None:
        """Explain one file.

        Raises:
            AudioError: it cannot be read.
            MetricError: it cannot be judged.
            ConfigError: it has no such window.
        """
        choice = self._choice(path)
        found = explain(choice.waveform, self._model, self._settings, self._options.progress)
        said = self._verdict(found.score, self._distance(choice.waveform))
        text = _text(said)
        point = self._decision.point
        threshold = None if point.on_llr else point.threshold
        drawn = explanation_png(found, choice, Caption(path, text, threshold))
        record = {"path": path} | said | explanation_record(found, choice)
        record |= {"clip_score": choice.clip_score, **self._run_record()}
        numbers = json.dumps(record, indent=1, allow_nan=False) + "\n"
        name = picture.removesuffix(".png")
        written = write_files(
            folder, [("picture", f"{name}.png", drawn), ("numbers", f"{name}.json", numbers)]
        )
        lines = [_heading(path, choice), text, *summary_lines(found, choice)]
        lines += [f"{what}: {where}" for what, where in written]
        say("\n  ".join(lines) + "\n")

    def _choice(self, path: str) -> Choice:
        gate = self._config.gate if self._config.gate.enabled else None
        waveform = self._waveform(path)
        hop = hop_samples(self._model.window, self._config.eval.window_hop)
        try:
            choice = choose_window(
                *(waveform, self._model, self._which),
                hop=hop,
                gate=gate,
                aggregation=self._config.eval.aggregate,
            )
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None
        refusal = None if gate is None else gate_refusal(choice.waveform, gate)
        if refusal is not None:
            raise MetricError(str(refusal))
        return choice

    def _waveform(self, path: str) -> np.ndarray:
        if path == STDIN:
            most = self._options.max_stdin_bytes
            with ended_by_signals(), stdin_as_file(most) as file:
                return self._waveform(str(file))
        audio, gate, channel = self._config.data.audio, self._config.gate, self._options.channel
        if gate.enabled:
            waveform, refusal = read_gated(path, audio, gate, channel)
        else:
            mix = ChannelMix(gate, channel)
            waveform = read_waveform(path, audio, mix)
            refusal = None if channel is None else mix.refusal()  # no channel, no waveform
        if refusal is not None or waveform is None:
            raise MetricError(str(refusal))
        return waveform

    def _distance(self, window: np.ndarray) -> float | None:
        """Return how far a window is from training; None where that is not measured."""
        if self._outliers is None:
            return None
        return float(self._outliers.measure(self._model.embedding(window)[None])[0])

    def _verdict(self, score: float, distance: float | None) -> dict[str, Any]:
        said = verdict_record(score, self._decision, distance, of_window=True)
        prior = None if said["p_spoof"] is None else self._decision.prior
        reason = self._decision.refusal(score, distance, of_window=True)
        return said | {"prior": prior, "reason": reason}

    def _run_record(self) -> dict[str, Any]:
        run = {
            "name": self._config.name,
            "model": self._config.model.name,
            "checkpoint": self._options.checkpoint,
            "step": self._step,
        }
        return {"judged_by": self._decision.record, "run": run, "units": UNITS}


def _heading(path: str, choice: Choice) -> str:
    where = f"{choice.start_s:.2f} to {choice.end_s:.2f} s"
    return f"{path}: {where}" + (f", {choice.how}" if choice.how else "")


def _text(said: dict[str, Any]) -> str:
    name = "bona fide" if said["verdict"] == Label.BONAFIDE.key else said["verdict"]
    if said["reason"]:
        return f"{name}: {said['reason']}"
    text = f"{name}, score {said['score']:+.3f}"
    if said["llr"] is not None:
        text += f", log-likelihood ratio {said['llr']:+.2f}"
        text += f", P(spoof) {said['p_spoof']:.3f} at a prior of {said['prior']:g}"
    return text


def _settings(options: ExplainOptions) -> Settings:
    return Settings(
        num_spans=options.spans,
        band_edges_hz=DEFAULT_BAND_EDGES_HZ
        if options.bands is None
        else parse_bands(options.bands),
        fill=options.fill,
        grid=options.grid,
        gradient=options.gradient,
        max_gradients=options.max_gradients,
        seed=options.seed,
    )
