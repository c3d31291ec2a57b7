"""An ordered chain of augmentations, applied to a batch inside a jitted step."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from rawnet_jax.augment.bank import Banks
from rawnet_jax.augment.fields import PROBABILITY
from rawnet_jax.augment.registry import AUGMENTATIONS, complete_fields
from rawnet_jax.config import AugmentConfig
from rawnet_jax.contract import is_real
from rawnet_jax.errors import ConfigError

_ROUNDING = 1e-9  # of decimal fractions


@dataclass(frozen=True)
class Step:
    """One augmentation of a chain.

    Attributes:
        probability: that it is applied to a clip; drawn for every clip.
        lots_from: it is applied to clips whose draw, from 0 to 1, is at least this and less than
            the probability above it. Of steps that read one draw and have intervals apart, a clip
            gets one at most.
        reads: which of the chain's draws, one per step.
        function: ``(key, waveform [T], num_samples, [bank]) -> waveform [T]``, with its fields.
        bank: as in `registry.Augmentation`.
        resizes: as in `registry.Augmentation`.
    """

    probability: float
    function: partial[Any]
    bank: str
    resizes: bool
    reads: int
    lots_from: float = 0.0

    def apply(
        self,
        banks: Banks,
        key: jax.Array,
        lots: jax.Array,
        waveform: jax.Array,
        num_samples: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Apply to one clip by its `lots`, [steps]. A filler row stays as it is."""
        bank = (getattr(banks, self.bank),) if self.bank else ()
        changed = self.function(key, waveform, num_samples, *bank)
        after, length = changed if self.resizes else (changed, num_samples)
        use = is_real(num_samples)
        if self.probability < 1.0:
            above = lots[self.reads] - self.lots_from
            use &= (above >= 0.0) & (above < self.probability)
        return jnp.where(use, after, waveform), jnp.where(use, length, num_samples)


@dataclass(frozen=True)
class Chain:
    """Steps in order.

    Attributes:
        steps: what to apply; none = nothing at all.
        mesh: devices over whose first axis the rows of a batch are divided; None = one device.
            Without it, XLA gathers the whole batch on every device for a Fourier transform.
        by_pair: rows 2i and 2i + 1 get the same draws.
    """

    steps: tuple[Step, ...]
    mesh: Mesh | None = None
    by_pair: bool = False

    @property
    def needs(self) -> frozenset[str]:
        """The fields of `Banks` that the steps draw from."""
        return frozenset(step.bank for step in self.steps if step.bank)

    def apply(
        self, banks: Banks, key: jax.Array, waveform: jax.Array, num_samples: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Augment a batch.

        Row i depends on the key, on i (`by_pair`: on i // 2) and on itself alone: neither on the
        other rows nor on the number of devices.

        Args:
            banks: with the fields that `needs` names, made for clips of T samples; the same on
                every device.
            key: of this batch.
            waveform: float32 [B, T], full scale = 1, zeros behind `num_samples`.
            num_samples: int32 [B]; 0 = filler row, which stays zeros.

        Returns:
            Waveform float32 [B, T] and num_samples int32 [B]. A row that had T samples has T.
        """
        if not self.steps:
            return waveform, num_samples
        together = 2 if self.by_pair else 1
        keys = jnp.repeat(jax.random.split(key, waveform.shape[0] // together), together)
        rows = jax.vmap(self._apply_to_clip, in_axes=(None, 0, 0, 0))
        if self.mesh is not None and self.mesh.size > 1:
            split, whole = PartitionSpec(self.mesh.axis_names[0]), PartitionSpec()
            rows = jax.shard_map(
                rows,
                mesh=self.mesh,
                in_specs=(whole, split, split, split),
                out_specs=(split, split),
            )
        augmented: tuple[jax.Array, jax.Array] = rows(banks, keys, waveform, num_samples)
        return augmented

    def _apply_to_clip(
        self, banks: Banks, key: jax.Array, waveform: jax.Array, num_samples: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        lot_key, *keys = jax.random.split(key, 1 + len(self.steps))
        lots = jax.random.uniform(lot_key, (len(self.steps),))
        for step, step_key in zip(self.steps, keys, strict=True):
            waveform, num_samples = step.apply(banks, step_key, lots, waveform, num_samples)
        return waveform, num_samples


def make_chain(config: AugmentConfig, mesh: Mesh | None = None) -> Chain:
    """Build the chain that a config describes.

    Args:
        config: names in order, and fields by name.
        mesh: over whose first axis batches are divided; None = one device.

    Raises:
        ConfigError: for an unknown name or field, or a wrong value, in `steps` whether or not
            `chain` names it; for probabilities of `exclusive` that add up to more than 1.
    """
    given = config.steps.to_dict()
    for name in (*given, *config.exclusive):
        complete_fields(name, given.get(name, {}))
    steps: list[Step] = []
    shared: list[Step] = []  # of which a clip gets one at most
    for name in config.chain:
        step = _step(name, given.get(name, {}), len(steps))
        if name in config.exclusive:
            taken = sum(other.probability for other in shared)
            reads = shared[0].reads if shared else step.reads
            step = replace(step, reads=reads, lots_from=taken)
            shared.append(step)
        steps.append(step)
    total = sum(step.probability for step in shared)
    if total > 1.0 + _ROUNDING:
        raise ConfigError(
            f"config.augment.exclusive: the probabilities of {', '.join(config.exclusive)} add up "
            f"to {total:g}; it must be 1 at most, as a clip gets one of them at most"
        )
    return Chain(tuple(steps), mesh, config.by_pair)


def _step(name: str, given: dict[str, Any], position: int) -> Step:
    fields = complete_fields(name, given)
    probability = fields.pop(PROBABILITY)
    row = AUGMENTATIONS[name]
    return Step(probability, partial(row.function, **fields), row.bank, row.resizes, position)
