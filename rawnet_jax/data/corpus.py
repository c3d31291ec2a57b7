"""From a config to clips: the trials of one partition, joined to the audio on disk."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rawnet_jax.config import DataConfig
from rawnet_jax.data.audio_index import AudioIndex, audio_files
from rawnet_jax.data.fetch import recordings_of
from rawnet_jax.data.layouts import CORPORA as CORPORA
from rawnet_jax.data.manifests import PARTITIONS as PARTITIONS
from rawnet_jax.data.manifests import partitions_in
from rawnet_jax.data.passed_over import may_be_recordings
from rawnet_jax.data.places import (
    PartitionPlace,
    key_folders,
    layout_of,
    locate_partition,
    locate_protocol,
)
from rawnet_jax.data.protocols import Parser
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.storage.rows import Row


def load_partition(config: DataConfig, partition: str, ledger: ProblemLedger) -> list[Clip]:
    """Return the clips of one partition, in the order of its protocol.

    Args:
        config: which corpus, and where.
        partition: train, dev or eval.
        ledger: takes bad lines, unknown keys, duplicates, missing and unlisted audio.

    Raises:
        ConfigError: unknown corpus or partition.
        DataError: the partition is absent, unreadable or without any usable trial, or what
            the ledger raises.
    """
    place = locate_partition(config, partition)
    trials = read_trials(config, place, ledger)
    clips, index = _join_of(config, place)(place, trials, ledger)
    if not clips:
        raise DataError(
            f"{place.protocol}: none of its {len(trials)} trials has audio in {place.audio}"
        )
    _report_unlisted(config, place, index, clips, ledger)
    return _of_subset(clips, config.subset, place)


def _join_of(config: DataConfig, place: PartitionPlace) -> "_Join":
    if layout_of(config).audio_from == "rule":
        return _join_by_rule
    if place.recordings is not None:
        return _join_by_recordings
    return _join_by_name if place.base is None else _join_by_path


def read_trials(config: DataConfig, place: PartitionPlace, ledger: ProblemLedger) -> list[Trial]:
    """Read the trials of a partition from its lists; no audio is looked for.

    Raises:
        DataError: a list is unreadable or has no trial of the partition, or what the ledger
            raises.
    """
    layout = layout_of(config)
    if layout.audio_from == "rule":
        paths = _below(place.audio_dirs, place.base or place.protocol, ledger)
        trials = layout.parse(paths, str(place.base), ledger, config.one_means)
    elif layout.audio_from == "tree":
        trials = layout.parse(
            _tree_of(place.protocol, ledger), str(place.protocol), ledger, config.one_means
        )
    else:
        of_list = {
            path: layout.parse(read_lines(path), str(path), ledger, config.one_means)
            for path in place.lists
        }
        trials = joined_lists(of_list)
    if layout.companion_parser is not None:
        trials = trials + _companion_trials(layout.companion_parser, place, ledger)
    if layout.finish is not None:
        trials = layout.finish(trials, str(place.protocol), place.partition)
    if layout.one_version:
        _refuse_versions(trials, config, place)
    if layout.official:
        return _of_published_partition(trials, place)
    return _of_partition(trials, place)


def joined_lists(of_list: Mapping[Path, list[Trial]]) -> list[Trial]:
    """Return the trials of several lists of one partition.

    With several lists, each trial gets the metadata ``subset``: what its list is called. Where two
    lists have the same utterance, its id begins with that.
    """
    if len(of_list) < 2:
        return [trial for trials in of_list.values() for trial in trials]
    tags = _tags(list(of_list))
    times = Counter(trial.utterance_id for trials in of_list.values() for trial in trials)
    found: list[Trial] = []
    for path, trials in of_list.items():
        tag = tags[path]
        for trial in trials:
            metadata = {**trial.metadata, "subset": trial.metadata.get("subset", tag)}
            name = trial.utterance_id
            name = f"{tag}/{name}" if times[name] > 1 else name
            found.append(replace(trial, utterance_id=name, metadata=metadata))
    return found


def _tags(paths: Sequence[Path]) -> dict[Path, str]:
    """Return what tells lists apart: their names or, where these are alike, their folders."""
    if len({path.stem for path in paths}) == len(paths):
        return {path: path.stem for path in paths}
    top = Path(os.path.commonpath([path.parent for path in paths]))
    return {path: "_".join(path.parent.relative_to(top).as_posix().split()) for path in paths}


def _below(folders: Sequence[Path], base: Path, ledger: ProblemLedger) -> list[str]:
    """Return the audio below folders, as paths from another; report what cannot be read."""
    found: set[str] = set()
    for folder in folders:
        others: list[str] = []
        above = folder.relative_to(base).as_posix()
        prefix = "" if above == "." else f"{above}/"
        found |= {prefix + name for name in audio_files(folder, recursive=True, passed_over=others)}
        for name in may_be_recordings(others, folder):
            ledger.report("unlisted_audio", f"{folder / name}: not audio that can be read")
    return sorted(found)


def _companion_trials(parser: Parser, place: PartitionPlace, ledger: ProblemLedger) -> list[Trial]:
    """Return the trials of the bona fide speech that goes with a corpus."""
    found: list[Trial] = []
    for folder in place.companions:
        paths = _below([folder], folder.parent, ledger)
        if paths:
            found += parser(paths, str(folder.parent), ledger)
    return found


def _refuse_versions(trials: Sequence[Trial], config: DataConfig, place: PartitionPlace) -> None:
    versions = sorted({trial.metadata.get("subset", "") for trial in trials} - {""})
    if len(versions) > 1 and not config.subset:
        raise DataError(
            f"{place.base}: holds {' and '.join(versions)}, which are versions of the same "
            "recordings; choose one with --config.data.subset"
        )


def _of_published_partition(trials: list[Trial], place: PartitionPlace) -> list[Trial]:
    """Keep the trials of a partition where one list is of several."""
    if place.named or not any("partition" in trial.metadata for trial in trials):
        return trials
    kept = [trial for trial in trials if trial.metadata.get("partition") == place.partition]
    if not kept:
        raise DataError(f"{place.protocol}: no line of it is of partition {place.partition}")
    return kept


def present_partitions(config: DataConfig) -> tuple[str, ...]:
    """Return the partitions whose lists are on disk, in the order train, dev, eval.

    A list that the config names, and one that cannot be read, count: whoever loads it says what is
    wrong.

    Raises:
        ConfigError: unknown corpus.
    """
    return tuple(name for name in PARTITIONS if _is_present(config, name))


def _is_present(config: DataConfig, partition: str) -> bool:
    if getattr(config, f"{partition}_protocol"):
        return True
    try:
        protocol, _ = locate_protocol(config, partition)
    except DataError:
        return False
    if layout_of(config).official or protocol.stem != "manifest":
        return True
    try:
        # Only its lines tell whether a list of all partitions has this one.
        found = partitions_in(read_lines(protocol), str(protocol))
    except DataError:
        return True
    if found is None:  # no line tells; it may be named as one of the others
        others = (getattr(config, f"{name}_protocol") for name in PARTITIONS)
        return protocol not in {Path(config.root).expanduser() / other for other in others}
    known = found.intersection(PARTITIONS)
    return partition in known or not known


def _tree_of(root: Path, ledger: ProblemLedger) -> list[str]:
    """List the audio below the folders that are named like keys; report what is passed over."""
    keys = key_folders(root)
    if not keys:
        raise DataError(f"{root}: holds no folder named bonafide or spoof")
    found: list[str] = []
    for key in keys:
        others: list[str] = []
        names = sorted(audio_files(root / key, recursive=True, passed_over=others))
        found += [f"{key}/{name}" for name in names]
        for name in may_be_recordings(others, root / key):
            ledger.report("unlisted_audio", f"{root / key / name}: not audio that can be read")
    return found


def _of_partition(trials: list[Trial], place: PartitionPlace) -> list[Trial]:
    """Keep the lines of a manifest that belong to a partition, where it names one."""
    named = {trial.metadata["partition"] for trial in trials if "partition" in trial.metadata}
    if named:
        kept = [trial for trial in trials if trial.metadata["partition"] == place.partition]
        if not kept:
            present = " and ".join(name for name in PARTITIONS if name in named)
            raise DataError(
                f"{place.protocol}: no line of it is of partition {place.partition}, only {present}"
            )
        return kept
    if not place.named and place.protocol.stem == "manifest":
        raise DataError(
            f"{place.protocol}: has no column partition; add one, or give the partition it is "
            f"with --config.data.{place.partition}_protocol={place.protocol.name}"
        )
    return trials


def _of_subset(clips: list[Clip], subset: str, place: PartitionPlace) -> list[Clip]:
    if not subset:
        return clips
    kept = [clip for clip in clips if clip.trial.metadata.get("subset") == subset]
    if not kept:
        known = sorted({clip.trial.metadata.get("subset", "") for clip in clips} - {""})
        raise DataError(
            f"{place.protocol}: no trial is of subset {subset!r} (config.data.subset); "
            f"it has {', '.join(known) or 'no subsets'}"
        )
    return kept


_Joined = tuple[list[Clip], AudioIndex]
_Join = Callable[[PartitionPlace, Sequence[Trial], ProblemLedger], _Joined]


def _join_by_name(place: PartitionPlace, trials: Sequence[Trial], ledger: ProblemLedger) -> _Joined:
    index = AudioIndex(place.audio_dirs)
    return _found_in(index, Path, place, trials, ledger), index


def _join_by_recordings(
    place: PartitionPlace, trials: Sequence[Trial], ledger: ProblemLedger
) -> _Joined:
    assert place.recordings is not None
    recordings = recordings_of(place.recordings)
    index = AudioIndex.of_names(recordings)
    return _found_in(index, recordings.__getitem__, place, trials, ledger), index


def _found_in(
    index: AudioIndex,
    audio_of: Callable[[str], Path | Row],
    place: PartitionPlace,
    trials: Sequence[Trial],
    ledger: ProblemLedger,
) -> list[Clip]:
    """Return the clips of the trials whose audio is in an index."""
    clips = []
    for trial in trials:
        found = _searched(index, trial)
        if len(found) == 1:
            clips.append(Clip(trial, audio_of(found[0])))
        elif found:
            ledger.report(
                "missing_audio",
                f"{trial.source}: the audio of {trial.utterance_id} is ambiguous: "
                f"{found[0]} or {found[1]}",
            )
        else:
            _report_missing(trial, place, ledger, index)
    return clips


def _searched(index: AudioIndex, trial: Trial) -> list[str]:
    """Return the file that a list names: one; several = ambiguous; none = it is not there.

    A name is a file's, or a path of which as many folders as possible must agree, one at least: a
    list may have been made on another machine. A file in the folder of the list itself comes before
    others of its name.
    """
    name = trial.audio_name.lstrip("/")
    match = index.find(name)
    if match is not None and match[1] is None:
        return [match[0]]
    parts = name.split("/")
    for at in range(len(parts) - 1):
        found = index.ending_in("/".join(parts[at:]))
        if found:
            return found[:2]
    folder = f"{os.path.dirname(trial.source)}/"
    beside = [path for path in index.ending_in(parts[-1]) if path.startswith(folder)]
    if len(beside) == 1:
        return beside
    return [match[0], match[1] or match[0]] if match is not None else []


def _join_by_rule(place: PartitionPlace, trials: Sequence[Trial], ledger: ProblemLedger) -> _Joined:
    del ledger  # what is in the list was just seen on disk
    base = place.base or Path()
    return [Clip(trial, base / trial.audio_name) for trial in trials], AudioIndex([])


def _join_by_path(place: PartitionPlace, trials: Sequence[Trial], ledger: ProblemLedger) -> _Joined:
    paths = _paths_of(place, trials)
    folders = sorted({path.parent for path in paths})
    index = AudioIndex([folder for folder in folders if folder.is_dir()], recursive=False)
    clips = []
    for trial, path in zip(trials, paths, strict=True):
        # An owner's list may name a kind of file that is not looked for in published folders.
        if str(path) in index.paths or path.is_file():
            clips.append(Clip(trial, path))
        else:
            _report_missing(trial, place, ledger)
    return clips, index


def _paths_of(place: PartitionPlace, trials: Sequence[Trial]) -> list[Path]:
    base = place.base or Path()
    return [base / trial.audio_name for trial in trials]


def _report_missing(
    trial: Trial, place: PartitionPlace, ledger: ProblemLedger, index: AudioIndex | None = None
) -> None:
    name = trial.audio_name.rpartition("/")[2]
    elsewhere = index.ending_in(name)[:1] if index is not None else []
    hint = f" (a file of that name is {elsewhere[0]})" if elsewhere else ""
    ledger.report(
        "missing_audio",
        f"{trial.source}: the audio of {trial.utterance_id} is missing: "
        f"no {trial.audio_name} in {place.audio}{hint}",
    )


def _report_unlisted(
    config: DataConfig,
    place: PartitionPlace,
    index: AudioIndex,
    clips: Iterable[Clip],
    ledger: ProblemLedger,
) -> None:
    unlisted = index.paths.difference(clip.name for clip in clips)
    for other in () if layout_of(config).undivided else PARTITIONS:
        if unlisted and other != place.partition:
            unlisted -= _listed_by(config, other, place, index)
    for path in sorted(unlisted):
        ledger.report("unlisted_audio", f"{path}: audio that {place.protocol} does not name")


def _listed_by(
    config: DataConfig, partition: str, place: PartitionPlace, index: AudioIndex
) -> set[str]:
    """Return the audio that another partition names in folders that it shares with this one."""
    try:
        theirs = locate_partition(config, partition)
        apart = not set(place.audio_dirs) & set(theirs.audio_dirs)
        if place.base is None and place.recordings is None and apart:
            return set()
        trials = read_trials(config, theirs, ProblemLedger.counting())
    except DataError:
        return set()
    if place.base is not None:
        return {str(path) for path in _paths_of(theirs, trials)}
    found = (_searched(index, trial) for trial in trials)
    return {match[0] for match in found if len(match) == 1}
