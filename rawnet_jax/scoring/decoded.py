"""A recording that was decoded elsewhere, with all that decoding found out about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import Source, waveform_blocks
from rawnet_jax.errors import AudioError
from rawnet_jax.scoring.gate import ChannelMix, Refusal

_BLOCK_SAMPLES = 2**18


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A recording as samples; it is scored as the file that it is from.

    Attributes:
        waveform: float32 [n], mono at 16 kHz, within full scale.
        refusal: why one channel of it cannot stand for the whole; None where it can.
        error: why decoding ended before the end; None where it did not.
        notes: what a listener should know of the file.
    """

    waveform: np.ndarray
    refusal: Refusal | None = None
    error: AudioError | None = None
    notes: tuple[str, ...] = ()

    def blocks(self, notes: list[str]) -> Iterator[np.ndarray]:
        """Yield the samples in pieces, float32 [n]; in the end `notes` gets those of the file.

        Raises:
            AudioError: decoding had ended with it.
        """
        for start in range(0, len(self.waveform), _BLOCK_SAMPLES):
            yield self.waveform[start : start + _BLOCK_SAMPLES]
        if self.error is not None:
            raise self.error
        notes += self.notes


@dataclass(frozen=True, slots=True, eq=False)
class Promised:
    """A recording that another process decodes; asked for when it is its turn.

    Attributes:
        get: waits; returns what was decoded, or where the recording lies if it has to be done here.
    """

    get: Callable[[], Decoded | Source]


def decode(
    source: Source,
    audio: AudioConfig,
    gate: GateConfig,
    channel: int | None = None,
    on_opened: Callable[[Any], None] | None = None,
) -> Decoded:
    """Decode a recording as scoring does, whole.

    Args:
        source: of the recording.
        audio: bounds on what is decoded; of length and level the gate decides.
        gate: bounds on what is judged.
        channel: the one that is taken, 1 = the first; None = the average of all.
        on_opened: see `rawnet_jax.data.audio.waveform_blocks`.
    """
    mix, notes, blocks = ChannelMix(gate, channel), list[str](), list[np.ndarray]()
    bounds = replace(audio, min_duration_s=0.0)
    error = None
    try:
        for block in waveform_blocks(source, bounds, mix, notes=notes, on_opened=on_opened):
            blocks.append(block)
    except AudioError as stopped:
        error = stopped
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    looked = gate.enabled or channel is not None
    refusal = mix.refusal() if looked and error is None else None
    return Decoded(waveform.astype(np.float32, copy=False), refusal, error, tuple(notes))
