"""The fixed set of the fuzzer: 150 damaged inputs, the same in every run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from fuzzing.material import Material, make_material
from tests.conftest import REPO

CASES = 150  # of each kind at least one; `make fuzz` tries thousands
PARTS = 2
INPUTS = ["inputs"]


@pytest.fixture(scope="session")
def material(tmp_path_factory) -> Material:
    """The small run, made by the first of the test processes that comes."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "fuzz.lock"):
        return make_material(shared / "fuzz_material")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_fixed_cases(part, material, tmp_path):
    command = [sys.executable, "-m", "fuzzing", f"--cases={CASES}", "--seed=0", "--kinds=inputs"]
    command += [
        "--workers=1",
        f"--part={part}/{PARTS}",
        f"--material={material.folder}",
        "--failures",
        tmp_path,
    ]
    # Without ffmpeg, which is not everywhere.
    environment = {**os.environ, "FUZZ_FFMPEG": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, f"{made.stdout}\n{made.stderr}"
    assert f"{CASES // PARTS} cases in " in made.stdout


def test_the_parts_are_the_whole(material):
    from fuzzing.__main__ import cases_of
    from fuzzing.kinds.registry import GROUPS

    whole = cases_of(CASES, seed=0, kinds=INPUTS)
    parts = [
        case
        for part in range(PARTS)
        for case in cases_of(CASES, seed=0, kinds=INPUTS, part=(part, PARTS))
    ]
    assert len(set(whole)) == CASES
    assert {case.kind for case in whole} == set(GROUPS["inputs"])
    assert sorted(parts, key=str) == sorted(whole, key=str)
    assert set(cases_of(CASES, seed=1, kinds=INPUTS)).isdisjoint(whole)
    only = cases_of(20, seed=0, kinds=["audio"])
    assert set(only) <= set(whole)
    assert {case.kind for case in only} == {"audio"}
    assert Path(material.folder).is_dir()
