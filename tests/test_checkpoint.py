"""Checkpoints: what is read is what was saved."""

import json
import shutil
from typing import Any

import jax
import numpy as np
import pytest

from rawnet_jax.checkpoint import restore_variables, save_variables
from rawnet_jax.errors import CheckpointError
from rawnet_jax.mesh import make_mesh, replicated

VARIABLES: dict[str, Any] = {
    "params": {"kernel": np.arange(4000, dtype=np.float32).reshape(40, 100)},
    "batch_stats": {"count": np.int32(3)},
}


def saved(workdir):
    save_variables(workdir, "best", 7, VARIABLES, {})
    return workdir / "checkpoints" / "best" / "7"


def restored(workdir):
    return restore_variables(workdir, "best", VARIABLES, replicated(make_mesh()))


def test_what_was_saved_is_restored(tmp_path):
    saved(tmp_path)
    found, step = restored(tmp_path)
    assert step == 7
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(VARIABLES), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_without_digests_is_restored(tmp_path):
    shutil.rmtree(saved(tmp_path) / "digest")
    assert restored(tmp_path)[1] == 7


@pytest.mark.parametrize("content", ['{"variables": "00"}', "{}", "", "[" * 100_000])
def test_another_digest_is_one_line(tmp_path, content):
    """What a flipped bit of a parameter comes to; orbax compresses, so a flip may not be read."""
    (saved(tmp_path) / "digest" / "metadata").write_text(content)
    with pytest.raises(CheckpointError, match=r"best/7: damaged: .*there is no other") as error:
        restored(tmp_path)
    assert "\n" not in str(error.value)


def test_no_flipped_bit_changes_what_is_restored(tmp_path):
    folder = saved(tmp_path / "run")
    files = [p for p in sorted(folder.glob("variables/**/*")) if p.is_file()]
    largest = max(files, key=lambda p: p.stat().st_size).relative_to(folder)
    rng = np.random.default_rng(0)
    outcomes = []
    for number in range(12):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(tmp_path / "run", copy)
        path = copy / "checkpoints" / "best" / "7" / largest
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            found, _ = restored(copy)
        except CheckpointError as error:
            outcomes.append(str(error))
        else:
            kernel = np.asarray(found["params"]["kernel"])
            np.testing.assert_array_equal(kernel, VARIABLES["params"]["kernel"])
    assert any("damaged" in line or "cannot be restored" in line for line in outcomes)


def test_what_digests_say(tmp_path):
    digest = json.loads((saved(tmp_path) / "digest" / "metadata").read_text())
    assert [*digest] == ["variables"]
    assert len(digest["variables"]) == 64


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_one_line(tmp_path, bad):
    kernel = VARIABLES["params"]["kernel"].copy()
    kernel[3, 4] = bad
    save_variables(tmp_path, "best", 7, VARIABLES | {"params": {"kernel": kernel}}, {})
    with pytest.raises(CheckpointError, match=r"best/7: 1 of 4,000 values of params/kernel are"):
        restored(tmp_path)
