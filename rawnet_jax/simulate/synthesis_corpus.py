"""From sentences to a corpus of fakes by text-to-speech engines."""

import dataclasses
import hashlib
import json
import platform
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.config import AudioConfig
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
from rawnet_jax.simulate.sentences import Sentence
from rawnet_jax.simulate.synthesis_plan import PlannedClip, plan_clips
from rawnet_jax.simulate.tasks import task_results
from rawnet_jax.text_to_speech.engine import Request, speak, spoken_text
from rawnet_jax.text_to_speech.table import ENGINES, Found, digest_of, version_of

VERSION = 1
"""Raised whenever the same request gives other samples."""

PROTOCOL, CLIPS, LEFT_OUT = "manifest.csv", "clips.csv", "left_out.txt"

_PROTOCOL_COLUMNS = (
    *("path", "label", "speaker", "attack", "partition", "utterance_id", "language", "family"),
    "sentence",
)
_CLIP_COLUMNS = (
    *("utterance_id", "path", "engine", "voice", "language", "licence", "settings"),
    *("sample_rate_hz", "level_dbfs", "samples", "sha256", "sentence", "text"),
)
_README = """\
Synthetic speech made by rawnet_jax
===================================
spoof: sentences of {source}, each spoken by text-to-speech engines. There is no bona fide clip.

All clips went through one law: 16 kHz, nothing above the band of the engine, no mean, a level
from -32 to -22 dB RMS, dither, 16-bit FLAC. clips.csv has engine, voice, licence, settings and
text of each clip; corpus.json versions and counts.

The speech is under the licences of its voices. Read it with config.data.corpus = "manifest".
Error rates on it tell how well a detector finds these engines, not how well it finds others.
"""


@dataclass(frozen=True, slots=True)
class SynthesisSummary:
    """What was written.

    Attributes:
        root: the corpus.
        was_written: False if the same one was there already.
        by_engine: number of clips by name.
        problems: one line for each clip that was left out.
        num_resumed: clips that an earlier run had done.
    """

    root: Path
    was_written: bool
    by_engine: Mapping[str, int]
    problems: tuple[str, ...]
    num_resumed: int = 0

    def __str__(self) -> str:
        """Tell it in one line."""
        verb = "written" if self.was_written else "there already, nothing to do"
        engines = ", ".join(f"{name} {number}" for name, number in self.by_engine.items())
        return f"{self.root}: {verb}: {sum(self.by_engine.values())} spoof: {engines}"


def write_synthesis_corpus(
    text_name: str,
    sentences: Sequence[Sentence],
    engines: Sequence[Found],
    output_dir: str | PathLike[str],
    *,
    copies: int = 1,
    partition: str = "eval",
    timeout_s: float = 60.0,
    seed: int = 0,
    num_workers: int = 0,
    progress: bool = True,
    overwrite: bool = False,
) -> SynthesisSummary:
    """Write sentences spoken by engines as a corpus ``manifest``.

    The folder appears when it is whole. The same call resumes a run that was stopped. Clips that
    an engine fails at are left out and listed.

    Args:
        text_name: of the file that the sentences are from.
        sentences: to speak.
        engines: that can, see `usable`.
        output_dir: new folder.
        copies: clips of each sentence, see `plan_clips`.
        partition: train, dev or eval.
        timeout_s: seconds that a sentence may take.
        seed: decides voices, settings, levels and dither.
        num_workers: processes; 0 = one per core, 1 = this process.
        progress: show a bar on the terminal.
        overwrite: replace a corpus of ours that is there.

    Raises:
        DataError: a parameter is wrong, `output_dir` is not free, not one clip is left, or the
            disk is full.
    """
    if partition not in PARTITIONS:
        raise DataError(f"--partition {partition}: must be one of {', '.join(PARTITIONS)}")
    if not timeout_s > 0:
        raise DataError(f"--timeout is {timeout_s:g}; it must be above 0")
    plan = plan_clips(sentences, engines, copies=copies, partition=partition, seed=seed)
    request = _request(sentences, engines, plan, copies, partition, seed)
    there = _same_corpus(Path(output_dir), request)
    if there is not None and not overwrite:
        return there
    with resumable_corpus(output_dir, request, overwrite=overwrite) as (folder, journal):
        num_resumed = keep_whole_files(folder, journal)
        (folder / partition).mkdir(exist_ok=True)
        todo = [(number, one) for number, one in enumerate(plan) if number not in journal.records]
        results = task_results(
            partial(_write_clip, folder, partition, timeout_s),
            [one for _, one in todo],
            num_workers=num_workers,
            progress=progress,
            description="synthesise",
            num_done=num_resumed,
        )
        for (number, _), record in zip(todo, results, strict=True):
            journal.add(number, record)
        summary = _finish(folder, text_name, partition, plan, journal, request)
    return dataclasses.replace(summary, root=Path(output_dir), num_resumed=num_resumed)


def _request(
    sentences: Sequence[Sentence],
    engines: Sequence[Found],
    plan: Sequence[PlannedClip],
    copies: int,
    partition: str,
    seed: int,
) -> dict[str, Any]:
    """Return all that decides the files, as JSON has it."""
    voices = {one.voice.full_name: one.voice for one in plan}
    text = "".join(f"{one.name}\t{one.text}\n" for one in sentences)
    return {
        "version": VERSION,
        "seed": seed,
        "copies": copies,
        "partition": partition,
        "text": hashlib.sha256(text.encode()).hexdigest(),
        "engines": {
            one.engine.name: {
                "version": version_of(one),
                "licence": one.engine.licence,
                "deterministic": one.engine.is_deterministic,
                "settings": {name: list(bounds) for name, bounds in one.engine.settings.items()},
                "voices": [voice.name for voice in one.voices],
            }
            for one in engines
        },
        "models": {name: digest_of(voices[name]) for name in sorted(voices) if voices[name].model},
        "machine": platform.machine(),
    }


def _same_corpus(output: Path, request: Mapping[str, Any]) -> SynthesisSummary | None:
    """Return what is in a whole corpus that the same request wrote."""
    found = read_manifest(output) or {}
    if found.get("request") != json.loads(json.dumps(request)):
        return None
    left_out = output / LEFT_OUT
    text = left_out.read_text(encoding="utf-8") if left_out.exists() else ""
    by_engine = found.get("by_engine")
    if not isinstance(by_engine, dict):
        return None
    return SynthesisSummary(output, False, by_engine, tuple(text.splitlines()))


def _write_clip(
    folder: Path, partition: str, timeout_s: float, planned: PlannedClip
) -> dict[str, Any]:
    """Write a clip, or none; return its record."""
    voice = planned.voice
    bounds = AudioConfig()
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(
            spoken_text(planned.sentence.text),
            voice,
            planned.settings,
            Path(scratch),
            Path(scratch) / "speech.wav",
        )
        try:
            speak(ENGINES[voice.engine], planned.program, request, timeout_s)
            waveform = read_waveform(request.output, bounds)
            with open_audio(request.output, bounds) as file:
                rate = int(file.samplerate)
        except AudioError as error:
            return _left_out(planned, ": ".join(filter(None, (error.reason, error.detail))))
        except DataError as error:
            return _left_out(planned, str(error))
    rng = np.random.default_rng(planned.seed)
    signal = centred(waveform, USABLE_BAND * rate)
    level = 10.0 ** (rng.uniform(*LEVEL_DBFS) / 20.0)
    gain = gain_to(signal, level)
    samples = dithered(signal * gain, rng)
    content = encoded(samples, "FLAC")
    file_name = f"{partition}/{planned.utterance_id}.flac"
    write_bytes(folder / file_name, content)
    return {
        "files": {file_name: hashlib.sha256(content).hexdigest()},
        "rate": rate,
        "samples": len(samples),
        "level_dbfs": round(20.0 * float(np.log10(gain * np.std(signal))), 3),
        "sha256": hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest(),
    }


def _left_out(planned: PlannedClip, reason: str) -> dict[str, Any]:
    problem = f"{planned.voice.full_name}, sentence {planned.sentence.name}: {reason}"
    return {"files": {}, "problem": problem}


def _finish(
    folder: Path,
    text_name: str,
    partition: str,
    plan: Sequence[PlannedClip],
    journal: Journal,
    request: Mapping[str, Any],
) -> SynthesisSummary:
    """Write protocol, tables and manifest."""
    records = [journal.records[number] for number in range(len(plan))]
    done = [(one, rec) for one, rec in zip(plan, records, strict=True) if rec["files"]]
    problems = tuple(text_of_name(rec["problem"]) for rec in records if not rec["files"])
    if not done:
        raise DataError(f"none of {len(plan):,} clips could be made: {problems[0]}")
    protocol = [_protocol_row(partition, one, record) for one, record in done]
    details = [_clip_row(one, record) for one, record in done]
    _write_table(folder / PROTOCOL, _PROTOCOL_COLUMNS, protocol)
    _write_table(folder / CLIPS, _CLIP_COLUMNS, details)
    readme = _README.format(source=text_of_name(text_name))
    write_text_atomically(folder / "README.txt", readme)
    if problems:
        write_text_atomically(folder / LEFT_OUT, "".join(f"{line}\n" for line in problems))
    by_engine = dict(sorted(Counter(one.voice.engine for one, _ in done).items()))
    manifest = {
        "kind": "synthesise",
        "request": request,
        "by_engine": by_engine,
        "by_voice": dict(sorted(Counter(one.voice.full_name for one, _ in done).items())),
        "num_left_out": len(problems),
        "soundfile": soundfile.__libsndfile_version__,
    }
    write_manifest(folder, manifest)
    return SynthesisSummary(folder, True, by_engine, problems)


def _write_table(path: Path, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    write_text_atomically(path, csv_text([head, *rows]))


def _protocol_row(
    partition: str, planned: PlannedClip, record: Mapping[str, Any]
) -> tuple[object, ...]:
    voice = planned.voice
    return (
        *(*record["files"], Label.SPOOF.key, voice.full_name, voice.engine, partition),
        *(planned.utterance_id, voice.language, ENGINES[voice.engine].family),
        planned.sentence.name,
    )


def _clip_row(planned: PlannedClip, record: Mapping[str, Any]) -> tuple[object, ...]:
    voice = planned.voice
    return (
        *(planned.utterance_id, *record["files"], voice.engine, voice.name, voice.language),
        *(voice.licence, json.dumps(planned.settings), record["rate"], record["level_dbfs"]),
        *(record["samples"], record["sha256"], planned.sentence.name, planned.sentence.text),
    )
