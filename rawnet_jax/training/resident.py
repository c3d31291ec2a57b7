"""A corpus in device memory: packed 16-bit samples, divided over the devices, cut on the device.

The same rows come out as from the loader, bit for bit; nothing but their numbers crosses from the
host. Clips are packed into blocks, so that positions stay small integers however large a corpus is,
and so that a row is fetched by copying a few whole blocks.

A row lies on one device and is needed on another. Each device looks up the rows that it holds of
the whole batch, has zeros for the others, and a sum that is scattered by rows brings every device
its part: a few megabytes per step. This keeps the order of clips that one device alone would have.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from rawnet_jax.contract import Batch
from rawnet_jax.data.audio import INT16_SCALE
from rawnet_jax.data.batch_plan import Rows
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.mesh import AXIS, free_bytes, split_rows

BLOCK = 1024
"""Samples in a block; the end of a clip wastes half of one on average (1 % of 3 s)."""

MAX_SHARE = 0.5
"""Share of a device's free memory that a corpus may take; the rest is for the training step."""


class ResidentCorpus:
    """The clips of one list in device memory.

    Args:
        cache: the clips.
        mesh: the devices.
        on_clip: called after each clip that this process packs.

    Attributes:
        blocks: int16 [devices, blocks per device, BLOCK], split over the mesh.
    """

    def __init__(
        self, cache: WaveformSource, mesh: Mesh, on_clip: Callable[[], object] = lambda: None
    ) -> None:
        self._lengths = cache.num_samples
        self._device, self._block, most = place_clips(cache.num_samples, mesh, cache.owner)
        shape = (mesh.size, most, BLOCK)

        def pack(index: Any) -> np.ndarray:
            [device] = range(*index[0].indices(mesh.size))
            packed = np.zeros((most, BLOCK), np.int16)
            flat = packed.reshape(-1)
            for clip in np.flatnonzero(self._device == device).tolist():
                first = int(self._block[clip]) * BLOCK
                flat[first : first + int(self._lengths[clip])] = cache.waveform(clip)
                on_clip()
            return packed[None]

        self.blocks = jax.make_array_from_callback(shape, split_rows(mesh), pack)

    def where(self, rows: Rows) -> dict[str, np.ndarray]:
        """Return what `fetch` needs to know of rows of one or several batches.

        Args:
            rows: each [..., B].
        """
        real = rows.index >= 0
        index = np.where(real, rows.index, 0)
        columns = {
            "device": np.where(real, self._device[index], -1),
            "block": self._block[index] + rows.start // BLOCK,
            "offset": rows.start % BLOCK,
            "available": rows.taken,
            "num_samples": rows.num_samples,
            "label": rows.label,
            "index": rows.index,
        }
        return {name: column.astype(np.int32) for name, column in columns.items()}


def place_clips(
    lengths: np.ndarray, mesh: Mesh, owner: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Divide clips over the devices in runs of about the same number of blocks.

    Args:
        lengths: int64 [N], samples of each clip.
        mesh: the devices.
        owner: int [N], the process whose devices a clip must lie on; None = any.

    Returns:
        The device of each clip int64 [N], its first block there int64 [N], and the largest number
        of blocks on a device.
    """
    device, block = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    process = np.array([one.process_index for one in mesh.devices.flat])
    groups = [(np.arange(len(lengths)), np.arange(mesh.size))]
    if owner is not None:
        groups = [
            (np.flatnonzero(owner == one), np.flatnonzero(process == one))
            for one in np.unique(process)
        ]
    sizes = -(-lengths // BLOCK)
    for clips, devices in groups:
        ends = np.cumsum(sizes[clips])
        # The device in whose share of all blocks the middle of the clip lies.
        middle = (ends - sizes[clips] / 2) * len(devices) // ends[-1]
        rank = np.minimum(middle, len(devices) - 1).astype(np.int64)
        before = np.concatenate([[0], np.bincount(rank, sizes[clips], len(devices)).cumsum()])
        device[clips] = devices[rank]
        block[clips] = ends - sizes[clips] - before[rank].astype(np.int64)
    return device, block, int(np.bincount(device, sizes, mesh.size).max())


def fits(cache: WaveformSource, mesh: Mesh) -> bool:
    """Return whether every device has room for its part; False if one does not report memory."""
    free = free_bytes(mesh)
    if free is None:
        return False
    needed = (
        place_clips(cache.num_samples, mesh, cache.owner)[2] * BLOCK * np.dtype(np.int16).itemsize
    )
    return needed <= MAX_SHARE * free


def fetch(
    blocks: jax.Array, where: dict[str, jax.Array], *, mesh: Mesh, num_samples: int, pad: str
) -> Batch:
    """Cut the rows of a batch out of the corpus.

    Args:
        blocks: of a `ResidentCorpus`.
        where: of `ResidentCorpus.where`, each int32 [..., B].
        mesh: the devices.
        num_samples: length T of each row.
        pad: "zero" or "repeat", as in the loader.

    Returns:
        A batch with ``waveform`` float32 [..., B, T], split over the devices by B.
    """
    keys = ("device", "block", "offset", "available")
    axis = where["block"].ndim - 1
    look_up = jax.shard_map(
        partial(_rows_of_shard, num_samples=num_samples, axis=axis, scatter=mesh.size > 1),
        mesh=mesh,
        in_specs=(PartitionSpec(AXIS), PartitionSpec()),
        out_specs=PartitionSpec(*[None] * axis, AXIS),
    )
    waveform = look_up(blocks, {key: where[key] for key in keys})
    if pad == "repeat":
        again = jnp.arange(num_samples) % jnp.maximum(where["available"], 1)[..., None]
        waveform = jnp.take_along_axis(waveform, again, axis=-1)
    return {
        "waveform": waveform.astype(jnp.float32) * np.float32(1 / INT16_SCALE),
        "num_samples": where["num_samples"],
        "label": where["label"],
        "index": where["index"],
    }


def _rows_of_shard(
    blocks: jax.Array, where: dict[str, jax.Array], *, num_samples: int, axis: int, scatter: bool
) -> jax.Array:
    """Return this device's rows, int16 or int32, with the help of all devices."""
    span = -(-(num_samples - 1) // BLOCK) + 1
    numbers = where["block"][..., None] + jnp.arange(span)
    # A clip at the end of the shard has fewer blocks than the longest row; what is clipped to the
    # last block lies behind the clip and is masked.
    pieces = jnp.take(blocks[0], numbers, axis=0, mode="clip")
    pieces = pieces.reshape(*pieces.shape[:-2], span * BLOCK)
    cut: Any = partial(jax.lax.dynamic_slice_in_dim, slice_size=num_samples)
    for _ in range(axis + 1):
        cut = jax.vmap(cut)
    rows = cut(pieces, where["offset"])
    here = where["device"] == jax.lax.axis_index(AXIS)
    real = here[..., None] & (jnp.arange(num_samples) < where["available"][..., None])
    rows = jnp.where(real, rows, 0)
    if not scatter:
        return rows
    # 32 bits, since collectives of 16-bit integers are not had everywhere.
    return jax.lax.psum_scatter(rows.astype(jnp.int32), AXIS, scatter_dimension=axis, tiled=True)
