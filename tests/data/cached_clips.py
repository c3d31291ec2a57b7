"""Short clips for tests of the cache, and what a right cache of them is."""

from pathlib import Path

import numpy as np
import soundfile

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.data import cache_build
from rawnet_jax.data.cache import Cache, open_or_build
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.labels import Label

NUM_CLIPS = 10


def samples_of(number: int) -> np.ndarray:
    generator = np.random.default_rng(number)
    return generator.integers(-3000, 3000, 400 + 50 * number).astype(np.int16)


def write_clips(folder: Path, num_clips: int = NUM_CLIPS) -> list[Clip]:
    folder.mkdir(exist_ok=True)
    clips = []
    for number in range(num_clips):
        path = folder / f"u{number}.flac"
        soundfile.write(path, samples_of(number), 16_000)
        trial = Trial(f"u{number}", Label(number % 2), path.name, source=f"list.txt:{number + 1}")
        clips.append(Clip(trial, path))
    return clips


def open_cache(clips, config, policy: ProblemPolicy | None = None) -> Cache:
    return open_or_build(clips, config, ProblemLedger(policy or ProblemPolicy()), progress=False)


def assert_right(cache: Cache, numbers=range(NUM_CLIPS)) -> None:
    assert [trial.utterance_id for trial in cache.trials] == [f"u{n}" for n in numbers]
    assert len(cache) == len(cache.num_samples) == len(numbers)
    for position, number in enumerate(numbers):
        waveform = cache.waveform(position)
        assert waveform.dtype == np.int16
        assert not waveform.flags.writeable
        np.testing.assert_array_equal(waveform, samples_of(number))
        assert cache.num_samples[position] == len(waveform)


def parts_made(monkeypatch) -> list[str]:
    """Names of the parts that are built from now on."""
    made = []
    build_part = cache_build.build_part

    def recording(folder, part, *rest):
        made.append(part.name)
        return build_part(folder, part, *rest)

    monkeypatch.setattr(cache_build, "build_part", recording)
    return made
