"""The first window of a recording that can be judged.

Where one window alone decides, it must hold speech. It is the recording's first where that passes
the gate. Else the windows at hops are looked at, and of the first that passes, the speech begins
somewhere within; the window that is judged begins `MARGIN_S` before that, so that it holds as much
speech as a window can. What is passed over holds no speech, or nothing that can be judged.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.scoring.gate import Reason, Refusal, gate_refusal
from rawnet_jax.scoring.speech import OFF, speech_onset
from rawnet_jax.scoring.windows import WindowCutter

MARGIN_S = 0.1
"""From where the judged window begins to where speech is found; detectors are late by less."""


class Window(NamedTuple):
    """A piece of a recording that is scored at once.

    Attributes:
        start: its first sample.
        num_samples: its length.
        waveform: float32 [num_samples]; None where it is refused and not scored.
        refusal: why it cannot be judged; None where it can.
    """

    start: int
    num_samples: int
    waveform: np.ndarray | None
    refusal: Refusal | None


def look_at(
    start: int, waveform: np.ndarray, gate: GateConfig | None, *, keeps_refused: bool = False
) -> Window:
    """Return a window as it is scored, or refused.

    Args:
        start: its first sample.
        waveform: float32 [n].
        gate: bounds on what is judged; None = none.
        keeps_refused: what the gate refuses is scored nevertheless.
    """
    refusal = None if gate is None else gate_refusal(waveform, gate)
    scored = refusal is None or keeps_refused
    # A copy, since a window that waits would keep the whole block that it is a part of.
    return Window(start, len(waveform), waveform.copy() if scored else None, refusal)


def more_telling(first: Refusal | None, second: Refusal | None) -> Refusal | None:
    """Return which refusal of two windows says more of a recording: that of the most speech."""
    if first is None or second is None:
        return first or second
    if second.reason != Reason.NO_SPEECH:
        return first
    return second if first.reason != Reason.NO_SPEECH or second.value > first.value else first


def sought(cut: WindowCutter, gate: GateConfig, *, whole: bool) -> Iterator[Window]:
    """Yield the first window that can be judged.

    Args:
        cut: the recording; it is read to its end.
        gate: bounds on what is judged.
        whole: also the refused windows before it, and all after it, at hops from where it begins.

    Yields:
        In order of time; where no window can be judged and `whole` is False, one that says why.
    """
    passed: Window | None = None  # the gate; one that begins closer to its speech is to come
    is_found = False
    refusals = _Refusals()
    for start, waveform in cut:
        if is_found:
            if whole:
                yield look_at(start, waveform, gate)
        elif passed is not None:
            # It holds all the speech that the one before was let pass for.
            closer = look_at(start, waveform, replace(gate, speech=OFF))
            yield closer if closer.refusal is None else passed
            is_found = True
        else:
            window = look_at(start, waveform, gate)
            later = _begins_later(window, gate)
            if window.refusal is not None:
                refusals.add(window)
                if whole:
                    yield window
            elif later:
                passed = window
                cut.begin_at(start + later)
            else:
                yield window
                is_found = True
    if not is_found and passed is not None:
        yield passed
    elif not is_found and not whole:
        yield from refusals.summary()


def _begins_later(window: Window, gate: GateConfig) -> int:
    """Return by how many samples a window could begin later with as much of its speech."""
    if window.start == 0 or window.waveform is None:
        return 0
    return max(0, speech_onset(window.waveform, gate) - round(MARGIN_S * SAMPLE_RATE_HZ))


class _Refusals:
    """Windows that cannot be judged, of which one stands for all."""

    def __init__(self) -> None:
        self._count = 0
        self._window: Window | None = None

    def add(self, window: Window) -> None:
        self._count += 1
        before = None if self._window is None else self._window.refusal
        if more_telling(before, window.refusal) is not before:
            self._window = window

    def summary(self) -> Iterator[Window]:
        if self._window is None:
            return
        refusal = self._window.refusal
        if refusal is not None and refusal.reason == Reason.NO_SPEECH and self._count > 1:
            detail = f"{refusal.detail}; no other of {self._count} windows has more"
            refusal = replace(refusal, detail=detail)
        yield self._window._replace(refusal=refusal)
