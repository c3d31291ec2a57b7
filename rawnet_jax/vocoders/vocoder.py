"""A trained vocoder in a folder: ``vocoder.json`` and ``weights.safetensors``."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.atomic_file import write_bytes_atomically, write_text_atomically
from rawnet_jax.digest import digest_of
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.flat_weights import packed, unpacked
from rawnet_jax.vocoders.families import VocoderSpec
from rawnet_jax.vocoders.files import SETTINGS_NAME, WEIGHTS_NAME, read_settings


class Vocoder:
    """Makes copies of speech.

    Args:
        spec: family and settings.
        params: of the generator.
        facts: what else stands in ``vocoder.json``: steps, distance on dev, what it learned from.
    """

    def __init__(self, spec: VocoderSpec, params: Any, facts: dict[str, Any] | None = None) -> None:
        self.spec = spec
        self.params = params
        self.facts = facts or {}
        self._copied = jax.jit(spec.network().copied)

    @classmethod
    def load(cls, folder: Path) -> "Vocoder":
        """Read a vocoder.

        Raises:
            CheckpointError: it is missing, damaged, or its weights do not fit its settings.
        """
        facts = read_settings(folder)
        path = folder / WEIGHTS_NAME
        try:
            spec = VocoderSpec.from_dict(facts.pop("spec"))
            params = unpacked(path.read_bytes())
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}; it must be a vocoder") from error
        except (ValueError, ConfigError) as error:
            raise CheckpointError(f"{folder}: damaged: {error}") from error
        if digest_of(params) != facts.get("sha256"):
            raise CheckpointError(f"{path}: damaged: its SHA-256 differs from {SETTINGS_NAME}'s")
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
        return cls(spec, params, facts)

    def save(self, folder: Path) -> None:
        """Write the vocoder, in 16 bit; the settings last, which name the digest of the weights.

        Raises:
            DataError: a file cannot be written.
        """
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), self.params)
        facts = {**self.facts, "spec": self.spec.to_dict(), "sha256": digest_of(params)}
        write_bytes_atomically(folder / WEIGHTS_NAME, packed(params))
        write_text_atomically(folder / SETTINGS_NAME, json.dumps(facts, indent=2) + "\n")

    def copy(self, waveform: np.ndarray) -> np.ndarray:
        """Return the vocoder's copy of a recording.

        Args:
            waveform: float32 [n] at 16 kHz, n >= 1.

        Returns:
            float32 [n] within ±1.
        """
        # Lengths come in steps of a second: each is a program of its own.
        hop, second = self.spec.mel.hop, 16_000
        length = max(-(-len(waveform) // second) * second, 2 * self.spec.mel.size)
        length = -(-length // hop) * hop
        row = np.zeros((1, length), np.float32)
        row[0, : len(waveform)] = waveform
        return np.asarray(self._copied(self.params, row))[0, : len(waveform)]

    @cached_property
    def num_values(self) -> int:
        """Number of parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))
