"""How long commands take to start, beside Python's own import times.

    python -m benchmarks.startup                     # imports, --help of everything
    python -m benchmarks.startup --workdir runs/x call.wav    # and `score` of one file

Every row is the median wall-clock time of whole processes. The first process of a row is not
counted, so `score` finds its compiled programs in the cache.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.machine import num_cores, processor
from rawnet_jax.cli.main import COMMANDS

IMPORTS = ("pass", "import numpy", "import jax", "import flax.linen", "import rawnet_jax")


def wall_s(arguments: Sequence[str], rounds: int) -> float:
    """Return the median time of a Python process in seconds."""
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
        times.append(time.perf_counter() - begun)
        if done.returncode not in (0, 3):
            sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}")
    return statistics.median(times[1:])


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", help="of a trained run, for the row of score")
    parser.add_argument("file", nargs="?", help="recording, for the row of score")
    parser.add_argument("--rounds", type=int, default=5, help="processes per row (default: 5)")
    args = parser.parse_args(words)
    ours = ["-m", "rawnet_jax"]
    rows = [(f"python -c '{code}'", ["-c", code]) for code in IMPORTS]
    rows += [("--help", [*ours, "--help"])]
    rows += [(f"{name} --help", [*ours, name, "--help"]) for name in COMMANDS]
    if args.workdir and args.file:
        rows += [("score of one file", [*ours, "score", f"--workdir={args.workdir}", args.file])]
    print(f"{processor()}, {num_cores()} cores, Python {sys.version.split()[0]}")
    for title, arguments in rows:
        print(f"{title:<36}{wall_s(arguments, args.rounds):6.2f} s", flush=True)


if __name__ == "__main__":
    main()
