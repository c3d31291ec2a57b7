"""Names of an encoder's weights: by Hugging Face, by others, and inside a detector's file.

Here every tensor has one name, that of Hugging Face's class for the encoder alone. The tables are
in `rawnet_jax.encoders.wav2vec2_names` and `rawnet_jax.encoders.whisper_names`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from rawnet_jax.errors import CheckpointError

_Value = TypeVar("_Value")
Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class EncoderNames:
    """How the tensors of one kind of encoder are called.

    Attributes:
        kind: what it is, for errors.
        sought: what ends the names that it is known by, for errors.
        anchors: patterns of tensors that every file of this kind has; the first group is what is
            before the encoder's own name.
        spellings: from the names in a file, without the prefix, to what makes Hugging Face's of
            them: lists of (pattern, replacement), of each of which the first that matches is taken.
        unused: pattern, in Hugging Face's names, of what no hidden state depends on.
        beside: pattern of what stands beside the encoder and belongs to its pre-training.
        layer: pattern of a layer's tensors, with the number as first group.
        rules: from our path to the name: `rawnet_jax.models.torch_names` applies them.
        written_under: prefix of the names that are written.
    """

    kind: str
    sought: str
    anchors: tuple[str, ...]
    spellings: Callable[[Iterable[str]], tuple[Rules, ...]]
    unused: str
    beside: str
    layer: str
    rules: Rules
    written_under: str = ""

    def prefix(self, names: Iterable[str]) -> str:
        """Return what stands before the encoder's names in a file, such as ``ssl_model.model.``.

        Raises:
            CheckpointError: no encoder is there, or several are.
        """
        names = list(names)
        each = [
            {match[1] for match in map(re.compile(anchor).match, names) if match}
            for anchor in self.anchors
        ]
        found = sorted(set.intersection(*each))
        if not found:
            raise CheckpointError(
                f"no encoder of the {self.kind} kind: no tensor's name ends in {self.sought}"
            )
        if len(found) > 1:
            raise CheckpointError(
                f"holds {len(found)} encoders, under {', '.join(repr(name) for name in found)}; "
                "keep the tensors of one"
            )
        return found[0]

    def divided(
        self, state: Mapping[str, _Value], kept_layers: int, num_layers: int
    ) -> tuple[dict[str, _Value], dict[str, _Value], list[str]]:
        """Tell an encoder's tensors from the others of a file.

        Args:
            state: name in the file -> anything.
            kept_layers: layers whose tensors are wanted.
            num_layers: layers of the whole encoder.

        Returns:
            The encoder's, by Hugging Face's names; those of another part of the file (a detector's
            head), by their own names; names of what belongs to the encoder, or to its pre-training,
            and is not used.

        Raises:
            CheckpointError: no encoder is there or several are, or two tensors are the same one.
        """
        prefix = self.prefix(state)
        root = prefix.removesuffix("encoder.").removesuffix("model.")
        mine = [name for name in state if name.startswith(prefix)]
        spellings = self.spellings([name.removeprefix(prefix) for name in mine])
        used: dict[str, _Value] = {}
        rest: dict[str, _Value] = {}
        unused, twice = [], []
        for name, value in state.items():
            if not name.startswith(prefix):
                if re.match(self.beside, name.removeprefix(root)):
                    unused.append(name)
                else:
                    rest[name] = value
                continue
            known = _known(name.removeprefix(prefix), spellings)
            layer = re.match(self.layer, known)
            if re.search(self.unused, known) or (
                layer and kept_layers <= int(layer[1]) < num_layers
            ):
                unused.append(name)
            elif known in used:
                twice.append(name)
            else:
                used[known] = value
        if twice:
            raise CheckpointError(f"tensors under two names: {', '.join(grouped(twice))}")
        return used, rest, unused


def _known(name: str, spellings: Iterable[Rules]) -> str:
    """Return Hugging Face's name."""
    for rules in spellings:
        name = first_applied(name, rules)
    return name


def first_applied(name: str, rules: Iterable[tuple[str, str]]) -> str:
    """Return a name after the first rule that matches it."""
    for pattern, replacement in rules:
        changed, count = re.subn(pattern, replacement, name)
        if count:
            return changed
    return name


def grouped(names: Iterable[str]) -> list[str]:
    """Return names of tensors, those that differ in one layer's number as one: ``a.{0-3,7}.b``."""
    places: dict[tuple[str, str], list[int]] = {}
    for name in names:
        match = re.match(r"^(.*?layers\.)(\d{1,6})(\..*)$", name)
        before, number, behind = match.groups() if match else (name, "-1", "")
        places.setdefault((before, behind), []).append(int(number))
    return [
        before + (_numbers(found) if behind else "") + behind
        for (before, behind), found in places.items()
    ]


def _numbers(found: Iterable[int]) -> str:
    """Return numbers as text: 5 or {0-3,7}."""
    runs: list[list[int]] = []
    for number in sorted(set(found)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [str(a) if a == b else f"{a}-{b}" for a, b in runs]
    return parts[0] if len(parts) == 1 and "-" not in parts[0] else f"{{{','.join(parts)}}}"
