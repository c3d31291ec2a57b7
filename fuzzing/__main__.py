"""``python -m fuzzing``: see docs/fuzzing.md."""

import argparse
import contextlib
import importlib
import json
import os
import pkgutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fuzzing.case import Case, Result, case_of
from fuzzing.material import ENVIRONMENT, environment, make_material
from fuzzing.report import record_of, table_of

MOST_WORKERS = 2
_WITH_THREADS = ("export",)  # brings libraries that start threads when they are imported


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fuzzing",
        description="Run commands on damaged input and hold them to what is promised.",
    )
    parser.add_argument("--cases", type=int, default=1000, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first case")
    parser.add_argument(
        "--kinds", default="", metavar="A,B", help="or groups: inputs, events (default: all)"
    )
    parser.add_argument("--case", action="append", default=[], metavar="KIND:SEED", help="only it")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="only each N-th case, from I")
    parser.add_argument("--workers", type=int, default=MOST_WORKERS, metavar="N", help="processes")
    parser.add_argument("--material", type=Path, metavar="DIR", help="the small run; kept")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), metavar="DIR")
    parser.add_argument("--report", type=Path, metavar="FILE", help="JSON, one entry a case")
    return parser


def cases_of(
    number: int, *, seed: int, kinds: Sequence[str] = (), part: tuple[int, int] = (0, 1)
) -> list[Case]:
    """Return cases, each kind by its share.

    A case is the same whichever others are asked for: number n of a kind has the seed
    ``seed * 100,000 + n``.

    Args:
        number: of all cases.
        seed: of them.
        kinds: names of kinds or groups; none = all.
        part: (i, n) leaves each n-th case, from number i.

    Raises:
        ValueError: there is no such kind.
    """
    from fuzzing.kinds.registry import KINDS, kinds_of

    names = kinds_of(kinds)
    total = sum(KINDS[name].share for name in names)
    cases: list[Case] = []
    wanted = 0.0
    for name in names:
        wanted += number * KINDS[name].share / total
        count = round(wanted) - len(cases)
        cases += [Case(name, seed * 100_000 + n) for n in range(count)]
    return cases[part[0] :: part[1]]


def _import_everything() -> None:
    """Import what forked processes would import each again."""
    import tqdm

    tqdm.tqdm.monitor_interval = 0  # a thread
    import rawnet_jax

    for name in ("cli", "jobs", "evaluation", "reports", "data", "training", "scoring", "explain"):
        package = importlib.import_module(f"{rawnet_jax.__name__}.{name}")
        for module in pkgutil.iter_modules(package.__path__):
            if module.name in _WITH_THREADS:
                continue
            with contextlib.suppress(ImportError):  # of an extra
                importlib.import_module(f"{package.__name__}.{module.name}")
    importlib.import_module("rawnet_jax.run")
    importlib.import_module("matplotlib.pyplot")


@contextlib.contextmanager
def _folders(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """Yield where the material is, and a folder for the cases."""
    with tempfile.TemporaryDirectory(prefix="rawnet_jax_fuzz_") as work:
        yield args.material or Path(work) / "material", Path(work) / "cases"


def _run(args: argparse.Namespace, cases: list[Case]) -> list[Result]:
    from tqdm import tqdm

    from fuzzing.pool import Pool

    kept = args.failures.absolute()
    with _folders(args) as (material_folder, work):
        material = make_material(material_folder.absolute())
        os.environ.update(environment(material.folder))
        _import_everything()
        pool = Pool(material, work, kept, min(args.workers, MOST_WORKERS))
        results: list[Result] = []
        interrupted = contextlib.suppress(KeyboardInterrupt)  # what was found so far is told
        with interrupted, tqdm(total=len(cases), unit="case", disable=None) as bar:
            for result in pool.run(cases, keep_all=bool(args.case)):
                results.append(result)
                bar.update()
                for failure in result.failures:
                    text = ascii(f"{result.case}: {failure.kind}: {failure.detail[:160]}")
                    bar.write(text.strip("'\""), file=sys.stderr)
    return results


def main() -> int:
    """Run the cases; the exit status is 1 where one failed."""
    args = _parser().parse_args()
    part, parts = (int(word) for word in args.part.split("/"))
    cases = [case_of(text) for text in args.case]
    if not cases:
        kinds = args.kinds.split(",") if args.kinds else ()
        cases = cases_of(args.cases, seed=args.seed, kinds=kinds, part=(part, parts))
    if not ENVIRONMENT.items() <= os.environ.items():  # libraries read it when they are imported
        command = [sys.executable, "-m", "fuzzing", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | ENVIRONMENT)
    start = time.monotonic()
    results = _run(args, cases)
    print(table_of(results))
    print(f"{len(results)} cases in {time.monotonic() - start:.0f} s")
    if args.report is not None:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([record_of(result) for result in results], indent=1)
        args.report.write_text(text + "\n", encoding="utf-8")
    failed = [result for result in results if result.failures]
    if failed:
        print(f"kept in {args.failures}; again: python -m fuzzing --case {failed[0].case}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
