"""All kinds, and how many of a campaign's cases each gets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fuzzing.case import Attempt, Rng
from fuzzing.events import disks, kills, races
from fuzzing.kinds import audio, outputs, protocols, run_folder, scores, settings, weights
from fuzzing.material import Material

Make = Callable[[Rng, Material, Path], Attempt]
"""Draws a case into its folder."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of case.

    Attributes:
        make: draws a case.
        share: of the cases of a campaign, as a weight.
        is_event: it happens to processes of their own, which `Attempt.check` starts.
    """

    make: Make
    share: float
    is_event: bool = False


KINDS: dict[str, Kind] = {
    "audio": Kind(audio.score, 30),
    "stream": Kind(audio.stream, 12),
    "explain": Kind(audio.explain, 2),
    "protocols": Kind(protocols.check, 14),
    "training": Kind(protocols.train, 1.5),
    "scores": Kind(scores.evaluate, 8),
    "fusion": Kind(scores.fuse, 5),
    "seeds": Kind(scores.seeds, 3),
    "settings": Kind(settings.overrides, 14),
    "config": Kind(settings.config_file, 6),
    "flags": Kind(settings.flags, 5),
    "fitted": Kind(run_folder.fitted, 8),
    "run": Kind(run_folder.checkpoints, 6),
    "resume": Kind(run_folder.resume, 1),
    "outputs": Kind(outputs.resume, 8),
    "torch": Kind(weights.torch, 6),
    "encoder": Kind(weights.encoder, 5),
    "onnx": Kind(weights.onnx, 5),
    "kills": Kind(kills.kill, 4.3, is_event=True),
    "disks": Kind(disks.fill, 2.1, is_event=True),
    "races": Kind(races.race, 2.1, is_event=True),
}
GROUPS = {
    "inputs": tuple(name for name, kind in KINDS.items() if not kind.is_event),
    "events": tuple(name for name, kind in KINDS.items() if kind.is_event),
}
"""Names that stand for several kinds."""


def kinds_of(names: Iterable[str]) -> list[str]:
    """Return the kinds that names stand for; no name stands for all.

    Raises:
        ValueError: a name is neither a kind nor a group.
    """
    found = [kind for name in names for kind in GROUPS.get(name, (name,))] or list(KINDS)
    unknown = [name for name in found if name not in KINDS]
    if unknown:
        known = ", ".join([*KINDS, *GROUPS])
        raise ValueError(f"no kind {unknown[0]!r}; there are: {known}")
    return found
