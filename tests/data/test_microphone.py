"""A microphone, played by a stand-in for sounddevice."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rawnet_jax.data import microphone
from rawnet_jax.data.live_audio import listen
from rawnet_jax.errors import AudioError, ConfigError


class PortAudioError(Exception):
    """As sounddevice raises it."""


class InputStream:
    """Gives `num_blocks` blocks as soon as it is started, then stops."""

    num_blocks = 3
    opened: "list[InputStream]"

    def __init__(self, *, samplerate, channels, device, dtype, blocksize, callback):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        if samplerate == 1:
            raise PortAudioError("Invalid sample rate\nmore")
        assert dtype == "float32"
        self.asked = (samplerate, channels, device)
        self.shape, self.callback = (blocksize, channels), callback
        self.active = self.closed = False
        self.opened.append(self)

    def start(self):
        block = np.zeros(self.shape, np.float32)
        for number in range(self.num_blocks):
            block[:] = number  # the same memory every time, as PortAudio does
            self.callback(block, len(block), None, None)

    def close(self):
        self.closed = True


@pytest.fixture
def sound(monkeypatch):
    InputStream.opened = []
    module = SimpleNamespace(InputStream=InputStream, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(microphone, "_LOOK_S", 0.01)
    return module


def test_blocks_come_until_the_device_is_gone(sound):
    with listen(None, None, 2) as audio:
        assert (audio.sample_rate_hz, audio.num_channels) == (16_000, 2)
        found = [next(audio.blocks) for _ in range(3)]
        with pytest.raises(AudioError, match="microphone: stopped"):
            next(audio.blocks)
    assert [(block.shape, block.max()) for block in found] == [((800, 2), n) for n in range(3)]
    [stream] = sound.InputStream.opened
    assert stream.asked == (16_000, 2, None)
    assert stream.closed


def test_a_device_by_number_or_name(sound):
    for device in ("3", "USB"):
        with listen(device, 48_000, None):
            pass
    asked = [stream.asked for stream in sound.InputStream.opened]
    assert asked == [(48_000, 1, 3), (48_000, 1, "USB")]


def test_who_is_too_slow_is_told(sound, monkeypatch):
    monkeypatch.setattr(InputStream, "num_blocks", 1_000)
    with pytest.raises(AudioError, match=r"cannot keep up.*--hop"), listen("", None, None) as audio:
        next(audio.blocks)


@pytest.mark.parametrize(
    ("device", "rate", "named"),
    [("none", 16_000, "No input device matching 'none'"), (None, 1, "Invalid sample rate$")],
)
def test_what_cannot_be_opened(sound, device, rate, named):
    with pytest.raises(AudioError, match=f"cannot be opened: {named}"), listen(device, rate, 1):
        pass


def test_an_error_of_the_caller_stays_what_it_is(sound):
    with pytest.raises(ValueError, match=r"^mine$"), listen(None, None, None):
        raise ValueError("mine")


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"pip install 'rawnet_jax\[microphone\]'"):
        microphone.sounddevice_module()


def test_without_the_library(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(ConfigError, match=r"PortAudio library not found.*libportaudio2"):
        microphone.sounddevice_module()
