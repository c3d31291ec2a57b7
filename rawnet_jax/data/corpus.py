"""From a config to clips: the trials of one partition, joined to the audio on disk."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rawnet_jax.config import DataConfig
from rawnet_jax.data.audio_index import AudioIndex, audio_files
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
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError


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
    join = _join_by_name if place.base is None else _join_by_path
    clips, index = join(place, trials, ledger)
    if not clips:
        raise DataError(
            f"{place.protocol}: not one of its {len(trials)} trials has audio in {place.audio}"
        )
    _report_unlisted(config, place, index, clips, ledger)
    return _of_subset(clips, config.subset, place)


def read_trials(config: DataConfig, place: PartitionPlace, ledger: ProblemLedger) -> list[Trial]:
    """Read the trials of a partition from its list; no audio is looked for.

    Raises:
        DataError: the list is unreadable or has no trial of the partition, or what the ledger
            raises.
    """
    layout = layout_of(config)
    is_tree = layout.audio_from == "tree"
    lines = _tree_of(place.protocol, ledger) if is_tree else read_lines(place.protocol)
    trials = layout.parse(lines, str(place.protocol), ledger, config.one_means)
    return trials if layout.official else _of_partition(trials, place)


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


def _join_by_name(place: PartitionPlace, trials: Sequence[Trial], ledger: ProblemLedger) -> _Joined:
    index = AudioIndex(place.audio_dirs)
    clips = []
    for trial in trials:
        path, rival = index.find(trial.audio_name) or (None, None)
        if path is None:
            _report_missing(trial, place, ledger)
        elif rival is not None:
            ledger.report(
                "missing_audio",
                f"{trial.source}: the audio of {trial.utterance_id} is ambiguous: "
                f"{path} or {rival}",
            )
        else:
            clips.append(Clip(trial, Path(path)))
    return clips, index


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


def _report_missing(trial: Trial, place: PartitionPlace, ledger: ProblemLedger) -> None:
    ledger.report(
        "missing_audio",
        f"{trial.source}: the audio of {trial.utterance_id} is missing: "
        f"no {trial.audio_name} in {place.audio}",
    )


def _report_unlisted(
    config: DataConfig,
    place: PartitionPlace,
    index: AudioIndex,
    clips: Iterable[Clip],
    ledger: ProblemLedger,
) -> None:
    unlisted = index.paths.difference(str(clip.path) for clip in clips)
    for other in PARTITIONS:
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
        if place.base is None and not set(place.audio_dirs) & set(theirs.audio_dirs):
            return set()
        trials = read_trials(config, theirs, ProblemLedger.counting())
    except DataError:
        return set()
    if place.base is not None:
        return {str(path) for path in _paths_of(theirs, trials)}
    found = (index.find(trial.audio_name) for trial in trials)
    return {match[0] for match in found if match}
