"""Several processes, on one host or many, as one run."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """Which processes belong together, named as the flags of ``train`` and ``evaluate``."""

    coordinator: str | None
    num_processes: int | None
    process_id: int | None


@contextlib.contextmanager
def joined(options: ProcessOptions) -> Iterator[None]:
    """Run what is inside on all processes that the options join; on this one alone if none.

    Raises:
        ConfigError: the options do not fit together, or there is no cluster to join.
    """
    if not options.coordinator:
        yield
        return
    from rawnet_jax.mesh import start_distributed
    from rawnet_jax.peers import watching_peers

    host = start_distributed(options.coordinator, options.num_processes, options.process_id)
    with watching_peers(host):
        yield
