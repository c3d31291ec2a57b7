"""Exported files: which network goes into which format, how large, how exact, how fast.

    python -m benchmarks.export                              # all networks, random weights
    python -m benchmarks.export --models conv1d aasist --rounds 15
    python -m benchmarks.export --runs runs/conv1d runs/aasist --clips ../recordings
    python -m benchmarks.export --tiny                       # Conv1D, short clips, one round

Needs the extras `export` and `tflite`; for the comparison with PyTorch `bench` as well. Networks
are of their published size and length of clip, or those of `--runs`; the int8 file of a run is
given ranges by its train partition, and its equal error rate is measured on its eval partition.

difference   largest of any score from Flax's, of files run in a process without this package, on
             noise and tones and, with --clips, on recordings
ms           of one clip, on `--threads` threads: median over rounds, a turn of each file a round

ONNX against PyTorch: the plain networks of `benchmarks/frameworks` with the same weights, exported
by `torch.onnx.export`, in the same ONNX Runtime with the same options, in turns. Their scores must
agree. The ratio is PyTorch's time to ours in the same round: above 1, ours is faster.
"""

import argparse
import contextlib
import datetime
import importlib.util
import io
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime reads it when it is imported

import jax
import jax.export
import numpy as np

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import AudioConfig, Config
from rawnet_jax.data.inputs import find_inputs
from rawnet_jax.data.partitions import load_scoring_cache
from rawnet_jax.errors import ConfigError, ExportError
from rawnet_jax.export.accuracy import EerChange, eer_change, representative_rows
from rawnet_jax.export.formats import check_format
from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.program import Program, make_program, program_of
from rawnet_jax.export.stablehlo import export_stablehlo
from rawnet_jax.export.tflite import export_tflite
from rawnet_jax.export.verify import CheckClips, compare, make_check_clips
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.variables import init_variables
from rawnet_jax.run import Run

FORMATS = ("stablehlo", "onnx", "tflite", "tflite int8")
TARGET = 0.8
"""Least ratio of PyTorch's time to ours."""

COMPARED = ("conv1d", "rawnet2_asvspoof2021", "aasist", "lfcc_resnet18")
BATCH_SIZES = (1, 8)
TINY_SAMPLES = 3_200
_MOST_DIFFERENT = 1e-3
_TURN_S = 0.5

Call = Callable[[], object]


@dataclass
class Network:
    """A network to export.

    Attributes:
        program: the network.
        config: of its run; None = its weights are random.
    """

    program: Program
    config: Config | None = None

    @property
    def name(self) -> str:
        return str(self.program.metadata["model"])


@dataclass
class Row:
    """One file.

    Attributes:
        network: its name.
        kind: a name of `FORMATS`.
        why_not: the reason, where there is no file.
        size: in bytes.
        difference: largest difference of a score from Flax's.
        eer: before and after, of int8 and a run.
        seconds: of one clip, in each round.
    """

    network: str
    kind: str
    why_not: str = ""
    size: int = 0
    difference: float = 0.0
    eer: EerChange | None = None
    seconds: list[float] = field(default_factory=list)


def main() -> int:
    args = parser().parse_args()
    rounds = 1 if args.tiny else args.rounds
    print(f"{datetime.date.today()}: python -m benchmarks.export {' '.join(sys.argv[1:])}")
    print(f"{processor()}, {num_cores()} cores; {platform.system()}; JAX {jax.__version__}\n")
    recordings = [Path(path) for path in find_inputs(args.clips)[0]] if args.clips else []
    found = []
    print_row(["network", "format", "size", "difference", "ms", "EER int8"])
    print_row(["---"] * 6)
    for network in networks(args):
        clips = make_check_clips(network.program, recordings, AudioConfig())
        with tempfile.TemporaryDirectory(prefix="rawnet_jax_export_") as folder:
            for row in measured(network, clips, Path(folder), rounds, args.threads):
                print_row(cells(row))
            found.append(network)
    missing = [p for p in ("torch", "onnxscript") if importlib.util.find_spec(p) is None]
    if missing:
        print(f"\nnot compared with PyTorch: {', '.join(missing)} is not installed")
        return 0
    print("\n| ONNX, ms | batch | ours | PyTorch's | ratio | lowest..highest | target |")
    print_row(["---"] * 7)
    for network in found:
        if network.name in COMPARED and not network.program.takes_num_samples:
            against_torch(network, rounds, args.threads)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    made.add_argument("--runs", nargs="+", type=Path, default=[], help="work directories")
    made.add_argument("--clips", nargs="+", default=[], help="recordings: files, folders, patterns")
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--threads", type=int, default=num_cores(), help="default: all cores")
    made.add_argument("--tiny", action="store_true", help="Conv1D, short clips, one round")
    return made


def networks(args: argparse.Namespace) -> Iterable[Network]:
    """Yield what is exported: the runs, or networks with random weights."""
    for workdir in args.runs:
        run = Run.open(workdir)
        yield Network(program_of(run), run.config)
    if args.runs:
        return
    for name in ["conv1d"] if args.tiny else args.models:
        config = Config()
        config.model = model_config(name)
        length = TINY_SAMPLES if args.tiny else MODELS[name].num_samples
        config.data.num_samples = length
        config.data.pad = "repeat"  # so that the length of a clip is not a second input
        drawn = jax.jit(partial(init_variables, build_model(config.model), num_samples=length))
        source = {"checkpoint": "random", "step": 0, "fingerprint": ""}
        yield Network(make_program(config, jax.device_get(drawn(jax.random.key(0))), source))


def measured(
    network: Network, clips: CheckClips, folder: Path, rounds: int, threads: int
) -> list[Row]:
    """Return a row of each format."""
    rows, calls = [], []
    for kind in FORMATS:
        print(f"{network.name}: {kind} …", file=sys.stderr)
        row = Row(network.name, kind)
        rows.append(row)
        runtime = kind.split()[0]
        try:
            check_format(runtime, network.name)
            content = exported(network, kind, clips)
            path = folder / f"model.{kind.replace(' ', '_')}"
            path.write_bytes(content)
            row.size = len(content)
            row.difference = compare(path, runtime, network.program, clips).score
            if kind == "tflite int8" and network.config is not None:
                partition = load_scoring_cache(network.config.data, "eval", progress=False)
                row.eer = eer_change(path, runtime, network.program, partition)
            calls.append((row, CALLERS[runtime](content, network.program, 1, threads)))
        except (ConfigError, ExportError) as error:
            row.why_not = str(error)
    for _ in range(rounds):
        for row, call in calls:
            row.seconds.append(seconds_of(call))
    return rows


def exported(network: Network, kind: str, clips: CheckClips) -> bytes:
    """Return the content of a file."""
    program = network.program
    if kind == "stablehlo":
        return export_stablehlo(program)
    if kind == "onnx":
        return export_onnx(program)
    if kind == "tflite":
        return export_tflite(program)
    representative = (clips.waveform, clips.num_samples)
    if network.config is not None:
        train = load_scoring_cache(network.config.data, "train", progress=False)
        representative = representative_rows(program, train)
    return export_tflite(program, quantize="int8", representative=representative)


def inputs_of(program: Program, batch_size: int) -> dict[str, np.ndarray]:
    """Return noise, as a program takes it."""
    rng = np.random.default_rng(0)
    waveform = 0.1 * rng.standard_normal((batch_size, program.num_samples))
    own = np.full(batch_size, program.num_samples, np.int32)
    arrays = {"waveform": waveform.astype(np.float32), "num_samples": own}
    return {name: arrays[name] for name in program.inputs}


def call_stablehlo(content: bytes, program: Program, batch_size: int, _threads: int) -> Call:
    """JAX takes all cores, whatever is asked for."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        read = jax.export.deserialize(bytearray(archive.read("program.bin")))
    call = jax.jit(read.call)
    rows = inputs_of(program, batch_size)
    return lambda: np.asarray(call(*(rows[name] for name in program.inputs))["score"])


def call_onnx(content: bytes, program: Program, batch_size: int, threads: int) -> Call:
    session = onnx_session(content, threads)
    rows = inputs_of(program, batch_size)
    return lambda: session.run(["score"], rows)[0]


def onnx_session(content: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def call_tflite(content: bytes, program: Program, batch_size: int, threads: int) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    call = Interpreter(model_content=content, num_threads=threads).get_signature_runner()
    rows = inputs_of(program, batch_size)
    return lambda: call(**rows)["score"]


CALLERS = {"stablehlo": call_stablehlo, "onnx": call_onnx, "tflite": call_tflite}


def seconds_of(call: Call) -> float:
    """Return the mean of as many calls as a turn has room for, after one that is not counted."""
    started = time.perf_counter()
    call()
    once = time.perf_counter() - started
    num_calls = max(2, min(200, int(_TURN_S / once)))
    started = time.perf_counter()
    for _ in range(num_calls):
        call()
    return (time.perf_counter() - started) / num_calls


def cells(row: Row) -> list[str]:
    """Return a row of the table of files."""
    if row.why_not:
        return [row.network, row.kind, row.why_not, "", "", ""]
    size = f"{row.size / 1e3:,.1f} kB" if row.size < 1e6 else f"{row.size / 1e6:,.1f} MB"
    milliseconds = f"{1e3 * statistics.median(row.seconds):.2f}"
    return [row.network, row.kind, size, f"{row.difference:.1e}", milliseconds, eer_cell(row.eer)]


def eer_cell(change: EerChange | None) -> str:
    if change is None:
        return ""
    before, after = 100 * change.network, 100 * change.exported
    return f"{before:.2f} % → {after:.2f} %"


def against_torch(network: Network, rounds: int, threads: int) -> None:
    """Print how our ONNX file and PyTorch's own of the same network compare."""
    print(f"{network.name}: PyTorch's export …", file=sys.stderr)
    program = network.program
    ours, theirs = export_onnx(program), torch_onnx(network)
    for batch_size in BATCH_SIZES:
        calls = [call_onnx(content, program, batch_size, threads) for content in (ours, theirs)]
        scores = [np.asarray(call()) for call in calls]
        if not np.allclose(scores[0], scores[1], rtol=_MOST_DIFFERENT, atol=_MOST_DIFFERENT):
            sys.exit(f"error: {network.name}: scores differ: ours {scores[0]}, PyTorch {scores[1]}")
        seconds = [[seconds_of(call) for call in calls] for _ in range(rounds)]
        ratios = [torch_s / our_s for our_s, torch_s in seconds]
        medians = [
            f"{1e3 * statistics.median(column):.2f}" for column in zip(*seconds, strict=True)
        ]
        ratio = statistics.median(ratios)
        verdict = f">= {TARGET}: {'met' if ratio >= TARGET else 'MISSED'}"
        between = f"{min(ratios):.2f}..{max(ratios):.2f}"
        print_row([network.name, str(batch_size), *medians, f"{ratio:.2f}", between, verdict])


def torch_onnx(network: Network) -> bytes:
    """Return PyTorch's own export of our plain version of a network, with the same weights."""
    import torch

    from benchmarks.frameworks.torch_side import MODELS as TORCH_MODELS
    from rawnet_jax.interop.torch_weights import variables_to_torch
    from rawnet_jax.models.torch_names import TorchNames

    model = TORCH_MODELS[network.name]

    class Scored(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.module()

        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            return model.score(self.network(waveform))

    scored = Scored().eval()
    names = MODELS[network.name].torch_names or TorchNames()
    weights = variables_to_torch(network.program.variables, names)
    scored.network.load_state_dict({n: torch.tensor(array) for n, array in weights.items()})
    clips = torch.from_numpy(inputs_of(network.program, 2)["waveform"])
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            scored,
            (clips,),
            input_names=["waveform"],
            output_names=["score"],
            dynamic_shapes={"waveform": {0: torch.export.Dim("batch")}},
            dynamo=True,
        )
    return made.model_proto.SerializeToString()


def print_row(cells: Sequence[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
