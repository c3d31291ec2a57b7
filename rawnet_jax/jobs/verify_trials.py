"""``verify-trials``: scores of both kinds for a list of verification trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.data.enrolment_list import read_enrolment
from rawnet_jax.data.sasv_file import SasvTable, read_sasv
from rawnet_jax.data.score_columns import NONE
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.jobs.console import EXIT_UNREADABLE, say_written
from rawnet_jax.jobs.voices import COSTS, Judges, VoiceOptions, files_of, judges_of
from rawnet_jax.metrics.sasv import bayes_rule, fused_llr
from rawnet_jax.progress import BatchBars
from rawnet_jax.terminal import complain, one_line, show

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.speaker.encoder import Voice
    from rawnet_jax.speaker.spoof_check import SpoofCheck

_HEADER = ("spk", "filename", "cm-score", "asv-score", "sasv-score")


@dataclass(frozen=True, kw_only=True)
class VerifyTrialsOptions(VoiceOptions):
    """Options of ``verify-trials``, named as its flags; see ``verify-trials --help``."""

    trials: Path
    enrolment: Path
    audio_dir: Path
    costs: str
    output: Path
    progress: bool


def verify_trials(options: VerifyTrialsOptions) -> int:
    """Write a score file with a line per trial; returns the exit status.

    Raises:
        RawnetError: a list is wrong, a recording is missing, or detector or encoder cannot be used.
    """
    trials = read_sasv(options.trials, keys_only=True)
    enrolment = read_enrolment(options.enrolment)
    files = _files(options, trials, enrolment)
    judges = judges_of(options)
    judged, num_unreadable = _judged(files, judges, options.progress)
    lines = _lines(trials, enrolment, judged, judges, options.costs)
    write_text_atomically(options.output, "".join(f"{line}\n" for line in lines))
    show(f"{len(trials):,} trials of {len(enrolment):,} speakers, {len(files):,} recordings")
    say_written([("scores", options.output)])
    if judges.encoder.calibration is None:
        complain("note: the encoder is not calibrated, so there is no sasv-score")
    if num_unreadable:
        complain(f"note: {num_unreadable} recordings could not be read; their trials have {NONE}")
    return EXIT_UNREADABLE if num_unreadable else 0


def _files(
    options: VerifyTrialsOptions, trials: SasvTable, enrolment: Mapping[str, list[str]]
) -> dict[str, Path]:
    """Return the file of each utterance.

    Raises:
        DataError: one is missing, or a speaker is not enrolled.
    """
    lost = sorted({speaker for speaker, _ in trials.names} - set(enrolment))
    if lost:
        raise DataError(
            f"{options.enrolment}: {len(lost)} speakers of the trials are not in it, such as "
            f"{lost[0]}"
        )
    wanted = {speaker for speaker, _ in trials.names}
    utterances = dict.fromkeys(utterance for _, utterance in trials.names)
    utterances |= dict.fromkeys(u for name, own in enrolment.items() if name in wanted for u in own)
    return files_of(list(utterances), options.audio_dir)


def _judged(
    files: Mapping[str, Path], judges: Judges, progress: bool
) -> tuple[dict[str, "tuple[Voice, SpoofCheck]"], int]:
    """Return what is said of each recording that can be read, and how many cannot."""
    found, num_unreadable = {}, 0
    with BatchBars(progress)("recordings", len(files), unit="file") as bar:
        for name, file in files.items():
            try:
                found[name] = judges.judge(str(file))
            except AudioError as error:
                complain(f"error: {one_line(error)}")
                num_unreadable += 1
            bar.update()
    return found, num_unreadable


def _lines(
    trials: SasvTable,
    enrolment: Mapping[str, list[str]],
    judged: Mapping[str, "tuple[Voice, SpoofCheck]"],
    judges: Judges,
    costs: str,
) -> list[str]:
    from rawnet_jax.speaker.network import mean_voice

    voices = {}
    for speaker in {speaker for speaker, _ in trials.names}:
        own = [judged[name][0].vector for name in enrolment[speaker] if name in judged]
        heard = [vector for vector in own if vector.any()]
        if heard:
            voices[speaker] = mean_voice(np.stack(heard))
    calibration, share = judges.encoder.calibration, bayes_rule(COSTS[costs]).spoof_share
    lines = ["\t".join(_HEADER)]
    for speaker, utterance in trials.names:
        cells = [NONE, NONE, NONE]
        if utterance in judged:
            voice, check = judged[utterance]
            cosine = None
            if speaker in voices and voice.vector.any():
                cosine = float(voices[speaker].astype(float) @ voice.vector.astype(float))
                cells[1] = repr(cosine)
            if check.llr is not None:
                cells[0] = repr(float(check.llr))
            if cosine is not None and check.llr is not None and calibration is not None:
                cells[2] = repr(float(fused_llr(calibration.apply(cosine), check.llr, share)))
        lines.append("\t".join([speaker, utterance, *cells]))
    return lines
