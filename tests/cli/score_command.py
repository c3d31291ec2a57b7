"""``score``, called as from a shell, and recordings for it."""

import json

import numpy as np
import soundfile

from rawnet_jax.cli.main import main

NUM_SAMPLES = 3200


def score(run, *words):
    return main(["score", f"--workdir={run}", "--no-progress", *map(str, words)])


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def write_clips(folder):
    """Write 5 good recordings of several rates, channels and lengths; returns the folder."""
    rng = np.random.default_rng(0)
    for number, (rate_hz, *shape) in enumerate(
        [(16_000, 3200), (16_000, 9000), (8000, 5000, 2), (44_100, 20_000), (16_000, 2000)]
    ):
        waveform = 0.2 * rng.standard_normal(shape)
        soundfile.write(folder / f"clip{number}.wav", waveform.clip(-1, 1), rate_hz)
    return folder
