"""Small programs to export, and what runs an ONNX file without a process of its own."""

import os
from typing import Any

import jax
import numpy as np
import pytest

from rawnet_jax.export.program import Program, make_program
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.models.registry import MODELS, build_model
from rawnet_jax.models.variables import variable_shapes
from tests.models.small_models import CASES, small_model, unlike
from tests.small_run import small_config

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

SOURCE = {"checkpoint": "best", "step": 7, "fingerprint": "f" * 64}


def exported_as(kind: str) -> list[str]:
    """Return the models that go into a format; of those with the same small form, one."""
    listed = [name for name in sorted(CASES, reverse=True) if kind in MODELS[name].formats]
    return unlike({small_model(name): name for name in listed}.values())


def small_program(
    name: str = "conv1d",
    *,
    seed: int = 0,
    calibration: Calibration | None = None,
    pad: str = "zero",
    num_samples: int | None = None,
    speech: str = "off",
    **fields: Any,
) -> Program:
    """Return the small form of a model with weights and statistics that no training has made."""
    config = small_config(name, pad=pad)
    config.gate.speech = speech
    for field, value in fields.items():
        config.model.fields[field] = value
    model = build_model(config.model)
    shapes = variable_shapes(model, config.data.num_samples)
    rng = np.random.default_rng(seed)

    def drawn(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        kind = jax.tree_util.keystr(path[-1:], simple=True)
        if kind in ("var", "scale"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        gain = 0.1 if len(leaf.shape) == 1 else 2 / np.sqrt(np.prod(leaf.shape[:-1]))
        return (gain * rng.standard_normal(leaf.shape)).astype(np.float32)

    variables = jax.tree_util.tree_map_with_path(drawn, shapes)
    program = make_program(config, variables, SOURCE, num_samples=num_samples)
    return program.with_decision(calibration, None)


def clips(program: Program, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return noise, ever quieter, [count, T], and how much of each row is clip."""
    rng = np.random.default_rng(1)
    level = 0.3 / np.arange(1, count + 1)[:, None] ** 2
    waveform = (level * rng.standard_normal((count, program.num_samples))).astype(np.float32)
    num_samples = np.full(count, program.num_samples, np.int32)
    if program.takes_num_samples:
        num_samples[1::2] = program.num_samples * 2 // 3
        waveform[np.arange(program.num_samples) >= num_samples[:, None]] = 0
    return waveform, num_samples


def run_onnx(content: bytes, *inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Run a model in this process."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    feeds = {one.name: value for one, value in zip(session.get_inputs(), inputs, strict=True)}
    return dict(zip(names, session.run(names, feeds), strict=True))
