"""Which corpora lie in a folder, and what shows it. Nothing is taken for a corpus by its name."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rawnet_jax.config import Config, DataConfig, thawed
from rawnet_jax.config_check import checked
from rawnet_jax.data.audio_index import audio_files
from rawnet_jax.data.layout import CorpusLayout
from rawnet_jax.data.layouts import CORPORA
from rawnet_jax.data.places import (
    key_folders,
    locate_companions,
    locate_partition,
    locate_protocol,
)
from rawnet_jax.data.text_file import first_lines
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import UNSTATED

AUTO = "auto"
"""In place of a corpus's name: the one that lies below the root."""

_NUM_LINES = 20
_MAX_FOLDERS = 2_000  # that are looked into for corpora, below the one that is named


@dataclass(frozen=True, slots=True)
class Recognised:
    """A corpus that was found.

    Attributes:
        corpus: a name of `CORPORA`.
        root: the folder that is its ``config.data.root``.
        because: what shows it, in words.
        places: the lists, or folders, that show it, and what goes with them.
    """

    corpus: str
    root: Path
    because: str
    places: tuple[Path, ...]


def evidence(config: DataConfig) -> Recognised | None:
    """Return what shows that the corpus of a config lies below its root; None = nothing."""
    layout = CORPORA[config.corpus]
    shown: dict[Path, str] = {}
    beside: dict[Path, None] = {}
    for partition in layout.partitions:
        try:
            place, _ = locate_protocol(config, partition)
        except (ConfigError, DataError):
            continue
        if place not in shown and _fits(config, layout, partition, place):
            shown[place] = _named(place, Path(config.root))
            beside |= dict.fromkeys(_beside(config, layout, partition))
    if not shown:
        return None
    has = layout.form or "lines of its form"
    verb = "holds" if layout.is_folders else "has"
    because = f"{' and '.join(shown.values())} {verb if len(shown) == 1 else 'have'} {has}"
    return Recognised(config.corpus, Path(config.root), because, (*shown, *beside))


def recognise(root: Path) -> list[Recognised]:
    """Return the corpora that lie in a folder; lists and folders of one's own only if no other."""
    config = DataConfig(root=str(root))
    for official in (True, False):
        names = [name for name, layout in CORPORA.items() if layout.official == official]
        found = [evidence(replace(config, corpus=name)) for name in names]
        if any(found):
            return [one for one in found if one is not None]
    return []


def recognise_below(folder: Path, depth: int = 2) -> list[Recognised]:
    """Return the published corpora in a folder and in the folders below it, each once.

    A part of a corpus is not another one, unless the parts are versions of the same recordings:
    then each is one.

    Args:
        folder: where.
        depth: how many levels of folders are looked into.

    Raises:
        DataError: the folder cannot be read.
    """
    by_places: dict[tuple[str, frozenset[Path]], Recognised] = {}
    for root in itertools.islice(_folders(folder, depth), _MAX_FOLDERS):
        for one in recognise(root):
            if not CORPORA[one.corpus].official:
                continue
            key = one.corpus, frozenset(place.resolve() for place in one.places)
            # Of a folder and one in it that show the same, the inner one is the corpus, unless
            # there are lists alone in it.
            if key not in by_places or _has_audio(one):
                by_places[key] = one
    found = list(by_places.values())
    return [one for one in found if not any(_goes_before(two, one) for two in found)]


def settled(config: DataConfig) -> tuple[DataConfig, str]:
    """Return a config with the name of the corpus that it leaves open, and why it is that.

    Returns:
        The config as it is, and "", where it names its corpus.

    Raises:
        DataError: no corpus is recognised, or several are.
    """
    if config.corpus != AUTO:
        return config, ""
    root = Path(config.root).expanduser()
    if not config.root or not root.is_dir():
        raise DataError(f"{root}: no such folder; set --config.data.root to that of the corpus")
    found = recognise(root)
    if not found:
        raise DataError(
            f"{root}: no known corpus is recognised; name it with --config.data.corpus, or list "
            "the recordings (docs/datasets.md)"
        )
    if len(found) > 1:
        reasons = "; ".join(f"{one.corpus} because {one.because}" for one in found)
        raise DataError(
            f"{root}: several corpora fit: {reasons}; choose one with --config.data.corpus"
        )
    return replace(config, corpus=found[0].corpus), said(found[0])


def settled_config(config: Config) -> tuple[Config, str]:
    """Do as `settled` with a whole config.

    Raises:
        DataError: see `settled`.
    """
    data, why = settled(config.data)
    if not why:
        return config, ""
    changed = thawed(config)
    changed.data.corpus = data.corpus
    return checked(changed), why


def said(found: Recognised) -> str:
    """Return the sentence about a corpus that was recognised."""
    return f"recognised as {found.corpus} because {found.because}"


def _fits(config: DataConfig, layout: CorpusLayout, partition: str, place: Path) -> bool:
    """Return whether what stands in a list, or lies in a folder, is of the corpus."""
    ledger = ProblemLedger.counting()
    try:
        if layout.audio_from == "tree":
            return bool(key_folders(place))
        if layout.audio_from == "rule":
            base = locate_partition(config, partition).base or place
            paths = sorted(itertools.islice(audio_files(place, recursive=True), _NUM_LINES))
            lines = [f"{place.relative_to(base).as_posix()}/{path}" for path in paths]
        else:
            lines = first_lines(place, _NUM_LINES)
        # A list of one's own may need --one-means; it is one all the same.
        one_means = UNSTATED if layout.official else "spoof"
        trials = layout.parse(lines, str(place), ledger, one_means)
    except DataError:
        return False
    return len(trials) > ledger.counts.total()


def _goes_before(one: Recognised, other: Recognised) -> bool:
    """Return whether a corpus makes another one needless: it is of the same parts, or has them."""
    if one.corpus != other.corpus:
        return False
    if CORPORA[one.corpus].one_version:
        return other.root in one.root.parents
    return one.root in other.root.parents


def _has_audio(found: Recognised) -> bool:
    config = DataConfig(corpus=found.corpus, root=str(found.root))
    for partition in CORPORA[found.corpus].partitions:
        try:
            locate_partition(config, partition)
        except DataError:
            continue
        return True
    return False


def _beside(config: DataConfig, layout: CorpusLayout, partition: str) -> tuple[Path, ...]:
    """Return all folders of a partition that are its list, and those with speech beside it."""
    if layout.audio_from == "rule":
        return locate_partition(config, partition).audio_dirs
    return locate_companions(config, partition)


def _named(place: Path, root: Path) -> str:
    try:
        return place.relative_to(root).as_posix()
    except ValueError:
        return str(place)


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Yield a folder and those below it, the upper ones first."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        below: list[Path] = []
        for one in level:
            try:
                below += sorted(
                    path for path in one.iterdir() if path.is_dir() and path.name[:1] != "."
                )
            except OSError as error:
                if one == folder:
                    raise DataError(f"{one}: cannot be read: {error.strerror}") from error
        level = below
