"""A run that was never trained: any registered model with random weights, ready for commands."""

import dataclasses
from pathlib import Path
from typing import Any

import jax

from rawnet_jax.checkpoint import save_variables
from rawnet_jax.config import Config
from rawnet_jax.config_file import save_config
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.losses import loss_config
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.variables import init_variables
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    OperatingPoint,
    save_calibration,
    save_operating_point,
)
from tests.models.small_models import CASES, quickly

STEP = 7


def small_config(model: str = "conv1d", **data: Any) -> Config:
    """Return the config of the small form of a model; `data` are fields of ``config.data``."""
    case = CASES[model]
    config = Config(name=f"small {model}")
    config.model = model_config(model, **case.fields)
    config.data = dataclasses.replace(
        config.data, **{"num_samples": case.num_samples, "num_threads": 1, **data}
    )
    config.loss = loss_config(MODELS[model].loss)
    config.eval.batch_size = 8
    config.gate.speech = "off"  # what these networks hear in tests is noise and tones
    # Windows as short as these would be refused whatever is in them.
    shortest_s = config.data.num_samples / SAMPLE_RATE_HZ
    config.gate.min_duration_s = min(config.gate.min_duration_s, shortest_s)
    if shortest_s < 0.2:  # of which whole frames are less
        config.gate.min_active_s = 0.0
    return config


def write_run(
    workdir: Path, model: str = "conv1d", *, calibrated: bool = True, seed: int = 0, **data: Any
) -> Path:
    """Write a work directory as training and evaluation leave it: config, checkpoint, calibration.

    Args:
        workdir: made here.
        model: a row of the registry.
        calibrated: whether it has been evaluated: calibration and threshold are there.
        seed: of the weights.
        data: fields of ``config.data``, such as ``num_samples``.

    Returns:
        `workdir`.
    """
    config = small_config(model, **data)
    workdir.mkdir(parents=True)
    save_config(config, workdir)
    network = build_model(config.model)
    initial = quickly(lambda key: init_variables(network, key, config.data.num_samples))
    variables = initial(jax.random.key(seed))
    save_variables(workdir, "best", STEP, variables, {"dev_eer": 0.25})
    if calibrated:
        calibration = AffineCalibration(2.0, 0.5, 0.5, 100, 100)
        save_calibration(workdir / CALIBRATION_JSON, calibration)
        point = OperatingPoint(0.1, "equal error rate on dev", False, STEP)
        save_operating_point(workdir, point)
    return workdir
