"""The JSON file beside an ONNX vocoder or codec: which input it takes."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json

_CHOICES = {
    "kind": ("vocoder", "codec"),
    "mel_scale": ("slaney", "htk"),
    "log": ("natural", "log10", "decibel"),
    "axes": ("bands, frames", "frames, bands"),
}
_WHOLE = ("sample_rate_hz", "fft", "window", "hop", "bands", "multiple", "delay")
_MAX_FFT = 2**16


@dataclass(frozen=True, slots=True)
class OnnxDescription:
    """What the model of a file takes. The defaults are those of HiFi-GAN's published models.

    Attributes:
        kind: ``vocoder`` (mel spectrogram in, waveform out) or ``codec`` (waveform in and out).
        sample_rate_hz: of its waveforms.
        multiple: a codec's input is filled to a multiple of so many samples.
        delay: its output starts so many samples late.
        fft: points of the spectrum.
        window: samples of the Hann window, at most `fft`.
        hop: samples between frames, and samples that a frame gives.
        bands: mel bands.
        low_hz: lower edge of the first band.
        top_hz: upper edge of the last; 0 = half the sample rate.
        mel_scale: ``slaney`` or ``htk``.
        equal_area: bands of the same area (librosa's ``norm="slaney"``), not of the same height.
        power: magnitudes to this power before the bands.
        log: natural, log10 or decibel (20 log10).
        floor: least value before the logarithm.
        mean: subtracted from the logarithm.
        deviation: the difference is divided by it.
        centred: frame i is centred on sample i hop (librosa's ``center=True``); else there are
            n / hop frames, as HiFi-GAN has them.
        axes: order of the last two axes of the input.
        name: in the table; "" = the file's name without its ending.
        licence: of the weights.
    """

    kind: str
    sample_rate_hz: int
    multiple: int = 1
    delay: int = 0
    fft: int = 1024
    window: int = 1024
    hop: int = 256
    bands: int = 80
    low_hz: float = 0.0
    top_hz: float = 8_000.0
    mel_scale: str = "slaney"
    equal_area: bool = True
    power: float = 1.0
    log: str = "natural"
    floor: float = 1e-5
    mean: float = 0.0
    deviation: float = 1.0
    centred: bool = False
    axes: str = "bands, frames"
    name: str = ""
    licence: str = "not stated"


def read_description(model: Path) -> OnnxDescription:
    """Read what is in ``NAME.json`` beside ``NAME.onnx``.

    Raises:
        DataError: the file is missing, no JSON, or a field of it cannot be.
    """
    path = model.with_suffix(".json")
    try:
        fields = parsed_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path}: is missing; it must say what {model.name} takes, such as "
            '{"kind": "vocoder", "sample_rate_hz": 22050, "hop": 256} (docs/vocode.md)'
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: is not JSON: {error}") from None
    return described(fields, str(path))


def described(fields: Any, source: str) -> OnnxDescription:
    """Check the fields of a description.

    Raises:
        DataError: one is unknown, missing or cannot be.
    """
    if not isinstance(fields, dict):
        raise DataError(f"{source}: must be a JSON object of named fields")
    known = {field.name: field for field in dataclasses.fields(OnnxDescription)}
    for name in fields:
        if name not in known:
            raise DataError(f"{source}: unknown field {name!r}; known are {', '.join(known)}")
    for name in ("kind", "sample_rate_hz"):
        if name not in fields:
            raise DataError(f"{source}: field {name} is missing")
    for name, value in fields.items():
        _check_type(source, name, value)
    found = OnnxDescription(**fields)
    _check_numbers(source, found)
    return found


def _check_type(source: str, name: str, value: Any) -> None:
    if name in _CHOICES:
        good, must = value in _CHOICES[name], " or ".join(map(repr, _CHOICES[name]))
    elif name in _WHOLE:
        good, must = type(value) is int and 0 <= value <= 2**20, "a whole number"
    elif name in ("equal_area", "centred"):
        good, must = isinstance(value, bool), "true or false"
    elif name in ("name", "licence"):
        good, must = isinstance(value, str) and not set(value) & set("\t\r\n"), "text of one line"
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        good, must = number and abs(value) < 1e9, "a number"
    if not good:
        raise DataError(f"{source}: field {name} is {value!r}; it must be {must}")


def _check_numbers(source: str, found: OnnxDescription) -> None:
    top_hz = found.top_hz or 0.5 * found.sample_rate_hz
    rules = {
        "sample_rate_hz must be 8,000 to 48,000": 8_000 <= found.sample_rate_hz <= 48_000,
        f"1 <= hop <= window <= fft <= {_MAX_FFT:,} must hold": (
            1 <= found.hop <= found.window <= found.fft <= _MAX_FFT
        ),
        "bands must be 1 to 1,024": 1 <= found.bands <= 1_024,
        "0 <= low_hz < top_hz <= half the sample rate must hold": (
            0.0 <= found.low_hz < top_hz <= 0.5 * found.sample_rate_hz
        ),
        "multiple must be 1 or more": found.multiple >= 1,
        "floor, power and deviation must be above 0": (
            min(found.floor, found.power, found.deviation) > 0.0
        ),
        "name must be without blanks": not any(map(str.isspace, found.name)),
    }
    for rule, holds in rules.items():
        if not holds:
            raise DataError(f"{source}: {rule}")
