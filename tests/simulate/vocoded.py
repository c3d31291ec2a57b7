"""A corpus of noise, and its copies by quick vocoders."""

import csv
from pathlib import Path

import numpy as np
import soundfile

from rawnet_jax.copy_synthesis.table import chosen
from rawnet_jax.simulate.vocode_corpus import VocodeSummary, write_vocoded_corpus
from rawnet_jax.simulate.vocode_sources import find_sources

QUICK = ("phase-zero", "phase-random", "lpc")


def write_source(root: Path, speakers: str = "abcd", num_takes: int = 3) -> Path:
    rng = np.random.default_rng(0)
    for speaker in speakers:
        (root / speaker).mkdir(parents=True)
        for take in range(num_takes):
            noise = 0.02 * rng.standard_normal(2_000 + 100 * take)
            soundfile.write(root / speaker / f"{take}.flac", noise, 16_000)
    return root


def write(
    source: Path, output: Path, names=QUICK, num_workers: int = 1, seed: int = 0, **settings
) -> VocodeSummary:
    find = {k: settings.pop(k) for k in ("corpus", "partition_shares") if k in settings}
    sources = find_sources(source, seed=seed, **find)
    rows = chosen(names) if isinstance(names, tuple) else names
    return write_vocoded_corpus(
        source,
        output,
        sources,
        rows,
        seed=seed,
        num_workers=num_workers,
        progress=False,
        **settings,
    )


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
