"""What a pool says of itself: protocols, manifest, licences, and a page for readers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rawnet_jax.csv_text import Row, csv_text
from rawnet_jax.pool.backgrounds import FOLDERS, LENGTH_S, WrittenBackground
from rawnet_jax.pool.confounds import FEATURE_TABLE, MANIFEST_TABLE
from rawnet_jax.pool.features import FEATURES
from rawnet_jax.pool.folds import NOWHERE
from rawnet_jax.pool.listing import Piece, attack_ids, protocols
from rawnet_jax.pool.plan import PoolPlan
from rawnet_jax.pool.table import FAKE, FOLDS, GROUPS, REAL
from rawnet_jax.simulate.corpus_writer import write_lines

PROTOCOL_FOLDER = "protocols"
"""Folder of the protocols below a pool."""

_LAWS = (
    *(
        "length_s",
        "colour_db",
        "band_hz",
        "noise_db",
        "noise_tilt",
        "codec",
        "codec_rate",
        "codec_hz",
    ),
    "level_dbfs",
)
_COLUMNS = (
    *("path", "label", "speaker", "attack", "utterance", "system", "family", "source", "settings"),
    *("group", *FOLDS),
    *("language", "channel", "licence", "repository", "commit", "source_path", "source_blob"),
    *("start_s", "sha256", *(f"law_{name}" for name in _LAWS)),
)

_CUT = "first channel, resampled, cut to {:g} s, peak set"
_CHANGED = {
    "piece": "cut into pieces, resampled, trimmed, noise and codec added, level set",
    **{kind: f"{kind}s: {_CUT.format(seconds)}" for kind, seconds in LENGTH_S.items()},
}
"""What is done to what."""

_LIST_COLUMNS = ("path", "label", "speaker", "attack", "utterance_id", "source", "family")
"""Of the lists for ``config.data.corpus=manifest``: `config.data.pairs` reads ``source``."""


def write_papers(
    folder: Path,
    plan: PoolPlan,
    pieces: Sequence[Piece],
    backgrounds: Sequence[WrittenBackground],
    record: Mapping[str, Any],
) -> None:
    """Write all that stands beside the pieces.

    Args:
        folder: of the pool.
        plan: that it was built by.
        pieces: in the order of their names.
        backgrounds: noises and impulse responses.
        record: what the manifest says of the whole.
    """
    _write_csv(folder / MANIFEST_TABLE, _COLUMNS, map(_row, pieces))
    sides = [f"{side}_{name}" for side in ("source", "piece") for name in FEATURES]
    _write_csv(folder / FEATURE_TABLE, ("utterance", *sides), map(_feature_row, pieces))
    attacks = attack_ids([piece.recording for piece in pieces])
    family_of = {piece.recording.system: piece.recording.family for piece in pieces}
    _write_csv(
        folder / "attacks.csv",
        ("attack", "system", "family", "group"),
        (
            (attack, system, family_of[system], plan.table.families[family_of[system]])
            for system, attack in attacks.items()
        ),
    )
    (folder / PROTOCOL_FOLDER).mkdir(exist_ok=True)
    for name, chosen in protocols(pieces).items():
        write_lines(folder / PROTOCOL_FOLDER / name, [piece.line for piece in chosen])
        table = Path(name).with_suffix("").with_suffix(".csv").name
        _write_csv(folder / PROTOCOL_FOLDER / table, _LIST_COLUMNS, map(_list_row, chosen))
    _write_licences(folder, plan, pieces, backgrounds)
    page = [*_page(plan, pieces, record), *_noises_and_rooms(backgrounds)]
    write_lines(folder / "README.md", page)


def counted(pieces: Iterable[Piece], column: str) -> list[tuple[str, str, int]]:
    """Return (label, value, number of pieces) of one attribute of the recordings, largest first."""
    counts = Counter((p.recording.label, str(getattr(p.recording, column))) for p in pieces)
    return [
        (*key, counts[key]) for key in sorted(counts, key=lambda key: (key[0], -counts[key], key))
    ]


def _row(piece: Piece) -> Row:
    recording, made = piece.recording, piece.made
    laws = made["laws"]
    row = (
        *(f"flac/{piece.name}.flac", recording.label, recording.speaker, piece.attack, piece.name),
        *(recording.system, recording.family, made["source"], _text(made["settings"])),
        recording.group,
        *(piece.parts[fold] for fold in FOLDS),
        *(recording.language, recording.channel, recording.licence),
        *(recording.repository, recording.commit),
        *(" | ".join(recording.paths), " ".join(recording.blobs)),
        *(made["start_s"], made["sha256"], *(_law(laws[name]) for name in _LAWS)),
    )
    return [None if cell == NOWHERE else cell for cell in row]  # blank, as tables have it


def _text(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _list_row(piece: Piece) -> Row:
    recording = piece.recording
    return (
        *(f"flac/{piece.name}.flac", recording.label, recording.speaker, piece.attack, piece.name),
        *(piece.made["source"], recording.family),
    )


def _law(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _feature_row(piece: Piece) -> Row:
    sides = (piece.made["source_features"], piece.made["features"])
    return (piece.name, *(side[name] for side in sides for name in FEATURES))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    path.write_text(csv_text([header, *rows]), encoding="utf-8", newline="\n")


def _write_licences(
    folder: Path,
    plan: PoolPlan,
    pieces: Sequence[Piece],
    backgrounds: Sequence[WrittenBackground],
) -> None:
    """Write whom to name for what, and the texts of the licences."""
    texts = folder / "licences"
    texts.mkdir(exist_ok=True)
    counts = Counter((p.recording.repository, p.recording.licence, "piece") for p in pieces)
    sounds = [each.background for each in backgrounds]
    counts.update((each.repository, each.licence, each.kind) for each in sounds)
    lines = ["# Licences and attribution", ""]
    for each in plan.sources:
        if plan.is_clean and not each.recordings:
            continue
        source = each.source
        own = {key[1:]: number for key, number in counts.items() if key[0] == source.repository}
        kinds = {kind for _, kind in own}
        file = f"{source.repository.replace('/', '+')}.txt"
        write_lines(texts / file, ["\n\n".join(each.licence_texts)])
        lines += [
            f"## {source.repository}",
            "",
            f"- {source.attribution}",
            f"- https://github.com/{source.repository} at commit {source.commit}",
            *(
                f"- {licence}: {number} {kind}{'s' * (number != 1)}"
                for (licence, kind), number in sorted(own.items())
            ),
            f"- text: licences/{file} ({source.licence_file})",
            *(f"- changed: {told}" for kind, told in _CHANGED.items() if kind in kinds),
            "",
        ]
    write_lines(folder / "LICENCES.md", lines)


def _noises_and_rooms(backgrounds: Sequence[WrittenBackground]) -> list[str]:
    if not backgrounds:
        return []
    lines = ["## Noises and rooms", "", "| folder | files | seconds |", "|---|---:|---:|"]
    for kind, name in FOLDERS.items():
        lengths = [each.seconds for each in backgrounds if each.background.kind == kind]
        lines.append(f"| {name} | {len(lengths)} | {sum(lengths):.1f} |")
    return [*lines, ""]


def _page(plan: PoolPlan, pieces: Sequence[Piece], record: Mapping[str, Any]) -> list[str]:
    lines = [
        "# Training pool made by rawnet_jax build-pool",
        "",
        f"Table {plan.table.digest[:16]} (version {plan.table.version}, seed {plan.table.seed}); "
        f"pieces {record['digest']}.",
        "",
        *_differences(plan),
        "## Parts",
        "",
        "| list | bona fide | spoof | speakers | families |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, chosen in protocols(pieces).items():
        labels = Counter(piece.recording.label for piece in chosen)
        speakers = {piece.recording.speaker for piece in chosen}
        families = {p.recording.family for p in chosen if p.recording.label == FAKE}
        lines.append(
            f"| protocols/{name} | {labels[REAL]} | {labels[FAKE]} | {len(speakers)} "
            f"| {len(families)} |"
        )
    lines += [
        "",
        "No speaker and no engine family is in two parts of a fold, or in test and elsewhere.",
        "Lists named `matched` hold a part of their list whose classes level, pauses, noise, band, "
        "codec and length do not tell apart; confounds.txt says how well that is so. "
        "Lists named `clear` hold the pieces that kept their band, with little noise.",
        "",
        *_families(plan, pieces),
        *_channels(pieces),
        *_counts(pieces),
    ]
    return lines


def _differences(plan: PoolPlan) -> list[str]:
    if not plan.problems:
        return []
    told = [f"- {problem}" for problem in plan.problems]
    return ["**This pool differs from the table**:", "", *told, ""]


def _families(plan: PoolPlan, pieces: Sequence[Piece]) -> list[str]:
    lines = [
        "## Engine families",
        "",
        "| group | family | pieces | systems |",
        "|---|---|---:|---|",
    ]
    systems: dict[str, set[str]] = defaultdict(set)
    counts = Counter(p.recording.family for p in pieces if p.recording.label == FAKE)
    for piece in pieces:
        systems[piece.recording.family].add(piece.recording.system)
    for family, group in sorted(plan.table.families.items(), key=lambda x: GROUPS.index(x[1])):
        if counts[family]:
            names = ", ".join(sorted(systems[family]))
            lines.append(f"| {group} | {family} | {counts[family]} | {names} |")
    return [*lines, ""]


def _channels(pieces: Sequence[Piece]) -> list[str]:
    """Say what shares a channel: the same kind of file from the same place."""
    lines = [
        "## What shares a channel",
        "",
        "Recordings of one channel came the same way: same codec, rate and place. A dev part whose "
        "channel is also in training says less of new recordings.",
        "",
        "| channel | bona fide in | spoof in |",
        "|---|---|---|",
    ]
    sides: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for piece in pieces:
        recording = piece.recording
        sides[recording.channel][recording.label][recording.group] += 1
    for channel in sorted(sides):
        told = [
            ", ".join(f"{group} {count}" for group, count in sorted(sides[channel][label].items()))
            for label in (REAL, FAKE)
        ]
        lines.append(f"| {channel} | {told[0]} | {told[1]} |")
    return [*lines, ""]


def _counts(pieces: Sequence[Piece]) -> list[str]:
    lines: list[str] = []
    for column, title in (
        ("repository", "Sources"),
        ("licence", "Licences"),
        ("language", "Languages"),
    ):
        lines += [f"## {title}", "", f"| label | {column} | pieces |", "|---|---|---:|"]
        lines += [
            f"| {label} | {value} | {number} |" for label, value, number in counted(pieces, column)
        ]
        lines.append("")
    return lines
