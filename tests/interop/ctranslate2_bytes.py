"""Files of CTranslate2 as bytes, and a Whisper's encoder in its names, put together by hand."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
IN_A_LAYER = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}


def text(content: str) -> bytes:
    return struct.pack("<H", len(content) + 1) + content.encode() + b"\0"


def variable(name: str, array: np.ndarray) -> bytes:
    array = np.asarray(array)
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    kind = struct.pack("<BI", TYPES[array.dtype.name], array.nbytes)
    return text(name) + shape + kind + array.tobytes()


def packed(
    variables: Mapping[str, np.ndarray],
    aliases: Mapping[str, str] | None = None,
    *,
    network: str = "WhisperSpec",
    version: int = 6,
) -> bytes:
    """Return the content of a ``model.bin``."""
    names = (aliases or {}).items()
    return b"".join(
        [
            *(struct.pack("<I", version), text(network), struct.pack("<II", 3, len(variables))),
            *(variable(name, array) for name, array in variables.items()),
            struct.pack("<I", len(names)),
            *(text(alias) + text(name) for alias, name in names),
        ]
    )


def whisper_variables(
    state: Mapping[str, np.ndarray], heads: int, num_layers: int
) -> dict[str, np.ndarray]:
    """Return a Whisper's encoder by CTranslate2's names, and a decoder's part."""
    S = {name.removeprefix("encoder."): array for name, array in state.items()}
    found: dict[str, Any] = dict.fromkeys(
        ("encoder/num_heads", "decoder/num_heads"), np.int16(heads)
    )
    found["encoder/position_encodings/encodings"] = S["embed_positions.weight"]

    def copy(theirs: str, name: str, weight: str, bias: str) -> None:
        found[f"{theirs}/{weight}"] = S[name + ".weight"]
        found[f"{theirs}/{bias}"] = S[name + ".bias"]

    for name in ("conv1", "conv2"):
        copy(f"encoder/{name}", name, "weight", "bias")
    copy("encoder/layer_norm", "layer_norm", "gamma", "beta")
    for i in range(num_layers):
        for theirs, name in IN_A_LAYER.items():
            leaves = ("gamma", "beta") if "norm" in name else ("weight", "bias")
            copy(f"encoder/layer_{i}/{theirs}", f"layers.{i}.{name}", *leaves)
        attention, linear = f"layers.{i}.self_attn.", f"encoder/layer_{i}/self_attention/linear_0/"
        q, v = (S[f"{attention}{kind}_proj.bias"] for kind in "qv")
        found[linear + "bias"] = np.concatenate([q, np.zeros_like(q), v])
        found[linear + "weight"] = np.concatenate([S[f"{attention}{k}_proj.weight"] for k in "qkv"])
    found["decoder/embeddings/weight"] = np.ones((3, 2), np.float16)
    return found
