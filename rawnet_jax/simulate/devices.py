"""The devices and places of simulated replay, as tables in the style of ASVspoof 2017.

The rows are our own: made to span what such devices do, not measured on a product. ``P00``, ``R00``
and ``E00`` are ideal; a chain of these three changes nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rawnet_jax.simulate.responses import FLAT, FrequencyResponse
from rawnet_jax.simulate.rooms import Environment


@dataclass(frozen=True, slots=True)
class PlaybackDevice:
    """A loudspeaker with its amplifier: a static nonlinearity, then a linear response.

    Attributes:
        playback_id: name in protocols.
        description: for people.
        response: what the diaphragm and its box radiate.
        drive_db: level of speech before a soft clipper (tanh), over a level that is all but linear;
            minus infinity = no nonlinearity.
        asymmetry: share of the square of the signal, which makes even harmonics.
        held_out: kept for the eval partition of written corpora.
    """

    playback_id: str
    description: str
    response: FrequencyResponse = FLAT
    drive_db: float = -math.inf
    asymmetry: float = 0.0
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class RecordingDevice:
    """A microphone with what follows it up to the file.

    Attributes:
        recording_id: name in protocols.
        description: for people.
        response: capsule, casing and anti-aliasing filter.
        self_noise_db: level of white noise against speech; minus infinity = none.
        gain_control: 0 = none; 1 = levels out all slow changes of loudness.
        companding_bits: bits of µ-law companding (ITU-T G.711 uses 8); 0 = none.
        held_out: kept for the eval partition of written corpora.
    """

    recording_id: str
    description: str
    response: FrequencyResponse = FLAT
    self_noise_db: float = -math.inf
    gain_control: float = 0.0
    companding_bits: int = 0
    held_out: bool = False


NEUTRAL_ENVIRONMENT = Environment("E00", "no room, no noise")
NEUTRAL_PLAYBACK = PlaybackDevice("P00", "ideal loudspeaker")
NEUTRAL_RECORDING = RecordingDevice("R00", "ideal microphone")

ENVIRONMENTS: tuple[Environment, ...] = (
    Environment("E01", "treated booth", (3.0, 2.5, 2.4), 0.12, (0.05, 0.3), (34, 50), 3.0),
    Environment("E02", "bedroom", (4.0, 3.5, 2.5), 0.30, (0.05, 0.5), (30, 45), 5.0, -6.0),
    Environment("E03", "living room", (5.5, 4.5, 2.6), 0.40, (0.1, 0.6), (28, 44), 5.0, -9.0),
    Environment("E04", "small office", (4.5, 3.0, 2.7), 0.35, (0.1, 0.5), (28, 42), 4.0, -3.0),
    Environment("E05", "kitchen", (4.0, 3.0, 2.5), 0.50, (0.1, 0.4), (26, 40), 4.0, 0.0),
    Environment("E06", "meeting room", (7.0, 5.0, 3.0), 0.55, (0.1, 0.6), (28, 42), 5.0, -6.0),
    Environment(
        "E07", "open-plan office", (12.0, 9.0, 3.0), 0.45, (0.05, 0.3), (24, 38), 4.0, held_out=True
    ),
    Environment(
        "E08", "stairwell", (5.0, 3.0, 6.0), 0.90, (0.05, 0.2), (26, 40), 5.0, held_out=True
    ),
    Environment(
        "E09", "canteen", (14.0, 10.0, 3.5), 0.70, (0.05, 0.2), (22, 36), 3.0, held_out=True
    ),
)

PLAYBACK_DEVICES: tuple[PlaybackDevice, ...] = (
    PlaybackDevice(
        "P01",
        "mobile phone",
        FrequencyResponse(650, 7200, 3, 4, ((1100, 3.0, 6), (2700, 4.0, 5), (5200, 5.0, -5))),
        drive_db=13,
        asymmetry=0.15,
    ),
    PlaybackDevice(
        "P02",
        "tablet",
        FrequencyResponse(450, 7400, 2, 4, ((900, 2.5, 5), (3600, 4.0, 4), (6000, 4.0, -4))),
        drive_db=10,
        asymmetry=0.10,
    ),
    PlaybackDevice(
        "P03",
        "laptop",
        FrequencyResponse(380, 7600, 3, 4, ((620, 3.0, 6), (1900, 4.0, -5), (4300, 3.0, 4))),
        drive_db=9,
        asymmetry=0.08,
    ),
    PlaybackDevice(
        "P04",
        "portable wireless loudspeaker",
        FrequencyResponse(140, 7200, 4, 4, ((180, 2.0, 5), (2400, 3.0, -4), (5000, 3.0, 3))),
        drive_db=8,
        asymmetry=0.06,
    ),
    PlaybackDevice(
        "P05",
        "desktop loudspeakers",
        FrequencyResponse(120, 7700, 2, 2, ((240, 2.0, 3), (1400, 3.0, -3), (3300, 4.0, 3))),
        drive_db=5,
        asymmetry=0.04,
    ),
    PlaybackDevice(
        "P06",
        "television",
        FrequencyResponse(200, 7000, 2, 4, ((350, 3.0, 4), (2200, 5.0, -6), (3100, 4.0, 4))),
        drive_db=7,
        asymmetry=0.05,
    ),
    PlaybackDevice(
        "P07",
        "studio monitor",
        FrequencyResponse(55, resonances=((90, 1.5, 2), (2800, 3.0, -2))),
        drive_db=1,
        asymmetry=0.01,
        held_out=True,
    ),
    PlaybackDevice(
        "P08",
        "headphones beside the microphone",
        FrequencyResponse(160, 7600, 1, 2, ((700, 2.0, -3), (3000, 2.5, 7), (6200, 5.0, 5))),
        drive_db=4,
        asymmetry=0.03,
        held_out=True,
    ),
    PlaybackDevice(
        "P09",
        "conference loudspeaker",
        FrequencyResponse(300, 6800, 3, 5, ((800, 2.0, 4), (1600, 4.0, 4), (3900, 4.0, -5))),
        drive_db=11,
        asymmetry=0.12,
        held_out=True,
    ),
)

RECORDING_DEVICES: tuple[RecordingDevice, ...] = (
    RecordingDevice(
        "R01",
        "mobile phone A",
        FrequencyResponse(110, 7500, 2, 4, ((3500, 2.0, 3),)),
        self_noise_db=-46,
        gain_control=0.3,
    ),
    RecordingDevice(
        "R02",
        "mobile phone B",
        FrequencyResponse(90, 7200, 2, 4, ((1800, 2.0, -2), (5500, 2.5, 4))),
        self_noise_db=-44,
        gain_control=0.4,
    ),
    RecordingDevice(
        "R03",
        "laptop microphone",
        FrequencyResponse(150, 7000, 2, 4, ((900, 3.0, 3), (4200, 3.0, -3))),
        self_noise_db=-38,
        gain_control=0.2,
    ),
    RecordingDevice(
        "R04",
        "condenser microphone",
        FrequencyResponse(40, resonances=((6500, 1.0, 2),)),
        self_noise_db=-56,
    ),
    RecordingDevice(
        "R05",
        "headset",
        FrequencyResponse(180, 7200, 2, 4, ((2600, 1.5, 4),)),
        self_noise_db=-42,
    ),
    RecordingDevice(
        "R06",
        "hand-held recorder",
        FrequencyResponse(70, 7800, 2, 2, ((3000, 1.5, 2),)),
        self_noise_db=-50,
        gain_control=0.15,
        held_out=True,
    ),
    RecordingDevice(
        "R07",
        "voice assistant with 12-bit companding",
        FrequencyResponse(130, 7000, 3, 6, ((1200, 2.0, -2), (3200, 2.0, 3))),
        self_noise_db=-42,
        gain_control=0.5,
        companding_bits=12,
        held_out=True,
    ),
)


@dataclass(frozen=True, slots=True)
class ReplayChain:
    """One way of replaying: a loudspeaker, a place, a recording device."""

    playback: PlaybackDevice = NEUTRAL_PLAYBACK
    environment: Environment = NEUTRAL_ENVIRONMENT
    recording: RecordingDevice = NEUTRAL_RECORDING

    @property
    def ids(self) -> tuple[str, str, str]:
        """Environment, playback and recording device as the 2017 protocol orders them."""
        return (
            self.environment.environment_id,
            self.playback.playback_id,
            self.recording.recording_id,
        )


def draw_chain(
    partition: str,
    rng: np.random.Generator,
    environments: Sequence[Environment] = ENVIRONMENTS,
) -> ReplayChain:
    """Draw a chain for a partition; only ``eval`` draws rows that are held out.

    Half of all draws from a table are from its held-out rows then, so that most eval trials meet
    something that training has not seen.
    """
    return ReplayChain(
        playback=_draw_row(PLAYBACK_DEVICES, partition, rng),
        environment=_draw_row(environments, partition, rng),
        recording=_draw_row(RECORDING_DEVICES, partition, rng),
    )


def device_rows(
    environments: Sequence[Environment] = ENVIRONMENTS,
) -> list[tuple[str, str, str]]:
    """Every row of the tables as (id, description, partitions that it is used in)."""

    def use(row: _Row) -> str:
        return "eval" if row.held_out else "train, dev, eval"

    return [
        *((row.environment_id, row.description, use(row)) for row in environments),
        *((row.playback_id, row.description, use(row)) for row in PLAYBACK_DEVICES),
        *((row.recording_id, row.description, use(row)) for row in RECORDING_DEVICES),
    ]


_Row = Environment | PlaybackDevice | RecordingDevice
_RowT = TypeVar("_RowT", Environment, PlaybackDevice, RecordingDevice)


def _draw_row(table: Sequence[_RowT], partition: str, rng: np.random.Generator) -> _RowT:
    use_held_out = partition == "eval" and rng.random() < 0.5
    rows = [row for row in table if row.held_out == use_held_out] or list(table)
    return rows[rng.integers(len(rows))]
