"""A microphone as blocks of audio, where the extra `microphone` is installed."""

import contextlib
import queue
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from rawnet_jax.errors import AudioError, ConfigError

MICROPHONE = "microphone"
_BLOCK_S = 0.05
_MAX_WAITING_S = 20.0
_LOOK_S = 1.0  # how often it is made sure that the device is still there


def sounddevice_module() -> ModuleType:
    """Import sounddevice.

    Raises:
        ConfigError: it, or the library that it calls, is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise ConfigError(
            "a microphone needs sounddevice, which is not installed: "
            "pip install 'rawnet_jax[microphone]'"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"a microphone needs the PortAudio library ({error}); Debian and Ubuntu have it as "
            "libportaudio2"
        ) from error
    return sounddevice


@contextlib.contextmanager
def open_microphone(
    device: str | None, sample_rate_hz: int, num_channels: int
) -> Iterator[Iterator[np.ndarray]]:
    """Listen to an input device meanwhile.

    Args:
        device: number, or part of the name; None = the system's default.
        sample_rate_hz: asked of the device.
        num_channels: asked of the device.

    Yields:
        Blocks float32 [n, channels] without end, full scale = 1, as they come in; it listens from
        the first one that is asked for. They raise AudioError where 20 s of audio wait, since it
        comes faster than it is taken, and where the device is gone.

    Raises:
        ConfigError: what this needs is not installed.
        AudioError: the device cannot be opened so.
    """
    sounddevice = sounddevice_module()
    waiting: queue.Queue[np.ndarray] = queue.Queue()
    most = round(_MAX_WAITING_S / _BLOCK_S)

    def take(block: np.ndarray, *_: Any) -> None:
        if waiting.qsize() <= most:  # one more than is allowed tells who takes
            waiting.put(block.copy())

    try:
        stream = sounddevice.InputStream(
            samplerate=sample_rate_hz,
            channels=num_channels,
            device=int(device) if device and device.isdigit() else device,
            dtype="float32",
            blocksize=max(1, round(_BLOCK_S * sample_rate_hz)),
            callback=take,
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        # ValueError: no device, or several, of that name.
        raise _not_opened(error) from error

    def blocks() -> Iterator[np.ndarray]:
        try:
            stream.start()  # not before somebody takes what it gives
        except sounddevice.PortAudioError as error:
            raise _not_opened(error) from error
        yield from _taken(waiting, most, stream)

    try:
        yield blocks()
    finally:
        stream.close()


def _not_opened(error: Exception) -> AudioError:
    return AudioError(MICROPHONE, "cannot be opened", str(error).splitlines()[0])


def _taken(waiting: queue.Queue[np.ndarray], most: int, stream: Any) -> Iterator[np.ndarray]:
    while True:
        try:
            block = waiting.get(timeout=_LOOK_S)
        except queue.Empty:
            if stream.active:
                continue
            raise AudioError(MICROPHONE, "stopped", "the device gives no more audio") from None
        if waiting.qsize() >= most:
            what = f"{_MAX_WAITING_S:g} s of audio wait; a larger --hop costs less"
            raise AudioError(MICROPHONE, "cannot keep up", what)
        yield block
