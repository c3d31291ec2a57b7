"""How a family's variables are called in the PyTorch state dict it was published with."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class TorchNames:
    """Names of one family; `rawnet_jax.interop.torch_weights` imports and exports by them.

    Attributes:
        rules: (pattern, replacement) regular expressions, applied one after the other to our name
            with PyTorch's word for the leaf, such as ``block_0/conv1/weight``. What is still a
            slash then becomes a dot.
        bonafide_first: patterns of PyTorch names whose first axis is [bonafide, spoof] and not
            [spoof, bonafide]; the converter turns it round.
        optional: patterns of PyTorch names that a checkpoint may lack (the loss has them, scoring
            does not); they keep their initial values.
        in_loss: patterns of PyTorch names that the published code keeps in its loss, not in the
            network; the export writes them into a file of their own.
        aliases: other spellings of a PyTorch name, alias -> name.
        constants: PyTorch names of tables that are not trained, and that the published code keeps
            in the state dict. Each with the name of a trained tensor and what makes the table from
            the size of that tensor's last axis.
        encoder: what stands before the names of the encoder, where the network has one
            (`rawnet_jax.models.with_encoder`). Import finds it; export writes it.
    """

    rules: tuple[tuple[str, str], ...] = ()
    bonafide_first: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    in_loss: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, tuple[str, Callable[[int], np.ndarray]]] = field(default_factory=dict)
    encoder: str = ""

    def torch_name(self, name: str) -> str:
        """Return the PyTorch name of a variable of ours.

        Args:
            name: path with slashes, without the collection: ``block_0/conv1/kernel``.
        """
        module, _, leaf = name.rpartition("/")
        name = f"{module}/{_TORCH_LEAF.get(leaf, leaf)}" if module else leaf
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name.replace("/", ".")

    def is_bonafide_first(self, torch_name: str) -> bool:
        """Return whether that tensor's first axis has the classes the other way round."""
        return any(re.fullmatch(pattern, torch_name) for pattern in self.bonafide_first)

    def is_in_loss(self, torch_name: str) -> bool:
        """Return whether the published code keeps that tensor in its loss."""
        return any(re.fullmatch(pattern, torch_name) for pattern in self.in_loss)

    def is_optional(self, torch_name: str) -> bool:
        """Return whether a checkpoint may lack that tensor."""
        return any(re.fullmatch(pattern, torch_name) for pattern in self.optional)


_TORCH_LEAF = {
    "kernel": "weight",
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
}
