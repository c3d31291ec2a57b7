"""``segments``: how well ``score --windows`` finds the fake parts of recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.data.time_lines import read_time_lines
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.localisation import localise
from rawnet_jax.jobs.console import say_written
from rawnet_jax.reports.localisation_tables import format_localisation, write_localisation
from rawnet_jax.terminal import show

_LONGEST_MS = 60_000


@dataclass(frozen=True, kw_only=True)
class SegmentsOptions:
    """Options of ``segments``, named as its flags."""

    scores: Path
    protocol: Path
    corpus: str
    one_means: str
    resolutions: Sequence[float]
    threshold: float | None
    output: Path | None

    def __post_init__(self) -> None:
        for length in self.resolutions:
            if not 1 <= length <= _LONGEST_MS:
                raise ConfigError(f"--resolutions {length:g}: it must be 1 to {_LONGEST_MS} ms")


def measure_segments(options: SegmentsOptions) -> int:
    """Measure time lines against segments; returns the exit status.

    Raises:
        RawnetError: a file cannot be read, or they have nothing in common.
    """
    trials = read_protocol(options.protocol, options.corpus, options.one_means)
    lines = read_time_lines(options.scores)
    found = localise(lines, trials, options.resolutions, options.threshold)
    show(format_localisation(found))
    if options.output is not None:
        make_folder(options.output)
        show()
        say_written(write_localisation(options.output, found))
    return 0
