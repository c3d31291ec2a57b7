"""What each model costs: compile time, time of a training step and of scoring, peak memory.

    python -m benchmarks.models                                # the published sizes; minutes
    python -m benchmarks.models --models conv1d aasist --batch-size 8
    python -m benchmarks.models --tiny                         # short clips, two models; seconds

Each model runs in a process of its own, so that the peak of its memory is its own. A training step
is forward, backward and Adam with the model's own loss, dropout on, float32; scoring is a forward
pass. Clips are as long as the model was published for, unless --num-samples says otherwise; their
content is noise, and the parameters are constants. Times are the median of --repeats steps after
the first. Peak memory is the process's largest resident set, less what it held before the model was
made; on an accelerator, see the `temporary` column (what XLA plans for the training step beside
parameters and batch).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.machine import num_cores, peak_mb, processor
from rawnet_jax.huge_pages import restart_with_huge_pages

COLUMNS = {
    "model": "model",
    "num_params": "parameters",
    "batch_size": "batch",
    "num_samples": "samples",
    "compile_train_s": "compile train s",
    "compile_score_s": "compile score s",
    "train_step_s": "train step s",
    "score_step_s": "score step s",
    "train_clips_per_s": "train clips/s",
    "score_clips_per_s": "score clips/s",
    "temporary_mb": "temporary MB",
    "peak_mb": "peak MB",
}
TINY = ("conv1d", "aasist_l")
TINY_SAMPLES = 16_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="rows of the registry")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--num-samples", type=int, help="clip length at 16 kHz; default: published")
    parser.add_argument("--repeats", type=int, default=5, help="steps timed after the first")
    parser.add_argument("--tiny", action="store_true", help="two models, one second, one repeat")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.batch_size, args.num_samples, args.repeats)))
        return 0
    if args.tiny:
        args.models, args.batch_size, args.repeats = args.models or TINY, 2, 1
        args.num_samples = args.num_samples or TINY_SAMPLES
    rows = [in_own_process(name, args) for name in args.models or registered()]
    print(header())
    print("| " + " | ".join(COLUMNS.values()) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(str(row[column]) for column in COLUMNS) + " |")
    return 0


def registered() -> list[str]:
    from rawnet_jax.models.registry import MODELS

    return list(MODELS)


def header() -> str:
    import flax
    import jax

    device = jax.devices()[0]
    return (
        f"{processor()}, {num_cores()} cores, {device.platform} ({device.device_kind}); "
        f"Python {platform.python_version()}, JAX {jax.__version__}, Flax {flax.__version__}\n"
    )


def in_own_process(name: str, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.models", "--one", name]
    command += ["--batch-size", str(args.batch_size), "--repeats", str(args.repeats)]
    if args.num_samples:
        command += ["--num-samples", str(args.num_samples)]
    print(f"measuring {name} …", file=sys.stderr)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, batch_size: int, num_samples: int | None, repeats: int) -> dict[str, Any]:
    import jax
    import numpy as np

    from rawnet_jax.config import LossConfig, OptimizerConfig
    from rawnet_jax.losses import make_loss
    from rawnet_jax.models.registry import MODELS, build_model, model_config
    from rawnet_jax.scoring.scorer import eval_step
    from rawnet_jax.training.optimizer import make_optimizer
    from rawnet_jax.training.state import create_state
    from rawnet_jax.training.step import train_step

    spec = MODELS[name]
    length = num_samples or spec.num_samples
    rng = np.random.default_rng(0)
    batch = {
        "waveform": 0.1 * rng.standard_normal((batch_size, length)).astype(np.float32),
        "num_samples": np.full(batch_size, length, np.int32),
        "label": np.arange(batch_size, dtype=np.int32) % 2,
        "index": np.arange(batch_size),
    }
    before_mb = peak_mb()
    model, loss = build_model(model_config(name)), make_loss(LossConfig(name=spec.loss))
    optimizer = make_optimizer(OptimizerConfig(), lambda _: 1e-4)
    shapes = jax.eval_shape(partial(create_state, model, optimizer, 0, length))
    # Values do not matter here, and compiling their draws would take as long as the rest.
    state = jax.tree.map(lambda leaf: jax.numpy.full(leaf.shape, 0.01, leaf.dtype), shapes)
    steps = partial(train_step, model=model, loss=loss, optimizer=optimizer)
    train, compile_train_s = compiled(jax.jit(steps, donate_argnums=0), state, batch)
    score, compile_score_s = compiled(
        jax.jit(partial(eval_step, model=model, loss=loss)), state.variables, batch
    )
    score_s = median_time(lambda: score(state.variables, batch), repeats)
    holder = [state]

    def one_step() -> Any:
        holder[0], report, _ = train(holder[0], batch)
        return report, holder[0]

    train_s = median_time(one_step, repeats)
    num_params = sum(leaf.size for leaf in jax.tree.leaves(holder[0].params))
    analysis = train.memory_analysis()
    return {
        "model": name,
        "num_params": f"{num_params:,}",
        "batch_size": batch_size,
        "num_samples": f"{length:,}",
        "compile_train_s": f"{compile_train_s:.1f}",
        "compile_score_s": f"{compile_score_s:.1f}",
        "train_step_s": f"{train_s:.3f}",
        "score_step_s": f"{score_s:.3f}",
        "train_clips_per_s": f"{batch_size / train_s:.1f}",
        "score_clips_per_s": f"{batch_size / score_s:.1f}",
        "temporary_mb": f"{analysis.temp_size_in_bytes / 1e6:.0f}" if analysis else "-",
        "peak_mb": f"{peak_mb() - before_mb:.0f}",
    }


def compiled(function: Any, *arguments: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    program = function.lower(*arguments).compile()
    return program, time.perf_counter() - started


def median_time(run: Callable[[], Any], repeats: int) -> float:
    import jax

    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    restart_with_huge_pages()  # as our commands do
    sys.exit(main())
