"""Exported files measure the distance from training as the run does."""

import dataclasses
from importlib.util import find_spec

import numpy as np
import pytest

from rawnet_jax.errors import ExportError
from rawnet_jax.export.formats import WRITERS
from rawnet_jax.export.program import flax_rows
from rawnet_jax.export.verify import CheckClips, compare, write_verified
from rawnet_jax.metrics.outlier import fit_distance
from rawnet_jax.scoring.outlier import OutlierBound, OutlierRule
from tests.export.export_cases import clips, small_program

NEEDED = {
    "stablehlo": "flatbuffers",
    "onnx": "onnxruntime",
    "tflite": "litert_converter",
}
BOUND = OutlierBound(0.01, 2.5, 3.5)


@pytest.fixture(scope="module")
def program():
    plain = small_program("conv1d")
    embedding = flax_rows(plain, *clips(plain, 24))[:, 1:]
    # These embeddings hardly differ: a distance fitted to them alone would be one of roundings.
    spread = 0.1 * np.random.default_rng(3).standard_normal(embedding.shape)
    measure = fit_distance(embedding + spread, np.arange(24) % 2, 4)
    return plain.with_decision(None, None, outliers=OutlierRule(measure, BOUND, 7))


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_has_the_distance(program, kind, tmp_path):
    if find_spec(NEEDED[kind]) is None:
        pytest.skip(f"{NEEDED[kind]} is not installed")
    assert program.outputs == ("score", "distance")
    assert set(program.metadata["outputs"]) == {"score", "distance"}
    noted = program.metadata["unlike_training"]
    assert (noted["highest"], noted["highest_of_window"], noted["share"]) == (2.5, 3.5, 0.01)
    rows = CheckClips(*clips(program, 5), num_real=0)
    path = tmp_path / f"model.{kind}"
    found = write_verified(path, WRITERS[kind](program), kind, program, rows)
    assert found.distance is not None
    assert found.distance < 1e-5
    if kind == "onnx":  # another distance than the run's is found out
        rest, weights = 1.01 * program.measure.rest, 1.01 * program.measure.weights
        other = dataclasses.replace(program.measure, rest=rest, weights=weights)
        changed = dataclasses.replace(program, measure=other)
        assert (compare(path, kind, changed, rows).distance or 0) > 1e-4
        with pytest.raises(ExportError, match="differ from Flax's"):
            write_verified(path, path.read_bytes(), kind, changed, rows)


def test_a_program_without_the_rule_has_none_of_it():
    plain = small_program("conv1d")
    assert plain.outputs == ("score",)
    assert plain.metadata["unlike_training"] is None
