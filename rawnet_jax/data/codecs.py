"""Lossy codecs of libsndfile: a waveform through an encoder and back again, in memory."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError


@dataclass(frozen=True)
class Codec:
    """How libsndfile is asked for a codec.

    Attributes:
        format: major format of libsndfile.
        subtype: its subtype.
        limits: lowest and highest rate that it can be asked for, in the codec's own unit.
        scale: the rates at which libsndfile's compression level is 1 and 0.
        options: further settings of the encoder.
        delay: samples that encoder and decoder add in front where the stream does not tell how
            many; it tells by returning as many samples as went in.
    """

    format: str
    subtype: str
    limits: tuple[float, float]
    scale: tuple[float, float]
    options: Mapping[str, Any]
    delay: int = 0


CODECS: Mapping[str, Codec] = {
    # Below 48 kb/s a frame has no room for LAME's tag: 576 samples of the encoder and 529 of the
    # decoder then stay in front. At 16 kHz it is MPEG-2, of 8 to 160 kb/s.
    "mp3": Codec(
        "MP3", "MPEG_LAYER_III", (16, 160), (8, 160), {"bitrate_mode": "CONSTANT"}, delay=1105
    ),
    "vorbis": Codec("OGG", "VORBIS", (0, 10), (0, 10), {}),
    "opus": Codec("OGG", "OPUS", (6, 256), (6, 256), {}),
}
"""Name -> codec. Rates are kb/s of mp3 (constant) and opus (average), and vorbis's quality."""


def round_trip(
    name: str, waveform: np.ndarray, rate: float, sample_rate_hz: int = SAMPLE_RATE_HZ
) -> np.ndarray:
    """Encode and decode a waveform.

    Args:
        name: in `CODECS`.
        waveform: float32 [n], n >= 1, full scale = 1.
        rate: within the codec's `limits`.
        sample_rate_hz: of the waveform; of MP3 16, 22.05 or 24 kHz, which are MPEG-2.

    Returns:
        float32 [n], in time with the waveform.

    Raises:
        soundfile.LibsndfileError: if libsndfile lacks the codec; `require_codec` tells before.
    """
    codec = CODECS[name]
    low, high = codec.scale
    stream = io.BytesIO()
    soundfile.write(
        stream,
        waveform,
        sample_rate_hz,
        format=codec.format,
        subtype=codec.subtype,
        compression_level=(high - rate) / (high - low),
        **codec.options,
    )
    stream.seek(0)
    decoded, _ = soundfile.read(stream, dtype="float32")
    start = codec.delay if len(decoded) > len(waveform) else 0
    decoded = decoded[start : start + len(waveform)]
    return np.pad(decoded, (0, len(waveform) - len(decoded)))


def has_codec(name: str) -> bool:
    """Try a codec: builds of libsndfile differ, and their lists of formats name what fails."""
    hum = 0.1 * np.sin(np.arange(SAMPLE_RATE_HZ // 10, dtype=np.float32))
    try:
        return bool(round_trip(name, hum, CODECS[name].limits[1]).any())
    except (soundfile.SoundFileError, ValueError, TypeError):  # old versions lack arguments
        return False


def require_codec(name: str, wanted_by: str) -> None:
    """Check that libsndfile can encode and decode a codec.

    Args:
        name: in `CODECS`.
        wanted_by: what names it, for the message.

    Raises:
        ConfigError: if it cannot.
    """
    if not has_codec(name):
        others = ", ".join(other for other in CODECS if has_codec(other)) or "none"
        raise ConfigError(
            f"{wanted_by} names {name!r}, which libsndfile {soundfile.__libsndfile_version__} "
            f"(soundfile {soundfile.__version__}) cannot encode here; it can: {others}"
        )
