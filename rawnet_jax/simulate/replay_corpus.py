"""From a folder of bona fide recordings to a replay corpus in the layout of ASVspoof 2017."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import open_audio, read_waveform
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.simulate.corpus_writer import (
    USABLE_BAND,
    CorpusSummary,
    ProtocolEntry,
    clip_name,
    count_clips,
    make_audio_folders,
    new_corpus,
    write_clip,
    write_device_table,
    write_lines,
    write_manifest,
    write_protocols,
)
from rawnet_jax.simulate.devices import ENVIRONMENTS, ReplayChain, draw_chain
from rawnet_jax.simulate.replay import replay_waveform
from rawnet_jax.simulate.rooms import Environment
from rawnet_jax.simulate.speakers import (
    checked_source,
    partition_speakers,
    recordings_in,
    speakers_of,
)
from rawnet_jax.simulate.tasks import run_tasks

VERSION = 1
"""Raised whenever the same parameters and sources give other samples."""

_MEASURED_SNR_DB = (25.0, 40.0)  # of the noise that is added behind a measured response
_MEASURED_HELD_OUT = 3  # every third measured response is for eval only
_README = """\
Replay corpus made by rawnet_jax
================================
genuine: recordings of {source}, each written again under one level law.
spoof:   the same recordings, played over a simulated loudspeaker in a simulated or measured room
         and recorded again. Ids are in devices.tsv; sources.tsv names each clip's recording.

The attacks are simulated. Error rates on this corpus tell how well a detector finds this
simulation, not how well it finds real replay.
"""


_PlannedClip = tuple[ProtocolEntry, ReplayChain | None]  # None = genuine


@dataclass(frozen=True, slots=True)
class _Source:
    """One recording with all clips that are made of it: the first is genuine, the rest replays."""

    path: Path
    clips: tuple[_PlannedClip, ...]
    seed: tuple[int, int]


def write_replay_corpus(
    source_dir: str | PathLike[str],
    output_dir: str | PathLike[str],
    *,
    speaker_pattern: str | None = None,
    copies_per_clip: int = 1,
    partition_shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
    impulse_response_dir: str | PathLike[str] | None = None,
    audio: AudioConfig | None = None,
    skip_bad_audio: bool = False,
    seed: int = 0,
    num_workers: int = 0,
    progress: bool = True,
    overwrite: bool = False,
) -> CorpusSummary:
    r"""Write a replay corpus of all recordings below a folder.

    Every recording becomes one genuine clip and `copies_per_clip` spoofed ones, over chains drawn
    from the tables in `devices`. Speakers are disjoint between partitions; held-out places and
    devices are in eval only. The folder is made under another name and renamed when it is whole.

    Args:
        source_dir: folder of WAV, FLAC, Ogg or MP3 files of any rate, searched recursively.
        output_dir: new folder.
        speaker_pattern: regular expression, searched in each file's path below `source_dir`, with
            a group ``speaker`` and, if needed, one ``phrase``, such as
            ``(?P<phrase>\d)_(?P<speaker>\w+)_\d+\.wav``. None = the first sub-folder is the
            speaker.
        copies_per_clip: replays of each recording.
        partition_shares: shares of speakers in train, dev and eval; a share of 0 leaves the
            partition out, every other one gets at least one speaker.
        impulse_response_dir: measured room responses, one per file, to take instead of the
            simulated rooms.
        audio: bounds on what is decoded; None = the defaults.
        skip_bad_audio: leave unusable recordings out and list them, instead of stopping.
        seed: decides partitions, chains and noise.
        num_workers: processes; 0 = one per core, 1 = this process.
        progress: show a bar on the terminal.
        overwrite: replace a corpus of ours that is there.

    Returns:
        What was written, and what was left out.

    Raises:
        AudioError: for a recording that cannot be used, unless `skip_bad_audio`.
        DataError: if a parameter is wrong, a speaker is unknown, there are too few speakers, or
            `output_dir` is not free.
    """
    source_root = checked_source(source_dir, output_dir)
    if copies_per_clip < 1:
        raise DataError(f"copies_per_clip is {copies_per_clip}; it must be at least 1")
    if seed < 0:
        raise DataError(f"the replay corpus's seed is {seed}; it must be 0 or more")
    audio = audio or AudioConfig()
    environments: Sequence[Environment] = ENVIRONMENTS
    if impulse_response_dir is not None:
        environments = measured_environments(impulse_response_dir, audio)
    speakers = speakers_of(source_root, speaker_pattern)
    names = sorted({name for name, _ in speakers.values()})
    partition_of = partition_speakers(names, partition_shares, seed)
    plan = list(_plan(speakers, partition_of, copies_per_clip, environments, seed))
    entries = [entry for source in plan for entry, _ in source.clips]

    with new_corpus(output_dir, overwrite=overwrite) as folder:
        make_audio_folders(folder, entries)
        problems = run_tasks(
            partial(_write, folder, audio, skip_bad_audio),
            plan,
            num_workers=num_workers,
            progress=progress,
            description="replay corpus",
        )
        written = [source for source, problem in zip(plan, problems, strict=True) if not problem]
        _write_texts(folder, source_root, written, environments)
        write_manifest(
            folder,
            {
                "kind": "replay",
                "version": VERSION,
                "seed": seed,
                "copies_per_clip": copies_per_clip,
                "num_sources": len(written),
            },
        )
    counts = count_clips(entry for source in written for entry, _ in source.clips)
    left_out = tuple(problem for problem in problems if problem)
    return CorpusSummary(Path(output_dir), True, counts, left_out)


def measured_environments(
    folder: str | PathLike[str], audio: AudioConfig | None = None
) -> tuple[Environment, ...]:
    """Environments ``E101``, ``E102`` … from measured impulse responses, one per file, by name.

    Raises:
        AudioError: for a file that cannot be used.
        DataError: if the folder holds no audio.
    """
    root = Path(folder)
    environments = []
    for number, path in enumerate(recordings_in(root), start=1):
        environments.append(
            Environment(
                f"E{100 + number}",
                f"measured: {path.relative_to(root).as_posix()}",
                snr_db=_MEASURED_SNR_DB,
                impulse_response=read_waveform(path, audio or AudioConfig()),
                held_out=number % _MEASURED_HELD_OUT == 0,
            )
        )
    return tuple(environments)


def _plan(
    speakers: dict[Path, tuple[str, str]],
    partition_of: dict[str, str],
    copies_per_clip: int,
    environments: Sequence[Environment],
    seed: int,
) -> Iterator[_Source]:
    """Number the clips as the challenge does: a partition's genuine ones first."""
    rng = np.random.default_rng((seed, 1))
    stream = 2
    for partition in PARTITIONS:
        paths = [path for path, (name, _) in speakers.items() if partition_of[name] == partition]
        spoof_number = len(paths)
        for genuine_number, path in enumerate(paths, start=1):
            entry = partial(_entry, partition, *speakers[path])
            clips: list[_PlannedClip] = [(entry(genuine_number, None), None)]
            for _ in range(copies_per_clip):
                spoof_number += 1
                chain = draw_chain(partition, rng, environments)
                clips.append((entry(spoof_number, chain), chain))
            yield _Source(path, tuple(clips), (seed, stream))
            stream += 1


def _entry(
    partition: str, speaker_id: str, phrase_id: str, number: int, chain: ReplayChain | None
) -> ProtocolEntry:
    file_name = clip_name(partition, number)
    if chain is None:
        return ProtocolEntry(partition, file_name, "genuine", speaker_id, phrase_id)
    return ProtocolEntry(partition, file_name, "spoof", speaker_id, phrase_id, chain.ids)


def _write(folder: Path, audio: AudioConfig, skip_bad_audio: bool, source: _Source) -> str:
    """Write all clips of a recording; returns what is wrong with it, or nothing."""
    try:
        waveform = read_waveform(source.path, audio)
    except AudioError as error:
        if skip_bad_audio:
            return str(error)
        raise
    # Replay noise above what a telephone recording holds would give every spoof away.
    with open_audio(source.path, audio) as file:
        bandwidth_hz = USABLE_BAND * file.samplerate
    rng = np.random.default_rng(source.seed)
    for entry, chain in source.clips:
        clip = waveform if chain is None else replay_waveform(waveform, chain, rng)
        write_clip(folder / entry.path, clip, rng, bandwidth_hz)
    return ""


def _write_texts(
    folder: Path, source_root: Path, written: Sequence[_Source], environments: Sequence[Environment]
) -> None:
    """Write protocols, the tables of devices and sources, and the README."""
    clips = sorted(
        ((entry, source.path) for source in written for entry, _ in source.clips),
        key=lambda clip: (PARTITIONS.index(clip[0].partition), clip[0].file_name),
    )
    write_protocols(folder, [entry for entry, _ in clips])
    write_device_table(folder, environments)
    rows = [f"{entry.file_name}\t{path.relative_to(source_root)}" for entry, path in clips]
    write_lines(folder / "sources.tsv", ["file\tsource", *rows])
    write_lines(folder / "README.txt", [_README.format(source=source_root.name)])
