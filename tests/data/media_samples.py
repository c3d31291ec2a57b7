"""Recordings in the containers of phones and messengers, made by PyAV."""

import io
from typing import Any

import numpy as np
import pytest

RATE = 48_000

FORMS: dict[str, tuple[str, str, int]] = {  # muxer, encoder, rate
    "m4a": ("ipod", "aac", RATE),
    "alac.m4a": ("ipod", "alac", RATE),
    "mp4": ("mp4", "aac", 44_100),
    "mov": ("mov", "aac", RATE),
    "3gp": ("3gp", "libopencore_amrnb", 8_000),
    "webm": ("webm", "libopus", RATE),
    "mkv": ("matroska", "aac", RATE),
    "aac": ("adts", "aac", RATE),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "wma": ("asf", "wmav2", 44_100),
    "flac.ogg": ("ogg", "flac", 16_000),
    "ac3": ("ac3", "ac3", RATE),
    "wv": ("wv", "wavpack", RATE),
    "tta": ("tta", "tta", RATE),
    "alac.caf": ("caf", "alac", RATE),
}
_BIT_RATES = {"libopencore_amrnb": 12_200, "ac3": 128_000}
_SAMPLE_FORMATS = {"wavpack": "s16p", "tta": "s16"}
_AAC_SAMPLES = 1024
LOSSLESS = ("alac.m4a", "flac.ogg", "wv", "tta", "alac.caf")


def tone(seconds: float, rate: int, hertz: float = 440.0) -> np.ndarray:
    """Return int16 [n], half of full scale."""
    time_s = np.arange(int(seconds * rate)) / rate
    return (16_000 * np.sin(2 * np.pi * hertz * time_s)).astype(np.int16)


def encoded(
    form: str,
    *tracks: np.ndarray,
    pictures: int = 0,
    options: dict[str, str] | None = None,
    left_out: range = range(0),
) -> bytes:
    """Return a file of one or more streams, mono each.

    Args:
        form: of `FORMS`.
        tracks: int16 [n] each.
        pictures: of a video stream before them; 0 = there is none.
        options: of the muxer.
        left_out: packets of AAC in the first track that are not written.
    """
    av = pytest.importorskip("av", reason="the extra `media` is not installed")
    muxer, codec, rate = FORMS[form]
    stream = io.BytesIO()
    with av.open(stream, "w", format=muxer, options=options or {}) as container:
        video: Any = _video_stream(container) if pictures else None
        streams = [_audio_stream(container, codec, rate) for _ in tracks]
        for number in range(pictures):
            picture = np.full((48, 64, 3), number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
        for place, (audio, samples) in enumerate(zip(streams, tracks, strict=True)):
            packets = [*audio.encode(_frame(av, samples, audio)), *audio.encode(None)]
            for number, packet in enumerate(packets):
                if left_out:
                    packet.pts = packet.dts = number * _AAC_SAMPLES
                if packet.size and not (place == 0 and number in left_out):
                    container.mux(packet)
        if video is not None:
            container.mux(video.encode(None))
    return stream.getvalue()


def _video_stream(container: Any) -> Any:
    video = container.add_stream("mpeg4", rate=10)
    video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
    return video


def _audio_stream(container: Any, codec: str, rate: int) -> Any:
    audio = container.add_stream(codec, rate=rate, layout="mono")
    if codec in _SAMPLE_FORMATS:
        audio.format = _SAMPLE_FORMATS[codec]
    audio.bit_rate = _BIT_RATES.get(codec, 64_000)
    return audio


def _frame(av: Any, samples: np.ndarray, audio: Any) -> Any:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = audio.codec_context.sample_rate
    wanted = audio.codec_context.format.name
    if wanted == "s16":
        return frame
    resampler = av.AudioResampler(format=wanted, layout="mono", rate=frame.sample_rate)
    return resampler.resample(frame)[0]
