"""The text that engines are to speak: one sentence per line, with or without ids."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.data.text_file import read_lines
from rawnet_jax.errors import DataError

MAX_CHARACTERS = 300
"""Longest line that is spoken, unless the user says otherwise: about 20 s of speech."""

# Latin marks end a part before a blank alone: 3.5 is one word.
_ENDS = (r"(?<=[.!?])\s+|(?<=[。！？])", r"(?<=[;:,])\s+|(?<=[，、；：])", r"\s+")
_SEPARATORS = {"\t": "a tab", "|": "|"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one clip says.

    Attributes:
        name: its id; the number of the line where the file has none.
        text: one line.
    """

    name: str
    text: str


def read_sentences(
    path: str | Path, *, max_characters: int = MAX_CHARACTERS, split_long: bool = False
) -> list[Sentence]:
    """Read a text file.

    The first line that is not empty decides the form of all: ``id<TAB>text``; ``id|text`` or
    ``id|text|normalised text``, of which the last is taken (LJSpeech); or text alone.

    Args:
        path: UTF-8, or UTF-16 with a mark.
        max_characters: a longer line is an error.
        split_long: divide it instead, at ends of sentences where there are, else at commas, else
            at blanks.

    Raises:
        DataError: the file, a line or the bound is wrong.
    """
    if max_characters < 10:
        raise DataError(f"--max-characters is {max_characters}; it must be at least 10")
    sentences = []
    places: dict[str, int] = {}
    separator = None
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        if separator is None:
            separator = next((mark for mark in _SEPARATORS if mark in line), "")
        name, text = _divided(line, separator, place, str(number))
        if name in places:
            raise DataError(f"{place}: id {name!r} was on line {places[name]} already")
        places[name] = number
        _check(text, place)
        pieces = [text]
        if len(text) > max_characters:
            if not split_long:
                raise DataError(
                    f"{place}: {len(text):,} characters; it must be at most {max_characters} "
                    "(--max-characters), or be divided (--split-long)"
                )
            pieces = list(_pieces(text, max_characters, place))
        for part, piece in enumerate(pieces, 1):
            sentences.append(Sentence(name if len(pieces) == 1 else f"{name}.{part}", piece))
    return sentences


def _divided(line: str, separator: str, place: str, number: str) -> tuple[str, str]:
    if not separator:
        for mark, called in _SEPARATORS.items():
            if mark in line:
                raise DataError(
                    f"{place}: contains {called}, but the first line has no id, so no line may"
                )
        return number, line.strip()
    columns = [column.strip() for column in line.split(separator)]
    if len(columns) < 2 or (len(columns) > 3 or (separator == "\t" and len(columns) > 2)):
        called = _SEPARATORS[separator]
        raise DataError(
            f"{place}: {len(columns)} columns; it must be an id, {called} and the text, as the "
            "first line is"
        )
    name, text = columns[0], columns[-1] or columns[1]
    if not name or len(name.split()) != 1:
        raise DataError(f"{place}: the id is {name!r}; it must be one word")
    return name, text


def _check(text: str, place: str) -> None:
    if not any(letter.isalnum() for letter in text):
        raise DataError(f"{place}: holds no letter and no digit, so there is nothing to speak")
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs"):
            raise DataError(f"{place}: holds the control character U+{ord(letter):04X}")


def _pieces(text: str, most: int, place: str) -> Iterator[str]:
    """Yield pieces of a text, as long as they may be, each with something to speak."""
    for end in _ENDS:
        parts = [part for part in re.split(end, text) if part.strip()]
        if len(parts) > 1:
            break
    else:
        raise DataError(f"{place}: a word of {len(text):,} characters cannot be divided")
    held = ""
    for part in parts:
        joined = f"{held} {part}".strip()
        if len(joined) <= most:
            held = joined
            continue
        if held:
            yield from _if_spoken(held)
        held = ""
        if len(part) > most:
            yield from _pieces(part, most, place)
        else:
            held = part
    yield from _if_spoken(held)


def _if_spoken(piece: str) -> Iterator[str]:
    if any(letter.isalnum() for letter in piece):
        yield piece
