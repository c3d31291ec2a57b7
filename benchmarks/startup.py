"""How long commands take to start, beside Python's own import times.

    python -m benchmarks.startup                     # imports, --help of everything
    python -m benchmarks.startup --workdir runs/x call.wav    # and `score` of one file

Every row is the median wall-clock and CPU time of whole processes. The first process of a row is
not counted, so `score` finds its compiled programs in the cache, but for the row where nothing was
compiled before.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks.machine import num_cores, processor
from rawnet_jax.cli.main import COMMANDS

IMPORTS = ("pass", "import numpy", "import jax", "import flax.linen", "import rawnet_jax")


def times_s(arguments: Sequence[str], rounds: int, *, compiled: bool = True) -> tuple[float, float]:
    """Return the median wall-clock and CPU time of a Python process in seconds.

    Args:
        arguments: of Python.
        rounds: processes that count; where `compiled`, after one more that does not.
        compiled: whether programs may come from the cache of an earlier process.
    """
    walls, cpus = [], []
    for number in range(rounds + compiled):
        with tempfile.TemporaryDirectory() as empty:
            env = os.environ if compiled else {**os.environ, "JAX_COMPILATION_CACHE_DIR": empty}
            begun, before = time.perf_counter(), _cpu_s()
            done = subprocess.run(
                [sys.executable, *arguments], capture_output=True, env=env, check=False
            )
            if number >= compiled:
                walls.append(time.perf_counter() - begun)
                cpus.append(_cpu_s() - before)
        if done.returncode not in (0, 3):
            sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}")
    return statistics.median(walls), statistics.median(cpus)


def _cpu_s() -> float:
    """Return the CPU time of all processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", help="of a trained run or preset, for the rows of score")
    parser.add_argument("file", nargs="?", help="recording, for the rows of score")
    parser.add_argument("--rounds", type=int, default=5, help="processes per row (default: 5)")
    parser.add_argument("--only-score", action="store_true", help="no row but those of score")
    args = parser.parse_args(words)
    ours = ["-m", "rawnet_jax"]
    rows = [(f"python -c '{code}'", ["-c", code]) for code in IMPORTS]
    rows += [("--help", [*ours, "--help"])]
    rows += [(f"{name} --help", [*ours, name, "--help"]) for name in COMMANDS]
    print(f"{processor()}, {num_cores()} cores, Python {sys.version.split()[0]}")
    for title, arguments in () if args.only_score else rows:
        _print(title, times_s(arguments, args.rounds))
    if args.workdir and args.file:
        score = [*ours, "score", f"--workdir={args.workdir}", args.file]
        _print("score of one file", times_s(score, args.rounds))
        found = times_s(score, args.rounds, compiled=False)
        _print("score, nothing compiled before", found)


def _print(title: str, found: tuple[float, float]) -> None:
    wall, cpu = found
    print(f"{title:<36}{wall:6.2f} s, CPU {cpu:6.2f} s", flush=True)


if __name__ == "__main__":
    main()
