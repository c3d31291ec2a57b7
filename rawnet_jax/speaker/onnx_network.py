"""Any ONNX file that makes a vector of a waveform, as an encoder of voices.

The file must have one input, float32 samples at 16 kHz, full scale = 1, of shape [T], [1, T] or
[B, T], and one output (the first counts) of shape [D], [1, D] or [B, D]. Where T is fixed, a clip
is cut into windows of that length, half over each other, a shorter one repeated to fill it, and its
vector is the mean of theirs. The file is tried on noise when it is loaded.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.regular_file import check_regular
from rawnet_jax.speaker.network import mean_voice, unit

_TRIED_S = (1.0, 2.5)
_LEAST_WIDTH = 2
_SAME = 1e-4  # of the vectors of one clip, twice
_ALIKE = 1e-7  # vectors of two noises differ by more, if the file looks at its input


class OnnxNetwork:
    """An ONNX file; see the module's docstring and `rawnet_jax.speaker.network.VoiceNetwork`."""

    def __init__(self, path: Path) -> None:
        """Load and try the file.

        Raises:
            ConfigError: ONNX Runtime is not installed.
            DataError: there is no such file, it is not an ONNX file, or not of this kind.
        """
        self._path = path
        self._session = _session(path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not outputs:
            names = ", ".join(one.name for one in inputs) or "none"
            raise self._error(f"its inputs are {names}; it must have one, the waveform")
        if inputs[0].type != "tensor(float)" or len(inputs[0].shape) not in (1, 2):
            raise self._error(
                f"its input is {inputs[0].type} {inputs[0].shape}; it must be float32 [T] or [B, T]"
            )
        self._input, self._output = inputs[0].name, outputs[0].name
        self._ndim = len(inputs[0].shape)
        last = inputs[0].shape[-1]
        self._length = last if isinstance(last, int) and last > 0 else None
        self._width = self._tried()

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self._width

    def prepared(self, waveform: np.ndarray) -> np.ndarray:
        """Return the clip as it is."""
        return waveform

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the vector of a clip, float32 [width].

        Raises:
            DataError: the file cannot compute it, or gives no numbers.
        """
        if self._length is None:
            return unit(self._run(waveform))
        return mean_voice(np.stack([self._run(one) for one in self._windows(waveform)]))

    def _windows(self, waveform: np.ndarray) -> list[np.ndarray]:
        length = self._length or 1
        if len(waveform) <= length:
            return [np.resize(waveform, length)]
        starts = range(0, len(waveform) - length + 1, max(length // 2, 1))
        return [waveform[start : start + length] for start in starts]

    def _run(self, waveform: np.ndarray) -> np.ndarray:
        given = waveform.astype(np.float32)
        given = given[None] if self._ndim == 2 else given
        try:
            (found,) = self._session.run([self._output], {self._input: given})
        except Exception as error:  # ONNX Runtime raises kinds of its own
            reason = " ".join(str(error).split())[:200]
            raise self._error(f"it failed on {len(waveform):,} samples: {reason}") from None
        array = np.asarray(found)
        vector = array.reshape(-1)
        if array.ndim > 2 or max(array.shape, default=0) != vector.size:
            raise self._error(f"its output is {list(array.shape)}; it must be [D] or [1, D]")
        if vector.size < _LEAST_WIDTH or vector.dtype.kind != "f":
            raise self._error(
                f"its output is {vector.dtype} [{vector.size}]; it must be floats, two or more"
            )
        if not np.isfinite(vector).all():
            raise self._error("its output is not finite; every number must be")
        return vector

    def _tried(self) -> int:
        """Return the width of the vectors, the same for all clips that it is tried on."""
        rng = np.random.default_rng(0)
        clips = [0.1 * rng.standard_normal(int(s * SAMPLE_RATE_HZ)) for s in _TRIED_S]
        found = [self.embed(clip) for clip in clips]
        if len(found[0]) != len(found[1]):
            raise self._error(
                f"its output has {len(found[0])} numbers for {_TRIED_S[0]:g} s and "
                f"{len(found[1])} for {_TRIED_S[1]:g} s; they must be as many for every clip"
            )
        if np.abs(found[0] - self.embed(clips[0])).max() > _SAME:
            raise self._error("it gives another vector each time; it must be the same")
        if not all(vector.any() for vector in found) or np.abs(found[0] - found[1]).max() < _ALIKE:
            raise self._error("its vectors do not depend on the waveform; they must")
        return len(found[0])

    def _error(self, text: str) -> DataError:
        return DataError(f"{self._path}: no encoder of voices: {text}")


def _session(path: Path) -> Any:
    try:
        from onnxruntime import InferenceSession, SessionOptions
    except ModuleNotFoundError:
        raise ConfigError(
            "an .onnx file needs onnxruntime: pip install 'rawnet_jax[export]'"
        ) from None
    try:
        check_regular(path)
        options = SessionOptions()
        options.log_severity_level = 4  # what is wrong is raised
        return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # ONNX Runtime raises kinds of its own
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: must be an ONNX file ({reason})") from None
