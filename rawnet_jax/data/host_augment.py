"""Augmentation on the host: what devices cannot do, on a crop before it is laid into a batch.

The change of a row depends on its draw alone, which the batch plan makes by seed, epoch and clip:
threads, processes and restarts change nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from rawnet_jax.augment.fields import PROBABILITY, Limits, complete, keyword_fields
from rawnet_jax.config import HostAugmentConfig, unknown_field
from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.codecs import CODECS, require_codec, round_trip
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

Range = tuple[float, float]

_MAX_DRAWS = 32  # for a voice that is not the clip's own


class Voices:
    """Other speakers for a clip, out of the same list of clips.

    Args:
        cache: the clips. Where each has an owner, a clip gets others of its own.
    """

    def __init__(self, cache: WaveformSource) -> None:
        self._cache = cache
        self._owner = np.zeros(len(cache), np.int64) if cache.owner is None else cache.owner
        bonafide = np.array([trial.label is Label.BONAFIDE for trial in cache.trials], bool)
        owners = np.unique(self._owner).tolist()
        self._clips = {
            (owner, only): np.flatnonzero((self._owner == owner) & (bonafide | (not only)))
            for owner in owners
            for only in (True, False)
        }

    def other(
        self, generator: np.random.Generator, position: int, bonafide_only: bool
    ) -> np.ndarray | None:
        """Draw the clip of another speaker; another clip where speakers are not known.

        Returns:
            int16 [any], or None if none was found.
        """
        clips = self._clips[int(self._owner[position]), bonafide_only]
        speaker = self._cache.trials[position].speaker_id
        for drawn in generator.integers(len(clips), size=_MAX_DRAWS if len(clips) else 0):
            other = int(clips[drawn])
            if other == position:
                continue
            if speaker is None or self._cache.trials[other].speaker_id != speaker:
                return self._cache.waveform(other)
        return None


@dataclass(frozen=True)
class Row:
    """What an effect may know beside the waveform.

    Attributes:
        generator: to draw from.
        position: of the clip in the list.
        voices: other clips.
    """

    generator: np.random.Generator
    position: int
    voices: Voices


def mp3(waveform: np.ndarray, row: Row, *, kbps: Range = (16.0, 64.0)) -> np.ndarray:
    """Code with MP3 at a constant rate, of which the encoder takes the nearest that it knows."""
    return round_trip("mp3", waveform, row.generator.uniform(*kbps))


def vorbis(waveform: np.ndarray, row: Row, *, quality: Range = (0.0, 5.0)) -> np.ndarray:
    """Code with Ogg Vorbis; quality 0 is about 45 kb/s at 16 kHz, 10 about 90."""
    return round_trip("vorbis", waveform, row.generator.uniform(*quality))


def opus(waveform: np.ndarray, row: Row, *, kbps: Range = (6.0, 32.0)) -> np.ndarray:
    """Code with Ogg Opus at an average rate."""
    return round_trip("opus", waveform, row.generator.uniform(*kbps))


def second_speaker(
    waveform: np.ndarray,
    row: Row,
    *,
    snr_db: Range = (0.0, 20.0),
    overlap: Range = (0.2, 1.0),
    bonafide_only: bool = True,
) -> np.ndarray:
    """Add a piece of another clip somewhere in this one, whose label stays.

    Args:
        waveform: float32 [n].
        row: where the other clip comes from.
        snr_db: power of the clip over that of the piece, each over its own samples.
        overlap: share of the clip's samples during which both speak.
        bonafide_only: whether the other speaker is bona fide always. With spoof speech in it, a
            bona fide clip is still labelled bona fide.
    """
    other = row.voices.other(row.generator, row.position, bonafide_only)
    share, snr, place, cut = (
        row.generator.uniform(low, high) for low, high in (overlap, snr_db, (0, 1), (0, 1))
    )
    if other is None:
        return waveform
    length = min(max(1, round(share * len(waveform))), len(other))
    first = int(cut * (len(other) - length + 1))
    piece = from_int16(other[first : first + length])
    power, piece_power = (float(np.mean(np.square(x, dtype=np.float64))) for x in (waveform, piece))
    if not power or not piece_power:
        return waveform
    start = int(place * (len(waveform) - length + 1))
    mixed = waveform.copy()
    mixed[start : start + length] += piece * np.float32(
        (power / piece_power / 10 ** (snr / 10)) ** 0.5
    )
    return mixed


@dataclass(frozen=True)
class HostAugmentation:
    """What is known of one effect.

    Attributes:
        function: ``(waveform float32 [n], row, *, fields) -> float32 [n]``, of one clip.
        limits: lowest and highest value that a field's numbers may have.
        codec: the row of `CODECS` that it needs; "" = none.
    """

    function: Callable[..., np.ndarray]
    limits: Limits = field(default_factory=dict)
    codec: str = ""


HOST_AUGMENTATIONS: Mapping[str, HostAugmentation] = {
    "second_speaker": HostAugmentation(second_speaker, {"snr_db": (-20, 60), "overlap": (0, 1)}),
    "mp3": HostAugmentation(mp3, {"kbps": CODECS["mp3"].limits}, "mp3"),
    "vorbis": HostAugmentation(vorbis, {"quality": CODECS["vorbis"].limits}, "vorbis"),
    "opus": HostAugmentation(opus, {"kbps": CODECS["opus"].limits}, "opus"),
}
"""Name in a config -> effect."""


class HostStep(NamedTuple):
    """One effect of a chain, with its fields, and the probability of it for a clip."""

    probability: float
    function: Callable[[np.ndarray, Row], np.ndarray]


class HostChain:
    """Effects in order, a `Change` of a `BatchSource`.

    Args:
        steps: the effects.
        cache: the clips.
    """

    def __init__(self, steps: Sequence[HostStep], cache: WaveformSource) -> None:
        self._steps = steps
        self._voices = Voices(cache)

    def __call__(self, waveform: np.ndarray, position: int, row_seed: int) -> np.ndarray:
        """Return float32 [n] of float32 [n]."""
        generator = np.random.default_rng(row_seed)
        drawn = generator.random(len(self._steps))
        for step, chance in zip(self._steps, drawn, strict=True):
            [own] = generator.spawn(1)
            if chance < step.probability:
                waveform = step.function(waveform, Row(own, position, self._voices))
        return waveform


def make_host_chain(config: HostAugmentConfig, cache: WaveformSource) -> HostChain | None:
    """Build the chain that a config describes; None if it describes none.

    Args:
        config: names in order, and fields by name.
        cache: the clips, among them those of second speakers.

    Raises:
        ConfigError: as `check_host_augment`.
    """
    steps = check_host_augment(config)
    return HostChain(steps, cache) if steps else None


def check_host_augment(config: HostAugmentConfig) -> list[HostStep]:
    """Return the effects of a config, in order.

    Raises:
        ConfigError: for an unknown name or field or a wrong value, in `steps` whether or not
            `chain` names it, or for a codec that libsndfile lacks here.
    """
    given = config.steps.to_dict()
    for name in given:
        complete_host_fields(name, given[name])
    steps = []
    for name in config.chain:
        fields = complete_host_fields(name, given.get(name, {}))
        row = HOST_AUGMENTATIONS[name]
        if row.codec:
            require_codec(row.codec, "config.data.host_augment.chain")
        steps.append(HostStep(fields.pop(PROBABILITY), partial(row.function, **fields)))
    return steps


def host_augment_config(steps: Mapping[str, Mapping[str, Any]]) -> HostAugmentConfig:
    """Return the config section of a chain, all its fields spelt out.

    Args:
        steps: in the order in which they are applied: name in `HOST_AUGMENTATIONS` -> the fields
            that differ from the defaults, ``probability`` among them.

    Raises:
        ConfigError: for an unknown name or field, or a wrong value.
    """
    whole = {name: complete_host_fields(name, fields) for name, fields in steps.items()}
    return HostAugmentConfig(chain=tuple(steps), steps=ConfigDict(whole))


def complete_host_fields(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of an effect after checking those given.

    Raises:
        ConfigError: for an unknown name or field, or a wrong value.
    """
    if name not in HOST_AUGMENTATIONS:
        raise ConfigError(f"host augmentation {unknown_field(name, HOST_AUGMENTATIONS)}")
    row = HOST_AUGMENTATIONS[name]
    return complete(name, keyword_fields(row.function), given, row.limits)
