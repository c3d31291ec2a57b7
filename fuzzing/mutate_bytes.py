"""Damage to bytes of which nothing is known, and to numbers in headers."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from fuzzing.case import Rng

EXTREMES = (
    *(0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    *(2**63 - 1, 2**63, 2**64 - 1),
)
_HEADER_BYTES = 96


def flip_bits(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Flip one to sixteen bits."""
    changed = bytearray(content)
    places = rng.integers(0, max(len(content), 1) * 8, int(rng.integers(1, 17)))
    for place in places if content else ():
        changed[place // 8] ^= 1 << int(place % 8)
    return bytes(changed), f"{len(places)} bits flipped"


def flip_header_bits(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Flip one to four bits of the first bytes."""
    head, said = content[:_HEADER_BYTES], "0 bits"
    for _ in range(int(rng.integers(1, 5)) if head else 0):
        place = int(rng.integers(len(head) * 8))
        changed = bytearray(head)
        changed[place // 8] ^= 1 << place % 8
        head, said = bytes(changed), f"bit {place} of the header flipped"
    return head + content[_HEADER_BYTES:], said


def cut(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Take the end away: anywhere, or a few bytes."""
    most = len(content) if rng.random() < 0.6 else min(len(content), 64)
    lost = int(rng.integers(1, most + 1)) if most else 0
    return content[: len(content) - lost], f"the last {lost} of {len(content)} bytes cut off"


def cut_start(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Take the start away."""
    most = len(content) if rng.random() < 0.5 else min(len(content), 64)
    lost = int(rng.integers(1, most + 1)) if most else 0
    return content[lost:], f"the first {lost} bytes cut off"


def _span(content: bytes, rng: Rng) -> tuple[int, int]:
    first, last = sorted(int(n) for n in rng.integers(0, len(content) + 1, 2))
    return first, last


def remove_span(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Take bytes out of the middle."""
    first, last = _span(content, rng)
    return content[:first] + content[last:], f"bytes {first} to {last} removed"


def repeat_span(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Write bytes twice."""
    first, last = _span(content, rng)
    return content[:last] + content[first:], f"bytes {first} to {last} twice"


def blank_span(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Overwrite bytes with zeros, ones or noise."""
    first, last = _span(content, rng)
    size, what = last - first, int(rng.integers(3))
    filling = (bytes(size), b"\xff" * size, rng.bytes(size))[what]
    said = ("0", "0xff", "noise")[what]
    return content[:first] + filling + content[last:], f"bytes {first} to {last} are {said}"


def insert(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Put noise in between."""
    place, size = int(rng.integers(len(content) + 1)), int(2 ** rng.uniform(0, 12))
    return content[:place] + rng.bytes(size) + content[place:], f"{size} bytes put in at {place}"


def set_number(content: bytes, rng: Rng, most: int = _HEADER_BYTES) -> tuple[bytes, str]:
    """Set a number of the header to an extreme value, or to a few off."""
    size = int(rng.choice([1, 2, 4, 4, 4, 8]))
    last = min(len(content), most) - size
    if last < 0:
        return content, "too short for a number"
    place = int(rng.integers(last + 1))
    order: Literal["big", "little"] = "big" if rng.random() < 0.3 else "little"
    before = int.from_bytes(content[place : place + size], order)
    after = int(EXTREMES[rng.integers(len(EXTREMES))])
    if rng.random() < 0.4:
        after = before + int(rng.choice([-256, -8, -2, -1, 1, 2, 8, 256]))
    after %= 256**size
    number = after.to_bytes(size, order)
    said = f"{size} bytes at {place}: {before} becomes {after}"
    return content[:place] + number + content[place + size :], said


def empty(_content: bytes, _rng: Rng) -> tuple[bytes, str]:
    """Leave nothing."""
    return b"", "empty"


def noise(_content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Leave noise."""
    size = int(2 ** rng.uniform(0, 14))
    return rng.bytes(size), f"{size} bytes of noise"


def splice(content: bytes, rng: Rng, other: bytes) -> tuple[bytes, str]:
    """Begin as one file and go on as another."""
    first, second = int(rng.integers(len(content) + 1)), int(rng.integers(len(other) + 1))
    return content[:first] + other[second:], f"{first} bytes, then another file from {second}"


ANY: dict[Callable[[bytes, Rng], tuple[bytes, str]], float] = {
    flip_bits: 3,
    flip_header_bits: 3,
    cut: 3,
    cut_start: 1,
    remove_span: 2,
    repeat_span: 2,
    blank_span: 2,
    insert: 2,
    set_number: 5,
    empty: 0.3,
    noise: 0.5,
}
"""Ways to damage a file, and how often each is drawn."""


def drawn(table: dict[Callable, float], rng: Rng) -> Callable:
    """Draw a way by its weight."""
    weights = np.array(list(table.values()), float)
    return list(table)[rng.choice(len(weights), p=weights / weights.sum())]


def damaged(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Damage bytes in one or two ways."""
    said = []
    for _ in range(1 if rng.random() < 0.75 else 2):
        content, what = drawn(ANY, rng)(content, rng)
        said.append(what)
    return content, ", ".join(said)
