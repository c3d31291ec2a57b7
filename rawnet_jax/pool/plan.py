"""From a table and clones to the recordings that a pool is made of, before one is decoded."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from rawnet_jax.copy_synthesis.model_files import digests
from rawnet_jax.data.protocols import AUDIO_EXTENSIONS
from rawnet_jax.errors import DataError
from rawnet_jax.pool.backgrounds import ARCHIVE, Background
from rawnet_jax.pool.clones import (
    LFS_MOST_BYTES,
    LFS_POINTER,
    Blob,
    clone_line,
    find_clone,
    list_blobs,
    read_blobs,
    require_commits,
)
from rawnet_jax.pool.laws import generator
from rawnet_jax.pool.pool_vocoders import PoolVocoder, pool_vocoders
from rawnet_jax.pool.table import (
    BACKGROUNDS,
    FAKE,
    REAL,
    Choice,
    Rule,
    Source,
    Table,
    choose,
    group_of,
    speaker_name,
)

LAWS_VERSION = 3
"""Raised whenever the same table and clones give other samples."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of a repository, or several short ones of a speaker that are joined.

    Attributes:
        repository: ``owner/name``.
        commit: that it is read at.
        paths: of its files.
        blobs: git's names of their contents.
        label: ``bonafide`` or ``spoof``.
        system: that made it; "-" for real speech.
        family: engine family of the system; "-" for real speech.
        speaker: one name for every source; where unknown, one of its source and rule.
        language: of the speech.
        licence: of the recording.
        channel: what it went through.
        group: where the table puts it.
        pieces: that may be taken of it.
        vocoder: whose copy of it this is; "" = it is the recording itself.
    """

    repository: str
    commit: str
    paths: tuple[str, ...]
    blobs: tuple[str, ...]
    label: str
    system: str
    family: str
    speaker: str
    language: str
    licence: str
    channel: str
    group: str
    pieces: int
    vocoder: str = ""

    @property
    def key(self) -> str:
        """What every draw for it starts from: where it is from, and nothing of its class.

        A copy has that of its source, and so the same laws.
        """
        return "\n".join((self.repository, *self.paths))

    @property
    def name(self) -> str:
        """First part of the names of its pieces."""
        text = f"{self.key}\n~{self.vocoder}" if self.vocoder else self.key
        return f"P_{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def source(self) -> "Recording":
        """The recording that this is a copy of, or this one."""
        return replace(self, vocoder="") if self.vocoder else self


@dataclass(slots=True)
class SourcePlan:
    """What is taken of one source.

    Attributes:
        source: a row of the table.
        git_dir: its clone.
        licence_texts: the files that state the licence.
        recordings: what pieces are made of.
        backgrounds: noises and impulse responses.
        left_out: number of files by reason.
        lacking: files that the rules take and the clone does not have.
        pointers: files that the rules take and that are pointers of Git LFS.
    """

    source: Source
    git_dir: Path
    licence_texts: tuple[str, ...] = ()
    recordings: list[Recording] = field(default_factory=list)
    backgrounds: list[Background] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    lacking: list[str] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    num_files: int = 0


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool is made of.

    Attributes:
        table: by which.
        sources: that are there.
        missing: sources without a clone.
        problems: one line for each thing that differs from the table.
        vocoders: that copy every bona fide recording.
        is_clean: genuine speech alone, but for the test group's, before the laws: what vocoders
            learn from.
    """

    table: Table
    sources: tuple[SourcePlan, ...]
    missing: tuple[Source, ...]
    problems: tuple[str, ...]
    vocoders: tuple[PoolVocoder, ...] = ()
    is_clean: bool = False

    @property
    def recordings(self) -> list[Recording]:
        """Of all sources, in the order of the table, each followed by its copies."""
        return [
            one
            for source in self.sources
            for each in source.recordings
            for one in (each, *self._copies(each))
            if not self.is_clean or (each.label == REAL and each.group != "test")
        ]

    @property
    def backgrounds(self) -> list[Background]:
        """Noises and impulse responses of all sources; a clean pool has none."""
        sources = () if self.is_clean else self.sources
        return [each for source in sources for each in source.backgrounds]

    def _copies(self, recording: Recording) -> list[Recording]:
        if recording.label != REAL:
            return []
        drawn = generator(self.table.seed, f"{recording.key}\n~").random()
        parts = {row.name: row.part for row in self.table.vocoder}
        return [
            replace(
                recording,
                label=FAKE,
                system=each.name,
                family=each.family,
                group=self.table.families[each.family],
                vocoder=each.name,
            )
            for each in self.vocoders
            if parts[each.name][0] <= drawn < parts[each.name][1]
        ]

    @property
    def git_dirs(self) -> dict[str, Path]:
        """Clone of each repository."""
        return {each.source.repository: each.git_dir for each in self.sources}

    @property
    def digest(self) -> str:
        """SHA-256 of the table and of all that is taken; equal plans give equal pools."""
        content = {
            "laws": "clean" if self.is_clean else LAWS_VERSION,
            "table": self.table.digest,
            "recordings": [asdict(each) for each in self.recordings],
            "backgrounds": [asdict(each) for each in self.backgrounds],
            "vocoders": {each.name: digests(each.row) for each in self.vocoders},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def make_plan(
    table: Table,
    clones: Path,
    *,
    allow_missing: bool,
    vocoders: Path | None = None,
    is_clean: bool = False,
) -> PoolPlan:
    """Look at the clones and choose recordings.

    Args:
        table: what to take.
        clones: folder of clones.
        vocoders: folder of the trained vocoders that the table names; None = there is none.
        is_clean: see `PoolPlan`; no vocoder is then needed.
        allow_missing: build without sources or files that are not there; `PoolPlan.problems` names
            them.

    Raises:
        DataError: a source or a file is not there, a clone lacks its commit, or nothing is left.
    """
    if not clones.is_dir():
        raise DataError(f"--clones {clones}: is not a folder; it must hold clones of repositories")
    places = [(source, find_clone(clones, source)) for source in table.source]
    missing = tuple(source for source, place in places if place is None)
    problems = [f"{each.repository}: no clone; {clone_line(each, clones)}" for each in missing]
    rows, lacking = ((), ()) if is_clean else pool_vocoders(table, vocoders)
    if lacking and not allow_missing:
        raise DataError("; ".join(lacking) + "; --allow-missing builds without its copies")
    if missing and not allow_missing:
        raise DataError(
            f"{len(missing)} of {len(places)} clones are missing in {clones} (--allow-missing goes "
            f"on without): {'; '.join(problems)}"
        )
    taken: set[tuple[bool, str]] = set()
    plans = []
    for source, place in places:
        if place is not None:
            require_commits(place, source)
            plans.append(_plan_of(table, source, place, taken))
    for each in plans:
        problems += _differences(each)
    if len(problems) > len(missing) and not allow_missing:
        raise DataError(
            "; ".join(problems[len(missing) :]) + "; --allow-missing builds without them"
        )
    if not any(each.recordings for each in plans):
        raise DataError(f"{clones}: no recording to take")
    return PoolPlan(table, tuple(plans), missing, (*problems, *lacking), rows, is_clean)


def _differences(plan: SourcePlan) -> list[str]:
    """Say what is not as the table has it.

    Files that a clone lacks and that the table does not count are those that are too large for
    every pool.
    """
    if plan.num_files == plan.source.files:
        return []
    counts = f"{plan.source.repository}: {plan.num_files} files; the table has {plan.source.files}"
    told = [
        f"{len(files)} {what} (such as {files[0]})"
        for files, what in (
            (plan.pointers, "are Git LFS pointers, whose content is not in git's objects"),
            (plan.lacking, "are not in the clone; make a full one"),
        )
        if files
    ]
    return ["; ".join([counts, *told])]


def _plan_of(
    table: Table, source: Source, git_dir: Path, taken: set[tuple[bool, str]]
) -> SourcePlan:
    plan = SourcePlan(source, git_dir)
    blobs = list_blobs(git_dir, source.commit)
    plan.licence_texts = _licence_texts(source, git_dir, blobs)
    chosen: dict[int, list[tuple[Blob, Choice]]] = defaultdict(list)
    for blob, choice in _present(plan, _audio(plan, table, blobs)):
        plan.num_files += 1
        rule = choice.rule
        is_background = rule.label in BACKGROUNDS
        if (is_background, blob.digest) in taken:
            plan.left_out["the same recording as another file"] += 1
            continue
        taken.add((is_background, blob.digest))
        if is_background:
            origin = (source.repository, source.commit, blob.path, blob.digest)
            licence = rule.licence or source.licence
            plan.backgrounds.append(Background(rule.label, *origin, licence))
        else:
            chosen[source.rule.index(rule)].append((blob, choice))
    for number in sorted(chosen):
        plan.recordings += _recordings(plan, table, number, chosen[number])
    return plan


def _audio(plan: SourcePlan, table: Table, blobs: Sequence[Blob]) -> list[tuple[Blob, Choice]]:
    """Return the audio files that the rules take."""
    found = []
    for blob in blobs:
        is_archive = blob.path.lower().endswith(ARCHIVE)
        if not is_archive and not blob.path.lower().endswith(AUDIO_EXTENSIONS):
            continue
        choice = choose(table, plan.source, blob.path)
        if is_archive and (choice is None or choice.rule.label not in BACKGROUNDS):
            continue
        if choice is None:
            plan.left_out["no rule for it"] += 1
        elif choice.skip:
            plan.left_out[choice.skip] += 1
        elif blob.size is None:
            plan.lacking.append(blob.path)
        elif blob.size >= table.max_file_bytes:
            plan.left_out[f"{table.max_file_bytes} bytes or more"] += 1
        else:
            found.append((blob, choice))
    return found


def _present(
    plan: SourcePlan, found: Sequence[tuple[Blob, Choice]]
) -> Iterable[tuple[Blob, Choice]]:
    """Return files without those that are pointers of Git LFS."""
    small = [blob.digest for blob, _ in found if (blob.size or 0) <= LFS_MOST_BYTES]
    contents = zip(small, read_blobs(plan.git_dir, small), strict=True) if small else ()
    pointers = {name for name, content in contents if (content or b"").startswith(LFS_POINTER)}
    plan.pointers += [blob.path for blob, _ in found if blob.digest in pointers]
    return [each for each in found if each[0].digest not in pointers]


def _licence_texts(source: Source, git_dir: Path, blobs: Sequence[Blob]) -> tuple[str, ...]:
    commit = source.licence_commit or source.commit
    files = blobs if commit == source.commit else list_blobs(git_dir, commit)
    named = [blob for blob in files if fnmatchcase(blob.path, source.licence_file)]
    contents = list(read_blobs(git_dir, [blob.digest for blob in named]))
    if not named or None in contents:
        raise DataError(
            f"{git_dir}: no {source.licence_file} at commit {commit} of {source.repository}; a "
            "source must have the file that states its licence"
        )
    return tuple(
        f"{blob.path}\n\n{(content or b'').decode('utf-8', 'replace')}"
        for blob, content in zip(named, contents, strict=True)
    )


def _recordings(
    plan: SourcePlan, table: Table, number: int, chosen: Sequence[tuple[Blob, Choice]]
) -> list[Recording]:
    """Return what is taken by one rule: per speaker no more than the table allows."""
    source, rule = plan.source, plan.source.rule[number]
    # Rules of backgrounds do not count, so that a new one changes no speaker's name.
    rank = 1 + sum(each.label not in BACKGROUNDS for each in source.rule[:number])
    unknown = speaker_name(table, f"unknown_{source.repository}_{rank}")
    by_speaker: dict[tuple[str, str], list[tuple[Blob, Choice]]] = defaultdict(list)
    for blob, choice in chosen:
        by_speaker[choice.speaker, choice.system].append((blob, choice))
    most = (rule.per_speaker or table.per_speaker) // rule.pieces
    found = []
    for speaker, _ in sorted(by_speaker):
        files = by_speaker[speaker, _]
        # An order that neither the listing nor the class has a part in.
        files.sort(key=lambda each: _rank(table.seed, source.repository, each[0].path))
        parts = [files[i : i + rule.join] for i in range(0, len(files), rule.join)]
        whole = [part for part in parts if len(part) == rule.join]
        plan.left_out["more than a speaker's share"] += rule.join * len(whole[max(1, most) :])
        plan.left_out["too few to join"] += len(files) - rule.join * len(whole)
        found += [
            _recording(table, source, rule, part, speaker or unknown)
            for part in whole[: max(1, most)]
        ]
    return found


def _recording(
    table: Table, source: Source, rule: Rule, part: Sequence[tuple[Blob, Choice]], speaker: str
) -> Recording:
    choice = part[0][1]
    return Recording(
        repository=source.repository,
        commit=source.commit,
        paths=tuple(blob.path for blob, _ in part),
        blobs=tuple(blob.digest for blob, _ in part),
        label=rule.label,
        system=choice.system,
        family=rule.family,
        speaker=speaker,
        language=choice.language,
        licence=rule.licence or source.licence,
        channel=rule.channel,
        group=group_of(table, rule),
        pieces=rule.pieces,
    )


def _rank(seed: int, repository: str, path: str) -> str:
    return hashlib.sha256(f"{seed}\n{repository}\n{path}".encode()).hexdigest()
