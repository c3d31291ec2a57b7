"""The grid: every condition that trials are scored under, by name.

What a condition does to a clip depends on the condition and the utterance alone, so that runs are
compared on the very same samples, in whatever order and on whatever machine they are scored.
"""

import fnmatch
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.robustness import degradations
from rawnet_jax.simulate.rooms import Environment, coloured_noise, room_impulse_response

CLEAN = "clean"
SNRS_DB = (20, 10, 5, 0)
NOISE_SLOPES_DB = {"white": 0.0, "pink": 3.0}  # fall per octave; that of speech is about pink
MP3_RATES_KBIT_S = (64, 32)
CLIP_SHARES = (0.5, 0.25)
GAINS_DB = (-20, 20)
DURATIONS_S = (0.5, 1, 2, 4)
ROOMS = (
    Environment("small", "0.3 s", (4.0, 3.5, 2.5), 0.3, (0.5, 1.5)),
    Environment("large", "0.9 s", (12.0, 9.0, 3.5), 0.9, (1.0, 3.0)),
)

_NUM_PLACEMENTS = 24  # of source and microphone in a simulated room
_VERSION = 1  # of what the conditions do; another one makes kept scores void

Degrade = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""From float32 [num_samples], full scale 1, and a generator of the utterance's own to float32."""


@dataclass(frozen=True)
class Condition:
    """One row of the grid.

    Attributes:
        name: in files and on the command line.
        family: conditions that differ in strength only have the same.
        title: for people.
        degrade: what it does.
        identity: whatever decides its samples, ready for JSON.
        draws: conditions with the same word draw the same for an utterance, such as one noise at
            several levels.
        max_s: clips are cut to this length; None = they stay as long as they are.
    """

    name: str
    family: str
    title: str
    degrade: Degrade
    identity: Mapping[str, Any] = field(default_factory=dict)
    draws: str = ""
    max_s: float | None = None

    def apply(self, waveform: np.ndarray, utterance_id: str) -> np.ndarray:
        """Return what becomes of an utterance: float32, full scale 1, not limited to it."""
        words = f"{self.draws or self.name}\0{utterance_id}"
        return self.degrade(waveform, np.random.default_rng(stable_hash(words)))

    def num_samples(self, num_samples: np.ndarray) -> np.ndarray:
        """Return int64 [N], how long clips of these lengths are afterwards."""
        if self.max_s is None:
            return num_samples
        return np.minimum(num_samples, round(self.max_s * SAMPLE_RATE_HZ))

    @property
    def fingerprint(self) -> str:
        """What stands for its samples."""
        words = json.dumps([_VERSION, self.name, dict(self.identity)], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Missing:
    """A row that cannot be measured here, and why."""

    name: str
    family: str
    title: str
    reason: str


@dataclass(frozen=True)
class Recordings:
    """Noises or impulse responses from files.

    Attributes:
        folder: where they are from, for people.
        waveforms: float32 [num_samples] each; at least one.
    """

    folder: str
    waveforms: Sequence[np.ndarray]

    @property
    def identity(self) -> dict[str, Any]:
        """Number and digest of the samples; the folder may move."""
        digest = hashlib.sha256()
        for waveform in self.waveforms:
            digest.update(len(waveform).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(waveform, np.float32).tobytes())
        return {"recordings": len(self.waveforms), "sha256": digest.hexdigest()}


def stable_hash(text: str) -> int:
    """Return 64 bits of a text, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8])


def build_grid(
    noise: Recordings | None = None,
    responses: Recordings | None = None,
    wanted: Sequence[str] = (),
) -> tuple[list[Condition], list[Missing]]:
    """Return the conditions in the order of the report, clean first, and those that cannot be.

    Args:
        noise: recorded noises; None = white and pink noise is generated.
        responses: recorded impulse responses; None = a small and a large room are simulated.
        wanted: names or patterns such as ``noise*``; none = all. Clean is always there.

    Raises:
        ConfigError: a pattern fits no condition.
    """
    found = [
        Condition(CLEAN, CLEAN, "clean", lambda waveform, _: waveform),
        *_noises(noise),
        *_reverberation(responses),
        *_codecs(),
        *_levels(),
        *_truncations(),
    ]
    names = [row.name for row in found]
    for pattern in wanted:
        if not fnmatch.filter(names, pattern):
            raise ConfigError(f"--conditions {pattern}: fits none of {', '.join(names)}")
    rows = [
        row
        for row in found
        if row.name == CLEAN
        or not wanted
        or any(fnmatch.fnmatch(row.name, pattern) for pattern in wanted)
    ]
    return (
        [row for row in rows if isinstance(row, Condition)],
        [row for row in rows if isinstance(row, Missing)],
    )


def _noises(recorded: Recordings | None) -> list[Condition]:
    if recorded is not None:
        kinds: dict[str, Degrade] = {"recorded": partial(_recorded_noise, recorded.waveforms)}
        identity = recorded.identity
    else:
        kinds = {kind: partial(_coloured, slope) for kind, slope in NOISE_SLOPES_DB.items()}
        identity = {}
    return [
        Condition(
            f"noise_{kind}_{snr_db}db",
            f"{kind} noise",
            f"{kind} noise, {snr_db} dB",
            partial(_noisy, make, snr_db),
            identity,
            draws=f"noise_{kind}",
        )
        for kind, make in kinds.items()
        for snr_db in SNRS_DB
    ]


def _noisy(make: Degrade, snr_db: float, waveform: np.ndarray, rng: Any) -> np.ndarray:
    return degradations.add_noise(waveform, make(waveform, rng), snr_db)


def _coloured(slope_db: float, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return coloured_noise(len(waveform), slope_db, rng)


def _recorded_noise(
    waveforms: Sequence[np.ndarray], waveform: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    chosen = waveforms[int(rng.integers(len(waveforms)))]
    return degradations.segment(chosen, len(waveform), rng)


def _reverberation(recorded: Recordings | None) -> list[Condition | Missing]:
    family = "reverberation"
    if recorded is not None:
        degrade = partial(_in_room, recorded.waveforms)
        title = "reverberation, recorded"
        return [Condition("reverb_recorded", family, title, degrade, recorded.identity)]
    rows: list[Condition | Missing] = []
    for room in ROOMS:
        name, title = f"reverb_{room.environment_id}", f"{room.environment_id} room"
        try:
            responses = [
                room_impulse_response(room, np.random.default_rng(stable_hash(f"{name}\0{i}")))[0]
                for i in range(_NUM_PLACEMENTS)
            ]
        except DataError as error:  # an extra that is not installed
            rows.append(Missing(name, family, title, str(error)))
            continue
        title += f", {room.description}"
        rows.append(Condition(name, family, title, partial(_in_room, responses)))
    return rows


def _in_room(
    responses: Sequence[np.ndarray], waveform: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    return degradations.add_room(waveform, responses[int(rng.integers(len(responses)))])


def _codecs() -> list[Condition | Missing]:
    rows: list[Condition | Missing] = [
        Condition(
            "telephone_8khz",
            "telephone",
            "telephone band, 8 kHz",
            lambda waveform, _: degradations.telephone(waveform),
        ),
        Condition(
            "mulaw", "µ-law", "µ-law, 8 bit", lambda waveform, _: degradations.mu_law(waveform)
        ),
    ]
    reason = degradations.why_no_mp3()
    for rate in MP3_RATES_KBIT_S:
        name, title = f"mp3_{rate}k", f"MP3, {rate} kbit/s"
        if reason:
            rows.append(Missing(name, "MP3", title, reason))
        else:
            rows.append(Condition(name, "MP3", title, _fixed(degradations.mp3, rate)))
    return rows


def _levels() -> list[Condition]:
    clipping = [
        Condition(
            f"clip_{100 * share:.0f}",
            "clipping",
            f"clipped at {100 * share:.0f} % of the peak",
            _fixed(degradations.clip_peaks, share),
        )
        for share in CLIP_SHARES
    ]
    gains = [
        Condition(
            f"gain_{'up' if gain_db > 0 else 'down'}_{abs(gain_db)}db",
            "gain",
            f"gain {gain_db:+d} dB".replace("-", "−"),
            _fixed(degradations.change_gain, gain_db),
        )
        for gain_db in GAINS_DB
    ]
    return clipping + gains


def _truncations() -> list[Condition]:
    return [
        Condition(
            f"first_{duration_s:g}s",
            "truncation",
            f"first {duration_s:g} s",
            _fixed(degradations.truncate, duration_s),
            max_s=duration_s,
        )
        for duration_s in sorted(DURATIONS_S, reverse=True)
    ]


def _fixed(effect: Callable[[np.ndarray, float], np.ndarray], strength: float) -> Degrade:
    return lambda waveform, _: effect(waveform, strength)
