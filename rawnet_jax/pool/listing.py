"""The pieces of a pool with all that is known of them, and the lists that training reads."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.pool.folds import NOWHERE, homes, parts_of
from rawnet_jax.pool.laws import CLEAR_NOISE_DB
from rawnet_jax.pool.pieces import Made
from rawnet_jax.pool.plan import Recording
from rawnet_jax.pool.table import FAKE, FOLDS

ENDINGS = {"train": "trn", "dev": "trl"}
"""Of protocols, by part."""


def protocol_name(fold: str, part: str, kind: str = "") -> str:
    """Return the name of a fold's protocol, such as ``fold1.dev.trl.txt``."""
    return f"{fold}.{part}{kind}.{ENDINGS[part]}.txt"


def protocol_line(speaker: str, utterance: str, attack: str, label: str) -> str:
    """Return a line of an ASVspoof 2019 protocol: speaker, utterance, environment, attack, key."""
    return f"{speaker} {utterance} - {attack} {label}"


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a pool.

    Attributes:
        recording: that it is of.
        made: its row of the journal.
        attack: id of its system; "-" for real speech.
        parts: train, dev, test or "-" in each fold.
    """

    recording: Recording
    made: Mapping[str, Any]
    attack: str
    parts: Mapping[str, str]

    @property
    def name(self) -> str:
        """Utterance id."""
        return str(self.made["utterance"])

    @property
    def is_clear(self) -> bool:
        """Whether it kept its band and has little noise, by the numbers drawn for it."""
        laws = self.made["laws"]
        if laws["noise_db"] is None:  # of a clean pool
            return True
        return bool(laws["noise_db"] < CLEAR_NOISE_DB[1] and laws["band_hz"] >= SAMPLE_RATE_HZ / 2)

    @property
    def line(self) -> str:
        """Line of a protocol."""
        return protocol_line(self.recording.speaker, self.name, self.attack, self.recording.label)


def attack_ids(recordings: Sequence[Recording]) -> dict[str, str]:
    """Return the id of each system, by name."""
    systems = sorted({each.system for each in recordings if each.label == FAKE})
    return {system: f"A{number:03d}" for number, system in enumerate(systems, 1)}


def numbered(recordings: Sequence[Recording], made: Mapping[str, Made]) -> list[Piece]:
    """Return all pieces in the order of their names."""
    attack_of, home_of = attack_ids(recordings), homes(recordings)
    pieces = [
        Piece(each, row, attack_of.get(each.system, "-"), parts_of(each, home_of))
        for each in recordings
        for row in made[each.name].pieces
    ]
    return sorted(pieces, key=lambda piece: piece.name)


def pool_digest(pieces: Sequence[Piece]) -> str:
    """Return the SHA-256 of names and digests of all pieces."""
    lines = "".join(f"{each.made['sha256']}  {each.name}\n" for each in pieces)
    return hashlib.sha256(lines.encode()).hexdigest()


def protocols(pieces: Sequence[Piece]) -> dict[str, list[Piece]]:
    """Return the pieces of each protocol, by its file's name; empty ones are left out.

    ``foldN.train.trn.txt`` and ``foldN.dev.trl.txt`` of each fold; ``all.train.trn.txt``, what
    training has once nothing is left to choose; ``test.trl.txt``. Of each training list, the part
    with clear pieces: ``foldN.train.clear.trn.txt``.
    """
    found = {}
    for fold in FOLDS:
        for part in ENDINGS:
            found[protocol_name(fold, part)] = [p for p in pieces if p.parts[fold] == part]
    found[protocol_name("all", "train")] = [
        piece for piece in pieces if not {"test", NOWHERE} >= set(piece.parts.values())
    ]
    for fold in (*FOLDS, "all"):
        found[protocol_name(fold, "train", ".clear")] = [
            piece for piece in found[protocol_name(fold, "train")] if piece.is_clear
        ]
    found["test.trl.txt"] = [piece for piece in pieces if piece.parts[FOLDS[0]] == "test"]
    return {name: chosen for name, chosen in found.items() if chosen}
