"""Exported files tell where a fake lies among sources, as the run does."""

import dataclasses
import json
from importlib.util import find_spec

import numpy as np
import pytest

from rawnet_jax.errors import ExportError
from rawnet_jax.export.formats import WRITERS
from rawnet_jax.export.program import flax_rows
from rawnet_jax.export.verify import CheckClips, write_verified
from rawnet_jax.metrics.source import fit_families
from tests.export.export_cases import clips, small_program
from tests.export.test_distance_output import NEEDED


@pytest.fixture(scope="module")
def program():
    plain = small_program("conv1d")
    embedding = flax_rows(plain, *clips(plain, 24))[:, 1:]
    # These embeddings hardly differ: families of them alone would be of roundings.
    spread = 0.1 * np.random.default_rng(3).standard_normal(embedding.shape)
    rule = fit_families(embedding + spread, ["piper", "flite", "mbrola"] * 8)
    return plain.with_decision(None, None, sources=rule)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_has_the_coordinates(program, kind, tmp_path):
    if find_spec(NEEDED[kind]) is None:
        pytest.skip(f"{NEEDED[kind]} is not installed")
    assert program.outputs == ("score", "coordinates")
    rows = CheckClips(*clips(program, 5), num_real=0)
    path = tmp_path / f"model.{kind}"
    found = write_verified(path, WRITERS[kind](program), kind, program, rows)
    assert found.coordinates is not None
    assert found.coordinates < 1e-5
    whitening = 1.01 * program.sources.whitening
    changed = dataclasses.replace(
        program, sources=dataclasses.replace(program.sources, whitening=whitening)
    )
    with pytest.raises(ExportError, match="differ from Flax's"):
        write_verified(path, path.read_bytes(), kind, changed, rows)


def test_the_metadata_is_json_that_any_program_reads(program):
    noted = program.metadata["sources"]
    assert noted["names"] == ["flite", "mbrola", "piper"]
    assert np.array(noted["means"]).shape == (3, len(program.sources.whitening))
    unsure = dataclasses.replace(program.sources, least=np.inf)
    metadata = program.with_decision(None, None, sources=unsure).metadata
    assert "Infinity" not in json.dumps(metadata)
    assert metadata["sources"]["least"] > 1
    assert set(metadata["outputs"]) == {"score", "coordinates"}


def test_a_program_without_the_rule_has_none_of_it():
    assert small_program("conv1d").metadata["sources"] is None
