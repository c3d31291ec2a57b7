"""Lines for people, on standard output and standard error, and what exit statuses mean."""

from collections.abc import Iterable

from rawnet_jax.terminal import say

EXIT_UNREADABLE = 1
EXIT_CANNOT_JUDGE = 3


def say_written(files: Iterable[tuple[str, object]]) -> None:
    """Print a line for each (what, where)."""
    for what, where in files:
        say(f"{what + ':':<13}{where}\n")
