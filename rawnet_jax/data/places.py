"""Finding the lists and the audio folders of a corpus below the folder that a config gives."""

import difflib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.config import DataConfig
from rawnet_jax.data.layouts import CORPORA, CorpusLayout
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import is_number_key, label_of_own_key


@dataclass(frozen=True)
class PartitionPlace:
    """Where one partition is.

    Attributes:
        partition: train, dev or eval.
        protocol: file with the list of trials; for a folder tree, the folder.
        named: whether the config names the protocol, rather than the published layout.
        audio_dirs: folders that are searched for audio by name; empty where the list gives paths.
        base: folder from which a list gives paths; None where audio is searched for.
    """

    partition: str
    protocol: Path
    named: bool
    audio_dirs: tuple[Path, ...] = ()
    base: Path | None = None

    @property
    def audio(self) -> str:
        """Where the audio is, for messages."""
        return " or ".join(map(str, self.audio_dirs or (self.base,)))


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
    if layout.audio_from == "search":
        dirs = _audio_dirs(config, layout, partition)
        return PartitionPlace(partition, protocol, named, audio_dirs=dirs)
    base = _base_of(config, layout, protocol)
    return PartitionPlace(partition, protocol, named, base=base)


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
    is_tree = layout.audio_from == "tree"
    if not (protocol.is_dir() if is_tree else protocol.is_file()):
        raise DataError(
            f"{protocol}: no such {'folder' if is_tree else 'file'} (config.data.{field})"
        )
    return protocol, True


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
    found = _first_match(root, layout.prefixes, patterns, folder=layout.audio_from == "tree")
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
            raise ConfigError(
                f"config.data.audio_dir is {config.audio_dir!r}, but the audio of corpus "
                f"{config.corpus} lies in its folders; name those in config.data.train_protocol, "
                "dev_protocol and eval_protocol"
            )
        return protocol
    if config.audio_dir:
        return _named_audio_dir(config)
    return protocol.parent if layout.audio_from == "list" else _root_of(config)


def _named_audio_dir(config: DataConfig) -> Path:
    folder = _root_of(config) / config.audio_dir
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder (config.data.audio_dir)")
    return folder


def _first_match(
    root: Path, prefixes: Iterable[str], patterns: Iterable[str], *, folder: bool
) -> list[Path]:
    """Return all matches of the first pattern below the first prefix that has any."""
    for pattern in patterns:
        for prefix in prefixes:
            matches = [
                path
                for path in sorted((root / prefix).glob(pattern))
                if (path.is_dir() if folder else path.is_file())
            ]
            if matches:
                return matches
    return []
