"""Which recordings are bona fide: of a folder without lists, or of a corpus that has them."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.config import DataConfig
from rawnet_jax.data.corpus import PARTITIONS, load_partition, present_partitions
from rawnet_jax.data.places import key_folders
from rawnet_jax.data.recognise import recognise
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError
from rawnet_jax.labels import UNSTATED, Label
from rawnet_jax.simulate.speakers import partition_speakers, recordings_in, speakers_of

RECORDINGS = "recordings"
"""Stands for a folder of bona fide recordings without any list."""


@dataclass(frozen=True, slots=True)
class Source:
    """One bona fide recording.

    Attributes:
        path: its file.
        name: utterance in its corpus, or path below the folder.
        speaker: "" = unknown.
        partition: train, dev or eval.
    """

    path: Path
    name: str
    speaker: str
    partition: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The bona fide recordings of an input.

    Attributes:
        corpus: a name of `CORPORA`, or `RECORDINGS`.
        recordings: partition by partition.
        problems: one line for each kind of thing that was wrong with the lists.
    """

    corpus: str
    recordings: tuple[Source, ...]
    problems: tuple[str, ...] = ()

    def digest(self) -> str:
        """Return the SHA-256 of names, speakers, partitions and sizes."""
        return _digest(
            (one.name, one.speaker, one.partition, getattr(_status(one.path), "st_size", -1))
            for one in self.recordings
        )

    def modified(self) -> str:
        """Return the SHA-256 of the times at which the files were changed last."""
        return _digest(getattr(_status(one.path), "st_mtime_ns", -1) for one in self.recordings)


def find_sources(
    folder: str | os.PathLike[str],
    *,
    corpus: str = "",
    one_means: str = UNSTATED,
    speaker_pattern: str | None = None,
    partition_shares: tuple[float, float, float] = (0.6, 0.2, 0.2),
    seed: int = 0,
) -> Sources:
    """Return the bona fide recordings of a folder.

    Args:
        folder: recordings in one folder per speaker, perhaps in folders train, dev and eval; or a
            corpus.
        corpus: a name of `CORPORA`: its bona fide trials, in their partitions. `RECORDINGS`: all
            files, lists or not. "" = the corpus whose lists are there, else `RECORDINGS`.
        one_means: what key 1 means in lists of one's own.
        speaker_pattern: see `speakers_of`; for a folder without lists.
        partition_shares: see `partition_speakers`; for a folder without lists.
        seed: decides the partitions of a folder without lists.

    Raises:
        DataError: there is none, or a list or the folder is wrong.
    """
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise DataError(f"{root}: is not a folder; it must be a folder of recordings or a corpus")
    corpus = corpus or _corpus_in(root)
    if corpus != RECORDINGS:
        return _listed(DataConfig(corpus=corpus, root=str(root), one_means=one_means))
    found = _by_partition(root, speaker_pattern)
    if not found:
        speaker_of = speakers_of(root, speaker_pattern)
        names = sorted({speaker for speaker, _ in speaker_of.values()})
        partition_of = partition_speakers(names, partition_shares, seed)
        found = [
            _source(root, path, speaker, partition_of[speaker])
            for path, (speaker, _) in speaker_of.items()
        ]
    return Sources(RECORDINGS, _in_order(found))


def _by_partition(root: Path, speaker_pattern: str | None) -> list[Source]:
    """Return the recordings of a folder that holds nothing but train, dev and eval; else none."""
    top = {path.relative_to(root).parts[0] for path in recordings_in(root)}
    if not top.issubset(PARTITIONS):
        return []
    return [
        _source(root, path, speaker, partition)
        for partition in sorted(top)
        for path, (speaker, _) in speakers_of(root / partition, speaker_pattern).items()
    ]


def _source(root: Path, path: Path, speaker: str, partition: str) -> Source:
    return Source(path, path.relative_to(root).as_posix(), speaker, partition)


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:  # whoever reads it says so
        return None


def _digest(rows: Iterable[object]) -> str:
    found = hashlib.sha256()
    for row in rows:
        found.update(f"{row!r}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _corpus_in(root: Path) -> str:
    """Return the corpus whose lists are in a folder; its spoofs must not pass as bona fide."""
    found = [one.corpus for one in recognise(root)]
    if len(found) > 1:
        raise DataError(
            f"{root}: has lists of {' and '.join(found)}; say with --corpus which is to be read"
        )
    if not found and len({*key_folders(root)}) > 1:
        raise DataError(
            f"{root}: has the folders {' and '.join(key_folders(root))}; give the bona fide one "
            f"as --input, or --corpus {RECORDINGS} where all of them are bona fide"
        )
    return found[0] if found else RECORDINGS


def _listed(config: DataConfig) -> Sources:
    ledger = ProblemLedger.counting()
    partitions = present_partitions(config)
    if not partitions:
        raise DataError(f"{config.root}: has no list of {config.corpus}")
    clips = [(name, clip) for name in partitions for clip in load_partition(config, name, ledger)]
    found = [
        Source(clip.path, clip.trial.utterance_id, clip.trial.speaker_id or "", partition)
        for partition, clip in clips
        if clip.trial.label == Label.BONAFIDE
    ]
    if not found:
        raise DataError(f"{config.root}: no trial of {config.corpus} here is bona fide")
    return Sources(config.corpus, _in_order(found), _problems(ledger))


def _in_order(sources: Sequence[Source]) -> tuple[Source, ...]:
    return tuple(sorted(sources, key=lambda source: PARTITIONS.index(source.partition)))


def _problems(ledger: ProblemLedger) -> tuple[str, ...]:
    kinds: Iterable[str] = sorted(ledger.counts)
    return tuple(
        f"{kind}: {ledger.counts[kind]:,}, such as {ledger.examples[kind][0]}"
        for kind in kinds
        if kind != "unlisted_audio"
    )
