"""Voices that are enrolled with a detector: how genuine speech of one person scores."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.scoring.file_scorer import FileScore

VOICES_JSON = "voices.json"
"""Beside ``config.json``."""

_CONTENT = "enrolled voices"


@dataclass(frozen=True, slots=True)
class EnrolledVoice:
    """How a person's genuine speech scores.

    Attributes:
        name: of the person.
        num_clips: of genuine speech.
        mean: of their scores.
        shift: what a score of that person's audio is raised by, see
            `rawnet_jax.metrics.speaker_norm`.
    """

    name: str
    num_clips: int
    mean: float
    shift: float

    def normalised(self, found: FileScore) -> FileScore:
        """Return the scores of a recording of this person, with a note that says so."""
        if found.score is None:
            return found
        note = f"score {self.shift:+.3f} for {self.name}, by {self.num_clips} recordings"
        windows = replace(found.windows, score=found.windows.score + self.shift)
        return replace(
            found, score=found.score + self.shift, windows=windows, notes=(*found.notes, note)
        )


def save_voices(folder: Path, voices: Mapping[str, EnrolledVoice]) -> None:
    """Write `VOICES_JSON`, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    record = {"voices": [asdict(voice) for voice in voices.values()]}
    write_fitted(folder / VOICES_JSON, _CONTENT, record)


def load_voices(folder: Path) -> dict[str, EnrolledVoice]:
    """Read what `save_voices` wrote, by name; empty where there is none.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    path = folder / VOICES_JSON
    if not path.exists():
        return {}
    try:
        voices = [EnrolledVoice(**row) for row in read_fitted(path, _CONTENT)["voices"]]
        if not all(math.isfinite(number) for v in voices for number in (v.mean, v.shift)):
            raise TypeError("mean and shift must be finite")
        return {str(voice.name): voice for voice in voices}
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error}") from error


def enrolled_voice(folder: Path, name: str) -> EnrolledVoice:
    """Return the voice of that name.

    Raises:
        ConfigError: nobody of that name is enrolled.
        DataError: the file is damaged.
    """
    voices = load_voices(folder)
    if name not in voices:
        known = ", ".join(sorted(voices)) or "nobody is"
        raise ConfigError(
            f"--speaker {name}: is not enrolled in {folder} ({known}); adapt --speaker does it"
        )
    return voices[name]
