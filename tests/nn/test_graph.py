"""Graph layers against slow second implementations, node by node in numpy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax

from rawnet_jax.nn.graph import GraphAttention, GraphPool, StackingGraphAttention
from rawnet_jax.nn.lengths import Extent

KEY = jax.random.key(0)
RNG = np.random.default_rng(4)
WHOLE = Extent(jnp.array([True, True]))


def drawn(module, *inputs):
    """Variables drawn at random, none of them 0 or 1."""
    shapes = jax.eval_shape(lambda: module.init(KEY, *inputs, train=False))
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda leaf: rng.uniform(0.2, 1, leaf.shape), dict(shapes))
    variables.pop("intermediates", None)
    return jax.tree.map(lambda x: x.astype(np.float32), variables)


def graph(nodes, channels, rows=2):
    return RNG.standard_normal((rows, nodes, channels)).astype(np.float32)


def linear(params, x):
    return x @ params["kernel"] + params["bias"]


def normalised_selu(variables, x):
    params, stats = variables["params"]["norm"], variables["batch_stats"]["norm"]
    x = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * params["scale"] + params["bias"]
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


def attended(params, x, vector_of_pair, temperature):
    """W1 (A x) + W2 x, one pair of nodes after the other."""
    scores = np.array(
        [
            [
                np.tanh(linear(params["pair"], x[i] * x[j])) @ vector_of_pair(i, j)[:, 0]
                for j in range(len(x))
            ]
            for i in range(len(x))
        ]
    )
    attention = softmax(scores / temperature, axis=1)
    return linear(params["attended"], attention @ x) + linear(params["own"], x)


def test_graph_attention_pair_by_pair():
    nodes = graph(4, 3)
    module = GraphAttention(5, temperature=1.5, dropout=0.9)
    variables = drawn(module, nodes, WHOLE)
    found = jax.jit(lambda: module.apply(variables, nodes, WHOLE, train=False))()
    params = variables["params"]
    wanted = [attended(params, x, lambda i, j: params["pair_vector"], 1.5) for x in nodes]
    np.testing.assert_allclose(found, normalised_selu(variables, np.stack(wanted)), atol=2e-5)


def test_stacking_attention_pair_by_pair():
    temporal, spectral, stack = graph(3, 4), graph(2, 4), graph(1, 4, rows=1)
    module = StackingGraphAttention(5, temperature=0.7, dropout=0.9)
    variables = drawn(module, temporal, spectral, stack, WHOLE)
    found = jax.jit(
        lambda: module.apply(variables, temporal, spectral, stack, WHOLE, train=False)
    )()
    params = variables["params"]

    def vector_of_pair(i, j):
        kinds = {(True, True): "temporal", (False, False): "spectral"}
        return params[f"{kinds.get((i < 3, j < 3), 'mixed')}_vector"]

    nodes = np.concatenate(
        [linear(params["temporal"], temporal), linear(params["spectral"], spectral)], axis=1
    )
    wanted = [attended(params, x, vector_of_pair, 0.7) for x in nodes]
    wanted = normalised_selu(variables, np.stack(wanted))
    np.testing.assert_allclose(found[0], wanted[:, :3], atol=5e-5)
    np.testing.assert_allclose(found[1], wanted[:, 3:], atol=5e-5)
    for row, x in enumerate(nodes):
        scores = np.tanh(linear(params["stack_pair"], x * stack[0])) @ params["stack_vector"]
        gathered = softmax(scores / 0.7, axis=0).T @ x
        wanted_stack = linear(params["stack_attended"], gathered)
        wanted_stack += linear(params["stack_own"], stack[0])
        np.testing.assert_allclose(found[2][row], wanted_stack, atol=2e-5)


@pytest.mark.parametrize(("num_nodes", "ratio", "num_kept"), [(7, 0.5, 3), (3, 0.1, 1), (4, 1, 4)])
def test_pool_keeps_the_best_in_descending_order(num_nodes, ratio, num_kept):
    nodes = graph(num_nodes, 3)
    module = GraphPool(ratio, dropout=0.9)
    variables = drawn(module, nodes, WHOLE)
    found: Any = jax.jit(lambda: module.apply(variables, nodes, WHOLE, train=False)[0])()
    scores = expit(linear(variables["params"]["proj"], nodes))
    for row in range(2):
        order = np.argsort(-scores[row, :, 0])[:num_kept]
        np.testing.assert_allclose(found[row], (nodes * scores)[row, order], atol=1e-6)


def test_pool_passes_gradients_through_nodes_and_scores():
    nodes = graph(5, 3)
    module = GraphPool(0.5, dropout=0.0)
    variables = drawn(module, nodes, WHOLE)

    def total(variables, nodes):
        pooled: Any = module.apply(variables, nodes, WHOLE, train=False)[0]
        return (pooled * np.arange(1.0, 4)).sum()

    of_variables, of_nodes = jax.jit(jax.grad(total, argnums=(0, 1)))(variables, nodes)
    assert all(np.all(x != 0) for x in jax.tree.leaves(of_variables))
    assert [int((np.abs(row).sum(1) > 0).sum()) for row in np.asarray(of_nodes)] == [2, 2]
    step = 1e-2 * np.sign(of_nodes)
    change = total(variables, nodes + step) - total(variables, nodes - step)
    np.testing.assert_allclose(change, 2 * (step * of_nodes).sum(), rtol=2e-2)


def test_statistics_are_over_all_nodes_of_the_clips_that_count():
    nodes = graph(4, 3)
    module = GraphAttention(5, temperature=2.0, dropout=0.0)
    variables = drawn(module, nodes, WHOLE)
    run = jax.jit(
        lambda real: module.apply(
            variables, nodes, Extent(real), train=True, mutable=["batch_stats"]
        )
    )
    _, both = run(WHOLE.real)
    _, first = run(np.array([True, False]))
    params = variables["params"]
    x = np.stack([attended(params, x, lambda i, j: params["pair_vector"], 2.0) for x in nodes])
    old = variables["batch_stats"]["norm"]
    for state, rows in ((both, slice(0, 2)), (first, slice(0, 1))):
        values = x[rows].reshape(-1, 5)
        wanted = 0.9 * old["mean"] + 0.1 * values.mean(0)
        np.testing.assert_allclose(state["batch_stats"]["norm"]["mean"], wanted, rtol=1e-4)
        wanted = 0.9 * old["var"] + 0.1 * values.var(0, ddof=1)
        np.testing.assert_allclose(state["batch_stats"]["norm"]["var"], wanted, rtol=1e-4)
