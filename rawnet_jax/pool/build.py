"""Builds a pool: pieces by several processes, then protocols, manifest, licences and digests."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import soundfile
import soxr

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.pool.backgrounds import (
    WrittenBackground,
    backgrounds_digest,
    write_backgrounds,
)
from rawnet_jax.pool.confound_text import confound_text
from rawnet_jax.pool.confounds import confound_report
from rawnet_jax.pool.folds import used
from rawnet_jax.pool.listing import Piece, numbered, pool_digest
from rawnet_jax.pool.papers import PROTOCOL_FOLDER, write_papers
from rawnet_jax.pool.pieces import AUDIO_FOLDER, Made, PieceMaker, close_readers, piece_path
from rawnet_jax.pool.plan import PoolPlan, Recording
from rawnet_jax.pool.table import BACKGROUNDS
from rawnet_jax.simulate.corpus_writer import (
    read_manifest,
    write_lines,
    write_manifest,
)
from rawnet_jax.simulate.resumable import Journal, resumable_corpus
from rawnet_jax.simulate.tasks import task_results

SUMS = "SHA256SUMS"
"""File with the digest of every file of a pool, in the form that ``sha256sum -c`` reads."""


CONFOUNDS_TEXT, CONFOUNDS_JSON = "confounds.txt", "confounds.json"
"""Files of a pool with its confound report."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a build did.

    Attributes:
        root: the pool.
        was_written: False if it was there already.
        num_pieces: by label.
        digest: SHA-256 of the digests of all pieces.
        problems: recordings that gave no piece, by reason.
    """

    root: Path
    was_written: bool
    num_pieces: Mapping[str, int]
    digest: str
    problems: Mapping[str, int]


def build(
    plan: PoolPlan,
    output: Path,
    *,
    num_workers: int = 0,
    progress: bool = True,
    overwrite: bool = False,
) -> Built:
    """Build a pool, or resume one that was interrupted.

    Args:
        plan: what to take.
        output: new folder; it appears when the pool is whole.
        num_workers: processes; 0 = one per core. The bits do not depend on it.
        progress: show a bar.
        overwrite: replace a corpus of ours that is there.

    Returns:
        What was written.

    Raises:
        DataError: something is in the way, a worker dies, or a file cannot be written.
    """
    manifest = read_manifest(output)
    if manifest is not None and manifest.get("plan") == plan.digest:
        return Built(output, False, manifest["pieces"], manifest["digest"], {})
    recordings = used(plan.recordings)
    request = {"plan": plan.digest, "made_with": versions()}
    with resumable_corpus(output, request, overwrite=overwrite) as (folder, journal):
        (folder / AUDIO_FOLDER).mkdir(exist_ok=True)
        made = _make_all(plan, recordings, folder, journal, num_workers, progress)
        pieces = numbered(recordings, made)
        _remove_others(folder, pieces)
        backgrounds, unread = write_backgrounds(folder, plan.backgrounds, plan.git_dirs)
        told = [*(each.problem for each in made.values() if each.problem), *unread]
        problems = Counter(map(_reason, told))
        num_pieces = dict(Counter(piece.recording.label for piece in pieces))
        digest = pool_digest(pieces)
        record = {
            "kind": "pool",
            "plan": plan.digest,
            "pieces": num_pieces,
            "digest": digest,
            "backgrounds": _said(backgrounds),
            "left_out": dict(sorted(problems.items())),
            "differs_from_table": list(plan.problems),
            "made_with": versions(),
        }
        write_papers(folder, plan, pieces, backgrounds, record)
        if not plan.is_clean:  # there is one class
            write_confounds(folder)
        write_lines(folder / "left_out.txt", sorted(told))
        _write_sums(folder, pieces)
        write_manifest(folder, record)
    return Built(output, True, num_pieces, digest, problems)


def versions() -> dict[str, str]:
    """Return the versions of what decodes, resamples and encodes: others may give other bits."""
    return {
        "libsndfile": soundfile.__libsndfile_version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "soundfile": soundfile.__version__,
        "soxr": soxr.__version__,
    }


def write_confounds(pool: Path) -> str:
    """Write the confound report of a pool and its matched lists; returns the report as text.

    Args:
        pool: whose tables are read.

    Raises:
        DataError: a table cannot be read, or a file cannot be written.
    """
    record = confound_report(pool)
    for name, lines in record.pop("matched").items():
        write_text_atomically(pool / PROTOCOL_FOLDER / name, "".join(f"{x}\n" for x in lines))
    text = confound_text(record)
    write_text_atomically(pool / CONFOUNDS_JSON, json.dumps(record, indent=2) + "\n")
    write_text_atomically(pool / CONFOUNDS_TEXT, text)
    return text


def _make_all(
    plan: PoolPlan,
    recordings: Sequence[Recording],
    folder: Path,
    journal: Journal,
    num_workers: int,
    progress: bool,
) -> dict[str, Made]:
    journal.keep([n for n, made in journal.records.items() if _is_whole(folder, made)])
    todo = [(n, each) for n, each in enumerate(recordings) if n not in journal.records]
    results = task_results(
        PieceMaker(
            folder,
            plan.git_dirs,
            plan.table.seed,
            {each.name: each.row for each in plan.vocoders},
            plan.is_clean,
        ),
        [each for _, each in todo],
        num_workers=num_workers,
        progress=progress,
        description="pool",
        num_done=len(journal.records),
    )
    try:
        for (number, _), made in zip(todo, results, strict=True):
            journal.add(number, asdict(made))
    finally:
        close_readers()
    return {made["name"]: Made(**made) for made in journal.records.values()}


def _is_whole(folder: Path, made: Mapping[str, Any]) -> bool:
    """Return whether the pieces of a recording are what was written."""
    return all(_digest(folder, piece) == piece["sha256"] for piece in made["pieces"])


def _digest(folder: Path, piece: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(piece_path(folder, piece["utterance"]).read_bytes()).hexdigest()
    except OSError:
        return ""


def _remove_others(folder: Path, pieces: Sequence[Piece]) -> None:
    """Remove pieces that another plan, or a killed worker, left behind."""
    ours = {piece_path(folder, each.name).name for each in pieces}
    for path in (folder / AUDIO_FOLDER).iterdir():
        if path.name not in ours:
            path.unlink()


def _said(backgrounds: Sequence[WrittenBackground]) -> dict[str, Any]:
    """Return what the manifest says of noises and impulse responses."""
    counts = Counter(each.background.kind for each in backgrounds)
    return {
        **{kind: counts[kind] for kind in BACKGROUNDS},
        "digest": backgrounds_digest(backgrounds),
    }


def _reason(problem: str) -> str:
    """Return the kind of a problem: what stands behind the name of the file."""
    parts = problem.split(": ")
    return parts[2] if len(parts) > 2 else problem


def _write_sums(folder: Path, pieces: Sequence[Piece]) -> None:
    sums = {f"{AUDIO_FOLDER}/{each.name}.flac": str(each.made["sha256"]) for each in pieces}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in sums:
            sums[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    write_lines(folder / SUMS, [f"{sums[name]}  {name}" for name in sorted(sums)])
