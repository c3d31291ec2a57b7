"""Recordings through ``score``, ``stream`` and ``explain``."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

from fuzzing.case import Attempt, Failure, Outcome, Rng
from fuzzing.containers import Mutant, intact, mutant_of
from fuzzing.hearing import not_heard
from fuzzing.material import Base, Material

_NAMES = (
    *(b"a\rb", b"a\nb", b"\x1b[31mred", b"caf\xe9", b"\xff\xfe", b" ", b"=1+1", b"-dash", b"a,b"),
    *(b'a"b', b"*", b"[a]", "日本".encode(), "\u202egpj".encode(), b"x" * 200, b"a\tb", b"%s"),
)
_NUMBERS = ("0", "1", "-1", "0.5", "1e308", "nan", "inf", "-inf", "1e-9", "9" * 30, "x", "")
_FORMATS = ("jsonl", "jsonl", "csv", "table", "asvspoof2017", "asvspoof2021")
_ENCODINGS = {"s16le": 2, "f32le": 4, "u8": 1, "s24le": 3, "s32le": 4, "f64le": 8}
_SUMMARY = re.compile(rb"^([\d.]+) s, (\d+) windows", re.MULTILINE)


def _written(rng: Rng, folder: Path, mutant: Mutant, base: Base) -> str:
    """Write a mutant under its own extension, another one, or a strange name; return the name."""
    name = f"clip.{base.path.name.rpartition('.')[2]}".encode()
    way = rng.random()
    if way < 0.1:
        name = b"clip." + (b"wav", b"mp3", b"flac", b"txt", b"ogg", b"")[rng.integers(6)]
    elif way < 0.25:
        name = _NAMES[rng.integers(len(_NAMES))] + b".wav"
    path = folder / name.decode("utf-8", "surrogateescape")
    path.write_bytes(mutant.content)
    return f"./{path.name}"


def _number(rng: Rng) -> str:
    return str(_NUMBERS[rng.integers(len(_NUMBERS))])


def _strange_flags(rng: Rng, flags: tuple[str, ...]) -> list[str]:
    """Return a flag with a strange number, now and then."""
    if rng.random() > 0.12:
        return []
    return [f"{flags[rng.integers(len(flags))]}={_number(rng)}"]


def score(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Score a damaged recording."""
    mutant, base = mutant_of(rng, material.bases)
    name = _written(rng, folder, mutant, base)
    form = _FORMATS[rng.integers(len(_FORMATS))]
    if mutant.seconds is not None or rng.random() < 0.4:
        form = "jsonl"  # which tells how long the recording is
    flags = _strange_flags(
        rng, ("--max-duration", "--threshold", "--p-spoof", "--channel", "--num-workers")
    )
    words = ["score", "--workdir", str(material.run), name, "--format", form, "--no-progress"]
    if rng.random() < 0.5:
        words += ["--aggregate", ("mean", "first", "max_spoof", "trimmed")[rng.integers(4)]]
    if form in ("jsonl", "csv") and rng.random() < 0.2:
        words.append("--windows")

    def check(outcome: Outcome) -> Iterator[Failure]:
        if form == "jsonl":
            yield from _judged(outcome, mutant, folder / name, is_plain=not flags)

    attempt = Attempt([*words, *flags], f"{mutant.said} as {name!r}", check=check)
    attempt.for_people = form == "table"
    return attempt


def _judged(outcome: Outcome, mutant: Mutant, path: Path, is_plain: bool) -> Iterator[Failure]:
    if outcome.status not in (0, 1, 3):
        return
    records = [json.loads(line) for line in outcome.out.decode().splitlines()]
    if len(records) != 1:
        yield Failure("lost a result", f"{len(records)} records of one file")
        return
    record = records[0]
    is_good = mutant.said == "intact" and is_plain
    if is_good and outcome.status == 1:
        yield Failure("a good file refused", record["reason"])
    numbers = [record[name] for name in ("score", "llr", "p_spoof") if record[name] is not None]
    if not all(math.isfinite(number) for number in numbers):
        yield Failure("a score that is not a number", str(numbers))
    if record["score"] is not None:
        noted = b"WARNING: " in outcome.err
        yield from not_heard(mutant, path, record["duration_s"], noted)


def stream(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Stream a damaged recording: as a file, as WAV or as raw samples on standard input."""
    mutant, base = mutant_of(rng, material.bases)
    words = ["stream", "--workdir", str(material.run)]
    words += ["--jsonl"] if rng.random() < 0.5 else []
    strange = ("--hop", "--channel", "--threshold", "--p-spoof", "--rate", "--channels")
    flags = _strange_flags(rng, strange)
    way = rng.random()
    if way < 0.4:
        return _raw_stream(rng, folder, mutant, [*words, *flags], is_plain=not flags)
    name = _written(rng, folder, mutant, base)
    if way < 0.7:
        return Attempt([*words, *flags], f"{mutant.said} on standard input", stdin=folder / name)
    return Attempt([*words, name, *flags], f"{mutant.said} as {name!r}")


def _raw_stream(
    rng: Rng, folder: Path, mutant: Mutant, words: list[str], *, is_plain: bool
) -> Attempt:
    encoding = list(_ENCODINGS)[rng.integers(len(_ENCODINGS))]
    rate = int((8_000, 16_000, 44_100, 48_000)[rng.integers(4)])
    channels = int(rng.integers(1, 4))
    path = folder / "samples.raw"
    # Without what begins a WAV, which is refused as such.
    path.write_bytes(mutant.content[int(rng.integers(12, 100)) :])
    given = [str(rate), str(channels)]
    if rng.random() < 0.15:
        given[rng.integers(2)] = _number(rng)
        is_plain = False
    words += ["--format", encoding, f"--rate={given[0]}", f"--channels={given[1]}"]

    def check(outcome: Outcome) -> Iterator[Failure]:
        found = _SUMMARY.search(outcome.err)
        if outcome.status != 0 or not is_plain:
            return
        frames = path.stat().st_size // (_ENCODINGS[encoding] * channels)
        said_s = float(found[1]) if found else 0.0
        # A last piece that is too short for a window of its own may be left over.
        if not frames / rate - 0.55 <= said_s <= frames / rate + 0.02:
            yield Failure("another length", f"{said_s} s of {frames / rate:.3f} s")

    said = f"{mutant.said} as raw {encoding}, {given[0]} Hz, {given[1]} channels"
    return Attempt(words, said, stdin=path, check=check)


def explain(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Explain a damaged recording, at small expense."""
    mutant, base = mutant_of(rng, material.bases)
    if rng.random() < 0.3:
        mutant = intact(base, rng, material.bases)
    name = _written(rng, folder, mutant, base)
    words = ["explain", "--workdir", str(material.run), name, "--output", "written"]
    words += ["--spans=2", "--bands=2", "--max-gradients=2", "--no-grid", "--no-progress"]
    names = ("--window", "--spans", "--bands", "--max-gradients", "--seed", "--channel")
    flags = _strange_flags(rng, names) or _strange_flags(rng, names)
    return Attempt([*words, *flags], f"{mutant.said} as {name!r}")
