"""The Python interface: a trained detector as one object.

    import rawnet_jax

    detector = rawnet_jax.load("runs/x")
    result = detector.score("call.wav")

A score is that of the command ``score`` for the same recording, to the last bit: both go through
`rawnet_jax.scoring.sources.score_by`.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.data.given import Recording, Recordings, source_of
from rawnet_jax.errors import AudioError, ConfigError
from rawnet_jax.jobs.chosen_run import say_default
from rawnet_jax.presets.catalog import run_folder
from rawnet_jax.progress import BatchBars
from rawnet_jax.result import ModelInfo, Result, result_of
from rawnet_jax.scoring.envelope import Envelope
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.model_watch import ModelWatch
from rawnet_jax.scoring.sources import load_source_rule, score_by
from rawnet_jax.scoring.verdict import DecisionRule

if TYPE_CHECKING:  # imports JAX, which an exported file does not need
    from rawnet_jax.evaluation.adaptation import Adaptation
    from rawnet_jax.evaluation.adaptation_fit import Goal
    from rawnet_jax.explain.explanation import Explanation, Settings
    from rawnet_jax.jobs.person_enrolment import Enrolled
    from rawnet_jax.run import Run
    from rawnet_jax.scoring.streaming import StreamingScorer
    from rawnet_jax.speaker.claimed import ClaimedVoice


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
    speaker: str | None = None,
    encoder: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
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
        speaker: all recordings are said to be of this person, whom `Detector.enrol` enrolled:
            scores are read against that person's genuine speech.
        encoder: folder of an encoder of voices; with it, what is another voice keeps its score.
        key: file of the key of the kept voice.

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
    claimed = None
    if speaker is not None:
        from rawnet_jax.speaker.claimed import claimed_voice

        claimed = claimed_voice(path, speaker, encoder, key)
    return Detector(model, model.decision(prior=prior, threshold=threshold), channel, claimed)


class Detector:
    """A trained detector: scores, streams, explains, exports.

    Attributes:
        model: the network and how it scores recordings: a `Run`, or an exported file.
        decision: threshold, calibration and prior.
        info: name, digest, threshold and calibration, as every result has them.
        notes: what a user must know of threshold and calibration; each one sentence.
    """

    def __init__(
        self,
        model: ScoringModel,
        decision: DecisionRule,
        channel: int | None = None,
        claimed: "ClaimedVoice | None" = None,
    ) -> None:
        self.model = model
        self.decision = decision
        self.notes = decision.notes
        self._channel = channel
        self._claimed = claimed
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
        places = [(str(source), source) for source in map(source_of, recordings)]
        found = score_by(
            self.model,
            places,
            all_windows=windows,
            channel=self._channel,
            num_threads=min(usable_cores(), max(len(places), 1)),
            watcher=Envelope,
        )
        watch = ModelWatch(self.info.name)
        with BatchBars(progress)("scoring", len(places), unit="file") as bar:
            for one, (_, source) in zip(found, places, strict=True):
                watch.add(one.score, one.reason)
                if self._claimed is not None:
                    one = self._claimed.normalised(one, source)
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
        decision, sources = self.decision, load_source_rule(run.workdir, run.step)
        program = program_of(run).with_decision(
            decision.calibration, decision.point, licence, run.outliers, sources
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
        others: Recordings = (),
        goal: "Goal | None" = None,
        known_scores: Sequence[float] | None = None,
        progress: bool = True,
    ) -> "tuple[Detector, Adaptation]":
        """Fit threshold, calibration and if wanted the last layer to recordings; see ``adapt``.

        Args:
            bonafide: genuine speech, 10 recordings or more: a list, or a dict of lists by speaker.
            output: folder of the new detector, which must not be there; this one's stays.
            spoof: fakes: a list, or a dict of lists by system.
            others: genuine speech of other people, whom it is to go on accepting; as `bonafide`.
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
        from rawnet_jax.jobs.adapted_run import adapt_run
        from rawnet_jax.jobs.measured_recordings import named

        found = adapt_run(
            self._run("adapt"),
            named(bonafide),
            named(spoof),
            Path(output),
            goal or Goal(),
            others=named(others),
            known_scores=None if known_scores is None else np.asarray(known_scores, np.float64),
            channel=self._channel,
            progress=progress,
        )
        return load(output, channel=self._channel), found

    def enrol(
        self,
        speaker: str,
        bonafide: Recordings,
        output: str | os.PathLike[str],
        *,
        others: Recordings = (),
        spoof: Recordings = (),
        encoder: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> "tuple[Detector, Enrolled]":
        """Enrol a person, whose scores are then read against that person's genuine speech.

        Args:
            speaker: name of the person.
            bonafide: that person's genuine speech, 3 recordings or more.
            output: folder of the new detector, which must not be there; this one's stays.
            others: genuine speech of other people, lists by speaker, beside what the run knows.
            spoof: known fakes, to measure what enrolling does to them.
            encoder: folder of an encoder of voices, by which the voice is kept, too; None = it is
                not kept.
            key: file of the key that encrypts the voice; None = it is not encrypted.
            progress: whether to show bars.

        Returns:
            The new detector with that person as `load(speaker=…)` gives it, and what enrolling
            does.

        Raises:
            RawnetError: there is too little to learn from, or a recording cannot be read; then
                nothing is written.
        """
        from rawnet_jax.jobs.measured_recordings import named
        from rawnet_jax.jobs.person_enrolment import VoiceKeeping, enrol_speaker

        found = enrol_speaker(
            self._run("enrol"),
            speaker,
            named(bonafide),
            Path(output),
            others=named(others),
            spoof=named(spoof),
            keeping=VoiceKeeping(encoder, key),
            channel=self._channel,
            progress=progress,
        )
        new = load(output, channel=self._channel, speaker=speaker, encoder=encoder, key=key)
        return new, found

    def _run(self, what: str) -> "Run":
        from rawnet_jax.run import Run

        if not isinstance(self.model, Run):
            raise ConfigError(f"{what}: needs a trained run; this detector is an exported file")
        return self.model
