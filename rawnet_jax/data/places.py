"""Finding the lists and the audio folders of a corpus below the folder that a config gives."""

import difflib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.config import DataConfig
from rawnet_jax.data.layout import CorpusLayout
from rawnet_jax.data.layouts import CORPORA
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import is_number_key, label_of_own_key

_NUM_SHOWN = 4
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True)
class PartitionPlace:
    """Where one partition is.

    Attributes:
        partition: train, dev or eval.
        protocol: file with the list of trials; for a folder tree, the folder.
        named: whether the config names the protocol, rather than the published layout.
        audio_dirs: folders that are searched for audio by name; empty where the list gives paths.
            Where folders are the list, those that are.
        base: folder from which a list gives paths; None where audio is searched for.
        more_lists: further lists of the same partition.
        companions: folders with bona fide speech that go with it; among `audio_dirs` too.
        recordings: a manifest, in which audio is searched for by name; None where folders hold it.
    """

    partition: str
    protocol: Path
    named: bool
    audio_dirs: tuple[Path, ...] = ()
    base: Path | None = None
    more_lists: tuple[Path, ...] = ()
    companions: tuple[Path, ...] = ()
    recordings: Path | None = None

    @property
    def lists(self) -> tuple[Path, ...]:
        """All lists."""
        return (self.protocol, *self.more_lists)

    @property
    def audio(self) -> str:
        """Where the audio is, for messages."""
        folders = [str(folder) for folder in self.audio_dirs or (self.recordings or self.base,)]
        rest = len(folders) - _NUM_SHOWN
        return " or ".join(folders[:_NUM_SHOWN]) + (f" or {rest} more" if rest > 0 else "")


def layout_of(config: DataConfig) -> CorpusLayout:
    """Return the row of `CORPORA` that a config names.

    Raises:
        ConfigError: there is no such corpus.
    """
    if config.corpus not in CORPORA:
        near = difflib.get_close_matches(config.corpus, CORPORA, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"config.data.corpus is {config.corpus!r}, which is not known; {hint}"
            f"there are {', '.join(CORPORA)}"
        )
    return CORPORA[config.corpus]


def locate_partition(config: DataConfig, partition: str) -> PartitionPlace:
    """Find the list and the audio of a partition, without reading either.

    Raises:
        ConfigError: unknown corpus or partition.
        DataError: no root, the corpus has no such partition, or it is not where it is published.
    """
    layout = layout_of(config)
    protocol, named = locate_protocol(config, partition)
    recordings = _recordings_of(config, layout)
    if layout.audio_from == "rule":
        return _folders_place(config, layout, partition, protocol, named)
    if layout.audio_from == "search":
        companions = locate_companions(config, partition)
        more = () if named or not layout.every_list else _all_lists(config, layout, partition)[1:]
        dirs = () if recordings else (*_audio_dirs(config, layout, partition), *companions)
        return PartitionPlace(partition, protocol, named, dirs, None, more, companions, recordings)
    base = None if recordings else _base_of(config, layout, protocol)
    return PartitionPlace(partition, protocol, named, base=base, recordings=recordings)


def _recordings_of(config: DataConfig, layout: CorpusLayout) -> Path | None:
    if not config.recordings:
        return None
    if layout.is_folders:
        raise ConfigError(
            f"config.data.recordings: corpus {config.corpus} takes its trials from folders of this "
            "machine; it must be a corpus with lists of trials"
        )
    manifest = Path(config.recordings).expanduser()
    if not manifest.is_file():
        raise DataError(f"{manifest}: no such file (config.data.recordings)")
    return manifest


def locate_protocol(config: DataConfig, partition: str) -> tuple[Path, bool]:
    """Find the list of a partition, and whether the config names it.

    Raises:
        ConfigError: unknown corpus or partition.
        DataError: no root, the corpus has no such partition, or its list is not there.
    """
    layout = layout_of(config)
    if partition not in PARTITIONS:
        raise ConfigError(f"partition {partition!r} is none of {', '.join(PARTITIONS)}")
    root = _root_of(config)
    field = f"{partition}_protocol"
    named = getattr(config, field)
    if not named:
        return _published_protocol(config, layout, partition, root), False
    protocol = root / named
    is_folder = layout.is_folders
    if not (protocol.is_dir() if is_folder else protocol.is_file()):
        raise DataError(
            f"{protocol}: no such {'folder' if is_folder else 'file'} (config.data.{field})"
        )
    return protocol, True


def _all_lists(config: DataConfig, layout: CorpusLayout, partition: str) -> tuple[Path, ...]:
    patterns = layout.partitions[partition].protocols
    return tuple(_first_match(_root_of(config), layout.prefixes, patterns, folder=False))


def locate_companions(config: DataConfig, partition: str) -> tuple[Path, ...]:
    """Find the folders with bona fide speech that go with a partition.

    Raises:
        ConfigError: unknown corpus.
        DataError: no root.
    """
    layout = layout_of(config)
    published = layout.partitions.get(partition)
    if published is None or not published.companions:
        return ()
    root = _root_of(config)
    found = [
        path
        for base in _bases(root, layout.prefixes)
        for path in _all_matches(base, published.companions)
    ]
    return tuple(dict.fromkeys(found))


def _folders_place(
    config: DataConfig, layout: CorpusLayout, partition: str, protocol: Path, named: bool
) -> PartitionPlace:
    """Return the place of a partition whose list is folders with names of the corpus's own."""
    if config.audio_dir:
        raise _no_audio_dir(config)
    if named:
        return PartitionPlace(partition, protocol, named, (protocol,), protocol)
    published = layout.partitions[partition]
    base = next(
        base
        for base in _bases(_root_of(config), layout.prefixes)
        if protocol in _all_matches(base, published.protocols)
    )
    return PartitionPlace(
        partition, protocol, named, tuple(_all_matches(base, published.audio)), base
    )


def asv_scores_of(config: DataConfig, partition: str) -> Path | None:
    """Find the scores of the challenge's speaker verification system; None = there are none.

    Raises:
        ConfigError: unknown corpus.
        DataError: no root.
    """
    layout = layout_of(config)
    published = layout.partitions.get(partition)
    patterns = () if published is None else published.asv_scores
    found = _first_match(_root_of(config), layout.prefixes, patterns, folder=False)
    return found[0] if found else None


def key_folders(root: Path) -> list[str]:
    """Return the names of the folders that are named like keys, such as bonafide, fake or 1.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        folders = [entry.name for entry in root.iterdir() if entry.is_dir()]
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from error
    return sorted(
        name for name in folders if label_of_own_key(name) is not None or is_number_key(name)
    )


def _root_of(config: DataConfig) -> Path:
    if not config.root:
        raise DataError(
            f"no corpus folder is set; set --config.data.root to the folder of {config.corpus}"
        )
    root = Path(config.root).expanduser()
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder; set --config.data.root to the folder of {config.corpus}"
        )
    return root


def _published_protocol(
    config: DataConfig, layout: CorpusLayout, partition: str, root: Path
) -> Path:
    if partition not in layout.partitions:
        raise DataError(
            f"{config.corpus} has no {partition} partition, only "
            f"{' and '.join(layout.partitions)}; to use a list of its as {partition}, name it in "
            f"--config.data.{partition}_protocol"
        )
    patterns = layout.partitions[partition].protocols
    found = _first_match(root, layout.prefixes, patterns, folder=layout.is_folders)
    if found:
        return found[0]
    if layout.audio_from == "tree" and key_folders(root):
        raise DataError(
            f"{root}: no folder {partition}; to use its bonafide and spoof folders as "
            f"{partition}, set --config.data.{partition}_protocol=."
        )
    raise DataError(
        f"{root}: no {partition} list of {config.corpus}; looked for {', '.join(patterns[:2])}; "
        f"set --config.data.root or --config.data.{partition}_protocol"
    )


def _audio_dirs(config: DataConfig, layout: CorpusLayout, partition: str) -> tuple[Path, ...]:
    root = _root_of(config)
    if config.audio_dir:
        return (_named_audio_dir(config),)
    # A list that the config names may stand for a partition that the corpus does not have.
    published = layout.partitions.get(partition)
    rows = [published] if published else list(layout.partitions.values())
    patterns = list(itertools.chain.from_iterable(row.audio for row in rows))
    if not any(patterns):  # The audio lies anywhere in the corpus: where its lists are.
        lists = list(itertools.chain.from_iterable(row.protocols for row in rows))
        return (_base_with_list(root, layout.prefixes, lists),)
    found = _first_match(root, layout.prefixes, patterns, folder=True)
    if not found:
        raise DataError(
            f"{root}: no audio folder for the {partition} partition; looked for "
            f"{', '.join(patterns)}; set --config.data.root or --config.data.audio_dir"
        )
    return tuple(found)


def _base_of(config: DataConfig, layout: CorpusLayout, protocol: Path) -> Path:
    if layout.audio_from == "tree":
        if config.audio_dir:
            raise _no_audio_dir(config)
        return protocol
    if config.audio_dir:
        return _named_audio_dir(config)
    return protocol.parent if layout.audio_from == "list" else _root_of(config)


def _named_audio_dir(config: DataConfig) -> Path:
    folder = _root_of(config) / config.audio_dir
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder (config.data.audio_dir)")
    return folder


def _no_audio_dir(config: DataConfig) -> ConfigError:
    return ConfigError(
        f"config.data.audio_dir is {config.audio_dir!r}, but the audio of corpus "
        f"{config.corpus} lies in its folders; name those in config.data.train_protocol, "
        "dev_protocol and eval_protocol"
    )


def _bases(root: Path, prefixes: Iterable[str]) -> Iterator[Path]:
    """Yield the folders that may hold a corpus."""
    for prefix in prefixes:
        if _WILDCARDS.intersection(prefix):
            yield from sorted(path for path in root.glob(prefix) if path.is_dir())
        else:
            yield root / prefix


def _all_matches(base: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the folders that any pattern matches, each once."""
    found = [path for pattern in patterns for path in sorted(base.glob(pattern)) if path.is_dir()]
    return list(dict.fromkeys(found))


def _base_with_list(root: Path, prefixes: Iterable[str], patterns: Sequence[str]) -> Path:
    """Return the folder of a corpus: the one below which a list of it is; else the root."""
    for base in _bases(root, prefixes):
        if any(path.is_file() for pattern in patterns for path in base.glob(pattern)):
            return base
    return root


def _first_match(
    root: Path, prefixes: Iterable[str], patterns: Iterable[str], *, folder: bool
) -> list[Path]:
    """Return all matches of the first pattern below the first prefix that has any."""
    bases = list(_bases(root, prefixes))
    for pattern in patterns:
        for base in bases:
            found = sorted(base.glob(pattern)) if pattern else [base]
            matches = [path for path in found if (path.is_dir() if folder else path.is_file())]
            if matches:
                return matches
    return []
