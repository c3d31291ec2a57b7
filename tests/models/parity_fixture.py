"""Reads the parity fixtures: weights and inputs by rule, outputs and taps to compare with.

A model shows its intermediate tensors by ``self.sow("intermediates", TAP_NAME, x)``, channels last;
here they are brought into the layout of the fixture and compared one by one, in the order of the
computation, so that the first difference is the one reported.
"""

import functools
import json
import zlib
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from rawnet_jax.interop.torch_weights import variables_from_torch
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.variables import variable_shapes

# In a recipe, the words of numpy.
_WORDS = {"numpy": np, "float32": np.float32, "pi": np.pi, "sin": np.sin, "cos": np.cos}
_WORDS["arange"] = np.arange


class ParityFixture:
    """One fixture of the shared data."""

    def __init__(self, shared_data: Path, name: str) -> None:
        self.about = json.loads((shared_data / "parity" / f"{name}.json").read_text("utf-8"))
        self.arrays = np.load(shared_data / "parity" / f"{name}.npz")

    def weight(self, entry: dict[str, Any]) -> np.ndarray:
        shape, seed = tuple(entry["shape"]), self.about["seed"]
        g = np.random.default_rng([zlib.crc32(entry["name"].encode()), seed])
        rules = {
            "bn_var": lambda: 0.5 + g.random(shape),
            "bn_mean": lambda: 0.1 * g.standard_normal(shape),
            "bn_weight": lambda: 1 + 0.1 * g.standard_normal(shape),
            "bias": lambda: 0.1 * g.standard_normal(shape),
            "fan_in": lambda: g.standard_normal(shape) * np.sqrt(1 / entry["fan_in"]),
            "zero": lambda: np.zeros(shape, np.int64),
        }
        value = rules[entry["kind"]]() * entry.get("scale", 1)
        return value if entry["kind"] == "zero" else value.astype(np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Every entry by the rule, after the check sums."""
        state = {entry["name"]: self.weight(entry) for entry in self.about["entries"]}
        # The loss's centre is not a part of the network's check sum.
        counted = [
            state[e["name"]].astype(np.float64)
            for e in self.about["entries"]
            if e["kind"] != "zero" and not e["name"].startswith("ocsoftmax")
        ]
        check = self.about["weights_check"]
        np.testing.assert_allclose(sum(x.sum() for x in counted), check["sum"], rtol=1e-6)
        np.testing.assert_allclose(
            sum((x**2).sum() for x in counted), check["sum_of_squares"], rtol=1e-6
        )
        return state

    def inputs(self) -> dict[str, np.ndarray]:
        """Input name -> float32 array in torch layout, after the check sums."""
        found = {}
        for row in self.about["inputs"]:
            found[row["name"]] = array = _from_recipe(row)
            np.testing.assert_allclose(
                np.sum(array, dtype=np.float64), row["sum"], rtol=1e-5, atol=1e-4
            )
        return found

    def variables(self, model_name: str, **fields: Any) -> tuple[nn.Module, dict[str, Any]]:
        """Build the registered model and load the rule's weights through the importer."""
        spec = MODELS[model_name]
        assert spec.torch_names is not None
        model = build_model(model_config(model_name, **fields))
        # Shapes alone: compiling the draws of initial values takes longer than all the rest.
        template = variable_shapes(model, spec.num_samples)
        return model, variables_from_torch(self.state_dict(), spec.torch_names, template)

    def compare_outputs(self, name: str, found: np.ndarray) -> None:
        """Compare rows of all inputs, concatenated, with ``<input>.<name>``."""
        rows = [self.arrays[f"{row['name']}.{name}"] for row in self.about["inputs"]]
        wanted = np.concatenate(rows)
        difference = np.abs(np.asarray(found) - wanted).max()
        tolerance = self.about["tolerance"][name]
        assert difference <= tolerance["max_abs"], f"{name}: {difference}"
        assert difference <= tolerance["relative_to_max"] * np.abs(wanted).max(), name

    def compare_taps(self, found: dict[str, np.ndarray]) -> int:
        """Compare every tap of every input, in order; returns how many.

        Args:
            found: tap name -> array in torch layout, rows of all inputs concatenated.
        """
        first, rows = 0, {}
        for row in self.about["inputs"]:
            rows[row["name"]] = slice(first, first + row["shape"][0])
            first += row["shape"][0]
        for tap in self.about["taps"]:
            where = f"{tap['input']}.{tap['name']}"
            assert tap["name"] in found, f"the model does not show {tap['name']}"
            array = np.asarray(found[tap["name"]])[rows[tap["input"]]]
            assert list(array.shape) == tap["shape"], where
            values = array.reshape(-1)[np.array(tap["index"])]
            for what, difference in (
                ("values", np.abs(values - tap["value"]).max()),
                ("mean", abs(array.mean(dtype=np.float64) - tap["mean"])),
                ("std", abs(array.std(dtype=np.float64) - tap["std"])),
            ):
                assert difference <= tap["tolerance"], f"{where} {what}: {difference}"
        return len(self.about["taps"])


@functools.cache
def fixture_named(shared_data: Path, name: str) -> ParityFixture:
    return ParityFixture(shared_data, name)


def taps_of(intermediates: Any) -> dict[str, Any]:
    """Flatten sown tensors to tap name -> array, in torch layout (channels second)."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(intermediates):
        names = [str(getattr(part, "key", "")) for part in path]
        found[[name for name in names if name][-1]] = leaf
    return found


def channels_second(x: Any) -> Any:
    """[B, T, C] -> [B, C, T], [B, H, W, C] -> [B, C, H, W]; others as they are."""
    return np.moveaxis(np.asarray(x), -1, 1) if x.ndim > 2 else x


def _from_recipe(row: dict[str, Any]) -> np.ndarray:
    """Evaluate a recipe of the fixture's author: our own test data, numpy expressions only."""
    shape, recipe = tuple(row["shape"]), row["recipe"]
    recipe, _, silenced = recipe.partition(", then samples ")
    if silenced:
        array = eval(recipe, {"__builtins__": {}}, _WORDS)
        first, last = map(int, silenced.removesuffix(" set to 0").split(".."))
        array[first : last + 1] = 0
        return array
    if "in float64" not in recipe:
        return eval(recipe, {"__builtins__": {}}, _WORDS)
    steps = recipe.partition(" in float64")[0].split(";")
    words = dict(_WORDS)
    for step in steps:
        target, _, expression = step.strip().partition("=")
        words[target] = eval(expression, {"__builtins__": {}}, words)
    return np.asarray(words["x"]).reshape(shape).astype(np.float32)
