"""Whom a detector wrongs: false alarms on genuine speech by language, sex, age, codec, length.

    python -m benchmarks.fairness --packages --root / --output runs/fairness
    python -m benchmarks.fairness --manifest speech.csv --by language codec --output runs/mine

--packages scores the packages of benchmarks/fairness.toml that are installed below --root (or that
`dpkg -x` unpacked there). --manifest is a CSV file with the column path, below its folder; each
other column is a group, and rows whose label is spoof are passed over. Both may be given. Words
are joined with the next ones of their speaker up to --join seconds, as they are recorded; of a
speaker --most recordings are taken, evenly. A group's interval is Wilson's, by speakers where it
has several (`rawnet_jax.metrics.fairness`). Writes scores.csv and fairness.md.
"""

import argparse
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

import rawnet_jax
from benchmarks.machine import num_cores, processor
from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.csv_text import csv_rows, csv_text
from rawnet_jax.detector import Detector
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.common_names import length_band, under_common_names
from rawnet_jax.labels import Label
from rawnet_jax.metrics.breakdown import UNSTATED
from rawnet_jax.metrics.fairness import FairnessRow, FairnessTable, fairness
from rawnet_jax.terminal import show

PACKAGES = Path(__file__).with_suffix(".toml")
BY = ("language", "sex", "age", "codec", "length", "people", "joined", "speaker")
TRAINED_ON = ("ar", "de", "en", "nl")
"""Languages of the genuine speech that `general_1` was trained on."""

_TOGETHER = 400  # recordings in memory at a time
_UNLIKE = "unlike anything"
_EMPTY = 1e-3  # of full scale; a channel without a larger sample


@dataclass(frozen=True, slots=True)
class Speech:
    """One recording that is scored.

    Attributes:
        paths: of its files, which are joined.
        groups: what is known of it, by column.
    """

    paths: tuple[Path, ...]
    groups: dict[str, str]


@dataclass(slots=True)
class Scored:
    """What a detector says of genuine recordings; a recording without a score has a NaN."""

    scores: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    columns: dict[str, list[str | None]] = field(default_factory=lambda: defaultdict(list))

    def add(self, score: float | None, reason: str | None, groups: dict[str, str]) -> None:
        """Add a recording; `reason` is why it has no verdict."""
        for name in [one for one in groups if one not in self.columns]:
            self.columns[name] = [None] * len(self.scores)
        self.scores.append(np.nan if score is None or reason else score)
        self.reasons.append(reason or "")
        for name, column in self.columns.items():
            column.append(groups.get(name) or None)


def from_packages(root: Path, table: Path) -> list[Speech]:
    """Return the recordings of packages below a root; those that are not there are passed over."""
    described = tomllib.loads(table.read_text("utf-8"))
    languages = described["languages"]
    found = []
    for source in described["source"]:
        pattern = re.compile(source.pop("path"))
        begin = root / _fixed_part(pattern.pattern)
        for path in sorted(begin.rglob("*")):
            match = pattern.search(path.relative_to(root).as_posix())
            if match is None or path.is_symlink():
                continue
            groups = {key: value.format(**match.groupdict()) for key, value in source.items()}
            groups["language"] = languages.get(groups["language"], groups["language"])
            found.append(Speech((path,), groups))
    return found


def _fixed_part(pattern: str) -> str:
    """Return the folder that all paths of a pattern begin with."""
    return re.split(r"[\\(\[.]", pattern.removeprefix("^"))[0].rpartition("/")[0]


def from_manifest(path: Path) -> list[Speech]:
    """Return the genuine recordings of a CSV file.

    Raises:
        DataError: it cannot be read, has no column path, or names a file that is not there.
    """
    try:
        head, *rows = csv_rows(path.read_text("utf-8"))
        cells = [dict(zip(head, row, strict=True)) for row in rows]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no CSV file with a header: {error}") from error
    if "path" not in head:
        raise DataError(f"{path}: its header must have a column path; it has {', '.join(head)}")
    found = []
    for number, groups in enumerate(cells, 2):
        recording = path.parent / groups.pop("path")
        if groups.pop("label", "bonafide") != "bonafide":
            continue
        if not recording.is_file():
            raise DataError(f"{path}:{number}: {recording} is not there")
        found.append(Speech((recording,), groups))
    return found


def drawn(speech: Sequence[Speech], most: int, seconds: float) -> list[Speech]:
    """Return recordings of at least so many seconds where they can be joined, so many a speaker.

    Neighbours of one speaker are joined if their rates and channels are the same. A last one that
    stays shorter is kept as it is.
    """
    of: dict[str, list[Speech]] = defaultdict(list)
    for number, one in enumerate(speech):
        of[one.groups.get("speaker") or str(number)].append(one)
    found = []
    for own in of.values():
        joined = list(_joined(own, seconds)) if seconds else own
        at = np.unique(np.linspace(0, len(joined) - 1, min(most, len(joined))).astype(int))
        found += [joined[position] for position in at.tolist()]
    return found


def _joined(speech: Sequence[Speech], seconds: float) -> Iterator[Speech]:
    waiting: list[Speech] = []
    length, kind = 0.0, (0, 0)
    for one in speech:
        info = soundfile.info(one.paths[0])
        if waiting and kind != (info.samplerate, info.channels):
            yield _together(waiting)
            waiting, length = [], 0.0
        waiting, length = [*waiting, one], length + info.duration
        kind = (info.samplerate, info.channels)
        if length >= seconds:
            yield _together(waiting)
            waiting, length = [], 0.0
    if waiting:
        yield _together(waiting)


def _together(speech: Sequence[Speech]) -> Speech:
    paths = tuple(path for one in speech for path in one.paths)
    how = "as recorded" if len(paths) == 1 else "words joined"
    return Speech(paths, speech[0].groups | {"joined": how})


def scored(detector: Detector, speech: Sequence[Speech]) -> Scored:
    """Score recordings; their lengths and, where none are stated, codecs are groups too."""
    found = Scored()
    for start in range(0, len(speech), _TOGETHER):
        part = speech[start : start + _TOGETHER]
        for one, result in zip(part, detector.score([samples_of(s) for s in part]), strict=True):
            seconds = result.duration_s or 0.0
            groups = one.groups | {"length": length_band(seconds)}
            if "codec" not in groups:
                groups["codec"] = _codec(one.paths[0])
            found.add(result.score, result.reason, groups)
    return found


def samples_of(speech: Speech) -> tuple[np.ndarray, int]:
    """Return float32 [n, channels], the files one after another, and their rate.

    Channels that hold nothing are left out, and files that end within a packet are read as far as
    they go: the detector refuses both.
    """
    parts = [soundfile.read(path, dtype="float32", always_2d=True) for path in speech.paths]
    samples = np.concatenate([part for part, _ in parts])
    is_used = np.abs(samples).max(axis=0) > _EMPTY
    return samples[:, is_used] if is_used.any() else samples, parts[0][1]


def _codec(path: Path) -> str:
    info = soundfile.info(path)
    name = {"VORBIS": "Vorbis", "OPUS": "Opus", "GSM610": "GSM"}.get(info.subtype, "PCM")
    return f"{name}, {info.samplerate / 1000:g} kHz"


def tables(found: Scored, by: str, thresholds: Sequence[float]) -> list[FairnessTable]:
    """Return who of a column is called spoof at each threshold; without a verdict = not counted."""
    keep = np.flatnonzero(np.isfinite(found.scores)).tolist()
    columns = under_common_names(found.columns)
    groups = [columns[by][at] for at in keep]
    speakers = columns.get("speaker")
    return [
        fairness(
            np.array(found.scores)[keep],
            np.full(len(keep), Label.BONAFIDE),
            groups,
            threshold,
            speakers=None if speakers is None else [speakers[at] for at in keep],
        )
        for threshold in thresholds
    ]


def report(found: Scored, by: Sequence[str], thresholds: Sequence[float]) -> list[str]:
    """Return a table for each column, in Markdown, the worst group at the last threshold first."""
    lines = []
    columns = under_common_names(found.columns)
    for name in by:
        if name not in columns:
            continue
        made = tables(found, name, thresholds)
        heads = [f"called spoof at {threshold:.3g}" for threshold in thresholds]
        lines += [f"| {name} | speakers | judged | {' | '.join(heads)} | unlike training | other |"]
        lines += ["|---" + "|---:" * (len(heads) + 4) + "|"]
        value = [UNSTATED if one is None else one for one in columns[name]]
        for row in [*made[-1].rows, made[-1].overall]:
            is_all = row is made[-1].overall
            own = [n for n, one in enumerate(value) if is_all or one == row.group]
            refused = [found.reasons[n] for n in own if found.reasons[n]]
            unlike = sum(_UNLIKE in reason for reason in refused)
            rates = [_rate(_row_of(table, row.group, is_all)) for table in made]
            cells = (row.num_speakers or "", row.num_bonafide, *rates)
            tail = (f"{unlike} of {len(own)}", len(refused) - unlike)
            mark = f"{_marked(name, row.group)} | " + " | ".join(map(str, (*cells, *tail)))
            lines.append(f"| {mark} |")
        silent = sorted(set(value) - {row.group for row in made[-1].rows})
        said = [_said(name, table) for table in made]
        said += [f"No recording has a verdict: {', '.join(silent)}."] if silent else []
        lines += ["", *said, ""]
    return lines


def _marked(name: str, group: str) -> str:
    return f"{group} (trained on)" if name == "language" and group in TRAINED_ON else group


def _row_of(table: FairnessTable, group: str, is_all: bool) -> FairnessRow:
    return table.overall if is_all else next(row for row in table.rows if row.group == group)


def _rate(row: FairnessRow) -> str:
    low, high = 100 * row.interval.low, 100 * row.interval.high
    return f"{row.num_rejected} ({100 * row.p_miss:.1f} %, {low:.1f} to {high:.1f})"


def _said(name: str, table: FairnessTable) -> str:
    out = [row.group for row in table.rows if table.stands_out(row)]
    worst = "none" if table.worst is None else table.worst.group
    above = f"; clearly above all: {', '.join(out)}" if out else ""
    return f"Worst by {name} at {table.threshold:.3g}: {worst}{above}."


def scores_csv(speech: Sequence[Speech], found: Scored) -> str:
    """Return every recording with its groups, score and reason, as CSV."""
    names = list(found.columns)
    rows: list[list[object]] = [["path", "files", "score", "reason", *names]]
    for number, one in enumerate(speech):
        groups = [found.columns[name][number] for name in names]
        score, reason = found.scores[number], found.reasons[number]
        rows.append([str(one.paths[0]), len(one.paths), score, reason, *groups])
    return csv_text(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", type=Path, nargs="*", default=[], help="CSV files")
    parser.add_argument("--packages", action="store_true", help="those of benchmarks/fairness.toml")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where packages are")
    parser.add_argument("--workdir", help="run or preset; default: the default preset")
    parser.add_argument("--threshold", type=float, nargs="*", default=[1.46], help="further ones")
    parser.add_argument("--by", nargs="*", default=list(BY), help="columns")
    parser.add_argument("--join", type=float, default=2.0, help="seconds; 0 = join nothing")
    parser.add_argument("--most", type=int, default=120, help="recordings of a speaker")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        speech = from_packages(options.root, PACKAGES) if options.packages else []
        speech += [one for path in options.manifest for one in from_manifest(path)]
        speech = drawn(speech, options.most, options.join)
    except (DataError, soundfile.SoundFileError) as error:
        parser.error(str(error))
    if not speech:
        parser.error("no recording; give --manifest, or --packages that are below --root")
    detector = rawnet_jax.load(options.workdir)
    found = scored(detector, speech)
    own = detector.info.threshold
    lines = report(found, options.by, [own, *options.threshold])
    heading = f"{detector.info.name}, {len(speech)} recordings; {processor()}, {num_cores()} cores"
    options.output.mkdir(parents=True, exist_ok=True)
    write_text_atomically(options.output / "scores.csv", scores_csv(speech, found))
    write_text_atomically(options.output / "fairness.md", "\n".join([heading, "", *lines]) + "\n")
    show("\n".join([heading, "", *lines]))


if __name__ == "__main__":
    main()
