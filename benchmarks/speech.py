"""What looks for speech: how often Silero and the rule of level err, and where they begin.

    python -m benchmarks.speech --data ../shared/data

DATA holds ``noise/``, ``rir/`` and ``digits/`` with audio files and ``speech/`` in the layout of
ASVspoof 2019 (``flac/``, ``train.trl.txt``, …). For each detector:

- noise: windows of 1 and 4 s at hops of half a window that are called speech, and of how many files
- speech, real and fake apart: clips in which there is too little speech, in their first second, in
  all of them, and in all of them with noise at --snr dB
- digits: the same, whole
- room: --seconds of noise in a room (a noise file again and again, an impulse response) before a
  clip and 4 s behind it, the clip --room-snr dB above it: what is judged, windows of 1 and 4 s

A clip's own start is its first 20 ms that are within 25 dB of its loudest.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import fftconvolve

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import Samples
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.scoring.recordings import Recipe, score_recordings
from rawnet_jax.scoring.speech import ENERGY, SILERO, needed_s, speech_s

WINDOWS_S = (1.0, 4.0)
_WITHIN_DB = 25.0


@dataclass(frozen=True)
class Material:
    """What the detectors are tried on: float32 [n] at 16 kHz each."""

    noises: list[np.ndarray]
    rooms: list[np.ndarray]
    digits: list[np.ndarray]
    speech: dict[str, list[np.ndarray]]


def read(path: Path) -> np.ndarray:
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate_hz == SAMPLE_RATE_HZ else soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)


def read_material(folder: Path, num_speech: int) -> Material:
    keys: dict[str, list[str]] = {"bonafide": [], "spoof": []}
    for protocol in sorted((folder / "speech").glob("*.trl.txt")):
        for line in protocol.read_text().splitlines():
            _, name, *_, key = line.split()
            keys[key].append(name)
    speech = {}
    for key, names in keys.items():
        chosen = np.linspace(0, len(names) - 1, min(num_speech, len(names))).round().astype(int)
        speech[key] = [read(folder / "speech" / "flac" / f"{names[i]}.flac") for i in chosen]
    noises, rooms = (
        [read(path) for path in sorted((folder / name).glob("*.flac"))] for name in ("noise", "rir")
    )
    return Material(
        noises, rooms, [read(p) for p in sorted((folder / "digits").glob("*.wav"))], speech
    )


def has_speech(waveform: np.ndarray, gate: GateConfig) -> bool:
    return speech_s(waveform, gate) >= needed_s(len(waveform), gate)


def percent(found: Iterable[bool]) -> str:
    listed = list(found)
    return f"{100 * sum(listed) / len(listed):.1f} % of {len(listed)}"


def windows_of(waveform: np.ndarray, window: int) -> list[np.ndarray]:
    starts = range(0, max(1, len(waveform) - window + 1), window // 2)
    return [waveform[start : start + window] for start in starts]


def with_noise(clip: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise that is as long as the clip, the clip that many dB above it."""
    power = np.square(clip, dtype=np.float64).mean() / np.square(noise, dtype=np.float64).mean()
    return (clip + noise * np.sqrt(power / 10 ** (snr_db / 10))).astype(np.float32)


def in_room(noise: np.ndarray, room: np.ndarray, num_samples: int) -> np.ndarray:
    """Return noise in a room, [num_samples]."""
    return fftconvolve(np.resize(noise, num_samples), room)[:num_samples].astype(np.float32)


def own_start(clip: np.ndarray) -> int:
    frames = clip[: len(clip) // 320 * 320].reshape(-1, 320)
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)
    return int(np.flatnonzero(level >= level.max() - _WITHIN_DB)[0]) * 320


def report_noise(material: Material, gate: GateConfig) -> None:
    for window_s in WINDOWS_S:
        window = round(window_s * SAMPLE_RATE_HZ)
        called = [
            [has_speech(part, gate) for part in windows_of(noise, window)]
            for noise in material.noises
        ]
        said = percent(one for file in called for one in file)
        print(
            f"  noise, windows of {window_s:g} s called speech: {said}; in "
            f"{sum(map(any, called))} of {len(called)} files"
        )


def report_speech(material: Material, gate: GateConfig, snr_db: float) -> None:
    noises = [noise for noise in material.noises if len(noise) > 10 * SAMPLE_RATE_HZ]
    for key, clips in material.speech.items():
        noisy = [
            with_noise(clip, np.resize(noises[i % len(noises)], len(clip)), snr_db)
            for i, clip in enumerate(clips)
        ]
        first = [clip[:SAMPLE_RATE_HZ] for clip in clips]
        for what, parts in (("first second", first), ("whole", clips), ("in noise", noisy)):
            print(f"  {key}, {what}, missed: {percent(not has_speech(x, gate) for x in parts)}")
    print(f"  digits, missed: {percent(not has_speech(x, gate) for x in material.digits)}")


def report_room(material: Material, gate: GateConfig, seconds: float, snr_db: float) -> None:
    noises = [noise for noise in material.noises if len(noise) > 10 * SAMPLE_RATE_HZ]
    before = round(seconds * SAMPLE_RATE_HZ)
    for key, clips in material.speech.items():
        recordings, starts = [], []
        for i, clip in enumerate(clips):
            room = material.rooms[i % len(material.rooms)]
            length = before + len(clip) + round(max(WINDOWS_S) * SAMPLE_RATE_HZ)
            noise = in_room(noises[i % len(noises)], room, length)
            power = np.square(clip, dtype=np.float64).mean()
            noise *= np.sqrt(
                power / np.square(noise, dtype=np.float64).mean() / 10 ** (snr_db / 10)
            )
            noise[before : before + len(clip)] += clip
            recordings.append(Samples(noise, SAMPLE_RATE_HZ))
            starts.append((before + own_start(clip)) / SAMPLE_RATE_HZ)
        for window_s in WINDOWS_S:
            window = round(window_s * SAMPLE_RATE_HZ)
            recipe = Recipe(window, window // 2, gate=gate)
            named = [(str(i), one) for i, one in enumerate(recordings)]
            found = list(score_recordings(named, lambda rows, _: np.zeros(len(rows)), recipe))
            print(f"  room, {key}, window {window_s:g} s: {said_of(found, starts, window_s)}")


def said_of(found: Sequence, starts: Sequence[float], window_s: float) -> str:
    """Say how many were missed, how many judged on noise, and where the others began."""
    missed = [one.outcome != Outcome.SCORED for one in found]
    on_noise = [
        one.outcome == Outcome.SCORED and one.scored_from_s + window_s <= start
        for one, start in zip(found, starts, strict=True)
    ]
    offsets = np.array(
        [
            one.scored_from_s - start
            for one, start, *no in zip(found, starts, missed, on_noise, strict=True)
            if not any(no)
        ]
    )
    low, middle, high = np.percentile(offsets, [5, 50, 95])
    return (
        f"missed {percent(missed)}, judged on noise {percent(on_noise)}; the others from "
        f"{middle:+.2f} s of their start on (5 to 95 %: {low:+.2f} to {high:+.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--num-speech", type=int, default=300, help="of each class")
    parser.add_argument("--num-room", type=int, default=100, help="of each class")
    parser.add_argument("--snr", type=float, default=10.0, help="in dB")
    parser.add_argument("--seconds", type=float, default=30.0, help="of noise before a clip")
    parser.add_argument("--room-snr", type=float, default=20.0, help="in dB")
    args = parser.parse_args()
    print(f"{processor()}, {num_cores()} cores, Python {sys.version.split()[0]}")
    material = read_material(args.data, args.num_speech)
    few = read_material(args.data, args.num_room)
    for detector in (SILERO, ENERGY):
        gate = replace(GateConfig(), speech=detector)
        print(f"{detector}, at least {gate.min_speech_s:g} s")
        report_noise(material, gate)
        report_speech(material, gate, args.snr)
        report_room(few, gate, args.seconds, args.room_snr)


if __name__ == "__main__":
    main()
