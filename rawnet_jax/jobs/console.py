"""Lines for people, on standard output and standard error, and what exit statuses mean."""

from collections.abc import Iterable

from rawnet_jax.terminal import complain as complain
from rawnet_jax.terminal import emit as emit
from rawnet_jax.terminal import one_line as one_line
from rawnet_jax.terminal import printable as printable
from rawnet_jax.terminal import say as say

EXIT_UNREADABLE = 1
EXIT_CANNOT_JUDGE = 3


def say_written(files: Iterable[tuple[str, object]]) -> None:
    """Print a line for each (what, where)."""
    for what, where in files:
        say(f"{what + ':':<13}{where}\n")
