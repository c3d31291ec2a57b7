"""Lines that a decoder in C writes to standard error itself."""

import io
import os
import threading

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.data import decoder_lines
from rawnet_jax.data.audio import Encoded, read_waveform
from rawnet_jax.data.decoder_lines import HELD_BACK, DecoderLines
from rawnet_jax.errors import AudioError


def damaged_mp3(seed: int) -> bytes:
    """An MP3 whose frames are whole and of which the audio in them is damaged."""
    rng = np.random.default_rng(seed)
    file = io.BytesIO()
    noise = rng.normal(0, 0.1, 16_000).clip(-0.9, 0.9)
    soundfile.write(file, noise, 16_000, "MPEG_LAYER_III", format="MP3")
    content = bytearray(file.getvalue())
    for place in rng.integers(600, len(content), 60):
        if 0xFF not in content[place - 4 : place + 1]:  # heads of frames stay
            content[place] = (content[place] ^ 0x5A) & 0x7F
    return bytes(content)


def decode_all() -> None:
    for seed in range(40):
        try:
            read_waveform(Encoded(damaged_mp3(seed)), AudioConfig())
        except AudioError:
            continue


@pytest.mark.parametrize("is_on", [False, True])
def test_commands_drop_what_libmpg123_says(is_on, monkeypatch, capfd):
    monkeypatch.setattr(HELD_BACK, "is_on", is_on)
    decode_all()
    with pytest.raises(AudioError):
        read_waveform(Encoded(b"ID3\x04\0\0\0\0\0\x05hello" + b"noise" * 3_000), AudioConfig())
    assert ("libmpg123" in capfd.readouterr().err) is not is_on


def test_what_others_write_meanwhile_is_not_lost(capfd):
    lines = DecoderLines()
    lines.is_on = True
    with lines:
        os.write(
            2, b"Note: Trying to resync...\n\n[src/libmpg123/x.c:f():1] error: no\nof others\n"
        )
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "of others\n"
    with lines:
        os.write(2, b"again\n")
    os.write(2, b"behind\n")
    assert capfd.readouterr().err == "again\nbehind\n"


def test_several_threads_inside_at_once(capfd):
    lines = DecoderLines()
    lines.is_on = True
    meet = threading.Barrier(4)

    def work(number: int) -> None:
        for _ in range(50):
            with lines:
                os.write(2, b"Note: of a decoder\n")
            os.write(2, b"%d\n" % number)
        meet.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(capfd.readouterr().err.split()) == sorted(list("0123") * 50)


def test_without_standard_error_nothing_happens(monkeypatch):
    lines = DecoderLines()
    lines.is_on = True
    monkeypatch.setattr(decoder_lines, "_STDERR", 10**6)  # no such descriptor
    with lines:
        assert lines._kept is None  # there was nothing to hold back
