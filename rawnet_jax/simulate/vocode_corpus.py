"""From bona fide recordings to a corpus of them and their copies by vocoders."""

import dataclasses
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.config import AudioConfig
from rawnet_jax.copy_synthesis.model_files import digests, try_out
from rawnet_jax.copy_synthesis.vocoder import Vocoder, copy_of
from rawnet_jax.csv_text import csv_text
from rawnet_jax.data.audio import open_audio, read_waveform
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.labels import Label
from rawnet_jax.simulate.corpus_writer import (
    LEVEL_DBFS,
    USABLE_BAND,
    centred,
    dithered,
    encoded,
    gain_to,
    read_manifest,
    text_of_name,
    write_bytes,
    write_manifest,
)
from rawnet_jax.simulate.resumable import Journal, keep_whole_files, resumable_corpus
from rawnet_jax.simulate.speakers import checked_source
from rawnet_jax.simulate.tasks import task_results
from rawnet_jax.simulate.vocode_plan import PlannedSource, plan_copies
from rawnet_jax.simulate.vocode_sources import Sources

VERSION = 1
"""Raised whenever the same request gives other samples."""

PROTOCOL, CLIPS, LEFT_OUT = "manifest.csv", "clips.csv", "left_out.txt"

_LIBRARIES = ("numpy", "scipy", "soundfile", "soxr")
_PACKAGES_OF = {  # distributions that may give what Python imports under another name
    "pyworld": ("pyworld-prebuilt", "pyworld"),
    "ai_edge_litert": ("ai-edge-litert",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
}
_PROTOCOL_COLUMNS = (
    *("path", "label", "speaker", "attack", "partition", "utterance_id", "source", "family"),
)
_CLIP_COLUMNS = (
    *("utterance_id", "path", "vocoder", "settings", "seed", "level_dbfs", "samples", "sha256"),
    *("original", "original_file"),
)
_README = """\
Copy-synthesis made by rawnet_jax
=================================
bonafide: recordings of {source}, each written again.
spoof:    the same recordings, resynthesised by vocoders. A copy has the words, the speaker and the
          partition of its source (column source of manifest.csv), and its length to the sample.

Both went through one law: 16 kHz, nothing above the band of the recording, no mean, one level for
a recording and its copies, dither, 16-bit FLAC. clips.csv has vocoder, settings and seed of each
clip; corpus.json what it takes to write the same files again.

Train and test with it as config.data.corpus = "manifest". Error rates on it tell how well a
detector finds these vocoders, not how well it finds others.
"""


@dataclass(frozen=True, slots=True)
class VocodeSummary:
    """What was written.

    Attributes:
        root: the corpus.
        was_written: False if the same one was there already.
        counts: number of clips by (partition, key).
        by_vocoder: number of copies by name.
        problems: one line for each recording that was left out.
        num_resumed: recordings that an earlier run had done.
    """

    root: Path
    was_written: bool
    counts: Mapping[tuple[str, str], int]
    by_vocoder: Mapping[str, int]
    problems: tuple[str, ...]
    num_resumed: int

    def __str__(self) -> str:
        """Tell it in two lines."""
        keys = (Label.BONAFIDE.key, Label.SPOOF.key)
        parts = [
            f"{name} {self.counts[name, keys[0]]} bona fide + {self.counts[name, keys[1]]} spoof"
            for name in PARTITIONS
            if self.counts[name, keys[0]]
        ]
        verb = "written" if self.was_written else "there already, nothing to do"
        vocoders = ", ".join(f"{name} {number}" for name, number in self.by_vocoder.items())
        return f"{self.root}: {verb}: {'; '.join(parts)}\ncopies: {vocoders or 'none'}"


def write_vocoded_corpus(
    source_dir: str | PathLike[str],
    output_dir: str | PathLike[str],
    sources: Sources,
    vocoders: Sequence[Vocoder],
    *,
    copies: float = 1.0,
    max_clips: int | None = None,
    audio: AudioConfig | None = None,
    seed: int = 0,
    num_workers: int = 0,
    progress: bool = True,
    overwrite: bool = False,
) -> VocodeSummary:
    """Write bona fide recordings and copies of them by vocoders as a corpus ``manifest``.

    The folder appears when it is whole. The same call resumes a run that was stopped; files are
    the same to the last bit, in one run or several and with any number of processes.
    Recordings that cannot be read, or that a vocoder makes nothing of, are left out and listed.

    Args:
        source_dir: where the recordings are.
        output_dir: new folder.
        sources: what `find_sources` found there.
        vocoders: to draw from.
        copies: for each recording, see `plan_copies`.
        max_clips: recordings to take at most; None = all.
        audio: bounds on what is decoded; None = the defaults.
        seed: decides vocoders, settings, levels and noise.
        num_workers: processes; 0 = one per core, 1 = this process.
        progress: show a bar on the terminal.
        overwrite: replace a corpus of ours that is there.

    Raises:
        DataError: a parameter is wrong, a vocoder cannot be used, `output_dir` is not free, not one
            recording is left, or the disk is full.
    """
    checked_source(source_dir, output_dir)
    plan = plan_copies(sources.recordings, vocoders, copies=copies, max_clips=max_clips, seed=seed)
    for vocoder in vocoders:
        if vocoder.files:
            try_out(vocoder)
    audio = audio or AudioConfig()
    request = {
        **_request(sources, vocoders, copies, max_clips, seed),
        "audio": dataclasses.asdict(audio),
    }
    there = _same_corpus(Path(output_dir), request)
    if there is not None and not overwrite:
        return there
    # A rebuilt corpus may be of files with other times; a resumed one must not.
    unfinished = {**request, "modified": sources.modified()}
    with resumable_corpus(output_dir, unfinished, overwrite=overwrite) as (folder, journal):
        num_resumed = keep_whole_files(folder, journal)
        for partition in {one.source.partition for one in plan}:
            (folder / partition).mkdir(exist_ok=True)
        todo = [(number, one) for number, one in enumerate(plan) if number not in journal.records]
        results = task_results(
            partial(_write_source, folder, audio),
            [one for _, one in todo],
            num_workers=num_workers,
            progress=progress,
            description="vocode",
            num_done=num_resumed,
        )
        for (number, _), record in zip(todo, results, strict=True):
            journal.add(number, record)
        summary = _finish(folder, Path(source_dir), plan, journal, request)
    return dataclasses.replace(summary, root=Path(output_dir), num_resumed=num_resumed)


def _request(
    sources: Sources, vocoders: Sequence[Vocoder], copies: float, max_clips: int | None, seed: int
) -> dict[str, Any]:
    """Return all that decides the files, as JSON has it."""
    return {
        "version": VERSION,
        "seed": seed,
        "copies": copies,
        "max_clips": max_clips,
        "corpus": sources.corpus,
        "sources": sources.digest(),
        "vocoders": {
            row.name: {
                "settings": [str(setting) for setting in row.settings],
                "licence": row.licence,
                "package": _version_of(row.package),
                "files": digests(row),
            }
            for row in vocoders
        },
        "libraries": {name: metadata.version(name) for name in _LIBRARIES}
        | {"libsndfile": soundfile.__libsndfile_version__, "machine": platform.machine()},
    }


def _version_of(package: str) -> str:
    for name in _PACKAGES_OF.get(package, ()):
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return package


def _same_corpus(output: Path, request: Mapping[str, Any]) -> VocodeSummary | None:
    """Return what is in a whole corpus that the same request wrote."""
    found = read_manifest(output) or {}
    if found.get("request") != json.loads(json.dumps(request)):
        return None
    try:
        counts = Counter({tuple(k.split()): v for k, v in found["counts"].items()})
        by_vocoder = dict(found["by_vocoder"])
    except (KeyError, AttributeError, TypeError, ValueError):
        return None
    left_out = output / LEFT_OUT
    text = left_out.read_text(encoding="utf-8") if left_out.exists() else ""
    return VocodeSummary(output, False, counts, by_vocoder, tuple(text.splitlines()), 0)


def _write_source(folder: Path, audio: AudioConfig, planned: PlannedSource) -> dict[str, Any]:
    """Write all clips of a recording, or none; return their record."""
    path = planned.source.path
    try:
        waveform = read_waveform(path, audio)
        with open_audio(path, audio) as file:
            # What a vocoder adds above the band of a telephone would give every copy away.
            bandwidth_hz = USABLE_BAND * file.samplerate
        copies = [
            copy_of(waveform, one.vocoder, one.settings, np.random.default_rng(one.seed))
            for one in planned.copies
        ]
    except AudioError as error:
        return {"files": {}, "problem": str(error)}
    except DataError as error:
        return {"files": {}, "problem": f"{path}: {error}"}
    rng = np.random.default_rng(planned.seed)
    signals = [centred(one, bandwidth_hz) for one in (waveform, *copies)]
    level = 10.0 ** (rng.uniform(*LEVEL_DBFS) / 20.0)
    # One level for all, so that none is told by it, and none is clipped.
    level = min(gain_to(signal, level) * float(np.std(signal)) for signal in signals)
    names = [planned.utterance_id, *(one.utterance_id for one in planned.copies)]
    files, samples_sha = {}, []
    for name, signal in zip(names, signals, strict=True):
        samples = dithered(signal * gain_to(signal, level), rng)
        content = encoded(samples, "FLAC")
        file_name = f"{planned.source.partition}/{name}.flac"
        write_bytes(folder / file_name, content)
        files[file_name] = hashlib.sha256(content).hexdigest()
        samples_sha.append(hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest())
    return {
        "files": files,
        "samples": len(waveform),
        "level_dbfs": round(20.0 * float(np.log10(level)), 3),
        "sha256": samples_sha,
    }


def _finish(
    folder: Path,
    source_dir: Path,
    plan: Sequence[PlannedSource],
    journal: Journal,
    request: Mapping[str, Any],
) -> VocodeSummary:
    """Write protocol, tables and manifest."""
    records = [journal.records[number] for number in range(len(plan))]
    done = [(one, rec) for one, rec in zip(plan, records, strict=True) if rec["files"]]
    problems = tuple(record["problem"] for record in records if not record["files"])
    if not done:
        raise DataError(
            f"{source_dir}: none of its {len(plan):,} recordings can be used; first: {problems[0]}"
        )
    rows = sorted(
        (row for one, _ in done for row in _protocol_rows(one)),
        key=lambda row: (PARTITIONS.index(row[4]), row[1], row[5]),
    )
    write_text_atomically(folder / PROTOCOL, csv_text([_PROTOCOL_COLUMNS, *rows]))
    root = source_dir.resolve()
    details = [row for one, record in done for row in _clip_rows(root, one, record)]
    write_text_atomically(folder / CLIPS, csv_text([_CLIP_COLUMNS, *details]))
    readme = _README.format(source=text_of_name(root.name))
    write_text_atomically(folder / "README.txt", readme)
    if problems:
        lines = "".join(f"{text_of_name(problem)}\n" for problem in problems)
        write_text_atomically(folder / LEFT_OUT, lines)
    counts = Counter((row[4], row[1]) for row in rows)
    by_vocoder = Counter(copy.vocoder.name for one, _ in done for copy in one.copies)
    sorted_counts = dict(sorted(by_vocoder.items()))
    manifest = {
        "kind": "vocode",
        "request": request,
        "counts": {" ".join(key): number for key, number in counts.items()},
        "by_vocoder": sorted_counts,
        "num_left_out": len(problems),
    }
    write_manifest(folder, manifest)
    return VocodeSummary(folder, True, counts, sorted_counts, problems, 0)


def _protocol_rows(planned: PlannedSource) -> Iterator[tuple[str, ...]]:
    source, name = planned.source, planned.utterance_id
    speaker, place = text_of_name(source.speaker), source.partition
    yield (
        *(f"{place}/{name}.flac", Label.BONAFIDE.key, speaker, "", place),
        *(name, name, ""),
    )
    for copy in planned.copies:
        yield (
            *(f"{place}/{copy.utterance_id}.flac", Label.SPOOF.key, speaker, copy.vocoder.name),
            *(place, copy.utterance_id, name, copy.vocoder.family),
        )


def _clip_rows(
    root: Path, planned: PlannedSource, record: Mapping[str, Any]
) -> Iterator[tuple[object, ...]]:
    made = [(planned.utterance_id, "", "", planned.seed)]
    made += [
        (copy.utterance_id, copy.vocoder.name, json.dumps(copy.settings), copy.seed)
        for copy in planned.copies
    ]
    source = planned.source
    original = text_of_name(source.name), text_of_name(os.path.relpath(source.path, root))
    clips = zip(made, record["files"], record["sha256"], strict=True)
    for (name, vocoder, settings, seed), path, sha in clips:
        yield (
            *(name, path, vocoder, settings, " ".join(map(str, seed)), record["level_dbfs"]),
            *(record["samples"], sha, *original),
        )
