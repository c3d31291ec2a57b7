"""Speaks one sentence by an engine that is a Python package; runs as a process of its own.

It reads a JSON object from standard input and writes a WAV file.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import soundfile

from rawnet_jax.terminal import complain, one_line

Asked = Mapping[str, Any]


def _kokoro(asked: Asked) -> tuple[np.ndarray, int]:
    from kokoro_onnx import Kokoro

    engine = Kokoro(asked["model"], asked["styles"])
    speed, language = asked["settings"]["speed"], asked["language"]
    return engine.create(asked["text"], voice=asked["voice"], speed=speed, lang=language)


def _kitten(asked: Asked) -> tuple[np.ndarray, int]:
    from kittentts import KittenTTS

    engine = KittenTTS(asked["model"], asked["styles"])
    speed = asked["settings"]["speed"]
    return engine.generate(asked["text"], voice=asked["voice"], speed=speed), 24_000


def _openjtalk(asked: Asked) -> tuple[np.ndarray, int]:
    import pyopenjtalk

    settings = asked["settings"]
    speech, rate = pyopenjtalk.tts(
        asked["text"], speed=settings["speed"], half_tone=settings["half_tone"]
    )
    return speech / 32_768.0, rate  # it is on the scale of 16 bits


_SPEAKERS: Mapping[str, Callable[[Asked], tuple[np.ndarray, int]]] = {
    "kokoro": _kokoro,
    "kitten": _kitten,
    "openjtalk": _openjtalk,
}


def main() -> int:
    """Write the file; an error is one line on standard error and status 1."""
    asked = json.load(sys.stdin)
    try:
        speech, rate = _SPEAKERS[asked["engine"]](asked)
        soundfile.write(asked["output"], np.ravel(speech), rate, subtype="FLOAT", format="WAV")
    except Exception as error:  # whatever a package raises
        complain(f"{type(error).__name__}: {one_line(error)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
