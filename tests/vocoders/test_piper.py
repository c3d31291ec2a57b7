"""The decoder of a Piper voice, read from its ONNX file, is our HiFi-GAN V3."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.vocoders.families import VocoderSpec
from rawnet_jax.vocoders.mel import MelSetting
from rawnet_jax.vocoders.piper import FAMILIES, read_piper_decoder

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

RATES, KERNELS, DILATIONS, WIDTH, LATENT = (4, 2), (3, 5), ((1, 2), (2, 6)), 8, 6


class Voice:
    """A graph as Piper exports it, of a decoder alone; weights at random."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.values: list[Any] = []

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def layer(self, x: str, name: str, shape: tuple[int, ...], *, bias: int = 0, **how: Any) -> str:
        words = [x]
        for part, size in (("weight", shape), ("bias", (bias,))):
            if part == "weight" or bias:
                value = 0.3 * self.rng.standard_normal(size).astype(np.float32)
                self.values.append(onnx.numpy_helper.from_array(value, f"{name}.{part}"))
                words.append(f"{name}.{part}")
        kind = "ConvTranspose" if "ups" in name else "Conv"
        return self.add(kind, words, f"/dec/{name}/{kind}", **how)

    def conv(self, x: str, name: str, ins: int, outs: int, kernel: int, step: int = 1) -> str:
        pad = step * (kernel - 1) // 2
        return self.layer(
            x, name, (outs, ins, kernel), bias=outs, dilations=[step], pads=[pad, pad], strides=[1]
        )

    def relu(self, x: str, slope: float = 0.1) -> str:
        return self.add("LeakyRelu", [x], f"/dec/relu{len(self.nodes)}", alpha=slope)

    def block(self, x: str, number: int, width: int, kernel: int, steps: tuple[int, ...]) -> str:
        for k, step in enumerate(steps):
            name = f"resblocks.{number}/convs.{k}"
            y = self.conv(self.relu(x), name, width, width, kernel, step)
            x = self.add("Add", [x, y], f"/dec/resblocks.{number}/Add_{k}")
        return x

    def save(self, path: Path) -> None:
        x, width = self.conv("z", "conv_pre", LATENT, WIDTH, 7), WIDTH
        for up, rate in enumerate(RATES):
            pads = [rate // 2, rate // 2]
            shape = (width, width // 2, 2 * rate)
            x = self.layer(
                self.relu(x), f"ups.{up}", shape, bias=width // 2, strides=[rate], pads=pads
            )
            width //= 2
            blocks = [
                self.block(x, up * len(KERNELS) + k, width, kernel, steps)
                for k, (kernel, steps) in enumerate(zip(KERNELS, DILATIONS, strict=True))
            ]
            both = self.add("Add", blocks, f"/dec/Add_{up}")
            self.values.append(onnx.numpy_helper.from_array(np.float32(2.0), f"two{up}"))
            x = self.add("Div", [both, f"two{up}"], f"/dec/Div_{up}")
        last = self.layer(self.relu(x, 0.01), "conv_post", (1, width, 7), pads=[3, 3], strides=[1])
        self.add("Tanh", [last], "y")
        info = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            self.nodes,
            "voice",
            [info("z", onnx.TensorProto.FLOAT, [1, LATENT, 5])],
            [info("y", onnx.TensorProto.FLOAT, None)],
            self.values,
        )
        opset = [onnx.helper.make_opsetid("", 15)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_the_decoder_makes_the_same_waveform(tmp_path):
    Voice().save(tmp_path / "voice.onnx")
    fields, params = read_piper_decoder(tmp_path / "voice.onnx")
    generator = VocoderSpec("hifigan_v3", MelSetting(LATENT, 8, 32), fields).build()
    latent = np.random.default_rng(1).standard_normal((1, 5, LATENT)).astype(np.float32)
    drawn = generator.init(jax.random.key(0), jnp.asarray(latent))["params"]
    assert jax.tree.map(jnp.shape, {**drawn, **params}) == jax.tree.map(jnp.shape, drawn)
    weights = {v.name: v for v in onnx.load(tmp_path / "voice.onnx").graph.initializer}
    kernel, bias = (
        onnx.numpy_helper.to_array(weights[f"conv_pre.{n}"]) for n in ("weight", "bias")
    )
    first = {"kernel": kernel.transpose(2, 1, 0), "bias": bias}
    ours = generator.apply({"params": {**params, "first": first}}, latent)
    session = ort.InferenceSession(tmp_path / "voice.onnx")
    [theirs] = session.run(None, {"z": latent.transpose(0, 2, 1)})
    np.testing.assert_allclose(np.asarray(ours)[0], theirs.reshape(-1), atol=1e-5)


def test_the_decoder_starts_an_istftnet_but_for_its_end(tmp_path):
    Voice().save(tmp_path / "voice.onnx")
    fields, params = read_piper_decoder(tmp_path / "voice.onnx")
    assert list(FAMILIES["istftnet"]) == ["rates"]
    fields = fields | {"rates": RATES[:1]}
    generator = VocoderSpec("istftnet", MelSetting(LATENT, 16, 64), fields).build()
    drawn = jax.eval_shape(generator.init, jax.random.key(0), jnp.zeros((1, 5, LATENT)))["params"]
    assert set(drawn) - set(params) == {"first", "spectrum"}
    shared = set(drawn) & set(params)
    assert shared == {"up_0", "block_0_0", "block_0_1"}
    for name in shared:
        assert jax.tree.map(jnp.shape, params[name]) == jax.tree.map(jnp.shape, drawn[name])


def test_what_is_no_voice_is_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(DataError, match=r"text\.onnx"):
        read_piper_decoder(tmp_path / "text.onnx")
    with pytest.raises(DataError, match="cannot be read"):
        read_piper_decoder(tmp_path / "missing.onnx")
    voice = Voice()
    voice.conv("z", "resblocks.0/convs1.0", LATENT, LATENT, 3)
    graph = onnx.helper.make_graph(voice.nodes, "voice", [], [], voice.values)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "high.onnx")
    with pytest.raises(DataError, match="is not a layer of a HiFi-GAN V3 decoder"):
        read_piper_decoder(tmp_path / "high.onnx")
