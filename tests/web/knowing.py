"""A detector that knows sources of fakes and a person, as `sources` and `adapt` leave it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from rawnet_jax.jobs.derived_preset import write_derived
from rawnet_jax.metrics.source import fit_families
from rawnet_jax.presets.catalog import run_folder
from rawnet_jax.run import Run
from rawnet_jax.scoring.enrolled import EnrolledVoice, save_voices
from rawnet_jax.scoring.sources import save_source_rule
from tests.spoken import noise, spoken

VOICE = EnrolledVoice("ana", 12, -1.5, 0.625)
SECONDS = 3.5  # longer than a window
CLIPS = 8  # of each family; both together are a batch for any number of devices of a test


def write_knowing(folder: Path) -> None:
    """Write the packaged detector with a rule on two families of sounds made by code."""
    run = Run.open(run_folder(Path("general_1")))
    size = run.recipe.window
    clean = [spoken(SECONDS, seed)[:size] for seed in range(CLIPS)]
    loud = [one + noise(SECONDS, 0.1, seed)[: len(one)] for seed, one in enumerate(clean)]
    rows = np.stack([np.resize(one, size) for one in (*clean, *loud)]).astype(np.float32)
    embedding = run.embed_batch(rows, np.full(len(rows), size, np.int32))[:, 1:]
    families = ["clean"] * CLIPS + ["noisy"] * CLIPS
    rule = replace(fit_families(embedding, families), farthest=1.5, least=0.9)

    def fitted(new: Path) -> None:
        save_source_rule(new, rule, run.step)
        save_voices(new, {VOICE.name: VOICE})

    write_derived(folder, run, "a test", "It knows two families and a person.", fitted)
