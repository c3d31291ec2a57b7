"""Devices: one mesh axis ``data`` over all devices of all hosts; batches split, state replicated.

Nothing else in the package knows how many devices or hosts there are.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rawnet_jax.contract import HostBatch
from rawnet_jax.errors import ConfigError

AXIS = "data"


def start_distributed(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    """Join the other processes of a multi-host run. Call before anything touches a device.

    Args:
        coordinator: ``host:port`` of process 0, or ``auto`` where a cluster manager or a TPU pod
            tells JAX all three.
        num_processes: how many there are; ignored with ``auto``.
        process_id: which one this is; ignored with ``auto``.
    """
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    if num_processes is None or process_id is None or not 0 <= process_id < num_processes:
        raise ConfigError(
            f"--coordinator={coordinator} needs --num-processes and --process-id (0 to "
            f"num-processes - 1); got {num_processes} and {process_id}"
        )
    jax.distributed.initialize(coordinator, num_processes, process_id)


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a one-axis mesh over the given devices (default: all, of all hosts)."""
    chosen = np.asarray(jax.devices() if devices is None else devices)
    # Auto axes: with explicit ones, Linen's dropout on a sharded input raises ShardingTypeError.
    return Mesh(chosen, (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of parameters and other state: a full copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_rows(mesh: Mesh) -> NamedSharding:
    """Sharding of a batch: the first axis is divided over the devices."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def check_batch_size(mesh: Mesh, batch_size: int, name: str) -> None:
    """Check that every device gets the same number of rows.

    Raises:
        ConfigError: naming the field and the nearest sizes that fit.
    """
    count = mesh.size
    if batch_size % count:
        fitting = batch_size // count * count
        options = f"{fitting} or {fitting + count}" if fitting else f"{count}"
        raise ConfigError(
            f"{name} is {batch_size}, which does not divide over {count} devices; use {options}"
        )


def to_devices(mesh: Mesh, batch: HostBatch) -> Any:
    """Lay this process's rows onto its devices as part of one global array each."""
    sharding = split_rows(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
