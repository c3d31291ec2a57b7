"""Some hundreds of files in all containers against ffmpeg, and the cases that people had."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import open_audio
from rawnet_jax.errors import AudioError

REPO = Path(__file__).resolve().parents[2]
CASES = REPO.parent / "shared" / "cases" / "make_cases.py"
THREADS = 2
KINDS = {  # extension, container, sample type
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "ogg": ("OGG", "VORBIS"),
    "flac": ("FLAC", "PCM_16"),
    "wav": ("WAV", "PCM_16"),
    "w64": ("W64", "PCM_24"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "FLOAT"),
    "au": ("AU", "ULAW"),
}
PIPED = {  # as ffmpeg writes them where it cannot go back to the header
    "bare.mp3": ("-c:a", "libmp3lame", "-q:a", "4", "-write_xing", "0", "-f", "mp3"),
    "cbr.mp3": ("-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"),
    "piped.flac": ("-f", "flac"),
    "piped.wav": ("-f", "wav"),
    "mp3.wav": ("-c:a", "libmp3lame", "-f", "wav"),
    "piped.au": ("-f", "au"),
    "piped.ogg": ("-c:a", "libvorbis", "-f", "ogg"),
    "piped.mp2": ("-c:a", "mp2", "-f", "mp2"),
}
# A part of an MP3 may lack what its encoder put around the audio: a frame without any, the delay,
# and what fills the last frame. ffmpeg does not cut the end of an Ogg that has one page of audio.
SLACK = {".mp3": 4 * 1152, ".ogg": 1024, ".opus": 1024}

pytestmark = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the program ffmpeg is not here")


def buzz(num_samples: int, seed: int, channels: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    loudness = np.abs(np.sin(np.arange(num_samples) / 2_000))[:, None]
    return rng.normal(0, 0.1, (num_samples, channels)).clip(-0.9, 0.9) * loudness


def ffmpeg(paths: list[Path], rates: list[int]) -> list[bytes]:
    """Decode with ffmpeg to float32, all files in one process."""
    inputs = [part for path in paths for part in ("-i", path)]
    outputs = []
    for number, rate in enumerate(rates):
        target = f"{paths[number]}.f32"
        outputs += ["-map", f"{number}:a", "-ar", str(rate), "-f", "f32le", target]
    command = ("ffmpeg", "-v", "quiet", "-y", *inputs, *outputs)
    subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    decoded = [Path(f"{path}.f32") for path in paths]  # absent where ffmpeg refuses the file
    return [path.read_bytes() if path.is_file() else b"" for path in decoded]


def ours(path: Path) -> tuple[np.ndarray, int, tuple[str, ...]] | None:
    """Return samples [n, channels], their rate and notes; None = refused."""
    try:
        with open_audio(path, AudioConfig()) as file:
            return file.read(2**24, always_2d=True), file.samplerate, file.notes
    except AudioError:
        return None


def fault(path: Path, found: tuple[np.ndarray, int, tuple[str, ...]], raw: bytes) -> str:
    """Return what is wrong with how a file was read; "" = nothing."""
    samples, rate, notes = found
    true = np.frombuffer(raw, np.float32).reshape(-1, samples.shape[1])
    is_resampled = "opus" in path.name and rate != 48_000  # ffmpeg decodes Opus at 48 kHz
    slack = SLACK.get(path.suffix, 0) if "mp3" not in path.name else SLACK[".mp3"]
    slack *= 1 + path.name.count("+")
    is_longer = "+" in path.name or not len(true)  # ffmpeg stops at a second part, or refuses
    if len(samples) < len(true) - slack and not notes:
        return f"{path.name}: {len(samples)} samples, of {len(true)}"
    if len(samples) > len(true) + slack and not is_longer and not notes:
        return f"{path.name}: {len(samples)} samples, of {len(true)}"
    if len(samples) == len(true) and not is_resampled:
        difference = float(np.abs(samples - true).max(initial=0))
        if difference > (0.02 if "opus" in path.name else 1e-3):
            return f"{path.name}: {difference} off"
    return ""


def faults(paths: list[Path], at_once: int = 15) -> list[str]:
    read = [(path, found) for path in paths if (found := ours(path)) is not None]
    groups = [read[start : start + at_once] for start in range(0, len(read), at_once)]

    def check(group: list) -> list[str]:
        raws = ffmpeg([path for path, _ in group], [found[1] for _, found in group])
        pairs = zip(group, raws, strict=True)
        results = [fault(path, found, raw) for (path, found), raw in pairs]
        return [result for result in results if result]

    with ThreadPoolExecutor(THREADS) as pool:
        return [line for lines in pool.map(check, groups) for line in lines]


def test_every_container_rate_and_length_against_ffmpeg(tmp_path):
    paths = []
    for extension, (container, subtype) in KINDS.items():
        for rate in (8_000, 16_000, 44_100, 48_000):
            if extension == "opus" and rate == 44_100:
                continue
            for channels, length in ((1, rate // 3), (2, rate + 17), (1, 2 * rate)):
                path = tmp_path / f"{rate}_{channels}_{length}.{extension}"
                values = buzz(length, length, channels)
                soundfile.write(path, values, rate, subtype, format=container)
                paths.append(path)
    assert all(ours(path) is not None for path in paths)
    assert not faults(paths)


def test_what_programs_leave_in_pipes_against_ffmpeg(tmp_path):
    source = tmp_path / "source.wav"
    soundfile.write(source, buzz(48_000, 0, 2), 16_000, "PCM_16")
    paths = []
    for rate, channels in ((16_000, 1), (44_100, 2), (48_000, 1)):
        for name, options in PIPED.items():
            paths.append(tmp_path / f"{rate}_{channels}_{name}")
            head = ("ffmpeg", "-v", "quiet", "-i", source, "-ar", str(rate))
            command = (*head, "-ac", str(channels), *options, "-")
            made = subprocess.run(command, capture_output=True, check=True).stdout
            paths[-1].write_bytes(made)
    assert all(ours(path) is not None for path in paths)
    assert not faults(paths)


def test_joins_and_edits_against_ffmpeg(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for extension, (container, subtype) in KINDS.items():
        parts = []
        for seed in range(3):
            path = tmp_path / f"part{seed}.{extension}"
            values = buzz(int(rng.integers(4_000, 40_000)), seed, 1)
            soundfile.write(path, values, 16_000, subtype, format=container)
            parts.append(path.read_bytes())
        for number in range(8):
            content = bytearray(b"".join(parts[: 1 + number % 3]))
            if number > 2:
                content[int(rng.integers(4, 60))] = int(rng.integers(0, 256))
            if number > 5:
                del content[int(rng.integers(len(content) // 3, len(content))) :]
            name = "+".join(["a"] * (1 + number % 3))
            paths.append(tmp_path / f"{name}_{number}.{extension}")
            paths[-1].write_bytes(content)
    assert not faults(paths, at_once=1)


CASE_SECONDS = {
    "two_parts.mp3": 4.0,
    "two_parts.ogg": 4.0,
    "two_parts.flac": 4.0,
    "vbr_pipe.mp3": 4.0,
    "vbr_quiet_start.mp3": 5.0,
    "mp3_in.wav": 4.0,
    "pipe.flac": 4.0,
    "cut_in_page.ogg": None,
    "no_eos_flag.ogg": 2.0,
    "tts_2000000000.wav": 4 / 3,
    "tts_0x40000000.wav": 4 / 3,
    "eight_samples_off.wav": 2.0,
    "size_zero.wav": 2.0,
    "names/ok.wav": 2.0,
    "folder/one.wav": 2.0,
    "folder/two.w64": 2.0,
    "folder/three.caf": 2.0,
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if not CASES.is_file():
        pytest.skip(f"there is no {CASES}")
    folder = tmp_path_factory.mktemp("cases")
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run((sys.executable, CASES, folder), check=True, env=environment)
    return folder


@pytest.mark.parametrize("name", CASE_SECONDS)
def test_cases_that_people_had(cases, name):
    found, seconds = ours(cases / name), CASE_SECONDS[name]
    if seconds is None:
        assert found is None
    else:
        assert found is not None
        assert len(found[0]) / found[1] == pytest.approx(seconds, abs=0.05)
