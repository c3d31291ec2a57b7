"""Names and layouts between PyTorch's state dict and our variables."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_weights import lacks, variables_from_torch, variables_to_torch
from rawnet_jax.models.torch_names import TorchNames

NAMES = TorchNames(
    rules=((r"^block_(\d+)/", r"blocks/\1/0/"), (r"^center$", "loss.center")),
    bonafide_first=(r"head\.(weight|bias)",),
    optional=(r"loss\.center",),
    in_loss=(r"loss\.center",),
    aliases={"center": "loss.center"},
)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(3, (5,), name="block_0")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        x = nn.Conv(4, (3, 2), name="block_1")(x[..., None])
        self.param("center", nn.initializers.normal(1.0), (1, 6))
        return nn.Dense(2, name="head")(x.mean(axis=(1, 2)))


@pytest.fixture(scope="module")
def variables():
    return Net().init(jax.random.key(0), jnp.zeros((1, 8, 1)))


@pytest.fixture
def state(variables):
    rng = np.random.default_rng(0)
    shapes = {name: array.shape for name, array in variables_to_torch(variables, NAMES).items()}
    state = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return state | {"norm.num_batches_tracked": np.array(17)}


def test_names_and_shapes(variables):
    found = {name: a.shape for name, a in variables_to_torch(variables, NAMES).items()}
    assert found == {
        "blocks.0.0.weight": (3, 1, 5),
        "blocks.0.0.bias": (3,),
        "blocks.1.0.weight": (4, 1, 3, 2),
        "blocks.1.0.bias": (4,),
        "norm.weight": (3,),
        "norm.bias": (3,),
        "norm.running_mean": (3,),
        "norm.running_var": (3,),
        "norm.num_batches_tracked": (),
        "head.weight": (2, 4),
        "head.bias": (2,),
        "loss.center": (1, 6),
    }


def test_values(variables, state):
    found = variables_from_torch(state, NAMES, variables)
    params, statistics = found["params"], found["batch_stats"]
    for (tap, out), value in np.ndenumerate(params["block_0"]["kernel"][:, 0]):
        assert value == state["blocks.0.0.weight"][out, 0, tap]
    for (row, column, _, out), value in np.ndenumerate(params["block_1"]["kernel"]):
        assert value == state["blocks.1.0.weight"][out, 0, row, column]
    # The published classes are [bonafide, spoof] here, ours are [spoof, bonafide].
    np.testing.assert_array_equal(params["head"]["kernel"], state["head.weight"][::-1].T)
    np.testing.assert_array_equal(params["head"]["bias"], state["head.bias"][::-1])
    np.testing.assert_array_equal(params["norm"]["scale"], state["norm.weight"])
    np.testing.assert_array_equal(statistics["norm"]["mean"], state["norm.running_mean"])
    np.testing.assert_array_equal(statistics["norm"]["var"], state["norm.running_var"])
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float32)}


def test_there_and_back_bit_for_bit(variables, state):
    found = variables_to_torch(variables_from_torch(state, NAMES, variables), NAMES)
    assert found.keys() == state.keys()
    for name in state.keys() - {"norm.num_batches_tracked"}:
        assert found[name].tobytes() == state[name].tobytes(), name
        assert found[name].flags.c_contiguous
    assert found["norm.num_batches_tracked"] == 0


def test_half_precision_becomes_float32(variables, state):
    halves = {name: array.astype(np.float16) for name, array in state.items()}
    found = variables_from_torch(halves, NAMES, variables)
    assert found["params"]["norm"]["bias"].dtype == np.float32
    np.testing.assert_array_equal(found["params"]["norm"]["bias"], halves["norm.bias"])


def test_optional_keeps_its_initial_value(variables, state):
    assert lacks(state, NAMES, variables) == []
    del state["loss.center"]
    assert lacks(state, NAMES, variables) == ["loss.center"]
    found = variables_from_torch(state, NAMES, variables)
    np.testing.assert_array_equal(found["params"]["center"], variables["params"]["center"])


def test_alias(variables, state):
    state["center"] = state.pop("loss.center")
    assert lacks(state, NAMES, variables) == []
    found = variables_from_torch(state, NAMES, variables)
    np.testing.assert_array_equal(found["params"]["center"], state["center"])


def test_shapes_are_enough_of_a_template(variables, state):
    found = variables_from_torch(state, NAMES, jax.eval_shape(lambda: variables))
    jax.tree.map(
        np.testing.assert_array_equal, found, variables_from_torch(state, NAMES, variables)
    )


def without(*names):
    return lambda state: [state.pop(name) for name in names]


def with_(**arrays):
    return lambda state: state.update({n.replace("__", "."): a for n, a in arrays.items()})


def all_renamed(state):
    for name in list(state):
        state["net." + name] = state.pop(name)


BAD = {
    "missing": (without("head.bias", "norm.weight"), r"^missing: head\.bias, norm\.weight$"),
    "statistics missing": (without("norm.running_var"), r"^missing: norm\.running_var$"),
    "left over": (with_(fc__weight=np.ones(3)), r"^left over: fc\.weight$"),
    "other shape": (
        with_(blocks__0__0__weight=np.ones((3, 2, 5), np.float32)),
        r"^wrong: blocks\.0\.0\.weight is \(3, 2, 5\), must be \(3, 1, 5\)$",
    ),
    "our layout": (
        with_(head__weight=np.ones((4, 2), np.float32)),
        r"^wrong: head\.weight is \(4, 2\), must be \(2, 4\)$",
    ),
    "scalar": (with_(head__bias=np.zeros((), np.float32)), r"head\.bias is \(\), must be \(2,\)"),
    "not a number": (
        with_(norm__bias=np.array([1, np.nan, 2], np.float32)),
        r"norm\.bias is not f",
    ),
    "too large": (with_(norm__bias=np.full(3, 1e60)), r"norm\.bias is not finite"),
    "whole numbers": (
        with_(norm__bias=np.array([1, 2, 3])),
        r"norm\.bias is int64, must be floats",
    ),
    "twice": (with_(center=np.ones((1, 6), np.float32)), r"^twice: loss\.center$"),
    "a name of a million letters": (
        with_(**{"w" * 1_000_000: np.ones(3)}),
        r"^left over: w{80}…$",
    ),
    "a name that moves the cursor": (
        with_(**{"a\x1b[2J\rb": np.ones(3)}),
        r"^left over: a\?\[2J\?b$",
    ),
    "all three": (
        lambda state: (
            without("head.bias")(state),
            with_(x=np.ones(1), norm__bias=np.ones(9))(state),
        ),
        r"^missing: head\.bias; left over: x; wrong: norm\.bias is \(9,\), must be \(3,\)$",
    ),
    "another network": (
        all_renamed,
        r"^missing: norm\.running_mean, .* and 2 more; left over: net\..* and 3 more$",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_listed(variables, state, name):
    change, expected = BAD[name]
    change(state)
    with pytest.raises(CheckpointError, match=expected):
        variables_from_torch(state, NAMES, variables)


def test_a_huge_view_of_little_memory_is_never_copied(variables, state):
    state["head.bias"] = np.broadcast_to(np.float32(1), (2**40,))
    with pytest.raises(CheckpointError, match=r"head\.bias is \(1099511627776,\)"):
        variables_from_torch(state, NAMES, variables)
