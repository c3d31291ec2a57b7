"""Runs cases in a forked process: limits, redirected streams, the command, the promises."""

import contextlib
import faulthandler
import io
import json
import logging
import os
import resource
import shlex
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing.case import Attempt, Case, Failure, Outcome
from fuzzing.kinds.registry import KINDS
from fuzzing.material import Material
from fuzzing.oracles import failures_of

_SPACE_MB = 6 * 1024  # of addresses, which JAX takes far more of than of memory
COMMAND = "command.txt"
STDOUT, STDERR = "stdout.txt", "stderr.txt"


def serve(cases: list[Case], material: Material, folders: list[Path], pipe: int) -> None:
    """Run cases one after another; say on a pipe when each begins, and what came of it."""
    faulthandler.disable()
    with open(pipe, "w", encoding="utf-8") as said:
        for number, (case, folder) in enumerate(zip(cases, folders, strict=True)):
            _say(said, {"begins": number})
            _say(said, {"ends": number, **_carried_out(case, material, folder)})


def _say(said: Any, line: dict[str, Any]) -> None:
    said.write(json.dumps(line) + "\n")
    said.flush()


def _carried_out(case: Case, material: Material, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    os.chdir(folder)
    kind = KINDS[case.kind]
    try:
        attempt = kind.make(case.rng, material, folder)
    except Exception:
        detail = traceback.format_exc()
        return _row(Outcome(), "", [Failure("defect of the fuzzer", detail)])
    write_command(folder, attempt)
    before = material.listing()
    if kind.is_event:
        outcome, failures = Outcome(), _of_event(attempt)
    else:
        outcome = _run(attempt, folder)
        failures = failures_of(attempt, outcome, folder)
    if material.listing() != before:
        failures.append(Failure("touched a foreign file", _touched(before, material.listing())))
    return _row(outcome, attempt.mutation, failures)


def _of_event(attempt: Attempt) -> list[Failure]:
    try:
        return list(attempt.check(Outcome()))
    except Exception:
        return [Failure("nothing to compare with", traceback.format_exc())]


def _row(outcome: Outcome, mutation: str, failures: list[Failure]) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "mutation": mutation,
        "failures": [[one.kind, one.detail] for one in failures],
        "cpu_s": outcome.cpu_s,
        "wall_s": outcome.wall_s,
        "grown_mb": outcome.grown_mb,
    }


def _touched(before: dict[str, Any], after: dict[str, Any]) -> str:
    return ", ".join(
        sorted(path for path in before | after if before.get(path) != after.get(path))[:5]
    )


def write_command(folder: Path, attempt: Attempt) -> None:
    """Write the command as a shell takes it, before it can take this process down."""
    words = [shlex.quote(word) for word in ("python", "-m", "rawnet_jax", *attempt.arguments)]
    line = " ".join(words) + (f" < {attempt.stdin}" if attempt.stdin else "")
    text = f"# {attempt.mutation}\n{line}\n"
    (folder / COMMAND).write_bytes(text.encode("utf-8", "surrogateescape"))


def _run(attempt: Attempt, folder: Path) -> Outcome:
    outcome = Outcome()
    baseline = _memory_mb("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    start, cpu = time.monotonic(), time.process_time()
    with _redirected(attempt.stdin, folder), _limited():
        try:
            outcome.status = _main(attempt)
        except SystemExit as error:  # of argparse
            outcome.status = error.code if isinstance(error.code, int) else 1
        except BaseException as error:
            outcome.crash = _crash(error)
            traceback.print_exc()
    outcome.wall_s, outcome.cpu_s = time.monotonic() - start, time.process_time() - cpu
    outcome.grown_mb = _memory_mb("VmHWM") - baseline
    outcome.out = (folder / STDOUT).read_bytes()
    outcome.err = (folder / STDERR).read_bytes()
    return outcome


def _main(attempt: Attempt) -> int:
    from rawnet_jax.cli.main import main

    return main(attempt.arguments) if attempt.call is None else attempt.call()


def _crash(error: BaseException) -> str:
    places = [
        place
        for place in traceback.extract_tb(error.__traceback__)
        if "rawnet_jax" in place.filename
    ]
    where = f"{Path(places[-1].filename).name}:{places[-1].lineno}" if places else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:300]}"


@contextlib.contextmanager
def _redirected(stdin: Path | None, folder: Path) -> Iterator[None]:
    """Let standard streams be files, for Python and for libraries in C alike."""
    logging.getLogger().handlers.clear()  # they hold the streams of the case before
    kept = [os.dup(number) for number in range(3)]
    names = (stdin or os.devnull, folder / STDOUT, folder / STDERR)
    for number, name in enumerate(names):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    streams = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        os.fdopen(2, "wb", closefd=False), "utf-8", "backslashreplace", line_buffering=True
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, saved in enumerate(kept):
            os.dup2(saved, number)
            os.close(saved)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Bound the space of addresses; the parent bounds memory and time from outside."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = int((_memory_mb("VmSize") + _SPACE_MB) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _memory_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0
