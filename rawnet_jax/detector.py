"""The Python interface: a trained detector as one object.

    import rawnet_jax

    detector = rawnet_jax.load("runs/x")
    result = detector.score("call.wav")

A score is that of the command ``score`` for the same recording, to the last bit: both go through
`rawnet_jax.scoring.recordings.score_recordings`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, overload

import numpy as np

from rawnet_jax.data.audio import Encoded, Samples, Source
from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.errors import AudioError, ConfigError
from rawnet_jax.jobs.chosen_run import say_default
from rawnet_jax.presets.catalog import run_folder
from rawnet_jax.progress import BatchBars
from rawnet_jax.result import ModelInfo, Result, result_of
from rawnet_jax.scoring.envelope import Envelope
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.model_watch import ModelWatch
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.verdict import DecisionRule

if TYPE_CHECKING:  # imports JAX, which an exported file does not need
    from rawnet_jax.evaluation.adaptation import Adaptation
    from rawnet_jax.evaluation.adaptation_fit import Goal
    from rawnet_jax.explain.explanation import Explanation, Settings
    from rawnet_jax.run import Run
    from rawnet_jax.scoring.streaming import StreamingScorer

Recording = str | os.PathLike[str] | bytes | IO[bytes] | tuple[np.ndarray, int]
"""A path, the bytes of an audio file, a binary file object, or (array, rate in Hz)."""

Recordings = Sequence[Recording] | Mapping[str, Sequence[Recording]]
"""A list of recordings, or lists by speaker or system."""

_CURE_OF_INTEGERS = "divide by full scale first: samples.astype(np.float32) / {scale}"


def load(
    source: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str = "best",
    seed: int | str | None = None,
    overrides: Sequence[str] = (),
    prior: float = 0.5,
    threshold: float | None = None,
    channel: int | None = None,
    speech: str | None = None,
) -> "Detector":
    """Load a detector.

    Args:
        source: work directory of a trained run, name or folder of a preset, or an ``.onnx`` file
            that ``export`` wrote; None = the default preset, which is said on standard error.
        checkpoint: ``best``, ``latest``, ``swa`` or a step number; of a run.
        seed: of a run of several seeds the one to load, or "averaged" for the mean of all.
        overrides: ``--config.group.field=value``, as on the command line; of a run.
        prior: of spoof, for P(spoof); it moves no verdict.
        threshold: bona fide at and above this score, instead of the run's threshold.
        channel: take this channel of every recording, 1 = the first; None = the average of all.
        speech: what looks for speech: "silero", "energy" or "off"; None = as the run says. Windows
            without speech do not count.

    Raises:
        ConfigError: there is no such run, preset or file, or an argument is out of range.
        CheckpointError: there is no such checkpoint, or it or a file of the preset is damaged.
        DataError: a file of the run is damaged.
    """
    path = None if source is None else Path(source)
    if path is None or path.suffix.lower() != ".onnx":
        path = run_folder(path)
    if channel is not None and channel < 1:
        raise ConfigError(f"channel {channel}: must be 1 (the first) or more")
    model: ScoringModel
    if path.suffix.lower() == ".onnx":
        from rawnet_jax.export.onnx_model_file import OnnxDetector

        model = OnnxDetector(path, speech)
    elif path.is_dir():
        from rawnet_jax.run import Run

        looks = [] if speech is None else [f"--config.gate.speech={speech}"]
        model = Run.open(path, checkpoint, [*overrides, *looks], seed=seed)
    else:
        raise ConfigError(
            f"{path}: no such work directory, preset or .onnx file; load takes the --workdir of a "
            "trained run, the name of a preset, or a file that export wrote"
        )
    if source is None:
        say_default(path)
    return Detector(model, model.decision(prior=prior, threshold=threshold), channel)


class Detector:
    """A trained detector: scores, streams, explains, exports.

    Attributes:
        model: the network and how it scores recordings: a `Run`, or an exported file.
        decision: threshold, calibration and prior.
        info: name, digest, threshold and calibration, as every result has them.
        notes: what a user must know of threshold and calibration; each one sentence.
    """

    def __init__(
        self, model: ScoringModel, decision: DecisionRule, channel: int | None = None
    ) -> None:
        self.model = model
        self.decision = decision
        self.notes = decision.notes
        self._channel = channel
        point, calibration = decision.point, decision.calibration
        self.info = ModelInfo(
            name=model.name,
            digest=model.fingerprint,
            threshold=point.threshold,
            threshold_on="llr" if point.on_llr else "score",
            threshold_rule=point.rule,
            calibration=None if calibration is None else calibration.to_dict(),
        )

    def __repr__(self) -> str:
        return f"<Detector {self.info.name}: {self.decision.text}>"

    @overload
    def score(
        self, recording: Recording, *, windows: bool = False, progress: bool = True
    ) -> Result: ...

    @overload
    def score(
        self, recording: list[Recording], *, windows: bool = False, progress: bool = True
    ) -> list[Result]: ...

    def score(
        self,
        recording: Recording | list[Recording],
        *,
        windows: bool = False,
        progress: bool = True,
    ) -> Result | list[Result]:
        """Score one recording, or a list of them.

        Args:
            recording: a path, bytes, a binary file object or (array, rate); or a list of them. An
                array is float [n] or [n, channels], full scale = 1.
            windows: score every window, even if the run's score is that of the first one alone.
            progress: whether a list shows a bar.

        Returns:
            One result, or a list of them in order.

        Raises:
            AudioError: the recording cannot be read or is not audio; in a list, its result says so.
            TypeError: it is nothing that can be scored.
            CheckpointError: no score is a finite number: the model is at fault.
        """
        if isinstance(recording, list):
            return list(self.score_each(recording, windows=windows, progress=progress))
        [found] = self.score_each([recording], windows=windows, progress=False)
        if found.verdict == Outcome.UNREADABLE:
            raise AudioError(found.path, found.reason or "unreadable")
        return found

    def score_each(
        self, recordings: Iterable[Recording], *, windows: bool = False, progress: bool = True
    ) -> Iterator[Result]:
        """Score recordings one after another, in memory that does not grow with their number.

        Args:
            recordings: as `score` takes them.
            windows: see `score`.
            progress: whether to show a bar.

        Yields:
            One result per recording, in order.

        Raises:
            CheckpointError: in the end, where no score is a finite number: the model is at fault.
        """
        sources = [source_of(recording) for recording in recordings]
        places = [(str(source), source) for source in sources]
        found = score_recordings(
            places,
            self.model.score_batch,
            self.model.recipe,
            all_windows=windows,
            channel=self._channel,
            num_threads=min(usable_cores(), max(len(places), 1)),
            num_devices=self.model.num_devices,
            watcher=Envelope,
        )
        watch = ModelWatch(self.info.name)
        with BatchBars(progress)("scoring", len(places), unit="file") as bar:
            for one in found:
                watch.add(one.score, one.reason)
                yield result_of(one, self.decision, self.info)
                bar.update()
        watch.check()

    def stream(self, *, rate: int = 16_000, hop_s: float | None = None) -> "StreamingScorer":
        """Return a scorer of audio that comes in pieces: ``push(samples)``, ``finish()``.

        Args:
            rate: of what is pushed, in Hz.
            hop_s: from one window to the next in seconds; None = as the run was evaluated.

        Raises:
            ConfigError: a number is out of range, or the detector is not a single run.
        """
        return self._run("stream").stream(hop_s=hop_s, sample_rate_hz=rate, channel=self._channel)

    def explain(
        self, recording: Recording, settings: "Settings | None" = None, *, progress: bool = True
    ) -> "Explanation":
        """Find which times and frequencies moved the score of the most spoofed window.

        Args:
            recording: as `score` takes it.
            settings: how; None = the defaults of the command ``explain``.
            progress: whether to show bars.

        Raises:
            AudioError: the recording cannot be read.
            MetricError: it cannot be judged.
        """
        from rawnet_jax.data.audio import read_waveform
        from rawnet_jax.explain.choice import choose_window
        from rawnet_jax.explain.clip_model import clip_model_of
        from rawnet_jax.explain.explanation import Settings, explain

        run = self._run("explain")
        model = clip_model_of(run)
        waveform = read_waveform(source_of(recording), run.config.data.audio)
        choice = choose_window(
            waveform,
            model,
            hop=run.recipe.hop,
            gate=run.config.gate if run.config.gate.enabled else None,
            aggregation=run.recipe.aggregation,
        )
        return explain(choice.waveform, model, settings or Settings(), progress)

    def export(self, path: str | os.PathLike[str], *, licence: str = "") -> float:
        """Write the run as one file for another runtime, tried on noise and tones first.

        Args:
            path: ``.onnx``, ``.tflite`` or ``.stablehlo`` names the format.
            licence: of the trained weights, noted in the file.

        Returns:
            The largest difference from Flax on the clips that the file was tried on.

        Raises:
            ConfigError: the extension names no format, or none that the model goes into.
            ExportError: the network cannot be written so, or the file computes something else.
        """
        from rawnet_jax.export.formats import WRITERS, check_format
        from rawnet_jax.export.program import program_of
        from rawnet_jax.export.verify import make_check_clips, write_verified

        run = self._run("export")
        output = Path(path)
        kind = output.suffix.lower().removeprefix(".")
        check_format(kind, run.config.model.name)
        program = program_of(run).with_decision(
            self.decision.calibration, self.decision.point, licence, run.outliers
        )
        content = WRITERS[kind](program)
        clips = make_check_clips(program, [], run.config.data.audio)
        return float(write_verified(output, content, kind, program, clips).largest)

    def adapt(
        self,
        bonafide: Recordings,
        output: str | os.PathLike[str],
        *,
        spoof: Recordings = (),
        goal: "Goal | None" = None,
        known_scores: Sequence[float] | None = None,
        progress: bool = True,
    ) -> "tuple[Detector, Adaptation]":
        """Fit threshold, calibration and if wanted the last layer to recordings; see ``adapt``.

        Args:
            bonafide: genuine speech, 10 recordings or more: a list, or a dict of lists by speaker.
            output: folder of the new detector, which must not be there; this one's stays.
            spoof: fakes: a list, or a dict of lists by system.
            goal: what to fit and to what end; None = threshold and calibration, as few false
                alarms as the known fakes allow.
            known_scores: of further fakes by this detector; None = there are none.
            progress: whether to show bars.

        Returns:
            The new detector, and what adapting does: before, and after by cross-validation.

        Raises:
            RawnetError: there is too little to learn from, nothing says what a lower threshold lets
                in, or a recording cannot be read; then nothing is written.
        """
        from rawnet_jax.evaluation.adaptation_fit import Goal
        from rawnet_jax.jobs.adapted_run import Named, adapt_run

        def named(recordings: Recordings) -> list[Named]:
            groups = recordings if isinstance(recordings, Mapping) else {"": recordings}
            sources = [(source_of(one), group) for group, of in groups.items() for one in of]
            return [Named(str(source), source, group) for source, group in sources]

        found = adapt_run(
            self._run("adapt"),
            named(bonafide),
            named(spoof),
            Path(output),
            goal or Goal(),
            known_scores=None if known_scores is None else np.asarray(known_scores, np.float64),
            channel=self._channel,
            progress=progress,
        )
        return load(output, channel=self._channel), found

    def _run(self, what: str) -> "Run":
        from rawnet_jax.run import Run

        if not isinstance(self.model, Run):
            raise ConfigError(f"{what}: needs a trained run; this detector is an exported file")
        return self.model


def source_of(recording: Recording) -> Source:
    """Return a recording in the form that is decoded.

    Raises:
        AudioError: an array that cannot be audio; the error says the cure.
        TypeError: nothing that can be scored.
    """
    if isinstance(recording, bytes | bytearray):
        return Encoded(bytes(recording))
    if isinstance(recording, str | os.PathLike):
        return os.fspath(recording)
    read: Any = getattr(recording, "read", None)
    if read is not None:
        content = read()
        if not isinstance(content, bytes):
            raise TypeError("a file object must be binary: open(path, 'rb')")
        return Encoded(content, str(getattr(recording, "name", "file object")))
    if isinstance(recording, np.ndarray):
        raise TypeError("an array needs its sample rate: score((samples, 16_000))")
    if isinstance(recording, tuple) and len(recording) == 2:
        return _samples_of(*recording)
    raise TypeError(
        f"{type(recording).__name__}: must be a path, bytes, a binary file object or (array, rate)"
    )


def _samples_of(array: Any, rate: Any) -> Samples:
    samples = np.asarray(array)
    name = "array"
    if isinstance(rate, np.ndarray) or int(rate) != rate:
        raise TypeError(f"(array, rate): the rate must be whole Hz, not {type(rate).__name__}")
    if samples.dtype.kind in "iu":
        scale = 2 ** (8 * samples.dtype.itemsize - 1)
        cure = _CURE_OF_INTEGERS.format(scale=scale)
        raise AudioError(name, "not samples", f"{samples.dtype}: full scale must be 1; {cure}")
    if samples.dtype.kind != "f":
        raise AudioError(name, "not samples", f"{samples.dtype}: must be float, full scale = 1")
    if samples.ndim not in (1, 2) or 0 in samples.shape:
        what = f"shape {list(samples.shape)}: must be [n] or [n, channels], n >= 1"
        raise AudioError(name, "not samples", what)
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        what = f"shape {list(samples.shape)}: must be [n, channels]; transpose it (array.T)"
        raise AudioError(name, "not samples", what)
    if not np.isfinite(samples).all():
        what = "it holds NaN or infinite samples; np.nan_to_num removes them"
        raise AudioError(name, "not finite", what)
    if np.abs(samples).max() > 128:
        what = f"a sample is {np.abs(samples).max():.6g}; full scale must be 1"
        raise AudioError(name, "too loud", f"{what}; divide 16-bit values by 32768")
    return Samples(samples.astype(np.float32, copy=False), int(rate), name)
