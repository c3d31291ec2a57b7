"""Vocoders and codecs of other projects, as ONNX files with a description beside them."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from scipy.fft import rfft
from scipy.signal import get_window

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.onnx_description import OnnxDescription, read_description
from rawnet_jax.copy_synthesis.vocoder import Function, Settings, Vocoder, as_long
from rawnet_jax.dsp.mel_bank import mel_bank
from rawnet_jax.errors import DataError

_LOGARITHMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "natural": np.log,
    "log10": np.log10,
    "decibel": lambda values: 20.0 * np.log10(values),
}


def onnx_row(path: Path) -> Vocoder:
    """Return the row of the model in ``NAME.onnx``, as ``NAME.json`` describes it.

    Raises:
        DataError: the description is missing or wrong.
    """
    description = read_description(path)
    function: Function = functools.partial(_copied, path, description)
    return Vocoder(
        description.name or "_".join(path.stem.split()),
        f"neural {description.kind}",
        function,
        (),
        f"{description.kind} in ONNX at {description.sample_rate_hz:,} Hz",
        description.licence,
        "onnxruntime",
        (path, path.with_suffix(".json")),
    )


def log_mel(waveform: np.ndarray, description: OnnxDescription) -> np.ndarray:
    """Return float32 [bands, frames], the spectrogram that a vocoder takes.

    Args:
        waveform: float [n] at its sample rate, n > fft.
        description: of the vocoder.
    """
    d = description
    padding = d.fft // 2 if d.centred else (d.fft - d.hop) // 2
    padded = np.pad(np.asarray(waveform, np.float64), padding, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, d.fft)[:: d.hop]
    window = np.zeros(d.fft)
    start = (d.fft - d.window) // 2
    window[start : start + d.window] = get_window("hann", d.window)
    top_hz = d.top_hz or 0.5 * d.sample_rate_hz
    bank = mel_bank(d.sample_rate_hz, d.fft, d.bands, d.low_hz, top_hz, d.mel_scale, d.equal_area)
    bands = bank @ (np.abs(rfft(frames * window)) ** d.power).T
    values = _LOGARITHMS[d.log](np.maximum(bands, d.floor))
    return np.asarray((values - d.mean) / d.deviation, np.float32)


def _copied(
    path: Path,
    description: OnnxDescription,
    waveform: np.ndarray,
    _settings: Settings,
    _rng: np.random.Generator,
) -> np.ndarray:
    """Return float [n] of float32 [n] at 16 kHz."""
    rate_hz = description.sample_rate_hz
    given = soxr.resample(waveform, SAMPLE_RATE_HZ, rate_hz, quality="HQ")
    num_samples = len(given)
    if description.kind == "codec":
        whole = -(-num_samples // description.multiple) * description.multiple
        given = as_long(given, whole)
        value: np.ndarray = given
    else:
        given = as_long(given, max(num_samples + description.hop, description.fft + 1))
        value = log_mel(given, description)
        value = value.T if description.axes == "frames, bands" else value
    made = _run(path, np.ascontiguousarray(value))[description.delay :]
    if len(made) < num_samples - description.delay - 2 * description.hop:
        raise DataError(
            f"{path}: gives {len(made)} samples for {num_samples} at {rate_hz} Hz; hop and "
            f"sample_rate_hz in {path.with_suffix('.json').name} must be those of the model"
        )
    made = as_long(made, num_samples)
    return as_long(soxr.resample(made, rate_hz, SAMPLE_RATE_HZ, quality="HQ"), len(waveform))


def _run(path: Path, value: np.ndarray) -> np.ndarray:
    """Return the model's first output as float [m] for an input without its leading axes."""
    session = _session(path)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise DataError(f"{path}: has the inputs {names}; it must have one")
    rank = len(inputs[0].shape or ())
    if rank < value.ndim:
        raise DataError(f"{path}: its input has {rank} axes; it must have {value.ndim} or more")
    shaped = value.reshape((1,) * (rank - value.ndim) + value.shape)
    try:
        made = np.asarray(session.run(None, {inputs[0].name: shaped})[0])
    except Exception as error:  # onnxruntime's errors share no public base
        said = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: cannot run on input of shape {shaped.shape}: {said}") from None
    if made.size != max(made.shape, default=0):
        raise DataError(f"{path}: gives shape {made.shape}; it must be one waveform")
    return made.reshape(-1)


@functools.lru_cache
def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread: processes share the cores, and sums keep their order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        said = str(error).splitlines()[0][:200]
        raise DataError(f"{path}: is not an ONNX model that can be run: {said}") from None
