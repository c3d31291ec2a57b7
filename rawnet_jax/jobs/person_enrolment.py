"""A person's genuine recordings enrolled with a trained detector, in a folder of its own."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from rawnet_jax.atomic_file import refuse_used
from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Source, read_waveform
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.adaptation import Count
from rawnet_jax.evaluation.adaptation_fit import Recordings, joined
from rawnet_jax.jobs.derived_preset import write_derived
from rawnet_jax.jobs.measured_recordings import Named, known_recordings, left_out, measured
from rawnet_jax.labels import Label
from rawnet_jax.metrics.speaker_norm import Population, population_of
from rawnet_jax.run import Run
from rawnet_jax.scoring.enrolled import EnrolledVoice, load_voices, save_voices
from rawnet_jax.scoring.reference import load_reference
from rawnet_jax.scoring.verdict import DecisionRule
from rawnet_jax.speaker.claimed import template_path
from rawnet_jax.speaker.encoder import SpeakerEncoder
from rawnet_jax.speaker.encoder_folder import load_encoder
from rawnet_jax.speaker.network import mean_voice
from rawnet_jax.speaker.sealing import Sealer
from rawnet_jax.speaker.template import VoiceTemplate, now_utc, write_template
from rawnet_jax.speaker.verification import calibration_of

LEAST_CLIPS = 3
"""Recordings of a person."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What an enrolment does.

    Attributes:
        voice: what is kept.
        population: that the person was compared with.
        misses_before: the person's speech called spoof by the score as it is.
        misses_after: the same by the normalised score, each recording by all others.
        accepted_before: known fakes accepted; None = none are known.
        accepted_after: the same if each were said to be of this person.
        notes: what a user must know; each one sentence.
    """

    voice: EnrolledVoice
    population: Population
    misses_before: Count
    misses_after: Count
    accepted_before: Count | None
    accepted_after: Count | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoiceKeeping:
    """Whether and how the person's voice is kept, too.

    Attributes:
        encoder: folder of an encoder of voices; None = it is not kept.
        key: file of the key that encrypts it; None = it is not encrypted.
    """

    encoder: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None


def enrol_speaker(
    run: Run,
    name: str,
    bonafide: Sequence[Named],
    output: Path,
    *,
    others: Sequence[Named] = (),
    spoof: Sequence[Named] = (),
    keeping: VoiceKeeping | None = None,
    channel: int | None = None,
    progress: bool = True,
) -> Enrolled:
    """Measure how a person's genuine speech scores, and write a new folder that knows it.

    Args:
        run: stays as it is; who is enrolled with it is with the new one, too.
        name: of the person; who is enrolled by that name is replaced.
        bonafide: that person's genuine speech, `LEAST_CLIPS` recordings or more.
        output: folder to make.
        others: genuine speech of other people, with their names; what the run's reference holds
            is added.
        spoof: known fakes; what the run's reference holds is added.
        keeping: of the voice itself; None = it is not kept.
        channel: take this channel, 1 = the first; None = the average of all.
        progress: whether to show bars.

    Raises:
        RawnetError: there is too little to learn from, a recording cannot be read, or the folder
            cannot be written; then nothing is.
    """
    refuse_used(output, "--output")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--speaker {name!r}: it must be letters, digits, '_', '-' and '.'")
    keeping = keeping or VoiceKeeping()
    encoder = None if keeping.encoder is None else load_encoder(os.fspath(keeping.encoder))
    sealer = None if keeping.key is None else Sealer.read(os.fspath(keeping.key))
    decision = run.decision()
    own, theirs, given = (
        measured(run, decision, of, False, channel, title, progress)
        for of, title in ((bonafide, "genuine speech"), (others, "others"), (spoof, "fakes"))
    )
    if len(own) < LEAST_CLIPS:
        raise DataError(
            f"{len(own)} recordings of genuine speech of {name} can be judged; enrolling takes "
            f"{LEAST_CLIPS} or more"
        )
    reference = load_reference(run.workdir, run.step)
    known = [known_recordings(reference, decision, label, embeds=False) for label in Label]
    people, fakes = joined(theirs, known[Label.BONAFIDE]), joined(given, known[Label.SPOOF])
    if people is None:
        raise DataError(
            "nothing says how other people's genuine speech scores; give some, with a sub-folder "
            "per speaker (--others)"
        )
    population = population_of(people.scores, people.groups)
    voice = EnrolledVoice(name, len(own), float(np.mean(own.scores)), population.shift(own.scores))
    found = _measured_effect(voice, population, decision, own, fakes, left_out(bonafide, own))
    template = None if encoder is None else _template(encoder, bonafide, name)

    def fitted(folder: Path) -> None:
        save_voices(folder, load_voices(folder) | {name: voice})
        for old in sorted(run.workdir.glob("*.voice")):
            template_path(folder, old.stem).write_bytes(old.read_bytes())
        template_path(folder, name).unlink(missing_ok=True)
        if template is not None:
            write_template(template_path(folder, name), template, sealer)

    write_derived(
        output,
        run,
        f"{run.name}, with {name} enrolled",
        f"{name} is enrolled (voices.json): `score --speaker {name}`.",
        fitted,
    )
    return found


def _measured_effect(
    voice: EnrolledVoice,
    population: Population,
    decision: DecisionRule,
    own: Recordings,
    fakes: Recordings | None,
    notes: Sequence[str],
) -> Enrolled:
    def is_spoof(score: float) -> bool:
        return decision(score).label == Label.SPOOF

    after = [
        is_spoof(score + population.shift(np.delete(own.scores, i)))
        for i, score in enumerate(own.scores.tolist())
    ]
    accepted = None
    if fakes is not None:
        accepted = [not is_spoof(score + voice.shift) for score in fakes.scores.tolist()]
    found = Enrolled(
        voice=voice,
        population=population,
        misses_before=Count.true_of(own.called_spoof),
        misses_after=Count.true_of(np.array(after)),
        accepted_before=None if fakes is None else Count.true_of(~fakes.called_spoof),
        accepted_after=None if accepted is None else Count.true_of(np.array(accepted)),
        notes=(),
    )
    return _with_notes(found, notes)


def _with_notes(found: Enrolled, notes: Sequence[str]) -> Enrolled:
    more = list(notes)
    name, before, after = found.voice.name, found.accepted_before, found.accepted_after
    if before is None or after is None:
        more.append("no fakes are known: nothing says how many are accepted")
    elif after.num > before.num:
        more.append(
            f"known fakes that are said to be of {name} are accepted more often than others: "
            f"{after.num} of {after.of}, before {before.num}"
        )
    if found.misses_after.num >= found.misses_before.num > 0:
        more.append(f"{name} is called spoof no less often than before; enrolling did not help")
    return replace(found, notes=tuple(more))


def _template(encoder: SpeakerEncoder, clips: Sequence[Named], name: str) -> VoiceTemplate:
    """Return the mean voice of recordings.

    Raises:
        ConfigError: the encoder is not calibrated.
        DataError: a recording holds no speech, or another voice than the rest.
    """
    calibration = calibration_of(encoder)
    config = AudioConfig(min_peak=0.0, min_duration_s=0.0)
    # What is enrolled was never decoded before, as clips of a cache are.
    sources = [cast(Source, clip.source) for clip in clips]
    voices = [encoder.voice(read_waveform(source, config)) for source in sources]
    vectors = np.stack([voice.vector for voice in voices])
    for clip, vector in zip(clips, vectors, strict=True):
        if not vector.any():
            raise DataError(f"{clip.name}: holds no speech")
    for i, clip in enumerate(clips):
        cosine = vectors[i] @ mean_voice(np.delete(vectors, i, axis=0))
        if calibration.apply(float(cosine)) < 0:
            raise DataError(f"{clip.name}: another voice than the rest of {name}'s recordings")
    speech_s = sum(voice.speech_s for voice in voices)
    return VoiceTemplate(mean_voice(vectors), encoder.digest, len(clips), speech_s, now_utc())
