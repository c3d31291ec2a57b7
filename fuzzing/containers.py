"""Damage to recordings that knows their structure, and what a listener would hear after it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from fuzzing.case import Rng
from fuzzing.material import Base
from fuzzing.mutate_bytes import ANY, EXTREMES, drawn, set_number, splice

SLACK_S = {"mp3": 4 * 1152 / 16_000, "stereo.mp3": 4 * 1152 / 44_100, "ogg": 0.064, "opus": 0.064}
"""What an encoder may put around the audio of one part."""
_READ_ON = ("mp3", "stereo.mp3", "flac", "stereo.flac", "ogg", "opus")
_ID3V1 = b"TAG" + b"title".ljust(125, b"\0")
_ID3V2 = b"ID3\x04\0\0\0\0\x02\0" + b"TIT2\0\0\0\x06\0\0\0hello".ljust(256, b"\0")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A damaged recording.

    Attributes:
        content: its bytes.
        said: what was done.
        seconds: what a listener hears, where that is known by construction.
        slack_s: how far off a verdict may be of that.
    """

    content: bytes
    said: str
    seconds: float | None = None
    slack_s: float = 0.0


def intact(base: Base, _rng: Rng, _bases: list[Base]) -> Mutant:
    """Leave it as it is: a good file is scored."""
    return Mutant(base.content, "intact", base.seconds, SLACK_S.get(base.name, 0.001))


def joined(base: Base, rng: Rng, bases: list[Base]) -> Mutant:
    """Put a recording of the same kind behind it, once or more often."""
    if rng.random() < 0.6:  # most are of a kind whose parts are all read
        read_on = [one for one in bases if one.name in _READ_ON]
        base = read_on[rng.integers(len(read_on))]
    alike = [other for other in bases if other.name == base.name]
    others = [alike[i] for i in rng.integers(0, len(alike), int(rng.integers(1, 4)))]
    between = (b"", b"", _ID3V1, _ID3V2, bytes(64))[rng.integers(5)]
    parts = [base, *others]
    slack = SLACK_S.get(base.name, 0.001) * len(parts)
    content = between.join(part.content for part in parts)
    said = f"{len(parts)} {base.name} joined, {len(between)} bytes between"
    return Mutant(content, said, sum(part.seconds for part in parts), slack)


def joined_with_other(base: Base, rng: Rng, bases: list[Base]) -> Mutant:
    """Put a recording of any kind behind it."""
    other = bases[rng.integers(len(bases))]
    slack = SLACK_S.get(base.name, 0.001) + SLACK_S.get(other.name, 0.001)
    said = f"{base.name}, then {other.name}"
    return Mutant(base.content + other.content, said, base.seconds + other.seconds, slack)


def tagged(base: Base, rng: Rng, _bases: list[Base]) -> Mutant:
    """Put what is not audio before or behind it."""
    what = int(rng.integers(5))
    extra = (_ID3V1, _ID3V2, bytes(int(rng.integers(1, 5000))), rng.bytes(300), b"\r\n")[what]
    before = what == 1 or rng.random() < 0.2
    content = extra + base.content if before else base.content + extra
    said = f"{len(extra)} bytes of no audio {'before' if before else 'behind'} {base.name}"
    return Mutant(content, said, base.seconds, SLACK_S.get(base.name, 0.001))


def spliced(base: Base, rng: Rng, bases: list[Base]) -> Mutant:
    """Go on as another file from somewhere."""
    other = bases[rng.integers(len(bases))]
    content, said = splice(base.content, rng, other.content)
    return Mutant(content, f"{base.name}: {said} ({other.name})")


def damaged_anywhere(base: Base, rng: Rng, _bases: list[Base]) -> Mutant:
    """Damage bytes."""
    content, said = drawn(ANY, rng)(base.content, rng)
    return Mutant(content, f"{base.name}: {said}")


def _chunks(content: bytes, order: str) -> list[bytes]:
    """Return the chunks of RIFF or FORM behind the first 12 bytes; the rest is one more."""
    found, place = [], 12
    while place + 8 <= len(content):
        (size,) = struct.unpack_from(f"{order}I", content, place + 4)
        end = place + 8 + size + size % 2
        found.append(content[place:end])
        place = end
    return found


def rechunked(base: Base, rng: Rng, bases: list[Base]) -> Mutant:
    """Order, repeat, remove, rename or resize chunks of WAV or AIFF."""
    order = {b"RIFF": "<", b"FORM": ">"}.get(base.content[:4])
    if order is None:
        return paged(base, rng, bases)
    chunks = _chunks(base.content, order)
    place, what = int(rng.integers(len(chunks))), int(rng.integers(6))
    chunk, name = chunks[place], chunks[place][:4]
    said = ("in another order", "twice", "removed", "renamed", "resized", "strange before")[what]
    if what == 0:
        chunks = [chunks[i] for i in rng.permutation(len(chunks))]
    elif what == 1:
        chunks.insert(int(rng.integers(len(chunks) + 1)), chunk)
    elif what == 2:
        del chunks[place]
    elif what == 3:
        chunks[place] = (b"data", b"fmt ", b"LIST", b"\0\0\0\0", b"SSND")[rng.integers(5)] + chunk[
            4:
        ]
    elif what == 4:
        size = EXTREMES[rng.integers(12)]
        if rng.random() < 0.5:
            size = max(0, len(chunk) - 8 + int(rng.choice([-1000, -9, -1, 1, 8, 44, 300])))
        chunks[place] = name + struct.pack(f"{order}I", size & 0xFFFFFFFF) + chunk[8:]
    else:
        size = int(rng.integers(1, 400)) * 2
        chunks.insert(place, b"junk" + struct.pack(f"{order}I", size) + rng.bytes(size))
    content = base.content[:12] + b"".join(chunks)
    if rng.random() < 0.7:  # the size of the whole is as it must be
        content = content[:4] + struct.pack(f"{order}I", len(content) - 8) + content[8:]
    return Mutant(content, f"{base.name}: chunk {name!r} {said}")


def _checksum(page: bytes) -> int:
    remainder = 0
    for byte in page:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (0x104C11DB7 if remainder & 0x80000000 else 0)
    return remainder & 0xFFFFFFFF


def _pages(content: bytes) -> list[bytes]:
    starts = []
    place = content.find(b"OggS")
    while place >= 0 and place + 27 <= len(content):
        starts.append(place)
        count = content[place + 26]
        place += 27 + count + sum(content[place + 27 : place + 27 + count])
        place = place if content[place : place + 4] == b"OggS" else -1
    ends = [*starts, len(content)][1:]
    return [content[i:j] for i, j in zip(starts, ends, strict=False)]


def paged(base: Base, rng: Rng, bases: list[Base]) -> Mutant:
    """Order, repeat, remove or edit pages of Ogg, with the checksums that belong to them."""
    pages = _pages(base.content)
    if not pages:
        return renumbered(base, rng, bases)
    place, what = int(rng.integers(len(pages))), int(rng.integers(6))
    said = ("two swapped", "twice", "removed", "flags", "position", "serial number")[what]
    if what == 0:
        other = int(rng.integers(len(pages)))
        pages[place], pages[other] = pages[other], pages[place]
    elif what == 1:
        pages.insert(place, pages[place])
    elif what == 2:
        del pages[place]
    else:
        page = bytearray(pages[place])
        if what == 3:
            page[5] ^= int(rng.choice([1, 2, 4]))
        elif what == 4:
            page[6:14] = struct.pack("<Q", EXTREMES[rng.integers(len(EXTREMES))])
        else:
            page[14:18] = rng.bytes(4)
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", _checksum(bytes(page)))
        pages[place] = bytes(page)
    return Mutant(b"".join(pages), f"{base.name}: page {place} of {len(pages)}: {said}")


def renumbered(base: Base, rng: Rng, _bases: list[Base]) -> Mutant:
    """Set numbers of the header to extreme values, or to a few off."""
    content, said = set_number(base.content, rng, 48 if rng.random() < 0.8 else 4096)
    return Mutant(content, f"{base.name}: {said}")


def without_count(base: Base, rng: Rng, bases: list[Base]) -> Mutant:
    """Take the frame count of an MP3 or the length of a FLAC away."""
    content = base.content
    if content[:4] == b"fLaC":
        packed = bytearray(content)
        packed[21] &= 0xF0  # of 36 bits of samples the upper four
        packed[22:26] = bytes(4)
        said = f"{base.name} without a length"
        return Mutant(bytes(packed), said, base.seconds, 0.001)
    second = content.find(content[:2], 4) if base.name.endswith("mp3") else -1
    if second < 0:
        return rechunked(base, rng, bases)
    slack = SLACK_S[base.name]
    return Mutant(content[second:], f"{base.name} without a frame count", base.seconds, slack)


AUDIO: dict[Callable, float] = {
    intact: 0.7,
    joined: 3,
    joined_with_other: 1.5,
    tagged: 2,
    spliced: 1.5,
    damaged_anywhere: 6,
    rechunked: 4,
    renumbered: 4,
    without_count: 1.5,
}
"""Ways to damage a recording, and how often each is drawn."""


def mutant_of(rng: Rng, bases: list[Base]) -> tuple[Mutant, Base]:
    """Draw a recording and damage it."""
    base = bases[rng.integers(len(bases))]
    mutant: Mutant = drawn(AUDIO, rng)(base, rng, bases)
    return mutant, base
