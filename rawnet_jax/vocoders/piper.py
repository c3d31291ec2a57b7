"""The decoder of a Piper voice as a start: a HiFi-GAN V3 whose upsampling is trained already.

A voice of Piper (a VITS: Kim, Kong, Son, ICML 2021) of low or medium quality ends in a HiFi-GAN
generator with the residual blocks of V3 (Kong, Kim, Bae, NeurIPS 2020, table 5). Its first layer
takes VITS's latent frames and is of no use here; all others are kept.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.errors import ConfigError, DataError

FAMILIES: dict[str, dict[str, Any]] = {"hifigan_v3": {}, "istftnet": {"rates": [8, 8]}}
"""The families that such a decoder starts, and the fields that differ there."""

_FIRST, _LAST, _UP, _BLOCK = "conv_pre", "conv_post", "ups.", "resblocks."


def read_piper_decoder(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the decoder of a voice.

    Args:
        path: ``.onnx`` file of the voice.

    Returns:
        Fields of `rawnet_jax.vocoders.hifigan.HifiGan`, and its parameters but those of ``first``.

    Raises:
        DataError: the file cannot be read, or has no such decoder.
        ConfigError: the package onnx is missing.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx import numpy_helper
    except ImportError as error:
        raise ConfigError(
            f"{path}: a voice takes the package onnx: pip install 'rawnet_jax[export]'"
        ) from error
    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}; it must be a Piper voice") from error
    values = {each.name: each for each in graph.initializer}
    params: dict[str, Any] = {}
    shapes: dict[str, Any] = {"rates": {}, "kernels": {}, "dilations": {}}
    for node in graph.node:
        parts = node.name.split("/")
        if node.op_type not in ("Conv", "ConvTranspose") or parts[1:2] != ["dec"]:
            continue
        weights = [numpy_helper.to_array(values[n]) for n in node.input[1:] if n in values]
        steps = {one.name: list(one.ints) for one in node.attribute}
        name = _name(parts[2:], steps, weights[0], shapes) if weights else ()
        if not name:
            raise DataError(f"{path}: {node.name} is not a layer of a HiFi-GAN V3 decoder")
        if name != ("first",):
            _put(params, name, node.op_type, *weights)
    if not shapes["rates"] or "last" not in params:
        raise DataError(f"{path}: has no HiFi-GAN decoder; it must be a Piper voice")
    fields = _fields(shapes)
    for block in [key for key in params if key.startswith(_BLOCK)]:
        up, kernel = divmod(int(block.removeprefix(_BLOCK)), len(fields["kernels"]))
        params[f"block_{up}_{kernel}"] = params.pop(block)
    return fields, params


def _name(
    parts: list[str], steps: dict[str, list[int]], weight: np.ndarray, shapes: dict[str, Any]
) -> tuple[str, ...]:
    """Return our name of a layer, and note what it says of the network; () = there is none."""
    if parts[0] == _FIRST:
        shapes["channels"] = weight.shape[0]
        return ("first",)
    if parts[0] == _LAST:
        return ("last",)
    if parts[0].startswith(_UP):
        number = int(parts[0].removeprefix(_UP))
        [shapes["rates"][number]] = steps["strides"]
        return (f"up_{number}",)
    if parts[0].startswith(_BLOCK) and parts[1].startswith("convs."):
        block, layer = (int(part.split(".")[1]) for part in parts[:2])
        shapes["kernels"][block] = weight.shape[2]
        [shapes["dilations"][block, layer]] = steps["dilations"]
        return (f"{_BLOCK}{block}", f"dilated_{layer}")
    return ()


def _put(
    params: dict[str, Any],
    name: tuple[str, ...],
    kind: str,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
) -> None:
    # A transposed convolution of Torch is Flax's with reversed taps.
    turned = weight.transpose(2, 1, 0) if kind == "Conv" else weight.transpose(2, 0, 1)[::-1]
    layer = params
    for part in name:
        layer = layer.setdefault(part, {})
    layer["kernel"] = np.ascontiguousarray(turned, np.float32)
    nothing = np.zeros(turned.shape[2])
    layer["bias"] = np.asarray(nothing if bias is None else bias, np.float32)


def _fields(shapes: dict[str, Any]) -> dict[str, Any]:
    per_rate = len(shapes["kernels"]) // len(shapes["rates"])
    dilations = shapes["dilations"]
    return {
        "channels": int(shapes["channels"]),
        "rates": [shapes["rates"][n] for n in sorted(shapes["rates"])],
        "kernels": [int(shapes["kernels"][block]) for block in range(per_rate)],
        "dilations": [
            [value for (of, _), value in sorted(dilations.items()) if of == block]
            for block in range(per_rate)
        ],
        "is_paired": False,
    }
