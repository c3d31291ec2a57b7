"""The GRU against a slow loop of PyTorch's equations, and against PyTorch where it is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.nn.recurrent import GRU, gru_states

BATCH, STEPS, INPUTS, FEATURES, LAYERS = 2, 3, 3, 4, 2


def slow_gru(params, x):
    """One clip, one step, one gate at a time, from the equations in PyTorch's manual."""

    def sigmoid(a):
        return 1.0 / (1.0 + np.exp(-a))

    layer = 0
    while f"weight_ih_l{layer}" in params:
        w_ir, w_iz, w_in = np.split(params[f"weight_ih_l{layer}"], 3)
        w_hr, w_hz, w_hn = np.split(params[f"weight_hh_l{layer}"], 3)
        b_ir, b_iz, b_in = np.split(params[f"bias_ih_l{layer}"], 3)
        b_hr, b_hz, b_hn = np.split(params[f"bias_hh_l{layer}"], 3)
        states = np.zeros((*x.shape[:2], len(w_hr)))
        for clip, inputs in enumerate(x):
            h = np.zeros(len(w_hr))
            for t, i in enumerate(inputs):
                r = sigmoid(w_ir @ i + b_ir + w_hr @ h + b_hr)
                z = sigmoid(w_iz @ i + b_iz + w_hz @ h + b_hz)
                n = np.tanh(w_in @ i + b_in + r * (w_hn @ h + b_hn))
                h = (1 - z) * n + z * h
                states[clip, t] = h
        x, layer = states, layer + 1
    return x


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, STEPS, INPUTS))
    shapes = jax.eval_shape(GRU(FEATURES, LAYERS).init, jax.random.key(0), x)["params"]
    # About twice the initial values, so that the gates are off their linear part.
    params = {name: rng.uniform(-0.9, 0.9, leaf.shape) for name, leaf in shapes.items()}
    return params, x


def run(params, x):
    """The module in float32, on arrays of float64."""
    params, x = jax.tree.map(jnp.float32, (params, x))
    return GRU(FEATURES, LAYERS).apply({"params": params}, x)


def test_states_equal_the_slow_loop(case):
    found = jax.jit(run)(*case)
    assert found.shape == (BATCH, STEPS, FEATURES)
    np.testing.assert_allclose(found, slow_gru(*case), atol=1e-6)


def test_gradient_equals_differences_of_the_slow_loop(case):
    """The gradient is written by hand; here is every entry of it, of weights and of input."""
    params, x = case
    weight = np.random.default_rng(1).standard_normal((BATCH, STEPS, FEATURES))
    found = jax.jit(jax.grad(lambda p, x: (run(p, x) * weight).sum(), argnums=(0, 1)))(
        jax.tree.map(jnp.float32, params), jnp.float32(x)
    )
    changed = {**params, "x": x}
    for name, array in changed.items():
        wanted = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[i] += sign * 1e-5
                moved_params = {**params, name: moved} if name != "x" else params
                ends.append(slow_gru(moved_params, moved if name == "x" else x) * weight)
            wanted[i] = (ends[0] - ends[1]).sum() / 2e-5
        assert np.abs(wanted).max() > 1e-2
        np.testing.assert_allclose(
            found[1] if name == "x" else found[0][name], wanted, atol=2e-5, err_msg=name
        )


def test_entries_are_named_shaped_and_drawn_as_in_pytorch():
    x = jnp.zeros((1, 2, 40))
    params = jax.jit(GRU(64, 2).init)(jax.random.key(0), x)["params"]
    assert {name: leaf.shape for name, leaf in params.items()} == {
        "weight_ih_l0": (192, 40),
        "weight_hh_l0": (192, 64),
        "bias_ih_l0": (192,),
        "bias_hh_l0": (192,),
        "weight_ih_l1": (192, 64),
        "weight_hh_l1": (192, 64),
        "bias_ih_l1": (192,),
        "bias_hh_l1": (192,),
    }
    for leaf in params.values():  # U(-1/8, 1/8), whatever the width of the input
        assert 0.12 < np.abs(leaf).max() <= 0.125
        assert abs(np.mean(leaf)) < 0.02


def test_saturated_gates_give_finite_gradients():
    inputs = jnp.full((3, 1, 6), 1e4)
    weight, bias = jnp.full((6, 2), -1e4), jnp.full((6,), 1e4)
    grads = jax.jit(jax.grad(lambda *a: gru_states(*a).sum(), argnums=(0, 1, 2)))
    assert all(bool(jnp.isfinite(g).all()) for g in grads(inputs, weight, bias))


def test_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    params, x = case
    reference = torch.nn.GRU(INPUTS, FEATURES, LAYERS, batch_first=True)
    reference.load_state_dict({name: torch.tensor(np.float32(p)) for name, p in params.items()})
    wanted = reference(torch.tensor(np.float32(x)))[0].detach().numpy()
    np.testing.assert_allclose(run(params, x), wanted, atol=1e-6)
