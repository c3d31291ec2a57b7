"""Devices: one mesh axis ``data`` over all devices of all hosts; batches split, state replicated.

Nothing else in the package knows how many devices or hosts there are.
"""

import inspect
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax._src import distributed
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rawnet_jax.contract import HostBatch
from rawnet_jax.errors import ConfigError

AXIS = "data"

HEARTBEAT_S = 10
"""Seconds without a sign of life after which JAX takes a process for lost."""


def start_distributed(coordinator: str, num_processes: int | None, process_id: int | None) -> str:
    """Join the other processes of a multi-host run. Call before anything touches a device.

    Args:
        coordinator: ``host:port`` of process 0, or ``auto`` where a cluster manager or a TPU pod
            tells JAX all three.
        num_processes: how many there are; ignored with ``auto``.
        process_id: which one this is; ignored with ``auto``.

    Returns:
        The host of process 0.

    Raises:
        ConfigError: if they do not fit together, or the others are not there.
    """
    where: dict[str, Any] = {} if coordinator == "auto" else {"coordinator_address": coordinator}
    if where:
        if num_processes is None or process_id is None or not 0 <= process_id < num_processes:
            raise ConfigError(
                f"--coordinator={coordinator} needs --num-processes and --process-id (0 to "
                f"num-processes - 1); got {num_processes} and {process_id}"
            )
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"--coordinator={coordinator}: it must be HOST:PORT or auto")
        where |= {"num_processes": num_processes, "process_id": process_id}
    try:
        jax.distributed.initialize(**where, **_heartbeat())
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--coordinator={coordinator}: cannot join: {reason}") from error
    # No public name tells what a cluster manager told JAX.
    found = coordinator if where else distributed.global_state.coordinator_address
    return str(found).rpartition(":")[0].strip("[]")


def _heartbeat() -> dict[str, Any]:
    """Return the argument that sets JAX's heartbeat; JAX 0.6 has none and takes 100 s."""
    name = "heartbeat_timeout_seconds"
    known = inspect.signature(jax.distributed.initialize).parameters
    return {name: HEARTBEAT_S} if name in known else {}


def all_devices() -> list[jax.Device]:
    """Return the devices of all hosts; the first call starts JAX.

    Raises:
        ConfigError: JAX cannot start on what JAX_PLATFORMS asks for, or on what it found.
    """
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # the second where a plugin is missing
        asked = os.environ.get("JAX_PLATFORMS")
        said = str(error).partition("\n")[0].partition(" (set JAX_PLATFORMS")[0].rstrip(".")
        reason = f": {said}" if said else ""
        if not asked:
            raise ConfigError(f"JAX finds no device that works{reason}") from error
        raise ConfigError(
            f"JAX_PLATFORMS={asked}: JAX cannot start so{reason}; install JAX for that platform, "
            "or unset JAX_PLATFORMS to take what is there"
        ) from error


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a one-axis mesh over the given devices (default: all, of all hosts)."""
    chosen = np.asarray(all_devices() if devices is None else devices)
    # Auto axes: with explicit ones, Linen's dropout on a sharded input raises ShardingTypeError.
    return Mesh(chosen, (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of parameters and other state: a full copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_rows(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """Sharding of a batch: one axis (the rows) is divided over the devices."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


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


def dividing_rows(mesh: Mesh, batch_size: int) -> int:
    """Return a batch size near this one that divides over all devices, for batches that are scored.

    A score does not depend on the batch that it is computed in, so the size is rounded: down, so
    that memory suffices, but to a row a device at least.
    """
    return max(batch_size // mesh.size, 1) * mesh.size


def to_devices(mesh: Mesh, batch: HostBatch, axis: int = 0) -> Any:
    """Lay this process's rows onto its devices as part of one global array each.

    Args:
        mesh: the devices.
        batch: arrays with the rows on `axis`.
        axis: the axes before it (steps, seeds) are whole on every device.
    """
    sharding = split_rows(mesh, axis)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }


def to_every_device(mesh: Mesh, tree: Any) -> Any:
    """Copy arrays that are the same in all processes to all devices."""
    sharding = replicated(mesh)
    return jax.tree.map(
        lambda leaf: jax.make_array_from_process_local_data(sharding, np.asarray(leaf)), tree
    )


def free_bytes(mesh: Mesh) -> int | None:
    """Return the free memory of the fullest device of this process; None if they do not tell."""
    free = []
    for device in mesh.local_devices:
        memory = device.memory_stats() or {}
        if "bytes_limit" not in memory:
            return None
        free.append(memory["bytes_limit"] - memory.get("bytes_in_use", 0))
    return min(free)


def gathered(table: np.ndarray) -> list[np.ndarray]:
    """Return the int64 table [n, c] of each process, in the order of processes; n may differ."""
    if jax.process_count() == 1:
        return [table]
    from jax.experimental import multihost_utils

    lengths = multihost_utils.process_allgather(np.array([len(table)], np.int32)).reshape(-1)
    padded = np.zeros((lengths.max(), table.shape[1]), np.int64)
    padded[: len(table)] = table
    # Halves of 32 bits, since 64-bit integers are cut off on the way.
    halves = multihost_utils.process_allgather(padded.view(np.int32))
    whole = np.ascontiguousarray(halves).view(np.int64)
    return [part[:length] for part, length in zip(whole, lengths, strict=True)]


def agreed(value: int) -> int:
    """Return process 0's value (of 64 bits, with a sign) in all processes."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    # Halves of 32 bits, as above.
    halves = multihost_utils.broadcast_one_to_all(np.array([value], np.int64).view(np.int32))
    return int(np.ascontiguousarray(halves).view(np.int64)[0])


def barrier(name: str) -> None:
    """Wait until every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
