"""The benchmark of the augmentations still runs, and leaves none of them out."""

import re

import pytest

from benchmarks import augmentation
from benchmarks.augmentation_numpy import EFFECTS
from rawnet_jax.augment.registry import AUGMENTATIONS


def test_a_tiny_benchmark_prints_a_table(capsys):
    assert augmentation.main(["--tiny", "--only", "gain", "noise", "rawboost 2"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^gain +[\d,]+ +[\d,]+ +\d+\.\d +\d+\.\d", printed, re.MULTILINE)
    assert re.search(r"^rawboost 2 +[\d,]+", printed, re.MULTILINE)
    assert "2 clips of 0.1 s" in printed


def test_every_augmentation_is_compared():
    assert {name.partition(" ")[0] for name in EFFECTS} == AUGMENTATIONS.keys()


@pytest.mark.parametrize("name", EFFECTS)
def test_both_sides_return_a_batch(name):
    material = augmentation.Material.made_up(2, 1600)
    batch = augmentation.plain_form(name, material)()
    assert batch.shape == material.clips.shape
    assert (abs(batch - material.clips).max(axis=1) > 1e-4).all()
