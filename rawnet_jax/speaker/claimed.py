"""Recordings that are said to be of an enrolled person: which of their scores are normalised."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Source, read_waveform
from rawnet_jax.errors import ConfigError
from rawnet_jax.scoring.enrolled import EnrolledVoice, enrolled_voice
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.speaker.encoder import SpeakerEncoder
from rawnet_jax.speaker.sealing import Sealer
from rawnet_jax.speaker.template import VoiceTemplate, read_template
from rawnet_jax.speaker.verification import calibration_of


@dataclass(frozen=True, slots=True, eq=False)
class ClaimedVoice:
    """An enrolled person, and what tells whether a recording is of that person.

    Attributes:
        voice: how the person's genuine speech scores.
        encoder: of voices; None = nothing looks who speaks.
        template: the person's voice by that encoder; None without one.
    """

    voice: EnrolledVoice
    encoder: SpeakerEncoder | None = None
    template: VoiceTemplate | None = None

    def normalised(self, found: FileScore, source: Source) -> FileScore:
        """Return the scores of a recording, normalised if it is of that person.

        Args:
            found: its scores as they are.
            source: where it is read from, by the encoder.
        """
        if found.score is None or self.encoder is None or self.template is None:
            return self.voice.normalised(found)
        waveform = read_waveform(source, AudioConfig(min_peak=0.0, min_duration_s=0.0))
        cosine = float(self.encoder.voice(waveform).vector @ self.template.vector)
        ratio = float(calibration_of(self.encoder).apply(cosine))
        if ratio >= 0:
            return self.voice.normalised(found)
        note = f"not {self.voice.name} by the voice (ratio {ratio:+.2f}): the score is as it is"
        return replace(found, notes=(*found.notes, note))


def template_path(folder: Path, name: str) -> Path:
    """Return where the template of an enrolled person lies."""
    return folder / f"{name}.voice"


def claimed_voice(
    folder: Path,
    name: str,
    encoder: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> ClaimedVoice:
    """Load what is known of an enrolled person.

    Args:
        folder: of the run or preset.
        name: of the person.
        encoder: folder of an encoder of voices, which then looks who speaks; None = nothing does.
        key: file of the key of templates; None = they are not encrypted.

    Raises:
        ConfigError: nobody of that name is enrolled, or not with this encoder, or the encoder is
            not calibrated.
        DataError: a file is damaged.
    """
    # Brings JAX, which a score without an encoder may not need.
    from rawnet_jax.speaker.encoder_folder import load_encoder

    voice = enrolled_voice(folder, name)
    if encoder is None:
        return ClaimedVoice(voice)
    path = template_path(folder, name)
    if not path.exists():
        raise ConfigError(f"--encoder: {name} was enrolled without one; adapt --speaker takes it")
    loaded = load_encoder(os.fspath(encoder))
    calibration_of(loaded)
    template = read_template(path, None if key is None else Sealer.read(os.fspath(key)))
    if template.encoder != loaded.digest:
        raise ConfigError(f"--encoder {encoder}: {name} was enrolled with another one")
    return ClaimedVoice(voice, loaded, template)
