"""Damage to text: lines, cells, encodings, numbers, nesting."""

import json
import re
from collections.abc import Callable
from typing import Any

from fuzzing.case import Rng
from fuzzing.mutate_bytes import damaged, drawn

WORDS = (
    *("", " ", "0", "-1", "1", "nan", "NaN", "-inf", "Infinity", "1e308", "1e-320", "1e999"),
    *("0x10", "1_000", "1,5", "٣", "9" * 400, "null", "None", "true", "-", "--", "..", "/"),
    *("../../etc/passwd", "~", "\x1b[31mred", "\r", "\x00", "\u202egnp.wav", "\ufeff", "é", "日本"),
    *("=1+1", "@SUM(A1)", '"', "'", '""', ",", "\t", "|", ";", "{}", "[]", "%s", "{0}", "$(id)"),
    *("<script>", "a" * 300, "a" * 70_000, "genuine", "spoof", "bonafide", "real", "fake"),
)
"""What may stand in a cell."""
NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 255, 65_536, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, 1.0, 1e-9, -1e-9, 1e-320, 1e9, 1e308, -1e308),
    *(float("nan"), float("inf"), float("-inf"), 10**400),
)
"""What may stand for a number."""
_VALUES: tuple[Any, ...] = (
    *NUMBERS,
    None,
    True,
    False,
    "",
    "x",
    [],
    {},
    [[]],
    {"a": 1},
    [0],
    [1, 2],
)
_DEPTH = 100_000
_ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp037")


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def drop_line(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Take a line away."""
    lines = _lines(content)
    place = int(rng.integers(max(len(lines), 1)))
    return b"".join(lines[:place] + lines[place + 1 :]), f"line {place + 1} removed"


def repeat_line(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Write a line again, elsewhere."""
    lines = _lines(content) or [b"\n"]
    first, place = (int(n) for n in rng.integers(0, len(lines), 2))
    count = int(rng.choice([1, 2, 1000]))
    said = f"line {first + 1} again before line {place + 1}, {count} times"
    return b"".join([*lines[:place], *[lines[first]] * count, *lines[place:]]), said


def swap_lines(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Order the lines again."""
    lines = _lines(content)
    return b"".join(lines[i] for i in rng.permutation(len(lines))), "lines in another order"


def _split(line: bytes) -> list[bytes]:
    """Return cells and what divides them, in turns."""
    return re.split(rb"([ \t,;|]+)", line.rstrip(b"\r\n"))


def set_cell(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Put something else into a cell."""
    lines = _lines(content) or [b""]
    place = int(rng.integers(len(lines)))
    cells = _split(lines[place])
    column = 2 * int(rng.integers((len(cells) + 1) // 2))
    word = WORDS[rng.integers(len(WORDS))]
    cells[column] = word.encode("utf-8", "surrogatepass")
    lines[place] = b"".join(cells) + b"\n"
    return b"".join(lines), f"line {place + 1}, cell {column // 2 + 1} is {word[:20]!r}"


def drop_column(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Take a column away, of all lines or of one."""
    lines = _lines(content) or [b""]
    column = 2 * int(rng.integers((len(_split(lines[0])) + 1) // 2))
    only = int(rng.integers(len(lines))) if rng.random() < 0.5 else None
    for number, line in enumerate(lines):
        if only in (None, number):
            cells = _split(line)
            lines[number] = b"".join(cells[:column] + cells[column + 2 :]) + b"\n"
    where = "" if only is None else f" of line {only + 1}"
    return b"".join(lines), f"column {column // 2 + 1}{where} removed"


def set_delimiter(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Divide cells by something else."""
    divider = (b",", b";", b"\t", b"|", b"  ", b"")[rng.integers(6)]
    return re.sub(rb"[ \t,;|]+", divider, content), f"cells divided by {divider!r}"


def set_encoding(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Write the text in another encoding."""
    encoding = _ENCODINGS[rng.integers(len(_ENCODINGS))]
    text = content.decode("utf-8", "replace") + "é"
    return text.encode(encoding, "replace"), f"as {encoding}"


def set_line_ends(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """End lines otherwise."""
    end = (b"\r\n", b"\r", b"\n\n", b"\x85", b"", b"\x00")[rng.integers(6)]
    return content.replace(b"\n", end), f"lines end with {end!r}"


def add_long_line(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Put a very long line in."""
    lines = _lines(content)
    place, size = int(rng.integers(len(lines) + 1)), int(2 ** rng.uniform(10, 21))
    line = bytes(rng.choice([b"a", b"a b ", b"1,", b'"', b"["])) * size
    return b"".join([*lines[:place], line[:size], b"\n", *lines[place:]]), f"a line of {size} bytes"


def header(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Put a header above."""
    names = ["filename", "cm-score", "label", "key", "path", "partition", "score", "path", "utt"]
    chosen = [names[i] for i in rng.integers(0, len(names), int(rng.integers(1, 5)))]
    line = (" ", ",", "\t")[rng.integers(3)].join(chosen)
    return line.encode() + b"\n" + content, f"header {line!r}"


LINES: dict[Callable, float] = {
    drop_line: 1,
    repeat_line: 2,
    swap_lines: 0.5,
    set_cell: 8,
    drop_column: 3,
    set_delimiter: 1,
    set_encoding: 1.5,
    set_line_ends: 1.5,
    add_long_line: 1,
    header: 1,
    damaged: 2,
}
"""Ways to damage lines of cells, and how often each is drawn."""


def damaged_lines(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Damage lines of cells in one or two ways."""
    said = []
    for _ in range(1 if rng.random() < 0.7 else 2):
        content, what = drawn(LINES, rng)(content, rng)
        said.append(what)
    return content, ", ".join(said)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of everything in a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


def damaged_json(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Damage JSON: a value, a key, its nesting, or its bytes."""
    way = rng.random()
    if way < 0.2:
        return damaged(content, rng)
    value = json.loads(content)
    places = _places(value)
    container, key = places[rng.integers(len(places))]
    if way < 0.65:
        container[key] = _VALUES[rng.integers(len(_VALUES))]
        said = f"{key!r} is {str(container[key])[:20]}"
    elif way < 0.75:
        del container[key]
        said = f"{key!r} removed"
    elif way < 0.8:
        value = _VALUES[rng.integers(len(_VALUES))]
        said = f"all of it is {str(value)[:20]}"
    elif way < 0.87 and isinstance(container, dict):
        word = WORDS[rng.integers(len(WORDS))]
        container[word] = container.pop(key)
        said = f"{key!r} is called {word[:20]!r}"
    else:
        return _deep(json.dumps(value), str(key), rng)
    return json.dumps(value).encode("utf-8", "surrogatepass"), said


def _deep(text: str, key: str, rng: Rng) -> tuple[bytes, str]:
    opened, closed = (("[", "]"), ('{"a":', "}"))[rng.integers(2)]
    nested = opened * _DEPTH + "1" + closed * _DEPTH
    what = int(rng.integers(4))
    if what == 0:
        return nested.encode(), f"nested {_DEPTH} deep"
    if what == 1:
        return (text[: text.rindex("}")] + f', "a": {nested}}}').encode(), "nesting beside"
    if what == 2:
        return (text[: text.rindex("}")] + f', "{key}": 1}}').encode(), f"{key!r} twice"
    return (text + text).encode(), "twice"
