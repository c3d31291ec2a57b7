"""What of a network is trained, and how its gradient is taken: the options of fine-tuning."""

from dataclasses import dataclass, field, replace
from typing import Any

import flax.linen as nn
import jax

from rawnet_jax.config import Config
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.training.gradients import Gradient, accumulated, sharpness_aware
from rawnet_jax.training.lora import Lora, make_lora, merged
from rawnet_jax.training.rates import rate_factors
from rawnet_jax.training.trained import ENCODER, Trained, all_but

LORA = "lora"
"""Name of LoRA's matrices among what is trained."""


@dataclass(frozen=True)
class Tuning:
    """Options of fine-tuning; by default none, and a step is what it is without them.

    Attributes:
        trained: which parameters of the network are.
        lora: which layers are adapted; None = none.
        factors: on the rate, a tree like what is trained; None = all are 1.
        accumulate_steps: micro-batches of a step.
        unit: rows of a batch that stay together in them.
        sam_radius: of SAM; 0 = off.
        sam_adaptive: ASAM.
        sizes: how many numbers are trained, and how many parameters the network has; None = it is
            the same.
    """

    trained: Trained = field(default_factory=Trained)
    lora: Lora | None = None
    factors: Any = None
    accumulate_steps: int = 1
    unit: int = 1
    sam_radius: float = 0.0
    sam_adaptive: bool = False
    sizes: tuple[int, int] | None = None

    @property
    def lora_scale(self) -> float:
        """Factor on LoRA's products."""
        return self.lora.scale if self.lora else 1.0

    def init_lora(self, params: Any, key: jax.Array) -> Any:
        """Draw LoRA's matrices; empty without."""
        return self.lora.init(params, key) if self.lora else {}

    def part(self, params: Any, lora: Any) -> Any:
        """Return what is trained: the optimiser's parameters."""
        own = self.trained.part(params)
        return {**own, LORA: lora} if self.lora else own

    def whole(self, params: Any, part: Any) -> tuple[Any, Any]:
        """Return the network's parameters and LoRA's matrices with a part put back."""
        if not self.lora:
            return self.trained.whole(params, part), {}
        own = {name: leaf for name, leaf in part.items() if name != LORA}
        return self.trained.whole(params, own), part[LORA]

    def seen(self, params: Any, part: Any, key: jax.Array) -> Any:
        """Return the parameters that the network is to compute with in training.

        Args:
            params: of the network; what is not trained is taken from here.
            part: what is trained.
            key: LoRA's dropout draws from it.
        """
        params, lora = self.whole(params, part)
        if self.lora:
            # Another branch than augmentation's, which is 1.
            lora = self.lora.dropped(lora, jax.random.fold_in(key, 2))
        return merged(params, lora, self.lora_scale)

    def gradient(self, gradient: Gradient) -> Gradient:
        """Return how a step takes a gradient, from how one of a batch is taken."""
        if self.accumulate_steps > 1:
            gradient = accumulated(gradient, self.accumulate_steps, self.unit)
        if self.sam_radius:
            gradient = sharpness_aware(gradient, self.sam_radius, adaptive=self.sam_adaptive)
        return gradient


def make_tuning(config: Config, model: nn.Module) -> Tuning:
    """Return the options of a config for its network.

    Raises:
        ConfigError: one of them does not fit to the network.
    """
    optimizer, train = config.optimizer, config.train
    steps: dict[str, Any] = {
        "accumulate_steps": train.accumulate_steps,
        "unit": 2 if config.data.pairs else 1,
        "sam_radius": optimizer.sam_radius,
        "sam_adaptive": optimizer.sam_adaptive,
    }
    frozen = optimizer.frozen
    if not (frozen or optimizer.lora.rank or optimizer.rate_parts or optimizer.layer_decay != 1.0):
        return Tuning(**steps)
    params = variable_shapes(model, config.data.num_samples)["params"]
    lora = make_lora(optimizer.lora, params)
    if lora:
        frozen = (*frozen, ENCODER)
    trained = all_but(frozen, params, "config.optimizer.frozen")
    adapted = jax.eval_shape(lora.init, params, jax.random.key(0)) if lora else {}
    factors = rate_factors(optimizer, {**params, LORA: adapted} if lora else params)
    tuning = Tuning(trained, lora, **steps)
    if trained.frozen:
        sizes = _size(jax.eval_shape(tuning.part, params, adapted)), _size(params)
        tuning = replace(tuning, sizes=sizes)
    if factors is not None:
        of_lora = factors.pop(LORA, {})
        tuning = replace(tuning, factors=tuning.part(factors, of_lora))
    return tuning


def _size(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
