"""Which audio files a user means: files, folders, patterns, lists of names, standard input."""

import contextlib
import glob
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rawnet_jax.data.audio_index import audio_files, read_folders
from rawnet_jax.data.passed_over import by_kind, may_be_recordings
from rawnet_jax.data.protocols import without_extension
from rawnet_jax.data.text_file import read_lines, split_lines
from rawnet_jax.errors import AudioError, ConfigError, DataError

STDIN = "-"
"""Means standard input: audio where it is an input, names where it is a list."""

_COPIED_BYTES = 2**20


class Inputs(NamedTuple):
    """The files that a command line names.

    Attributes:
        paths: each once.
        problems: what holds no audio and what was passed over though it may be a recording, one
            line each.
        num_unreadable: how many files, or words without a file, the problems are about.
        notes: what else was passed over, one line.
    """

    paths: list[str]
    problems: list[str]
    num_unreadable: int = 0
    notes: tuple[str, ...] = ()


def find_inputs(words: Sequence[str], lists: Sequence[str] = ()) -> Inputs:
    """Return the files that a command line names, each once, in its order.

    A word that names a file is that file, whatever its extension. A folder stands for all audio
    files in it and below it, sorted by name. Any other word with ``*``, ``?`` or ``[`` is a
    pattern, in which ``**`` stands for folders at any depth; ``-`` is standard input. A word that
    names nothing stays as it is: whoever opens it reports what is wrong.

    Args:
        words: files, folders, patterns, ``-``.
        lists: text files with one such word per line; ``-`` = standard input. Names are relative to
            the current folder.

    Raises:
        DataError: a list or a folder cannot be read.
        ConfigError: standard input is asked for twice.
    """
    if [*words, *lists].count(STDIN) > 1:
        raise ConfigError("standard input (-) was given twice; it can be read once")
    found: dict[str, str] = {}
    problems: list[str] = []
    passed_over: list[str] = []
    for word in [*words, *_listed(lists)]:
        paths, problem = _expand(word, passed_over)
        if problem:
            problems.append(problem)
        for path in paths:
            found.setdefault(path if path == STDIN else _identity(path), path)
    return _inputs(list(found.values()), problems, list(dict.fromkeys(passed_over)))


def _identity(path: str) -> str:
    """Return one name for a file, whatever folders or links of folders lead to it."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _inputs(paths: list[str], problems: list[str], passed_over: list[str]) -> Inputs:
    recordings = may_be_recordings(passed_over)
    others = list(set(passed_over) - set(recordings))
    num_unreadable = len(problems) + len(recordings)
    if recordings:
        problems = [
            *problems,
            f"passed over: {by_kind(recordings)}: not audio that can be read, such as "
            f"{min(recordings)}",
        ]
    notes = (f"passed over: {by_kind(others)}: not recordings",) if others else ()
    return Inputs(paths, problems, num_unreadable, notes)


@contextlib.contextmanager
def stdin_as_file(max_bytes: int, stream: BinaryIO | None = None) -> Iterator[Path]:
    """Keep what standard input holds in a file meanwhile, since decoders seek.

    The file is its owner's alone, in a folder for temporary files, and goes however this ends.

    Args:
        max_bytes: that are kept.
        stream: read this one instead.

    Raises:
        ConfigError: standard input is a terminal.
        AudioError: it holds more, or it cannot be kept.
    """
    if stream is None:
        if sys.stdin.isatty():
            raise ConfigError(f"{STDIN}: standard input is a terminal; it must be audio")
        stream = sys.stdin.buffer
    with tempfile.TemporaryDirectory(prefix="rawnet_jax_stdin_") as folder:
        path = Path(folder) / "stdin"
        try:
            with open(path, "xb", opener=_for_owner) as file:
                _copy(stream, file, max_bytes)
        except OSError as error:
            raise AudioError(STDIN, "unreadable", str(error.strerror)) from error
        yield path


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _copy(stream: BinaryIO, file: BinaryIO, max_bytes: int) -> None:
    num_bytes = 0
    while block := stream.read(_COPIED_BYTES):
        num_bytes += len(block)
        if num_bytes > max_bytes:
            what = (
                f"more than {max_bytes / 2**30:g} GiB on standard input; --max-stdin sets the limit"
            )
            raise AudioError(STDIN, "too large", what)
        file.write(block)


def _listed(lists: Iterable[str]) -> Iterator[str]:
    for name in lists:
        if name == STDIN:
            lines = split_lines(sys.stdin.buffer.read(), STDIN, of_names=True)
        else:
            lines = read_lines(name, of_names=True)
        for number, line in enumerate(lines, 1):
            if line.strip() == STDIN:
                raise DataError(f"{name}:{number}: standard input cannot stand in a list")
            if line.strip():
                yield line.strip()


def _expand(word: str, passed_over: list[str]) -> tuple[list[str], str]:
    """Return the files that a word stands for, and what is wrong where there are none."""
    if os.path.isdir(word):
        return _audio_in(word, passed_over)
    if word == STDIN or os.path.lexists(word) or not glob.has_magic(word):
        return [word], ""
    found: list[str] = []
    for match in _matches(word):
        # With ** a folder comes beside the files in it, which are found once.
        if not os.path.isdir(match):
            found.append(match)
        elif "**" not in word:
            found += _audio_in(match, passed_over)[0]
    return found, "" if found else f"{word}: no file matches"


def _matches(pattern: str) -> list[str]:
    """Return what matches, by name; ** follows links, and a loop of them ends."""
    parts = pattern.split(os.sep)
    if "**" not in parts:
        return sorted(glob.glob(pattern))
    at = parts.index("**")
    above, below = os.sep.join([*parts[:at], ""]), os.sep.join(parts[at + 1 :])
    found: set[str] = set()
    for top in glob.glob(above) if glob.has_magic(above) else [above]:
        if not os.path.isdir(top or os.curdir):
            continue
        for folder, entries in read_folders(Path(top), recursive=True):
            here = top + folder
            if below:
                found.update(_matches(glob.escape(here) + below))
            else:
                found.update(here + entry.name for entry in entries)
    return sorted(found)


def _audio_in(folder: str, passed_over: list[str]) -> tuple[list[str], str]:
    others: list[str] = []
    names = sorted(audio_files(Path(folder), recursive=True, passed_over=others))
    passed_over += [os.path.join(folder, name) for name in others]
    return [os.path.join(folder, name) for name in names], (
        "" if names else f"{folder}: no audio file in this folder"
    )


def picture_names(paths: Sequence[str]) -> dict[str, str]:
    """Return a name for the picture of each file: as short as tells them apart."""
    stems = {path: without_extension(os.path.basename(path)) for path in paths}
    flat = {path: path.strip("./\\").replace("/", "_").replace("\\", "_") for path in paths}
    short = Counter(stems.values())
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        name = "stdin" if path == STDIN else stems[path] if short[stems[path]] == 1 else flat[path]
        numbered, number = name, 2
        while numbered in taken:
            numbered, number = f"{name}_{number}", number + 1
        taken.add(numbered)
        names[path] = f"{numbered}.png"
    return names
