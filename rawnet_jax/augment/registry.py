"""The augmentations by name: one row each, and the config section that names them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_collections import ConfigDict

from rawnet_jax.augment.channel import a_law, band_limit, mu_law, sample_rate_reduction
from rawnet_jax.augment.fields import Limits, complete, keyword_fields
from rawnet_jax.augment.fir import MAX_HALF_WIDTH, NYQUIST_HZ
from rawnet_jax.augment.level import clipping, gain, polarity
from rawnet_jax.augment.masking import frequency_mask, time_mask, time_shift
from rawnet_jax.augment.noise import coloured_noise, noise
from rawnet_jax.augment.rawboost import ALGORITHMS, MAX_BANDS, MAX_DRAWN_TAPS, rawboost
from rawnet_jax.augment.resampling import pitch, speed
from rawnet_jax.augment.room import rir
from rawnet_jax.config import AugmentConfig, unknown_field
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """What is known of one augmentation.

    Attributes:
        function: ``(key, waveform [T], num_samples, *, fields) -> waveform [T]``, of one clip.
        bank: the field of `Banks` that comes after `num_samples`; "" = none.
        resizes: it returns ``(waveform, num_samples)``.
        limits: lowest and highest value that a field's numbers may have.
    """

    function: Callable[..., Any]
    bank: str = ""
    resizes: bool = False
    limits: Limits = field(default_factory=dict)


_FREQUENCIES = (0.0, NYQUIST_HZ)

AUGMENTATIONS: Mapping[str, Augmentation] = {
    "gain": Augmentation(gain),
    "clipping": Augmentation(clipping, limits={"share": (0, 1)}),
    "polarity": Augmentation(polarity),
    "noise": Augmentation(noise, bank="noise"),
    "coloured_noise": Augmentation(coloured_noise),
    "rir": Augmentation(rir, bank="rir", limits={"wet": (0, 1)}),
    "rawboost": Augmentation(
        rawboost,
        limits={
            "algorithm": (min(ALGORITHMS), max(ALGORITHMS)),
            "num_bands": (1, MAX_BANDS),
            "center_hz": _FREQUENCIES,
            "bandwidth_hz": _FREQUENCIES,
            "num_taps": (3, MAX_DRAWN_TAPS),
            "order": (1, 10),
            "impulse_percent": (0, 100),
        },
    ),
    "band_limit": Augmentation(
        band_limit, limits={"low_hz": _FREQUENCIES, "high_hz": _FREQUENCIES}
    ),
    "sample_rate_reduction": Augmentation(
        sample_rate_reduction, limits={"rate_hz": (1, SAMPLE_RATE_HZ)}
    ),
    "mu_law": Augmentation(mu_law),
    "a_law": Augmentation(a_law),
    "time_shift": Augmentation(time_shift),
    "time_mask": Augmentation(
        time_mask, limits={"num_masks": (1, 100), "duration_s": (0, math.inf)}
    ),
    "frequency_mask": Augmentation(
        frequency_mask, limits={"num_masks": (1, MAX_HALF_WIDTH // 32), "width_hz": _FREQUENCIES}
    ),
    "speed": Augmentation(speed, resizes=True, limits={"factor": (0.5, 2)}),
    "pitch": Augmentation(pitch, limits={"semitones": (-12, 12), "grain_s": (0.005, 1)}),
}
"""Name in a config -> augmentation."""


def augment_config(
    steps: Mapping[str, Mapping[str, Any]],
    noise_dir: str = "",
    rir_dir: str = "",
    exclusive: Sequence[str] = (),
    by_pair: bool = False,
) -> AugmentConfig:
    """Return the config section of a chain, all its fields spelt out.

    Args:
        steps: in the order in which they are applied: name in `AUGMENTATIONS` -> the fields that
            differ from the defaults, ``probability`` among them.
        noise_dir: folder of noises.
        rir_dir: folder of impulse responses.
        exclusive: names of steps of which a clip gets one at most.
        by_pair: both sides of a pair get the same draws.

    Raises:
        ConfigError: for an unknown name or field, or a wrong value.
    """
    complete = {name: complete_fields(name, fields) for name, fields in steps.items()}
    return AugmentConfig(
        chain=tuple(steps),
        exclusive=tuple(exclusive),
        by_pair=by_pair,
        steps=ConfigDict(complete),
        noise_dir=noise_dir,
        rir_dir=rir_dir,
    )


def complete_fields(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of an augmentation after checking those given.

    Args:
        name: in `AUGMENTATIONS`.
        given: the fields that differ from the defaults, ``probability`` among them.

    Raises:
        ConfigError: for an unknown name or field, or a wrong value.
    """
    if name not in AUGMENTATIONS:
        raise ConfigError(f"augmentation {unknown_field(name, AUGMENTATIONS)}")
    return complete(name, default_fields(name), given, AUGMENTATIONS[name].limits)


def default_fields(name: str) -> dict[str, Any]:
    """Return name and default of every field of an augmentation, ``probability`` first."""
    return keyword_fields(AUGMENTATIONS[name].function)
