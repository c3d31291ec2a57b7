"""What ``manifest`` does: sources in, a list of recordings out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.jobs.ending import ended_by_signals
from rawnet_jax.progress import make_bar
from rawnet_jax.scale.listing import list_sources
from rawnet_jax.storage.rows import Row, extension_of, write_manifest
from rawnet_jax.terminal import complain, sized


@dataclass(frozen=True, kw_only=True)
class ManifestOptions:
    """Options of ``manifest``, named as its flags; see ``manifest --help``."""

    sources: Sequence[str]
    lists: Sequence[str]
    output: Path
    progress: bool

    def __post_init__(self) -> None:
        extension_of(self.output)
        if not self.sources and not self.lists:
            raise ConfigError("manifest: give a folder, a tar file, a URI or --list")


def write_manifest_of(options: ManifestOptions) -> None:
    """List recordings.

    Raises:
        RawnetError: a source cannot be read, the manifest cannot be written, or there is nothing.
        Interrupted: SIGTERM or SIGHUP; nothing is written.
    """
    with ended_by_signals():
        rows = list_sources(options.sources, options.lists)
        count, num_bytes = write_manifest(options.output, _counted(rows, options.progress))
    complain(f"{count:,} recordings, {sized(num_bytes)}: {options.output}")


def _counted(rows: Iterable[Row], progress: bool) -> Iterator[Row]:
    found = 0
    with make_bar("listing", 0, shown=progress, unit="file") as bar:
        for row in rows:
            found += 1
            bar.update()
            yield row
    if not found:
        raise DataError("there is no recording in what was named")
