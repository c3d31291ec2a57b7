"""Speed against PyTorch and Keras: the same networks, weights and clips, in turns.

    python -m benchmarks.compare                            # all; over an hour on two cores
    python -m benchmarks.compare --models conv1d --rounds 15
    python -m benchmarks.compare --sides jax torch --batch-size 4
    python -m benchmarks.compare --models ssl_linear --sides torch --num-samples 64000
    python -m benchmarks.compare --tiny                     # our side only, short clips

PyTorch and TensorFlow are the extra `bench`. The other sides are our own plain versions
(`benchmarks/frameworks`); of `ssl_linear`, 315 million parameters, transformers' XLS-R (extra
`parity`). Every side has a process of its own; a round is one turn of each, in
which it takes some steps while the others sleep. Before anything is timed, all sides get the same
weights and waveforms and must agree in their scores, and in the loss and the gradient's norm of a
training step without dropout.

train      forward, backward and Adam with the model's own loss, dropout on, float32
score      forward pass with running statistics
one clip   the same of a single clip, from its samples on the host to its score on the host

Times are medians over rounds. The ratio is that of the fastest other side to ours in the same
round: median, and lowest and highest of all rounds. First steps include building and compiling;
memory is the largest resident set after the first steps, less that of the framework alone.

Our commands start themselves with large memory pages where the system grants them
(`rawnet_jax.huge_pages`), and so does our side here; `--large-pages all` gives them to the others
too, `none` to nobody.
"""

import argparse
import contextlib
import datetime
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.frameworks.side import Kind, Opened, Outputs, Task
from benchmarks.frameworks.worker import SIDES, SideError, Worker
from benchmarks.machine import num_cores, processor
from rawnet_jax.models.registry import MODELS

OURS = "jax"
KINDS: dict[Kind, str] = {"train": "train", "score": "score", "score_one": "one clip"}
BATCH_SIZES = {
    "conv1d": 32,
    "rawnet2_asvspoof2021": 8,
    "aasist": 8,
    "lfcc_resnet18": 8,
    "ssl_linear": 1,
}
TARGETS: dict[tuple[str, Kind], float] = {
    ("conv1d", "train"): 2.0,
    ("conv1d", "score"): 1.5,
    ("rawnet2_asvspoof2021", "train"): 1.3,
    ("rawnet2_asvspoof2021", "score"): 1.3,
    ("aasist", "train"): 1.2,
    ("aasist", "score"): 1.5,
    ("lfcc_resnet18", "train"): 1.0,
    ("lfcc_resnet18", "score"): 1.0,
    ("ssl_linear", "score"): 1.0,
}
TINY_SAMPLES = 3_200
SETTLE_S = 0.1  # for threads that still spin after their turn
MOST_RELATIVE, MOST_ABSOLUTE = 1e-3, 2e-4
# A worker that is not at its turn may use this share of the turn's time.
MOST_IDLE_SHARE = 0.05


@dataclass
class Comparison:
    """What was measured of one model.

    Attributes:
        task: the model and its clips.
        versions: side -> framework and version.
        opened: side -> its first steps.
        seconds: (kind, side) -> seconds of a step in each round.
        idle_share: largest share of a turn that a worker spent computing while it was not its turn.
    """

    task: Task
    versions: dict[str, str] = field(default_factory=dict)
    opened: dict[str, Opened] = field(default_factory=dict)
    seconds: dict[tuple[Kind, str], list[float]] = field(default_factory=dict)
    idle_share: float = 0.0


def main() -> int:
    args = parser().parse_args()
    sides = [OURS] if args.tiny else list(dict.fromkeys([OURS, *args.sides]))
    rounds, steps = (1, 1) if args.tiny else (args.rounds, args.steps)
    print_header()
    try:
        for model in args.models:
            size = args.batch_size or (2 if args.tiny else BATCH_SIZES[model])
            length = args.num_samples or (TINY_SAMPLES if args.tiny else MODELS[model].num_samples)
            pages = {"ours": [OURS], "all": sides, "none": []}[args.large_pages]
            task = Task(model, size, length)
            print_comparison(compare(task, sides, rounds, steps, pages))
    except SideError as error:
        sys.exit(f"error: {error}")
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--models",
        nargs="+",
        choices=BATCH_SIZES,
        default=[name for name in BATCH_SIZES if name != "ssl_linear"],  # 15 GB, and no Keras form
        help="default: all but ssl_linear",
    )
    made.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    made.add_argument("--batch-size", type=int, help="default: 32 for conv1d, 8 for the others")
    made.add_argument("--num-samples", type=int, help="length at 16 kHz; default: published")
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--steps", type=int, default=0, help="in a turn; default: about a second's")
    made.add_argument("--large-pages", choices=("ours", "all", "none"), default="ours")
    made.add_argument("--tiny", action="store_true", help="our side only, short clips, one step")
    return made


def compare(
    task: Task, sides: Sequence[str], rounds: int, steps: int, large_pages: Sequence[str] = (OURS,)
) -> Comparison:
    """Open a model on all sides, check that they agree, and time them in turns."""
    comparison = Comparison(task)
    with contextlib.ExitStack() as stack:
        workers = {side: stack.enter_context(Worker(side, side in large_pages)) for side in sides}
        weights = None
        for side, worker in workers.items():
            print(f"{task.model}: first steps of {side} …", file=sys.stderr)
            comparison.versions[side] = worker.call("versions")
            comparison.opened[side] = worker.call("open", task, weights)
            weights = worker.call("weights") if weights is None else weights
        check(task, {side: worker.call("outputs", weights) for side, worker in workers.items()})
        for i in range(rounds):
            print(f"{task.model}: round {i + 1} of {rounds} …", file=sys.stderr)
            take_turns(comparison, workers, steps)
    return comparison


def check(task: Task, outputs: Mapping[str, Outputs]) -> None:
    """See that all sides compute the same.

    Raises:
        SideError: if one does not.
    """
    ours = outputs[OURS]
    for side, theirs in outputs.items():
        for name in ("scores", "loss", "gradient_norm"):
            a, b = getattr(ours, name), getattr(theirs, name)
            if not np.allclose(a, b, rtol=MOST_RELATIVE, atol=MOST_ABSOLUTE):
                raise SideError(f"{task.model}: {name} differ: {OURS} {a}, {side} {b}")


def take_turns(comparison: Comparison, workers: Mapping[str, Worker], steps: int) -> None:
    """Let every side take its steps once, of each kind."""
    for kind in KINDS:
        for side, worker in workers.items():
            time.sleep(SETTLE_S)
            others = [other for other in workers.values() if other is not worker]
            idle_s, started = -cpu_s(others), time.perf_counter()
            seconds = worker.call("timed", kind, steps)
            idle_s += cpu_s(others)
            share = idle_s / (time.perf_counter() - started)
            comparison.idle_share = max(comparison.idle_share, share)
            comparison.seconds.setdefault((kind, side), []).append(seconds)


def cpu_s(workers: Sequence[Worker]) -> float:
    return sum(worker.call("cpu_s") for worker in workers)


def print_header() -> None:
    print(f"{datetime.date.today()}: python -m benchmarks.compare {' '.join(sys.argv[1:])}")
    python = f"{platform.system()}, Python {platform.python_version()}"
    print(f"{processor()}, {num_cores()} cores; {python}")


def print_comparison(comparison: Comparison) -> None:
    """Print one table of times and one of first steps and memory."""
    task, sides = comparison.task, list(comparison.opened)
    print(f"\n{task.model}, batch {task.batch_size}, {task.num_samples:,} samples")
    print("; ".join(f"{side}: {version}" for side, version in comparison.versions.items()) + "\n")
    print_row(["ms", *sides, "ratio", "lowest..highest", "to beat", "target"])
    print_row(["---"] * (len(sides) + 5))
    for kind, name in KINDS.items():
        times = [comparison.seconds[kind, side] for side in sides]
        cells = [f"{1e3 * statistics.median(t):.2f}" for t in times]
        print_row([name, *cells, *ratio_cells(comparison, kind)])
    print()
    print_row(["first steps", *sides])
    print_row(["---"] * (len(sides) + 1))
    opened = [comparison.opened[side] for side in sides]
    print_row(["first train step s", *(f"{o.train_s:.1f}" for o in opened)])
    print_row(["first scores s", *(f"{o.score_s:.1f}" for o in opened)])
    print_row(["peak memory MB", *(f"{o.peak_mb:.0f}" for o in opened)])
    if comparison.idle_share > MOST_IDLE_SHARE:
        print(f"\nwarning: idle sides used up to {comparison.idle_share:.0%} of a core meanwhile")


def ratio_cells(comparison: Comparison, kind: Kind) -> list[str]:
    """Return ratio, its range, the side that it is to, and what became of the target."""
    others = {s: t for (k, s), t in comparison.seconds.items() if k == kind and s != OURS}
    if not others:
        return ["-", "-", "-", "-"]
    best = min(others, key=lambda side: statistics.median(others[side]))
    ours = comparison.seconds[kind, OURS]
    ratios = [b / a for a, b in zip(ours, others[best], strict=True)]
    ratio, target = statistics.median(ratios), TARGETS.get((comparison.task.model, kind))
    verdict = "-" if target is None else f">= {target}: {'met' if ratio >= target else 'MISSED'}"
    return [f"{ratio:.2f}", f"{min(ratios):.2f}..{max(ratios):.2f}", best, verdict]


def print_row(cells: Sequence[str]) -> None:
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
