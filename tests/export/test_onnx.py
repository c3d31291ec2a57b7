"""Equations and whole networks in ONNX Runtime, against JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from rawnet_jax.errors import ExportError
from rawnet_jax.export.flat import BATCH, flatten
from rawnet_jax.export.metadata_strings import from_strings
from rawnet_jax.export.onnx import WHOLE, export_onnx, written
from rawnet_jax.export.onnx_model import onnx_model
from rawnet_jax.export.patterns import find_functions
from rawnet_jax.export.program import flax_scores
from rawnet_jax.export.stamp import FIELD, check_stamp
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.models.rawnet2 import leaky_relu
from rawnet_jax.nn.batch_norm import affine, selu
from rawnet_jax.nn.layers import max_pool_1d
from rawnet_jax.nn.recurrent import gru_states
from tests.export.export_cases import clips, exported_as, run_onnx, small_program
from tests.models.small_models import quickly

onnx = pytest.importorskip("onnx")

RNG = np.random.default_rng(0)


def weight(*shape):
    return jnp.asarray(RNG.standard_normal(shape).astype(np.float32))


KERNEL, KERNEL_2D = weight(3, 4, 6), weight(3, 2, 4, 5)
MATRIX, VECTOR = weight(4, 6), weight(4)
INDEX = jnp.asarray([[4, 1, 1], [0, 2, 3]])
GRU = (weight(4, 9), weight(9), weight(9, 3), weight(9))


def conv(x, kernel, **settings):
    axes = ("NWC", "WIO", "NWC") if x.ndim == 3 else ("NHWC", "HWIO", "NHWC")
    settings = {"window_strides": (1,) * (x.ndim - 2), "padding": "SAME"} | settings
    return lax.conv_general_dilated(x, kernel, dimension_numbers=axes, **settings)


def norm(x):
    channels = x.shape[-1]
    numbers = (VECTOR[:channels], jnp.abs(VECTOR[:channels]) + 0.1, VECTOR[:channels])
    return affine(x, numbers[0], numbers[1], numbers[2], numbers[0], 1e-3, lambda y: y)


def gru(x):
    inputs = jnp.moveaxis(x, 1, 0) @ GRU[0] + GRU[1]
    return jnp.moveaxis(gru_states(inputs, GRU[2], GRU[3]), 0, 1)


def average(x):
    window = (1, 3, 3, 1)
    padding = ((0, 0), (1, 1), (1, 1), (0, 0))
    return lax.reduce_window(x, 0.0, lax.add, window, (1, 2, 2, 1), padding) / 9.0


THREE, FOUR = (5, 4), (7, 5, 4)
FUNCTIONS = {
    "elementwise": (lambda x: jnp.abs(x) / (1.0 + jnp.exp(-x)) - jnp.tanh(x) ** 3, THREE),
    "compare": (lambda x: jnp.where((x > 0.1) | ~(x != 0), x, jnp.sign(x)), THREE),
    "clamp": (lambda x: jnp.clip(x, -0.5, 0.5), THREE),
    "roots": (lambda x: jnp.sqrt(jnp.square(x)) + lax.rsqrt(jnp.abs(x) + 1), THREE),
    "whole numbers": (lambda x: ((x * 9).astype(jnp.int32) // 4 % 3).astype(jnp.float32), THREE),
    "activations": (lambda x: selu(x) + leaky_relu(x) + jax.nn.relu(x) + jax.nn.silu(x), THREE),
    "softmax of channels": (lambda x: jax.nn.softmax(conv(x, KERNEL), axis=-1), THREE),
    "softmax of time": (lambda x: jax.nn.softmax(conv(x, KERNEL), axis=1), THREE),
    "reductions": (lambda x: x.max((1, 2)) + x.sum(2).min(1) + x.mean((1, 2)), THREE),
    "mean of each map": (lambda x: conv(x, KERNEL) - conv(x, KERNEL).mean(1, keepdims=True), THREE),
    "conv": (lambda x: conv(x, KERNEL, padding=[(2, 1)], window_strides=(2,)), THREE),
    "conv of a part": (lambda x: conv(x, KERNEL, padding=[(-1, 2)]), THREE),
    "conv of rows": (lambda x: conv(x, KERNEL_2D, window_strides=(2, 1)), FOUR),
    "grouped conv": (lambda x: conv(x, KERNEL[:, :2], feature_group_count=2), THREE),
    "dilated conv": (lambda x: conv(x, KERNEL, rhs_dilation=(2,)), THREE),
    "conv and norm": (lambda x: norm(conv(x, KERNEL[..., :4])), THREE),
    "norm and conv": (lambda x: conv(norm(norm(x) * x), KERNEL), THREE),
    "norm of twice used": (lambda x: norm(y := conv(x, KERNEL[..., :4])) * y, THREE),
    "layer": (lambda x: x @ MATRIX + VECTOR[:1], THREE),
    "layer behind conv": (lambda x: conv(x, KERNEL_2D[..., :4]) @ MATRIX, FOUR),
    "layer of a vector": (lambda x: x @ VECTOR, (4,)),
    "products": (lambda x: jnp.einsum("btc,bsc->bts", x, x) @ x, THREE),
    "product with what is repeated": (
        lambda x: jnp.einsum("btc,btd->bcd", x, jnp.broadcast_to(x[:, :1, :2], (x.shape[0], 5, 2))),
        THREE,
    ),
    "weighted sum": (lambda x: jnp.einsum("bt,btc->bc", x[..., 0], x), THREE),
    "max-pool": (lambda x: max_pool_1d(conv(x, KERNEL), 2), THREE),
    "max-pool of rows": (lambda x: max_pool_1d(conv(x, KERNEL_2D), 3), FOUR),
    "max-pool of channels": (lambda x: max_pool_1d(conv(x, KERNEL).transpose(0, 2, 1), 4), THREE),
    "average": (average, FOUR),
    "gru": (gru, THREE),
    "joined": (lambda x: jnp.concatenate([conv(x, KERNEL), x[..., :2]], axis=-1), THREE),
    "stacked": (lambda x: jnp.stack([x, x + 1], axis=1).max(1), THREE),
    "split": (lambda x: jnp.subtract(*jnp.split(conv(x, KERNEL), 2, axis=-1)), THREE),
    "padded": (lambda x: jnp.pad(conv(x, KERNEL), ((0, 0), (1, 2), (0, 0))), THREE),
    "parts": (lambda x: conv(x, KERNEL)[:, 1:4][..., 2] + x[:, 3][:, :1] + x[:, ::2].max(2), THREE),
    "turned": (lambda x: jnp.flip(conv(x, KERNEL), axis=1)[:, ::2], THREE),
    "taken": (lambda x: x[:, INDEX], THREE),
    "framed": (lambda x: x[:, 2 * np.arange(9)[:, None] + np.arange(4)], (20,)),
    "mirrored": (lambda x: x[:, [2, 1, 0, 0, 1, 2, 3, 4, 4, 3]], THREE),
    "own order": (
        lambda x: jnp.take_along_axis(x, lax.top_k(x[..., 0], 3)[1][..., None], axis=1),
        THREE,
    ),
    "own places": (
        lambda x: jnp.take(VECTOR, jnp.clip(jnp.abs(x * 9).astype(int), 0, 3), mode="clip"),
        THREE,
    ),
    "reshaped": (lambda x: conv(x, KERNEL).reshape(-1, 5, 2, 3).max(3), THREE),
    "rows of all clips": (lambda x: x.reshape(-1, 4)[:, None] * x.reshape(-1, 1, 4), THREE),
    "repeated": (lambda x: jnp.broadcast_to(x.sum(1, keepdims=True), x.shape).sum(1), THREE),
    "a constant of every clip": (
        lambda x: jnp.concatenate(
            [jnp.broadcast_to(MATRIX[:, :4], (len(x.shape) and x.shape[0], 4, 4)), x], 1
        ),
        THREE,
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    function, shape = FUNCTIONS[name]
    (batch,) = export.symbolic_shape(BATCH)
    flat = flatten(function, jax.ShapeDtypeStruct((batch, *shape), jnp.float32), whole=WHOLE)
    ends = {"x": flat.inputs[0]}, {"y": flat.outputs[0]}
    content = onnx_model(written(find_functions(flat), *ends), *ends, {})
    x = RNG.standard_normal((3, *shape)).astype(np.float32)
    wanted = np.asarray(quickly(function)(x))
    np.testing.assert_allclose(run_onnx(content, x)["y"], wanted, rtol=2e-5, atol=2e-5)
    one = wanted[: len(wanted) // 3]
    np.testing.assert_allclose(run_onnx(content, x[:1])["y"], one, rtol=2e-5, atol=2e-5)


def nodes_of(function, *shape):
    (batch,) = export.symbolic_shape(BATCH)
    flat = flatten(function, jax.ShapeDtypeStruct((batch, *shape), jnp.float32), whole=WHOLE)
    graph = written(find_functions(flat), {"x": flat.inputs[0]}, {"y": flat.outputs[0]})
    return [node.op for node in graph.nodes if node.op not in ("Identity", "Reshape")]


def test_a_norm_behind_a_convolution_costs_nothing():
    assert nodes_of(lambda x: norm(conv(x, KERNEL[..., :4]) + VECTOR).max((1, 2)), *THREE) == [
        "Transpose",
        "Conv",
        "ReduceMax",
    ]


def test_activations_stay_channels_first_from_layer_to_layer():
    def network(x):
        for kernel in (KERNEL_2D[..., :4], KERNEL_2D[..., :4], KERNEL_2D):
            x = max_pool_1d(jax.nn.relu(norm(conv(x, kernel[..., :4]))) + x, 1)
        return x.mean((1, 2))

    assert nodes_of(network, 3, 3, 4).count("Transpose") == 1


def test_an_unknown_operation_is_named():
    with pytest.raises(ExportError, match=r"operations that are not written: \['sin'\]"):
        nodes_of(jnp.sin, *THREE)


SEEDS = {"eabn_efficientnet_a0": 2}
"""Of weights with which clips are told apart."""


@pytest.mark.parametrize("name", exported_as("onnx"))
def test_network(name):
    calibration = AffineCalibration(2.0, 0.5, 0.5, 10, 10)
    program = small_program(name, seed=SEEDS.get(name, 0), calibration=calibration)
    waveform, num_samples = clips(program)
    content = export_onnx(program)
    inputs = (waveform, num_samples)[: len(program.inputs)]
    found = run_onnx(content, *inputs)
    wanted = flax_scores(program, waveform, num_samples)
    np.testing.assert_allclose(found["score"], wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["llr"], 2.0 * wanted + 0.5, rtol=1e-5, atol=3e-5)
    one = run_onnx(content, *(rows[:1] for rows in inputs))
    np.testing.assert_allclose(one["score"], wanted[:1], rtol=1e-5, atol=1e-5)
    assert np.ptp(wanted) > 1e-3, "the clips are told apart"


def test_network_for_clips_of_any_length():
    program = small_program("conv1d", variable_length=True)
    assert program.inputs == ("waveform", "num_samples")
    waveform, num_samples = clips(program)
    found = run_onnx(export_onnx(program), waveform, num_samples)["score"]
    np.testing.assert_allclose(found, flax_scores(program, waveform, num_samples), atol=1e-5)


def test_metadata_is_in_the_file():
    program = small_program(calibration=AffineCalibration(2.0, 0.5, 0.5, 10, 10))
    content = export_onnx(program)
    model = onnx.load_from_string(content)
    found = from_strings({entry.key: entry.value for entry in model.metadata_props})
    check_stamp(content, found.pop(FIELD), "model.onnx")
    assert found == program.metadata
    assert found["labels"] == {"spoof": 0, "bonafide": 1}
    assert found["sample_rate_hz"] == 16_000
    assert not any(onnx.external_data_helper.uses_external_data(t) for t in model.graph.initializer)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [shape[0].dim_param, shape[1].dim_value] == ["batch", program.num_samples]
