"""Run an exported file in its own runtime; a script that uses nothing of this package.

    python -P run_exported.py FORMAT FILE FOLDER

FOLDER holds ``waveform.npy`` float32 [N, T] and, for a file that takes it, ``num_samples.npy``
int32 [N]; into it goes ``NAME.npy`` [N] or [N, D] of every output. The first clip is scored alone,
the others in batches.
"""

import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator

import numpy as np

BATCH = 16

Score = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
"""From inputs by name, of B rows, to outputs by name."""


def stablehlo(path: str) -> Score:
    """Load a file of format ``stablehlo``."""
    import jax
    from jax import export

    with zipfile.ZipFile(path) as archive:
        program = export.deserialize(bytearray(archive.read("program.bin")))
        names = json.loads(archive.read("metadata.json"))["inputs"]
    call = jax.jit(program.call)

    def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {k: np.asarray(v) for k, v in call(*(rows[name] for name in names)).items()}

    return score


def onnx(path: str) -> Score:
    """Load a file of format ``onnx``; parameters in other files are refused."""
    from onnx import external_data_helper, load
    from onnxruntime import InferenceSession

    model = load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor):
            sys.exit(f"{path}: keeps {tensor.name} in another file")
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, rows), strict=True))

    return score


def tflite(path: str) -> Score:
    """Load a file of format ``tflite``; it takes one clip at a time."""
    from ai_edge_litert.interpreter import Interpreter

    call = Interpreter(path).get_signature_runner()

    def score(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        clips = range(len(rows["waveform"]))
        found = [call(**{k: v[clip : clip + 1] for k, v in rows.items()}) for clip in clips]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    return score


LOADERS = {"stablehlo": stablehlo, "onnx": onnx, "tflite": tflite}


def batches(folder: str) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs in a folder batch by batch, the first of one clip."""
    inputs = {}
    for name in ("waveform", "num_samples"):
        path = os.path.join(folder, f"{name}.npy")
        if os.path.exists(path):
            inputs[name] = np.load(path, mmap_mode="r")
    num_clips = len(inputs["waveform"])
    starts = [0, *range(1, num_clips, BATCH)]
    for start, end in zip(starts, [*starts[1:], num_clips], strict=True):
        yield {name: np.ascontiguousarray(rows[start:end]) for name, rows in inputs.items()}


def stand_alone() -> None:
    """Let nothing be sent home, and nothing be imported of this package: the file needs none."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime reads it when it is imported
    sys.modules["rawnet_jax"] = None  # type: ignore[assignment]


def main(kind: str, path: str, folder: str) -> None:
    """Score what is in a folder."""
    stand_alone()
    score = LOADERS[kind](path)
    found = [score(rows) for rows in batches(folder)]
    for name in found[0]:
        np.save(os.path.join(folder, name), np.concatenate([part[name] for part in found]))


if __name__ == "__main__":
    main(*sys.argv[1:])
