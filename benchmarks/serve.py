"""What the service costs, and what it does when more comes than it can score; on loopback.

    python -m benchmarks.serve                              # the default preset; 2 minutes
    python -m benchmarks.serve --workdir runs/x --seconds 60
    python -m benchmarks.serve --anchor                     # and LitServe (pip install litserve)
    python -m benchmarks.serve --rate 60 --seconds 900      # overload alone, at 60 a second
    python -m benchmarks.serve --tiny                       # a model that does nothing; seconds

Measurements, each of a service in a process of its own, which is sent one recording of --audio-s
seconds (16 kHz, 16-bit WAV) again and again:

- overhead: one client, one request after the other, each on a connection of its own, to a model
  that does nothing: from connecting to the last byte received, so HTTP, decoding in a process, the
  queue and the input gate;
- capacity: --clients clients, each with one request at a time, for --seconds;
- overload: requests at --overload times that rate, or at --rate, for --seconds, whether or not
  answers come. Standard error says twenty times what came so far. Memory is the median of the first
  and of the last third, and the largest, of the service and of its processes, which share pages and
  so are counted too high;
- with --anchor the same of another server with the same model and settings
  (`benchmarks.serve_anchor`), under the same load, its overload at the rate of ours.

Client and service share the cores; a machine that others use at the same time makes all worse.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Iterator

from benchmarks.machine import num_cores, processor
from benchmarks.serve_load import Sent, Target, closed_loop, one_by_one, open_loop, recording
from benchmarks.serve_process import ANCHOR, OURS, STUB, Serving, has_anchor

HEADER = (
    "| | ms, median | 95 % | largest | scored a second | refused | memory, MB |\n"
    "|---|---|---|---|---|---|---|"
)


def row(name: str, found: Sent) -> str:
    """Return a row of the table."""
    cells = (f"{found.at(share):.1f}" for share in (0.5, 0.95, 1.0))
    return f"| {name} | {' | '.join(cells)} | {found.rate:.1f} | {found.refused} | {found.memory} |"


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _versions(is_anchored: bool) -> str:
    from importlib.metadata import version

    names = ["fastapi", "uvicorn", "jax", "numpy", *(["litserve"] if is_anchored else [])]
    said = ", ".join(f"{name} {version(name)}" for name in names)
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{processor()}, {num_cores()} cores, load average {load_average:.1f}, Python "
        f"{platform.python_version()}, {said}"
    )


def measure(args: argparse.Namespace) -> Iterator[str]:
    """Yield the rows of the table, each when it is measured."""
    content = recording(args.audio_s)
    kinds = [OURS, *([ANCHOR] if args.anchor else [])]
    rate = args.rate
    for kind in kinds if rate is None else []:
        with Serving(kind, STUB) as serving:
            yield from _overhead(serving.target(content), kind, args)
    for kind in kinds:
        with Serving(kind, args.workdir) as serving:
            target = serving.target(content)
            if args.rate is None:
                found = asyncio.run(one_by_one(target, max(args.requests // 4, 5)))
                yield row(_named("one client", kind), found)
                found = asyncio.run(closed_loop(target, args.clients, args.seconds))
                yield row(_named(f"{args.clients} clients", kind), found)
                rate = rate or max(args.overload * found.rate, 1.0)
            over = open_loop(target, rate, args.seconds, serving.memory_mb, _tell)
            yield row(_named(f"overload, {rate:.0f} a second", kind), asyncio.run(over))
            yield row(_named("one client, after it", kind), asyncio.run(one_by_one(target, 5)))


def _overhead(target: Target, kind: str, args: argparse.Namespace) -> Iterator[str]:
    asyncio.run(one_by_one(target, 20))
    found = asyncio.run(one_by_one(target, args.requests))
    yield row(_named("overhead, no model", kind), found)


def _named(name: str, kind: str) -> str:
    return f"LitServe: {name}" if kind == ANCHOR else name


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", default="", help="run, preset or .onnx file")
    parser.add_argument("--audio-s", type=float, default=3.0, help="length of the recording")
    parser.add_argument("--requests", type=int, default=300, help="for the overhead")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0, help="of capacity, and of overload")
    parser.add_argument("--overload", type=float, default=2.0, help="times the capacity")
    parser.add_argument("--rate", type=float, help="overload alone, at this many a second")
    parser.add_argument("--anchor", action="store_true", help="LitServe under the same load, too")
    parser.add_argument("--tiny", action="store_true", help="no model, two seconds")
    args = parser.parse_args()
    if args.anchor and not has_anchor():
        parser.error("--anchor: LitServe is not installed; pip install litserve")
    if args.tiny:
        args.workdir, args.requests, args.seconds, args.audio_s = STUB, 40, 1.0, 1.0
    _tell(f"{_versions(args.anchor)}\n")
    print(HEADER)
    for line in measure(args):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
