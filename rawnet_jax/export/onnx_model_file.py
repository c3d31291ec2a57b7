"""An exported ONNX file as something that scores recordings, without JAX."""

import hashlib
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.config_check import check_section
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.export.metadata_strings import from_strings
from rawnet_jax.export.stamp import check_file
from rawnet_jax.metrics.calibration import calibration_from_dict
from rawnet_jax.regular_file import read_regular
from rawnet_jax.scoring.outlier import OutlierBound
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint

_FIRST = "first"


class OnnxDetector:
    """A file that ``export --format onnx`` wrote, run by ONNX Runtime on the CPU.

    See `rawnet_jax.scoring.model.ScoringModel`.
    """

    num_devices = 1

    def __init__(self, path: Path, speech: str | None = None) -> None:
        """Load the file.

        Args:
            path: the file.
            speech: what looks for speech, see `GateConfig.speech`; None = as the file says.

        Raises:
            ConfigError: there is no such file, ONNX Runtime is not installed, or there is nothing
                of the name of `speech`.
            DataError: it was not written by ``export``, or is damaged.
        """
        if not path.is_file():
            raise ConfigError(f"{path}: no such file")
        try:
            from onnxruntime import InferenceSession
        except ModuleNotFoundError:
            raise ConfigError(
                "an .onnx file needs onnxruntime: pip install 'rawnet_jax[export]'"
            ) from None
        self._path = path
        try:
            content = read_regular(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            self._session: Any = InferenceSession(str(path), providers=["CPUExecutionProvider"])
            strings = dict(self._session.get_modelmeta().custom_metadata_map)
            self._metadata = from_strings(strings)
            self._metadata["num_samples"], self._metadata["gate"]
        except Exception as error:  # ONNX Runtime raises kinds of its own
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{path}: must be a file that this package exported ({reason})"
            ) from None
        check_file(content, path)
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._gate = GateConfig(**self._metadata["gate"])
        if speech is not None:
            self._gate.speech = speech
        check_section(self._gate, "gate")

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self._metadata["run"])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    @property
    def recipe(self) -> Recipe:
        """Windows, padding, gate and aggregation, as the file has them."""
        length, longer = int(self._metadata["num_samples"]), self._metadata["longer"]
        aggregation = longer["aggregate"]
        return Recipe(
            window=length,
            hop=int(longer.get("hop_samples", length)),
            aggregation="" if aggregation == _FIRST else aggregation,
            pad=self._metadata["pad"],
            gate=self._gate,
        )

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Score float32 [B, T] with int32 [B] samples per row; see `ScoringModel`."""
        outputs = ["score"] if self._outliers is None else ["score", "distance"]
        found = np.full((len(waveform), len(outputs)), np.nan, np.float32)
        used = num_samples > 0
        feeds = {"waveform": waveform[used], "num_samples": num_samples[used].astype(np.int32)}
        feeds = {name: rows for name, rows in feeds.items() if name in self._inputs}
        found[used] = np.stack(self._session.run(outputs, feeds), axis=1)
        return found if len(outputs) > 1 else found[:, 0]

    @property
    def _outliers(self) -> OutlierBound | None:
        """How far from training may be what is judged; files of older versions do not say."""
        noted = self._metadata.get("unlike_training")
        if noted is None:
            return None
        return OutlierBound(noted["share"], noted["highest"], noted["highest_of_window"])

    def decision(self, *, prior: float = 0.5, threshold: float | None = None) -> DecisionRule:
        """Return the decision rule that is noted in the file.

        Raises:
            ConfigError: a number is out of range, or the file has no threshold and none is given.
        """
        record, noted = self._metadata["calibration"], self._metadata["threshold"]
        calibration = None if record is None else calibration_from_dict(record)
        bounds = [(noted or {}).get(name) for name in ("lowest_score", "highest_score")]
        if threshold is not None:
            if not math.isfinite(threshold):
                raise ConfigError(f"threshold {threshold}: must be a finite number")
            point = OperatingPoint(threshold, "given by the user", False, None, {}, *bounds)
        elif noted is None:
            raise ConfigError(f"{self._path}: notes no threshold; give one")
        else:
            is_llr = noted["of"] == "llr"
            point = OperatingPoint(noted["value"], noted["rule"], is_llr, None, {}, *bounds)
        notes: tuple[str, ...] = ("no calibration: no log-likelihood ratio and no P(spoof)",)
        notes = () if calibration is not None else notes
        return DecisionRule(point, calibration, prior, notes, self._outliers)
