"""All engines, which of them are installed, and which of their voices fit."""

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from rawnet_jax.errors import DataError
from rawnet_jax.text_to_speech.commands import COMMAND_ENGINES
from rawnet_jax.text_to_speech.engine import Engine, Voice, Words, output_of
from rawnet_jax.text_to_speech.packages import PACKAGE_ENGINES

ENGINES: Mapping[str, Engine] = {row.name: row for row in (*COMMAND_ENGINES, *PACKAGE_ENGINES)}
"""Engines by name."""


_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")


@dataclass(frozen=True, slots=True)
class Found:
    """An engine that was looked for.

    Attributes:
        engine: its row.
        program: how it is started; None = not installed.
        voices: those that fit, in order.
        problem: why there are none; "" = there are.
    """

    engine: Engine
    program: Words | None
    voices: tuple[Voice, ...]
    problem: str = ""


def look_for(
    names: Sequence[str] = (),
    *,
    voices: Sequence[str] = (),
    language: str = "",
    folders: Sequence[Path] = (),
) -> list[Found]:
    """Look for engines, and for voices of theirs.

    Args:
        names: of engines; empty = all.
        voices: names or patterns such as ``slt``, ``flite:*``, ``en-*``; empty = all.
        language: that a voice must speak; "" = any.
        folders: with model files, searched recursively.

    Raises:
        DataError: an engine is unknown, or a folder is none.
    """
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        raise DataError(f"--engine {unknown[0]}: unknown; must be one of {', '.join(ENGINES)}")
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"--models {folder}: must be a folder")
    rows = [ENGINES[name] for name in dict.fromkeys(names)] or list(ENGINES.values())
    return [_found(row, voices, language, folders) for row in rows]


def usable(found: Sequence[Found], *, names: Sequence[str], voices: Sequence[str]) -> list[Found]:
    """Return the engines that can speak.

    Args:
        found: by `look_for`.
        names: that the user gave: each of these must be usable.
        voices: that the user gave: each must fit a voice.

    Raises:
        DataError: one of them is not, or there is none at all.
    """
    for one in found:
        if one.problem and one.engine.name in names:
            raise DataError(f"--engine {one.engine.name}: {one.problem}")
    there = [one for one in found if one.voices]
    every = [voice for one in there for voice in one.voices]
    for pattern in voices:
        if not any(_fits(voice, [pattern]) for voice in every):
            raise DataError(f"--voices {pattern}: no installed voice fits; see synthesise --list")
    if not there:
        raise DataError(
            "no engine can speak this language; see what is missing by synthesise --list, "
            "such as: apt-get install espeak-ng flite festival"
        )
    return there


def version_of(found: Found) -> str:
    """Return the version of an engine, in its own words; "" = it does not say."""
    for name in found.engine.distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    if not found.engine.version or found.program is None:
        return ""
    words = (found.program[-1], *found.engine.version)
    try:  # Flite tells it with status 1
        lines = output_of(words, any_status=True).splitlines()
    except DataError:
        return ""
    match = next(filter(None, map(_VERSION.search, lines)), None)
    return match[0] if match else ""


def digest_of(voice: Voice) -> str:
    """Return the SHA-256 of a voice's model file; "" = it has none of its own."""
    if not voice.model:
        return ""
    try:
        with open(voice.model, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{voice.model}: cannot be read: {error.strerror}") from None


def _found(
    engine: Engine, patterns: Sequence[str], language: str, folders: Sequence[Path]
) -> Found:
    program = engine.find()
    if program is None:
        return Found(engine, None, (), f"not installed: {engine.install}")
    try:
        every = engine.list_voices(program, folders)
    except DataError as error:
        return Found(engine, program, (), f"cannot list its voices: {error}")
    if not every:
        return Found(engine, program, (), f"has no voice: {engine.install}")
    fit = [
        voice
        for voice in every
        if (not language or voice.speaks(language)) and (not patterns or _fits(voice, patterns))
    ]
    return Found(engine, program, tuple(fit), "" if fit else "no voice of it fits")


def _fits(voice: Voice, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(name, pattern) for pattern in patterns for name in (voice.name, voice.full_name)
    )
