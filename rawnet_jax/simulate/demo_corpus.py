"""The embedded demo corpus: synthetic voices, and the same voices replayed, as ASVspoof 2017.

Nothing is downloaded and nothing was recorded. The corpus lets the whole pipeline run anywhere; its
metrics tell nothing about real attacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import DataError
from rawnet_jax.simulate.corpus_writer import (
    CorpusSummary,
    ProtocolEntry,
    clip_name,
    count_clips,
    make_audio_folders,
    new_corpus,
    read_manifest,
    write_clip,
    write_device_table,
    write_lines,
    write_manifest,
    write_protocols,
)
from rawnet_jax.simulate.devices import RecordingDevice, ReplayChain, draw_chain
from rawnet_jax.simulate.phonemes import PHRASES
from rawnet_jax.simulate.replay import record, replay_waveform
from rawnet_jax.simulate.responses import FrequencyResponse
from rawnet_jax.simulate.rooms import Environment, add_background, reverberate
from rawnet_jax.simulate.synthetic import Voice, draw_voice, synthesise
from rawnet_jax.simulate.tasks import run_tasks

VERSION = 1
"""Raised whenever the same parameters give other samples."""

MIN_CLIPS = 20
MAX_CLIPS = 1_000_000

_NUM_SPEAKERS = {"train": 12, "dev": 6, "eval": 6}
# As reverberant and noisy as what replay adds to, so that neither alone tells the classes apart.
_RECORDING_ROOMS = (
    Environment("", "booth", (3.0, 2.5, 2.4), 0.12, (0.1, 0.5), (22, 45), 3.0),
    Environment("", "bedroom", (4.0, 3.5, 2.5), 0.32, (0.2, 0.8), (16, 38), 5.0, -6.0),
    Environment("", "living room", (5.5, 4.5, 2.6), 0.45, (0.2, 1.0), (14, 36), 5.0, -9.0),
    Environment("", "office", (4.5, 3.0, 2.7), 0.40, (0.2, 0.8), (14, 34), 4.0, -3.0),
    Environment("", "meeting room", (7.0, 5.0, 3.0), 0.60, (0.2, 1.0), (14, 34), 5.0, -6.0),
    Environment("", "hall", (12.0, 9.0, 4.0), 0.90, (0.2, 0.8), (12, 32), 4.0),
    Environment("", "stairwell", (5.0, 3.0, 6.0), 1.00, (0.2, 0.6), (14, 34), 5.0),
)
_README = """\
Demo corpus of rawnet_jax
=========================
{num_clips} clips in the layout of ASVspoof 2017 version 2, written by code (version {version},
seed {seed}). No human voice was recorded and nothing was downloaded.

genuine: voices of a small source-filter synthesiser in simulated rooms.
spoof:   other utterances of the same synthetic speakers, played over a simulated loudspeaker in a
         simulated room and recorded again. Ids are in devices.tsv.

This corpus is synthetic. It shows that the pipeline runs and learns. Error rates on it tell
nothing about detecting real attacks, and must not be compared with any published number.
"""


@dataclass(frozen=True, slots=True)
class _Clip:
    """Everything that a worker needs to write one clip."""

    entry: ProtocolEntry
    voice: Voice
    chain: ReplayChain | None  # None = genuine
    seed: tuple[int, ...]


def write_demo_corpus(
    output_dir: str | PathLike[str],
    *,
    num_clips: int = 800,
    seed: int = 0,
    num_workers: int = 0,
    progress: bool = True,
    overwrite: bool = False,
) -> CorpusSummary:
    """Write the demo corpus, or find that it is there.

    60 % of the clips are train, 20 % dev, 20 % eval; each half genuine, half spoof; no speaker is
    in two partitions, and some places and devices are in eval only.

    Args:
        output_dir: new folder; with the same complete corpus in it, nothing is done.
        num_clips: even, at least 20.
        seed: decides every sample, whatever the number of workers.
        num_workers: processes; 0 = one per core, 1 = this process.
        progress: show a bar on the terminal.
        overwrite: replace another corpus of ours that is there.

    Returns:
        What is there now, and whether this call wrote it.

    Raises:
        DataError: if a parameter is out of range, or `output_dir` holds something else.
    """
    if not MIN_CLIPS <= num_clips <= MAX_CLIPS or num_clips % 2:
        raise DataError(
            f"the demo corpus was asked to have {num_clips} clips; it must be an even"
            f" number from {MIN_CLIPS} to {MAX_CLIPS}"
        )
    if seed < 0:
        raise DataError(f"the demo corpus's seed is {seed}; it must be 0 or more")
    manifest = {"kind": "demo", "version": VERSION, "num_clips": num_clips, "seed": seed}
    clips = list(_plan(num_clips, seed))
    entries = [clip.entry for clip in clips]
    root = Path(output_dir)
    if not overwrite and _is_complete(root, manifest, entries):
        return CorpusSummary(root, False, count_clips(entries))

    with new_corpus(output_dir, overwrite=overwrite) as folder:
        make_audio_folders(folder, entries)
        run_tasks(
            partial(_write, folder),
            clips,
            num_workers=num_workers,
            progress=progress,
            description="demo corpus",
        )
        write_protocols(folder, entries)
        write_device_table(folder)
        readme = _README.format(num_clips=num_clips, version=VERSION, seed=seed)
        write_lines(folder / "README.txt", [readme])
        write_manifest(folder, manifest)
    return CorpusSummary(root, True, count_clips(entries))


def record_bona_fide(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Record a voice in a random room with a random microphone.

    Args:
        waveform: float32 [num_samples] at 16 kHz, RMS 0.1.
        rng: source of every draw.

    Returns:
        float64 [num_samples + silence], with 0.05 to 0.6 s of room noise before and after.
    """
    before, after = (rng.uniform(0.05, 0.6, 2) * SAMPLE_RATE_HZ).astype(int)
    signal = np.pad(waveform, (before, after))
    room = _RECORDING_ROOMS[rng.integers(len(_RECORDING_ROOMS))]
    signal = add_background(reverberate(signal, room, rng), room, rng)
    return record(signal, _draw_microphone(rng), rng)


def _draw_microphone(rng: np.random.Generator) -> RecordingDevice:
    resonances = tuple(
        (float(rng.uniform(low, high)), float(rng.uniform(1.0, 3.0)), float(rng.normal(0.0, 3.0)))
        for low, high in ((150, 600), (600, 2000), (2000, 4000), (4000, 6500))
    )
    response = FrequencyResponse(
        low_cut_hz=float(rng.uniform(40, 170)),
        high_cut_hz=float(rng.uniform(6800, 7900)),
        resonances=resonances,
    )
    return RecordingDevice(
        "",
        "microphone of a bona fide recording",
        response,
        self_noise_db=float(rng.uniform(-56, -38)),
        gain_control=float(rng.uniform(0.0, 0.5)),
    )


def _plan(num_clips: int, seed: int) -> Iterator[_Clip]:
    """Who speaks what in which clip, and over which chain; a pure function of its arguments."""
    num_held_out = 2 * round(num_clips / 10)
    sizes = {"train": num_clips - 2 * num_held_out, "dev": num_held_out, "eval": num_held_out}
    first_speaker = 1
    for partition_index, (partition, size) in enumerate(sizes.items()):
        rng = np.random.default_rng((seed, partition_index, 0))
        speakers = _draw_speakers(first_speaker, _NUM_SPEAKERS[partition], rng)
        first_speaker += len(speakers)
        for index in range(size):
            key = "genuine" if index < size // 2 else "spoof"
            chain = draw_chain(partition, rng) if key == "spoof" else None
            speaker_id, voice = speakers[index % (size // 2) % len(speakers)]
            entry = ProtocolEntry(
                partition,
                clip_name(partition, index + 1),
                key,
                speaker_id,
                str(rng.choice(list(PHRASES))),
                chain.ids if chain else ("-", "-", "-"),
            )
            yield _Clip(entry, voice, chain, (seed, partition_index, index + 1))


def _draw_speakers(
    first_number: int, number: int, rng: np.random.Generator
) -> list[tuple[str, Voice]]:
    speakers = []
    for index in range(number):
        sex = "MF"[index % 2]
        speakers.append((f"{sex}{first_number + index:04d}", draw_voice(sex, rng)))
    return speakers


def _write(folder: Path, clip: _Clip) -> None:
    rng = np.random.default_rng(clip.seed)
    waveform = record_bona_fide(synthesise(PHRASES[clip.entry.phrase_id], clip.voice, rng), rng)
    if clip.chain is not None:
        waveform = replay_waveform(waveform, clip.chain, rng)
    write_clip(folder / clip.entry.path, waveform, rng)


def _is_complete(root: Path, manifest: dict[str, object], entries: list[ProtocolEntry]) -> bool:
    return read_manifest(root) == manifest and all(
        (root / entry.path).is_file() for entry in entries
    )
