"""Recurrent layers as PyTorch has them, entries and biases included."""

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.nn.layers import uniform_within


class _Recurrent(nn.Module):
    """A stack of unidirectional layers that start from states of zeros.

    Weights are named and laid out as in PyTorch (``weight_ih_l0`` [GH, I], ``weight_hh_l0``
    [GH, H], ``bias_ih_l0``, ``bias_hh_l0`` [GH], then ``_l1`` …; G gates), so that published
    weights go in and out unchanged and a network trained from scratch starts and moves as in
    PyTorch.

    Attributes:
        features: H, width of the state.
        num_layers: layers, each fed with the states of the one below.
    """

    features: int
    num_layers: int = 1

    num_gates: ClassVar[int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Run over a sequence.

        Args:
            x: [B, T, C].

        Returns:
            float32 [B, T, H], the states of the top layer. Only the products are computed in the
            dtype of the weights.
        """
        init = uniform_within(1.0 / math.sqrt(self.features))
        rows = self.num_gates * self.features
        x = jnp.moveaxis(x, 1, 0)
        for layer in range(self.num_layers):
            weight_ih = self.param(f"weight_ih_l{layer}", init, (rows, x.shape[-1]))
            weight_hh = self.param(f"weight_hh_l{layer}", init, (rows, self.features))
            bias_ih = self.param(f"bias_ih_l{layer}", init, (rows,))
            bias_hh = self.param(f"bias_hh_l{layer}", init, (rows,))
            # What does not depend on the state is one matrix product over all steps.
            inputs = _product(x, weight_ih.T) + bias_ih
            x = self._states(inputs, weight_hh, bias_hh.astype(jnp.float32))
        return jnp.moveaxis(x, 0, 1)

    def _states(self, inputs: jax.Array, weight_hh: jax.Array, bias_hh: jax.Array) -> jax.Array:
        """Run the recurrent part of one layer; arguments and result as of `gru_states`."""
        raise NotImplementedError


class GRU(_Recurrent):
    """GRU layers; attributes and weights as of `_Recurrent`.

    For an input i and a state h, with the rows of each weight in the order r, z, n:

        r = σ(W_ir i + b_ir + W_hr h + b_hr)
        z = σ(W_iz i + b_iz + W_hz h + b_hz)
        n = tanh(W_in i + b_in + r (W_hn h + b_hn))
        h' = (1 - z) n + z h

    Flax's GRUCell has the same equations with one bias for r and z.
    """

    num_gates = 3

    def _states(self, inputs: jax.Array, weight_hh: jax.Array, bias_hh: jax.Array) -> jax.Array:
        return gru_states(inputs, weight_hh, bias_hh)


class LSTM(_Recurrent):
    """LSTM layers; attributes and weights as of `_Recurrent`.

    For an input x, a state h and a cell c, with the rows of each weight in the order i, f, g, o:

        i, f, o = σ(W_i· x + b_i· + W_h· h + b_h·),  g = tanh(…)
        c' = f c + i g
        h' = o tanh(c')
    """

    num_gates = 4

    def _states(self, inputs: jax.Array, weight_hh: jax.Array, bias_hh: jax.Array) -> jax.Array:
        inputs = inputs + bias_hh
        # See `gru_states`.
        turned = jax.lax.optimization_barrier(weight_hh.T)

        def step(
            state: tuple[jax.Array, jax.Array], from_input: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            hidden, cell = state
            gates = jnp.split(from_input + _product(hidden, turned), 4, axis=-1)
            enter, keep, leave = (nn.sigmoid(gates[i]) for i in (0, 1, 3))
            cell = keep * cell + enter * jnp.tanh(gates[2])
            hidden = leave * jnp.tanh(cell)
            return (hidden, cell), hidden

        zeros = jnp.zeros((inputs.shape[1], self.features), inputs.dtype)
        return jax.lax.scan(step, (zeros, zeros), inputs)[1]


@jax.custom_vjp
def gru_states(inputs: jax.Array, weight_hh: jax.Array, bias_hh: jax.Array) -> jax.Array:
    """Run the recurrent part of one layer.

    Its gradient is written out because the one that JAX derives adds to the gradient of weight_hh
    at every step; here that is one matrix product over all steps, and a layer trains in about half
    the time on a CPU.

    Args:
        inputs: float32 [T, B, 3H], W_i i + b_i of each step.
        weight_hh: [3H, H], float32 or bfloat16.
        bias_hh: float32 [3H].

    Returns:
        float32 [T, B, H], the state after each step.
    """
    # Without the barrier XLA transposes the whole weight at every step, which takes several times
    # as long as a step of one clip.
    turned = jax.lax.optimization_barrier(weight_hh.T)

    def step(state: jax.Array, from_input: jax.Array) -> tuple[jax.Array, jax.Array]:
        _, update, new, _ = _gates(from_input, _product(state, turned) + bias_hh)
        state = (1.0 - update) * new + update * state
        return state, state

    start = jnp.zeros((inputs.shape[1], weight_hh.shape[1]), inputs.dtype)
    return jax.lax.scan(step, start, inputs)[1]


def _product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return x @ weight, computed in the weight's dtype and returned in float32."""
    return jnp.dot(x.astype(weight.dtype), weight, preferred_element_type=jnp.float32)


def _gates(from_input: jax.Array, from_state: jax.Array) -> tuple[jax.Array, ...]:
    """Return r, z, n and W_hn h + b_hn, each [..., H], from two [..., 3H]."""
    input_r, input_z, input_n = jnp.split(from_input, 3, axis=-1)
    state_r, state_z, state_n = jnp.split(from_state, 3, axis=-1)
    reset = nn.sigmoid(input_r + state_r)
    update = nn.sigmoid(input_z + state_z)
    return reset, update, jnp.tanh(input_n + reset * state_n), state_n


def _forward(
    inputs: jax.Array, weight_hh: jax.Array, bias_hh: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    states = gru_states(inputs, weight_hh, bias_hh)
    return states, (inputs, weight_hh, bias_hh, states)


def _backward(
    kept: tuple[jax.Array, ...], grad_states: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    inputs, weight_hh, bias_hh, states = kept
    before = jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])
    reset, update, new, state_n = _gates(inputs, _product(before, weight_hh.T) + bias_hh)
    # Of the state after a step, by what goes into r, z and n before their nonlinearities.
    by_n = (1.0 - update) * (1.0 - new**2)
    by_z = (before - new) * update * (1.0 - update)
    by_r = by_n * state_n * reset * (1.0 - reset)
    by_input = jnp.stack([by_r, by_z, by_n], axis=2)
    by_state = jnp.stack([by_r, by_z, by_n * reset], axis=2)
    num_steps, rows, features = states.shape

    def step(later: jax.Array, now: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        grad, update, by_state = now
        grad = grad + later
        through = (grad[:, None] * by_state).reshape(rows, 3 * features)
        return grad * update + _product(through, weight_hh), grad

    _, grad = jax.lax.scan(
        step, jnp.zeros_like(states[0]), (grad_states, update, by_state), reverse=True
    )
    shape = (num_steps, rows, 3 * features)
    grad_inputs = (grad[:, :, None] * by_input).reshape(shape)
    through = (grad[:, :, None] * by_state).reshape(shape)
    grad_weight = jnp.einsum("tbg,tbh->gh", through, before)
    return grad_inputs, grad_weight.astype(weight_hh.dtype), through.sum(axis=(0, 1))


gru_states.defvjp(_forward, _backward)
