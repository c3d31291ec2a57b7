"""The comparison with other frameworks runs; its figures are not looked at here."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import compare
from benchmarks.frameworks import worker
from benchmarks.frameworks.jax_side import JaxSide, without_noise
from benchmarks.frameworks.side import Opened, Outputs, Task
from benchmarks.frameworks.worker import SideError, Worker

TASK = Task("conv1d", batch_size=2, num_samples=800)


@pytest.fixture(scope="module")
def ours() -> JaxSide:
    side = JaxSide()
    side.open(TASK, None)
    return side


def test_tiny_form_prints_every_kind_of_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "--tiny", "--models", "conv1d"])
    assert compare.main() == 0
    printed = capsys.readouterr().out
    assert "conv1d, batch 2, 3,200 samples" in printed
    for name in ("train", "score", "one clip", "first train step s", "peak memory MB"):
        assert f"| {name} | " in printed


def test_exported_weights_give_the_same_scores_in_a_new_side(ours: JaxSide) -> None:
    other = JaxSide()
    other.build(TASK, ours.weights())
    np.testing.assert_array_equal(other.score_one(), ours.score_one())


def test_dropout_and_noise_of_every_model_can_be_switched_off() -> None:
    fields = {name: without_noise(name) for name in compare.BATCH_SIZES}
    assert fields["conv1d"] == {"block_dropout": (0.0, 0.0), "hidden_dropout": 0.0}
    assert fields["aasist"] == {"dropout": 0.0, "pool_dropout": 0.0, "head_dropout": 0.0}
    assert fields["lfcc_resnet18"] == {"pooling_noise": 0.0}


@pytest.mark.parametrize("name", ["scores", "loss", "gradient_norm"])
def test_sides_that_disagree_are_refused(name: str) -> None:
    ours = Outputs(scores=np.ones(2), loss=0.5, gradient_norm=2.0)
    theirs = replace(ours, **{name: 1.01 * getattr(ours, name)})
    outputs = {"jax": ours, "torch": theirs}
    with pytest.raises(SideError, match=f"conv1d: {name} differ: jax .*, torch"):
        compare.check(TASK, outputs)


def test_ratio_is_to_the_faster_of_the_others_in_the_same_round() -> None:
    comparison = compare.Comparison(Task("conv1d", 32, 16_000))
    comparison.opened = {side: Opened(1.0, 1.0, 1.0) for side in ("jax", "torch", "keras")}
    for side, seconds in (("jax", [1, 2, 1]), ("torch", [3, 4, 9]), ("keras", [8, 8, 8])):
        comparison.seconds["train", side] = [float(s) for s in seconds]
    assert compare.ratio_cells(comparison, "train") == [
        "3.00",
        "2.00..9.00",
        "torch",
        ">= 2.0: met",
    ]
    comparison.seconds["train", "jax"] = [3.0, 3.0, 3.0]
    assert compare.ratio_cells(comparison, "train")[-1] == ">= 2.0: MISSED"


def test_a_side_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = worker.Row("no_such_framework", "", "")
    monkeypatch.setitem(worker.SIDES, "torch", missing)
    with pytest.raises(
        SideError, match=r"^side torch needs no_such_framework.*rawnet_jax\[bench\]"
    ):
        Worker("torch")


@pytest.mark.parametrize("side", ["torch", "keras"])
def test_another_framework_computes_the_same(ours: JaxSide, side: str) -> None:
    package = worker.SIDES[side].package
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; it is in the extra bench")
    weights = ours.weights()
    with Worker(side) as other:
        other.call("open", TASK, weights)
        theirs = other.call("outputs", weights)
    compare.check(TASK, {"jax": ours.outputs(weights), side: theirs})
