"""Reading any corpus's protocol by itself, without the corpus."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.data.layouts import CORPORA
from rawnet_jax.data.manifests import partitions_in
from rawnet_jax.data.protocols import Parser
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import UNSTATED

PROTOCOL_CORPORA = tuple(name for name, layout in CORPORA.items() if not layout.is_folders)
"""Corpora whose trials are listed in a file."""


def read_protocol(path: str | Path, corpus: str = "", one_means: str = UNSTATED) -> list[Trial]:
    """Read the trials of a protocol.

    Args:
        path: the file.
        corpus: one of `PROTOCOL_CORPORA`; "" = whichever's form the first lines have.
        one_means: which label key 1 stands for in a list of one's own.

    Raises:
        DataError: the file cannot be read, a line of it is wrong or an utterance stands twice, with
            ``file:line``; the corpus is unknown; or none is given and the lines fit no corpus or
            several.
    """
    lines = read_lines(path)
    if corpus and corpus not in PROTOCOL_CORPORA:
        raise DataError(f"corpus {corpus!r} is unknown; known: {', '.join(PROTOCOL_CORPORA)}")
    layout = CORPORA[corpus or _detect(lines, path)]
    trials = layout.parse(lines, str(path), _Strict(), one_means)
    return trials if layout.finish is None else layout.finish(trials, str(path), "")


_MANIFEST = "manifest"


class _Strict(ProblemLedger):
    """Raises whatever is wrong, without naming a config's field that would let it pass."""

    def __init__(self) -> None:
        super().__init__(ProblemPolicy())

    def report(self, kind: str, message: str) -> None:  # noqa: ARG002  (the ledger's signature)
        raise DataError(message)


def _detect(lines: Sequence[str], path: str | Path) -> str:
    """Return the corpus whose parser alone the first lines fit, with a key in them."""
    number, first = next((n, line) for n, line in enumerate(lines, 1) if line.strip())
    if _is_manifest(first):
        return _MANIFEST
    keyed: dict[Parser, list[str]] = {}
    without_key: list[str] = []
    for corpus in PROTOCOL_CORPORA:
        parser = CORPORA[corpus].parser
        trials = _first_trials(parser, lines[number - 1 : number + 1])
        if any(trial.label is not None for trial in trials):
            keyed.setdefault(parser, []).append(corpus)
        elif trials:
            without_key.append(corpus)
    if len(keyed) > 1:
        keyed = {
            parser: corpora for parser, corpora in keyed.items() if _reads_all(parser, lines, path)
        } or keyed
    if len(keyed) == 1:
        corpora = next(iter(keyed.values()))
        return next((name for name in corpora if _is_called(name, path)), corpora[0])
    names = ", ".join(name for corpora in keyed.values() for name in corpora)
    if keyed:
        problem = f"fits several corpora ({names}); give one with --corpus"
    elif without_key:
        problem = "has no key (bonafide or spoof) where a protocol has one"
    else:
        problem = f"fits no corpus; give one of {', '.join(PROTOCOL_CORPORA)} with --corpus"
    columns = len(first.split())
    raise DataError(f"{path}:{number}: a line of {columns} columns that {problem}: {first[:60]!r}")


def _is_manifest(line: str) -> bool:
    """Return whether a line is a header; the lines below it then say what is wrong with them."""
    try:
        partitions_in([line], "")
    except DataError:
        return False
    return True


def _is_called(corpus: str, path: str | Path) -> bool:
    """Return whether a list has the name of one that a corpus publishes."""
    names = (
        PurePath(place).name
        for partition in CORPORA[corpus].partitions.values()
        for place in partition.protocols
    )
    return any(fnmatchcase(PurePath(path).name, name) for name in names)


def _reads_all(parser: Parser, lines: Sequence[str], path: str | Path) -> bool:
    """Return whether nothing is wrong with a list, as one of a corpus."""
    try:
        parser(lines, str(path), _Strict())
    except DataError:
        return False
    return True


def _first_trials(parser: Parser, lines: Sequence[str]) -> list[Trial]:
    """Return what a parser makes of one line, or of a header and one line; [] if it refuses."""
    for count in (1, 2):
        try:
            return parser(lines[:count], "", _Strict())
        except DataError:
            continue
    return []
