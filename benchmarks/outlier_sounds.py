"""Sounds that no detector of spoofing was trained on, and speech after hard treatment.

What is synthesised here is crude on purpose: it needs no data set and is the same everywhere.
"""

import shutil
import subprocess
from collections.abc import Callable

import numpy as np
import soundfile
from scipy.signal import fftconvolve, lfilter

from rawnet_jax.contract import SAMPLE_RATE_HZ as RATE

LENGTH = 3 * RATE
"""Samples of a synthesised sound."""

Sound = Callable[[np.random.Generator], np.ndarray]
"""Makes one sound of a kind, float [n]."""

Treatment = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Makes another clip, float [n], of a clip of speech."""

_TIME = np.arange(LENGTH) / RATE


def at_level(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return float32 with a peak between -14 and -1 dB of full scale."""
    peak = max(float(np.abs(sound).max()), 1e-9)
    return (sound / peak * 10 ** (-rng.uniform(1, 14) / 20)).astype(np.float32)


def _phase(hz: np.ndarray | float) -> np.ndarray:
    return 2 * np.pi * np.cumsum(np.broadcast_to(hz, (LENGTH,))) / RATE


def _tone(rng: np.random.Generator) -> np.ndarray:
    hz = np.exp(rng.uniform(np.log(80), np.log(6_000)))
    partials = range(1, int(rng.integers(1, 6)))
    sound = np.zeros(LENGTH)
    for partial in partials or (1,):
        if partial * hz < RATE / 2:
            sound += np.sin(_phase(partial * hz)) / partial
    return sound


def _sweep(rng: np.random.Generator) -> np.ndarray:
    low, high = np.sort(np.exp(rng.uniform(np.log(60), np.log(7_500), 2)))
    path = np.abs((_TIME * rng.uniform(0.2, 2)) % 2 - 1)
    return np.sin(_phase(low * (high / low) ** path))


def _coloured(rng: np.random.Generator, power: float) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(LENGTH))
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-power / 2)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, LENGTH)


def _beats(rng: np.random.Generator) -> np.ndarray:
    step = int(RATE * 60 / rng.uniform(160, 300))
    return np.arange(int(rng.integers(0, step)), LENGTH, step)


def _placed(parts: list[tuple[int, np.ndarray]]) -> np.ndarray:
    sound = np.zeros(LENGTH)
    for start, part in parts:
        end = min(start + len(part), LENGTH)
        sound[start:end] += part[: end - start]
    return sound


def _note(hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    slope = rng.uniform(0.8, 2.0)
    partials = [k for k in range(1, 12) if k * hz < RATE / 2]
    sound = sum(np.sin(2 * np.pi * k * hz * time) * k**-slope for k in partials)
    return np.asarray(sound) * np.exp(-time * rng.uniform(1, 5)) * np.minimum(time / 0.01, 1)


def _chords(rng: np.random.Generator) -> np.ndarray:
    parts = []
    for start in _beats(rng)[::2].tolist():
        root = 110 * 2 ** (rng.integers(0, 20) / 12)
        third = int(rng.choice([3, 4]))
        for interval in (0, third, 7, 12):
            parts.append((start, _note(root * 2 ** (interval / 12), 1.0, rng)))
    return _placed(parts)


def _drums(rng: np.random.Generator) -> np.ndarray:
    parts = []
    for number, start in enumerate(_beats(rng).tolist()):
        time = np.arange(int(0.25 * RATE)) / RATE
        noise = rng.standard_normal(len(time))
        kick = np.sin(2 * np.pi * (50 * time - 8 * np.exp(-time * 30))) * np.exp(-time * 18)
        snare = (0.6 * noise + np.sin(2 * np.pi * 190 * time)) * np.exp(-time * 22)
        hat = np.diff(noise, prepend=0) * np.exp(-time * 60) * 0.4
        parts += [(start, hat), (start, snare if number % 2 else kick)]
    return _placed(parts)


def _music(rng: np.random.Generator) -> np.ndarray:
    chords, drums = _chords(rng), _drums(rng)
    return chords / np.abs(chords).max() + 0.7 * drums / np.abs(drums).max()


def _birds(rng: np.random.Generator) -> np.ndarray:
    parts = []
    for start in np.sort(rng.integers(0, LENGTH, int(rng.integers(6, 18)))).tolist():
        time = np.arange(int(rng.uniform(0.04, 0.25) * RATE)) / RATE
        base, depth, speed = rng.uniform(2_000, 5_500), rng.uniform(100, 1_500), rng.uniform(5, 60)
        hz = base + depth * np.sin(2 * np.pi * speed * time)
        swell = np.sin(np.pi * np.arange(len(time)) / len(time)) ** 0.5
        parts.append((start, np.sin(2 * np.pi * np.cumsum(hz) / RATE) * swell))
    return _placed(parts) + 0.003 * rng.standard_normal(LENGTH)


def _barks(rng: np.random.Generator) -> np.ndarray:
    parts = []
    for start in _beats(rng)[::2].tolist():
        time = np.arange(int(rng.uniform(0.1, 0.25) * RATE)) / RATE
        hz = rng.uniform(300, 800) * (1 + 0.4 * np.sin(np.pi * time / time[-1]))
        harsh = np.sign(np.sin(2 * np.pi * np.cumsum(hz) / RATE)) + rng.standard_normal(len(time))
        parts.append((start, harsh * np.abs(np.sin(np.pi * time / time[-1])) ** 0.3))
    return _resonant(_placed(parts), [(rng.uniform(700, 1_500), 300.0)])


def _insects(rng: np.random.Generator) -> np.ndarray:
    gate = np.maximum(np.sin(_phase(rng.uniform(15, 60))), 0) * (np.sin(_phase(1.5)) > -0.4)
    return np.sin(_phase(rng.uniform(3_500, 6_500))) * gate + 0.01 * rng.standard_normal(LENGTH)


def _hum(rng: np.random.Generator) -> np.ndarray:
    mains = float(rng.choice([50.0, 60.0]))
    sound = 0.02 * _coloured(rng, 1.0) / 0.01
    for partial in range(1, 14):
        sound = sound + np.sin(_phase(partial * mains) + rng.uniform(0, 6)) * rng.uniform(0, 1)
    return sound


def _motor(rng: np.random.Generator) -> np.ndarray:
    rate = rng.uniform(15, 90) * (1 + 0.1 * np.sin(_phase(rng.uniform(0.2, 1))))
    pulses = np.diff(np.floor(_phase(rate) / (2 * np.pi)), prepend=0)
    poles = [(rng.uniform(100, 3_000), rng.uniform(50, 400)) for _ in range(4)]
    return _resonant(pulses + 0.05 * rng.standard_normal(LENGTH), poles)


def _resonant(source: np.ndarray, poles: list[tuple[float, float]]) -> np.ndarray:
    for hz, width in poles:
        radius = np.exp(-np.pi * width / RATE)
        feedback = [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2]
        source = lfilter([1 - radius], feedback, source)
    return source


_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))


def _singing(rng: np.random.Generator) -> np.ndarray:
    note, place = int(rng.integers(0, 12)), 0
    hz, pieces = np.zeros(LENGTH), []
    while place < LENGTH:
        end = min(place + int(rng.uniform(0.3, 0.9) * RATE), LENGTH)
        hz[place:end] = 165 * 2 ** (note / 12)
        pieces.append((place, end, _VOWELS[int(rng.integers(0, len(_VOWELS)))]))
        note, place = note + int(rng.choice([-4, -2, 2, 3, 5])), end
    glide = np.convolve(np.pad(hz, 400, mode="edge"), np.ones(801) / 801, "valid")
    source = _phase(glide * (1 + 0.03 * np.sin(_phase(rng.uniform(5, 6.5)))))
    pulses = np.diff(np.floor(source / (2 * np.pi)), prepend=0)
    pulses = lfilter([1], [1, -0.95], pulses) + 0.01 * rng.standard_normal(LENGTH)
    sung = [_resonant(pulses[a:b], [(f, 90.0) for f in formants]) for a, b, formants in pieces]
    return np.concatenate([part / np.abs(part).max() for part in sung])


SOUNDS: dict[str, Sound] = {
    "tones": _tone,
    "sweeps": _sweep,
    "white noise": lambda rng: rng.standard_normal(LENGTH),
    "pink noise": lambda rng: _coloured(rng, 1.0),
    "chords": _chords,
    "drums": _drums,
    "chords and drums": _music,
    "birds": _birds,
    "barks": _barks,
    "insects": _insects,
    "mains hum": _hum,
    "motor": _motor,
    "singing": _singing,
}
"""No speech, synthesised."""


def _clipped(clip: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.clip(10 * clip / np.abs(clip).max(), -1, 1)


def _faster(clip: np.ndarray, _: np.random.Generator) -> np.ndarray:
    import soxr

    return np.asarray(soxr.resample(clip, 2, 1))


def _noisy(snr_db: float) -> Treatment:
    def noisy(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(len(clip)) * np.sqrt(np.mean(clip**2))
        return clip + noise * 10 ** (-snr_db / 20)

    return noisy


def _in_a_room(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    tail = rng.standard_normal(RATE // 2) * np.exp(-np.arange(RATE // 2) / RATE / 0.06) * 0.1
    return fftconvolve(clip, np.concatenate([[1.0], tail]))[: len(clip)]


def through(*encoding: str, kind: str, rate: int = RATE) -> Treatment:
    """Return a treatment: to a codec and back, by the program ffmpeg.

    Args:
        encoding: flags of ffmpeg for the encoder.
        kind: container.
        rate: that is encoded, in Hz.
    """

    def coded(clip: np.ndarray, _: np.random.Generator) -> np.ndarray:
        raw = np.clip(clip * 32_767, -32_768, 32_767).astype("<i2").tobytes()
        pcm = ["-f", "s16le", "-ar", str(RATE), "-ac", "1"]
        quiet = ["ffmpeg", "-loglevel", "error"]
        encoded = _run([*quiet, *pcm, "-i", "-", "-ar", str(rate), *encoding, "-f", kind, "-"], raw)
        decoded = _run([*quiet, "-f", kind, "-i", "-", *pcm, "-"], encoded)
        return np.frombuffer(decoded, "<i2").astype(np.float32) / 32_768

    return coded


def _run(command: list[str], content: bytes) -> bytes:
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


SPEECH: dict[str, Treatment] = {
    "as it is": lambda clip, _: clip,
    "with white noise, 10 dB": _noisy(10.0),
    "in a room": _in_a_room,
    "with white noise, 0 dB": _noisy(0.0),
    "backwards": lambda clip, _: clip[::-1],
    "twice as fast": _faster,
    "clipped, 10-fold": _clipped,
}
"""Real speech, with what is done to it."""

CODECS: dict[str, Treatment] = {
    "GSM, 13 kbit/s": through("-c:a", "libgsm", kind="gsm", rate=8_000),
    "Speex, 4 kbit/s": through("-c:a", "libspeex", "-b:a", "4k", kind="ogg", rate=8_000),
    "Opus, 6 kbit/s": through("-c:a", "libopus", "-b:a", "6k", kind="ogg"),
    "Codec 2, 1.2 kbit/s": through("-c:a", "libcodec2", "-mode", "1200", kind="codec2", rate=8_000),
    "MP3, 16 kbit/s": through("-c:a", "libmp3lame", "-b:a", "16k", kind="mp3"),
    "MP3, 8 kbit/s": through("-c:a", "libmp3lame", "-b:a", "8k", kind="mp3"),
}
"""Speech through codecs of ffmpeg; those that an installation lacks are left out."""


def usable_codecs() -> dict[str, Treatment]:
    """Return the rows of `CODECS` that work here."""
    if shutil.which("ffmpeg") is None:
        return {}
    found = {}
    rng = np.random.default_rng(0)
    for name, treatment in CODECS.items():
        try:
            treatment(0.1 * rng.standard_normal(RATE).astype(np.float32), rng)
        except (OSError, subprocess.CalledProcessError):
            continue
        found[name] = treatment
    return found


def read(path: str) -> np.ndarray:
    """Return a file as float32 [n] at 16 kHz."""
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate == RATE else np.asarray(soxr.resample(mono, rate, RATE))
