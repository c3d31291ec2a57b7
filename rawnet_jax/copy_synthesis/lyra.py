"""Lyra version 2, a neural codec, by the model files that Google published with it.

The folder ``lyra/model_coeffs`` of Lyra's repository holds them (Apache-2.0). Codec: Zeghidour et
al., "SoundStream: an end-to-end neural audio codec", IEEE/ACM TASLP 30 (2022).
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.copy_synthesis.vocoder import OneOf, Settings, Vocoder, as_long
from rawnet_jax.errors import DataError

FILES = ("soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite")

_FRAME = 320  # 20 ms
_BITS = {3.2: 64, 6.0: 120, 9.2: 184}  # a frame, by kilobit a second
_BITS_A_QUANTIZER = 4


def lyra_row(folder: Path) -> Vocoder:
    """Return the row of the codec whose files are in a folder."""
    return Vocoder(
        "lyra",
        "neural codec",
        functools.partial(_copied, folder),
        (OneOf("kbit_s", tuple(_BITS)),),
        "Lyra v2 at three bit rates",
        "Apache-2.0 (code and weights)",
        "ai_edge_litert",
        tuple(folder / name for name in FILES),
    )


def _copied(
    folder: Path, waveform: np.ndarray, settings: Settings, _rng: np.random.Generator
) -> np.ndarray:
    """Return float32 [n]: float32 [n] at 16 kHz after coding and decoding."""
    # New ones for each clip: `reset_all_variables` leaves another state than they begin with.
    encoder, quantizer, decoder = (_interpreter(folder / name) for name in FILES)
    quantize = quantizer.get_signature_runner("encode")
    restore = quantizer.get_signature_runner("decode")
    number = np.array(_BITS[float(settings["kbit_s"])] // _BITS_A_QUANTIZER, np.int32)
    num_frames = -(-len(waveform) // _FRAME)
    frames = as_long(waveform, num_frames * _FRAME).reshape(num_frames, 1, _FRAME)
    made = np.empty((num_frames, _FRAME), np.float32)
    for index, frame in enumerate(frames):
        codes = quantize(input_frames=_through(encoder, frame), num_quantizers=number)["output_0"]
        made[index] = _through(decoder, restore(encoding_indices=codes)["output_0"])[0]
    return made.ravel()[: len(waveform)]


def _through(interpreter: Any, value: np.ndarray) -> np.ndarray:
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def _interpreter(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{path}: is not a TFLite model: {str(error).splitlines()[0]}") from None
    return interpreter
