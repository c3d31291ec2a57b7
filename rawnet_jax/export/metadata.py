"""What an exported file says of itself, so that it can be used without this package."""

import importlib.metadata
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import jax

from rawnet_jax.config import Config, GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.labels import Label
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.source import SourceRule
from rawnet_jax.scoring.outlier import OutlierBound
from rawnet_jax.scoring.speech import MIN_SHARE, OFF
from rawnet_jax.scoring.verdict import OperatingPoint
from rawnet_jax.scoring.windows import hop_samples

FORMAT_VERSION = 1
"""Of this record; it rises when a field changes its meaning."""

_PADDING = {
    "zero": "a shorter clip is followed by zeros",
    "repeat": "a shorter clip is repeated until the row is full",
}


def describe(
    config: Config, num_samples: int, takes_num_samples: bool, source: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the metadata of a program, ready for JSON.

    Args:
        config: of the run.
        num_samples: T.
        takes_num_samples: whether it has a second input.
        source: which checkpoint it is.
    """
    return {
        "format_version": FORMAT_VERSION,
        "producer": f"rawnet_jax {_version()}, JAX {jax.__version__}",
        "run": config.name,
        "model": config.model.name,
        "checkpoint": dict(source),
        "inputs": _inputs(num_samples, takes_num_samples),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "num_samples": num_samples,
        "pad": config.data.pad,
        "clip": f"the first {num_samples} samples; {_PADDING[config.data.pad]}",
        "gate": asdict(config.gate),
        "speech": _speech(config.gate),
        "longer": _windows(config, num_samples),
        "labels": {label.key: int(label) for label in Label},
        "score_direction": "higher = more bona fide",
        "software_license": "Apache-2.0",
        **how_to_read(None, None, "", None, None),
    }


def how_to_read(
    calibration: Calibration | None,
    threshold: OperatingPoint | None,
    licence: str,
    outliers: OutlierBound | None,
    sources: SourceRule | None,
) -> dict[str, Any]:
    """Return the part of the metadata that `Program.with_decision` sets; see there."""
    return {
        "outputs": _outputs(calibration, outliers, sources),
        "threshold": None if threshold is None else _threshold(threshold),
        "calibration": None if calibration is None else calibration.to_dict(),
        "unlike_training": None if outliers is None else _unlike_training(outliers),
        "sources": None if sources is None else _sources(sources),
        "license": licence or "not stated by whoever trained it",
    }


def _inputs(num_samples: int, takes_num_samples: bool) -> dict[str, str]:
    inputs = {
        "waveform": f"float32 [B, {num_samples}], mono at {SAMPLE_RATE_HZ} Hz, full scale = 1, "
        "not normalised"
    }
    if takes_num_samples:
        inputs["num_samples"] = "int32 [B], samples of each row that are clip, at least 1"
    return inputs


def _outputs(
    calibration: Calibration | None, outliers: OutlierBound | None, sources: SourceRule | None
) -> dict[str, str]:
    outputs = {"score": "float32 [B], higher = more bona fide"}
    if calibration is not None:
        outputs["llr"] = "float32 [B], natural logarithm of the likelihood ratio, bona fide / spoof"
    if outliers is not None:
        outputs["distance"] = "float32 [B], from what the network was trained on, about 1 there"
    if sources is not None:
        width = len(sources.whitening)
        outputs["coordinates"] = f"float32 [B, {width}], where a row lies among sources of fakes"
    return outputs


def _unlike_training(bound: OutlierBound) -> dict[str, Any]:
    """Return which rows are unlike anything in training, by the output ``distance``."""
    return {
        "output": "distance",
        "highest": bound.clip,
        "highest_of_window": bound.window,
        "share": bound.share,
        "rule": "no verdict above highest: share of genuine dev speech lies there; highest is of "
        "the mean over the windows that a score is of, highest_of_window of one",
    }


def _sources(rule: SourceRule) -> dict[str, Any]:
    """Return which family of engines a fake comes from, by the output ``coordinates``."""
    return {
        "output": "coordinates",
        "names": list(rule.names),
        "means": rule.coordinates(rule.means).tolist(),
        # JSON has no infinity, which `least` is where no name is ever sure.
        "farthest": min(rule.farthest, sys.float_info.max),
        "least": min(rule.least, sys.float_info.max),
        "share": rule.share,
        "rule": "of a recording that is called spoof, the nearest of means to the mean coordinates "
        "of the windows that its score is of: if their distance over the root of the width is at "
        "most farthest, and the nearest is at least as probable as least, each mean weighing "
        "exp(-distance^2 / 2); else none of these",
    }


def _speech(gate: GateConfig) -> dict[str, Any] | None:
    """Return how much speech a row must hold; None where any will do.

    ``output`` names what the file says of it; None = the file does not look for speech.
    """
    if not gate.enabled or gate.speech == OFF:
        return None
    return {
        "detector": gate.speech,
        "needed_s": gate.min_speech_s,
        "needed_share": MIN_SHARE,
        "rule": "a row is judged where its speech is at least the smaller of needed_s and "
        "needed_share of its length",
        "output": None,
    }


def _threshold(point: OperatingPoint) -> dict[str, Any]:
    of = "llr" if point.on_llr else "score"
    noted = {"value": point.threshold, "of": of, "bonafide": f"{of} >= value", "rule": point.rule}
    if point.lowest is not None and point.highest is not None:
        noted |= {"lowest_score": point.lowest, "highest_score": point.highest}
    return noted


def _windows(config: Config, num_samples: int) -> dict[str, Any]:
    """Return how the run scores what is longer than a row: its beginning alone, or windows."""
    hop = hop_samples(num_samples, config.eval.window_hop)
    return {"aggregate": config.eval.aggregate or "first", "hop_samples": hop}


def _version() -> str:
    try:
        return importlib.metadata.version("rawnet_jax")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
