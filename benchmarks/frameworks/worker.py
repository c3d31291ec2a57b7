"""A process that holds one side and does what it is told through a pipe."""

import importlib
import importlib.util
import multiprocessing
import os
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from rawnet_jax.huge_pages import with_huge_pages


@dataclass(frozen=True)
class Row:
    """Where a side is: its module, imported in the worker alone, its class and its arguments."""

    package: str
    module: str
    kind: str
    arguments: tuple[bool, ...] = ()


SIDES = {
    "jax": Row("jax", "benchmarks.frameworks.jax_side", "JaxSide"),
    "torch": Row("torch", "benchmarks.frameworks.torch_side", "TorchSide", (False,)),
    "torch-compile": Row("torch", "benchmarks.frameworks.torch_side", "TorchSide", (True,)),
    "keras": Row("tensorflow", "benchmarks.frameworks.keras_side", "KerasSide", (False,)),
    "keras-jit": Row("tensorflow", "benchmarks.frameworks.keras_side", "KerasSide", (True,)),
}


class SideError(Exception):
    """What a side could not do."""


class Worker:
    """A side in a process of its own; `call` runs one of its methods there.

    Args:
        side: a name of `SIDES`.
        large_pages: whether its process starts with large memory pages, as our commands do.

    Raises:
        SideError: if its framework is not installed.
    """

    def __init__(self, side: str, large_pages: bool = False) -> None:
        package = SIDES[side].package
        if importlib.util.find_spec(package) is None:
            raise SideError(
                f"side {side} needs {package}, which is not installed: "
                "pip install 'rawnet_jax[bench]', or choose others with --sides"
            )
        # Not a fork: threads of a framework do not survive one.
        context = multiprocessing.get_context("spawn")
        self._side = side
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, side), daemon=True)
        before = dict(os.environ)
        if large_pages:
            os.environ.update(with_huge_pages(before))
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()

    def call(self, method: str, *arguments: Any) -> Any:
        """Run a method of the side and return what it returns.

        Raises:
            SideError: if it failed there.
        """
        self._connection.send((method, arguments))
        try:
            failed, result = self._connection.recv()
        except EOFError:
            raise SideError(f"{self._side}: the process ended during {method}") from None
        if failed:
            raise SideError(f"{self._side}: {method} failed:\n{result}")
        return result


def _serve(connection: Connection, side_name: str) -> None:
    row = SIDES[side_name]
    side = None
    while True:
        try:
            method, given = connection.recv()
        except EOFError:
            return
        try:
            side = side or getattr(importlib.import_module(row.module), row.kind)(*row.arguments)
            answer = (False, getattr(side, method)(*given))
        except Exception:
            answer = (True, traceback.format_exc())
        connection.send(answer)
