"""What adapting a detector does for the speakers that it wrongs most.

    python -m benchmarks.adapt --data FOLDER --threshold 1.46
    python -m benchmarks.adapt --data FOLDER --threshold 1.46 --seconds 60 --through \
        --manifest speech.csv --packages

Speakers with enough speech are ordered by how much of it the detector calls spoof; for each of the
worst, recordings are drawn to adapt to, --seconds in all, and the others are the test. With
--together the chosen speakers are one group: each is the test in turn, and it is adapted to the
others. Speech is that of the eval part of --data, or that of --manifest and --packages (see
`benchmarks.fairness`), cut to pieces of --piece seconds. The fakes that the adaptation sees are
those of the dev part, those of the test are of the eval part; with --through both go through the
rate and codec of the speaker's files first, so that a channel does not tell them apart. Genuine
speech of other people that it holds on to is of the dev part, too, unless --alone; the other
speakers of the table are those of the eval part. --vocoder has a vocoder of `vocode`, or the folder
of one, copy the speaker's own test recordings: fakes of this very voice, over this very channel;
with --against-copies, copies of the recordings that it is adapted to are among its fakes.

FOLDER is in ASVspoof 2019 layout: dev.trl.txt, eval.trl.txt, flac/. Prints a Markdown table.
"""

import argparse
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from benchmarks.fairness import PACKAGES, Speech, drawn, from_manifest, from_packages, samples_of
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.model_files import model_vocoders
from rawnet_jax.copy_synthesis.table import chosen
from rawnet_jax.copy_synthesis.vocoder import copy_of
from rawnet_jax.data.given import source_of
from rawnet_jax.evaluation.adaptation import adapt
from rawnet_jax.evaluation.adaptation_fit import Goal, Recordings, joined
from rawnet_jax.jobs.measured_recordings import Named, measured
from rawnet_jax.presets.catalog import run_folder
from rawnet_jax.run import Run

_HEADS = (
    *("speaker", "seed", "before", "threshold alone", "last layer", "at equal acceptance"),
    *("fakes accepted", "other speakers", "own copies accepted"),
)

Channel = tuple[str, int]
"""Codec (of soundfile) and sample rate."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Speech of one person.

    Attributes:
        pieces: that can be judged; their groups are the names of their recordings.
        seconds: of each recording.
        channel: of the files; None = as the lists have it.
        copies: of the pieces, by a vocoder.
    """

    pieces: Recordings
    seconds: dict[str, float]
    channel: Channel | None = None
    copies: Recordings | None = None

    def drawn(self, seconds: float, seed: int) -> np.ndarray:
        """Return bool [N], pieces of as many recordings as make up so many seconds."""
        names = list(dict.fromkeys(self.pieces.groups))
        chosen, total = set(), 0.0
        for at in np.random.default_rng(seed).permutation(len(names)).tolist():
            if total >= seconds:
                break
            chosen.add(names[at])
            total += self.seconds[names[at]]
        return np.array([name in chosen for name in self.pieces.groups])


@dataclass(slots=True)
class Totals:
    """Sums over the rows of the table."""

    mine: np.ndarray = field(default_factory=lambda: np.zeros(5, int))
    others: np.ndarray = field(default_factory=lambda: np.zeros(4, int))
    copies: np.ndarray = field(default_factory=lambda: np.zeros(3, int))


class Bench:
    """A detector, and lists of fakes and of genuine speech."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.run = Run.open(run_folder(options.workdir))
        self.rule = self.run.decision(threshold=options.threshold)
        self._of: dict[tuple[str, bool, Channel | None], Recordings] = {}

    def measured(self, named: Sequence[Named], title: str) -> Recordings:
        """Return scores and embeddings of what can be judged."""
        return measured(self.run, self.rule, named, True, None, title, True)

    def part(self, part: str, genuine: bool, channel: Channel | None = None) -> Recordings:
        """Return one class of a part of the lists, through a channel."""
        key = (part, genuine, channel)
        if key not in self._of:
            named = []
            for of, speaker, utterance, attack, is_genuine in read_lists(self.options.data):
                if (of, is_genuine) == (part, genuine):
                    path = self.options.data / "flac" / f"{utterance}.flac"
                    source: Any = str(path)
                    if channel is not None:
                        samples, rate = soundfile.read(path, dtype="float32")
                        source = through(samples, rate, channel)
                    named.append(Named(utterance, source, speaker if genuine else attack))
            self._of[key] = self.measured(named, part)
        return self._of[key]

    def of_lists(self) -> dict[str, Speaker]:
        """Return the speakers of the eval part; a clip is a recording of its own."""
        found = self.part("eval", True)
        speakers, groups = {}, np.array(found.groups)
        for name in dict.fromkeys(found.groups):
            own = found.rows(groups == name)
            names = tuple(f"{name} {number}" for number in range(len(own)))
            pieces = Recordings(own.scores, own.embeddings, names, own.called_spoof)
            speakers[name] = Speaker(pieces, dict.fromkeys(names, _LIST_SECONDS))
        return speakers

    def of_files(self) -> dict[str, Speaker]:
        """Return the speakers of manifests and packages."""
        options = self.options
        speech = from_packages(options.root, PACKAGES) if options.packages else []
        speech += [one for path in options.manifest for one in from_manifest(path)]
        of: dict[str, list[Speech]] = defaultdict(list)
        for one in speech:
            if not options.only or one.groups.get("speaker") in options.only:
                of[one.groups.get("speaker", "")].append(one)
        return {
            name: self._speaker(name, drawn(own, options.most, options.join))
            for name, own in of.items()
        }

    def _speaker(self, name: str, speech: Sequence[Speech]) -> Speaker:
        named, seconds, copies = [], {}, []
        info = soundfile.info(speech[0].paths[0])
        channel = (info.subtype, info.samplerate) if self.options.through else None
        for number, one in enumerate(speech):
            samples, rate = samples_of(one)
            recording = f"{name} {number}"
            seconds[recording] = len(samples) / rate
            count = max(1, round(seconds[recording] / self.options.piece))
            for piece in np.array_split(samples, count):
                named.append(Named(recording, source_of((piece, rate)), recording))
                if self.options.vocoder:
                    copies.append(Named(recording, self._copy(piece, rate, channel), recording))
        of_voice = self.measured(copies, f"copies of {name}") if copies else None
        return Speaker(self.measured(named, name), seconds, channel, of_voice)

    def _copy(self, piece: np.ndarray, rate: int, channel: Channel | None) -> Any:
        """Return a copy of a piece, behind the channel of the piece."""
        name = self.options.vocoder
        path = Path(name)
        models = model_vocoders([path]) if path.is_dir() else []
        [vocoder] = chosen([models[0].name if models else name], models)
        mono = soxr.resample(piece.mean(axis=1), rate, SAMPLE_RATE_HZ).astype(np.float32)
        rng = np.random.default_rng(len(mono))
        copy = copy_of(np.clip(mono, -1, 1), vocoder, vocoder.draw(rng), rng)
        if channel is None:
            return source_of((copy, SAMPLE_RATE_HZ))
        return through(copy, SAMPLE_RATE_HZ, channel)


_LIST_SECONDS = 2.0  # of a clip of the lists, on average: 10 of them are 20 s


def read_lists(data: Path) -> list[tuple[str, str, str, str, bool]]:
    """Return partition, speaker, utterance, attack and whether it is genuine, of each line."""
    rows = []
    for part in ("train", "dev", "eval"):
        for line in (data / f"{part}.trl.txt").read_text().splitlines():
            speaker, utterance, _, attack, key = line.split()
            rows.append((part, speaker, utterance, attack, key == "bonafide"))
    return rows


def through(samples: np.ndarray, own: int, channel: Channel) -> Any:
    """Return samples of the rate `own` as they are behind a codec and a rate."""
    codec, rate = channel
    samples = np.clip(soxr.resample(samples, own, rate), -1, 1)
    kind = {"VORBIS": "OGG", "OPUS": "OGG", "GSM610": "WAV"}.get(codec)
    if kind is not None:
        stream = io.BytesIO()
        soundfile.write(stream, samples, rate, format=kind, subtype=codec)
        stream.seek(0)
        samples, rate = soundfile.read(stream, dtype="float32")
    return source_of((samples, rate))


def accepting(fakes: np.ndarray, num_accepted: int) -> float:
    """Return the threshold at which so many fakes are accepted."""
    return float(np.sort(fakes)[::-1][num_accepted - 1])


def at_equal_acceptance(genuine: np.ndarray, fakes: np.ndarray, num_accepted: int) -> int:
    """Return how much genuine speech is called spoof where so many fakes are accepted."""
    return int(np.count_nonzero(genuine < accepting(fakes, num_accepted)))


def worst_of(speakers: dict[str, Speaker], num: int, seconds: float) -> list[str]:
    """Return the speakers that are wronged most, of those with half as much more speech."""
    enough = [name for name, one in speakers.items() if sum(one.seconds.values()) >= 1.5 * seconds]
    return sorted(enough, key=lambda name: -float(speakers[name].pieces.called_spoof.mean()))[:num]


def row(
    bench: Bench, ours: Recordings, test: Recordings, rest: Recordings, one: Speaker
) -> tuple[list[int], list[int], list[int], str]:
    """Adapt once.

    Returns:
        Clips of the test called spoof: before, by the threshold alone, by the new last layer, by it
        at equal acceptance; and how many there are. The same of other speakers, without the second.
        Copies of the test that are accepted: before, at equal acceptance, and how many there are.
        Shares of fakes accepted before and after, as text.
    """
    options, channel = bench.options, one.channel
    known, fakes = bench.part("dev", False, channel), bench.part("eval", False, channel)
    held = None if options.alone else bench.part("dev", True, channel)
    if options.against_copies and one.copies is not None:
        known = _joined([known, one.copies.rows(np.isin(one.copies.groups, ours.groups))])
    plain, layer = (
        adapt(ours, known, Goal(last_layer=last), threshold=options.threshold, others=held).fitted
        for last in (False, True)
    )
    num_accepted = int(np.count_nonzero(~fakes.called_spoof))
    of_fakes = fakes.changed(layer.change)

    def after(genuine: Recordings) -> list[int]:
        scores = genuine.changed(layer.change)
        num = int(np.count_nonzero(scores < layer.threshold))
        return [num, at_equal_acceptance(scores, of_fakes, num_accepted), len(genuine)]

    before = int(np.count_nonzero(test.called_spoof))
    alone = int(np.count_nonzero(test.scores < plain.threshold))
    passed = int(np.count_nonzero(of_fakes >= layer.threshold))
    share = f"{num_accepted / len(fakes):.1%} to {passed / len(fakes):.1%}"
    others = [int(np.count_nonzero(rest.called_spoof)), *after(rest)]
    copies = [0, 0, 0]
    if one.copies is not None:
        own = one.copies.rows(np.isin(one.copies.groups, test.groups))
        passed = int(
            np.count_nonzero(own.changed(layer.change) >= accepting(of_fakes, num_accepted))
        )
        copies = [int(np.count_nonzero(~own.called_spoof)), passed, len(own)]
    return [before, alone, *after(test)], others, copies, share


def show_row(name: str, seed: str, sums: Totals, share: str = "") -> None:
    """Print one row of the table."""
    mine, others, copies = sums.mine, sums.others, sums.copies
    cells = " | ".join(f"{num} of {mine[4]}" for num in mine[:4])
    theirs = f"{others[0]} to {others[1]}, at equal acceptance {others[2]}, of {others[3]}"
    own = f"{copies[0]} to {copies[1]} of {copies[2]}" if copies[2] else ""
    print(f"| {name} | {seed} | {cells} | {share} | {theirs} | {own} |", flush=True)


def table(bench: Bench, speakers: dict[str, Speaker], names: Sequence[str]) -> None:
    """Print the table of all chosen speakers and seeds."""
    options, totals = bench.options, Totals()
    print("| " + " | ".join(_HEADS) + " |\n" + "|---" * len(_HEADS) + "|")
    for name in names:
        one = speakers[name]
        rest = bench.part("eval", True, one.channel)
        if one.channel is None:
            rest = rest.rows(np.array(rest.groups) != name)
        own = Totals()
        for seed in range(options.seeds):
            ours = one.drawn(options.seconds, seed)
            mine, test = one.pieces.rows(ours), one.pieces.rows(~ours)
            if options.together:
                parts = [speakers[other] for other in names if other != name]
                mine = _joined(p.pieces.rows(p.drawn(options.seconds, seed)) for p in parts)
                test = one.pieces
            *counts, share = row(bench, mine, test, rest, one)
            this = Totals(*(np.array(numbers) for numbers in counts))
            show_row(name, str(seed), this, share)
            for sums in (own, totals):
                sums.mine += this.mine
                sums.others += this.others
                sums.copies += this.copies
        show_row(f"**{name}**", "", own)
    show_row("all", "", totals)


def _joined(parts: Any) -> Recordings:
    found = joined(*parts)
    assert found is not None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, nargs="*", default=[], help="speech, CSV files")
    parser.add_argument("--packages", action="store_true", help="speech of installed packages")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where packages are")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="speakers that are looked at")
    parser.add_argument("--workdir", type=Path, help="default: the default preset")
    parser.add_argument("--threshold", type=float, required=True, help="of before")
    parser.add_argument("--speakers", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="that are adapted to")
    parser.add_argument("--piece", type=float, default=3.0, help="seconds; longer files are cut")
    parser.add_argument("--join", type=float, default=2.0, help="seconds; shorter ones are joined")
    parser.add_argument("--most", type=int, default=120, help="recordings of a speaker")
    parser.add_argument("--most-clips", type=int, default=60, help="of a speaker of the lists; one "
                        "with more is probably not one person")  # fmt: skip
    parser.add_argument("--through", action="store_true", help="fakes through the speaker's codec")
    parser.add_argument("--vocoder", help="name or folder: copies of the speaker's own voice")
    parser.add_argument("--against-copies", action="store_true", help="adapt to copies, too")
    parser.add_argument("--together", action="store_true", help="the speakers are one group")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="no speech of others to hold on to")
    options = parser.parse_args()
    bench = Bench(options)
    of_files = bool(options.manifest or options.packages)
    speakers = bench.of_files() if of_files else bench.of_lists()
    ranked = speakers if of_files else {
        name: one for name, one in speakers.items() if len(one.pieces) <= options.most_clips
    }  # fmt: skip
    worst = worst_of(ranked, options.speakers, options.seconds)
    for name in ranked:
        one = ranked[name]
        print(f"{name}: {sum(one.seconds.values()):.0f} s, {one.pieces.called_spoof.mean():.0%}")
    print()
    table(bench, speakers, worst)


if __name__ == "__main__":
    main()
