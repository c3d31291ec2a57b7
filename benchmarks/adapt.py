"""What adapting a detector does for the speakers that it wrongs most.

Speakers of the eval part with enough clips are ordered by how much of their speech the detector
calls spoof; for each of the worst, clips are drawn to adapt to, and the others are the test. The
fakes that the adaptation sees are those of the dev part, those of the test are of the eval part.
Genuine speech of other people that it holds on to is of the dev part, too, unless --alone.

    python benchmarks/adapt.py --data FOLDER --threshold 1.46

FOLDER is in ASVspoof 2019 layout: dev.trl.txt, eval.trl.txt, flac/. Prints a Markdown table.
"""

import argparse
from pathlib import Path

import numpy as np

from rawnet_jax.evaluation.adaptation import adapt
from rawnet_jax.evaluation.adaptation_fit import Goal, Recordings
from rawnet_jax.jobs.measured_recordings import Named, measured
from rawnet_jax.presets.catalog import run_folder
from rawnet_jax.run import Run


def read_lists(data: Path) -> list[tuple[str, str, str, str, bool]]:
    """Return partition, speaker, utterance, attack and whether it is genuine, of each line."""
    rows = []
    for part in ("train", "dev", "eval"):
        for line in (data / f"{part}.trl.txt").read_text().splitlines():
            speaker, utterance, _, attack, key = line.split()
            rows.append((part, speaker, utterance, attack, key == "bonafide"))
    return rows


def at_equal_acceptance(genuine: np.ndarray, fakes: np.ndarray, num_accepted: int) -> int:
    """Return how much genuine speech is called spoof where so many fakes are accepted."""
    threshold = np.sort(fakes)[::-1][num_accepted - 1]
    return int(np.count_nonzero(genuine < threshold))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workdir", type=Path, help="default: the default preset")
    parser.add_argument("--threshold", type=float, required=True, help="of before")
    parser.add_argument("--speakers", type=int, default=3)
    parser.add_argument("--least-clips", type=int, default=15, help="of a speaker")
    parser.add_argument(
        "--most-clips", type=int, default=60, help="a speaker with more is probably not one person"
    )
    parser.add_argument("--clips", type=int, default=10, help="that are adapted to")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="no speech of others to hold on to")
    args = parser.parse_args()
    run = Run.open(run_folder(args.workdir))
    rule = run.decision(threshold=args.threshold)

    def scored(part: str, genuine: bool) -> Recordings:
        rows = [row for row in read_lists(args.data) if (row[0], row[4]) == (part, genuine)]
        named = [
            Named(row[2], str(args.data / "flac" / f"{row[2]}.flac"), row[1] if genuine else row[3])
            for row in rows
        ]
        return measured(run, rule, named, True, None, part, True)

    speech, known, fakes = scored("eval", True), scored("dev", False), scored("eval", False)
    held = None if args.alone else scored("dev", True)
    sizes = {name: speech.groups.count(name) for name in dict.fromkeys(speech.groups)}
    wrongs = {
        name: float(np.mean(speech.called_spoof[np.array(speech.groups) == name]))
        for name, size in sizes.items()
        if args.least_clips <= size <= args.most_clips
    }
    worst = sorted(wrongs, key=lambda name: -wrongs[name])[: args.speakers]
    num_accepted = int(np.count_nonzero(~fakes.called_spoof))
    print(f"{len(known)} fakes to adapt with, {len(fakes)} to test with\n")
    heads = ("speaker", "seed", "before", "threshold alone", "last layer", "at equal acceptance")
    print("| " + " | ".join((*heads, "fakes accepted", "other speakers")) + " |")
    print("|---" * 8 + "|")
    sums, of_others = np.zeros(5, int), np.zeros(4, int)
    for name in worst:
        for seed in range(args.seeds):
            mine = np.flatnonzero(np.array(speech.groups) == name)
            chosen = np.random.default_rng(seed).permutation(mine)[: args.clips]
            ours = np.isin(np.arange(len(speech)), chosen)
            test = speech.rows(np.isin(np.arange(len(speech)), mine) & ~ours)
            plain, layer = (
                adapt(
                    *(speech.rows(ours), known, Goal(last_layer=last)),
                    threshold=args.threshold,
                    others=held,
                )
                for last in (False, True)
            )
            fitted = layer.fitted
            genuine, others = test.changed(fitted.change), fakes.changed(fitted.change)
            passed = int(np.count_nonzero(others >= fitted.threshold))
            found = [
                int(np.count_nonzero(test.called_spoof)),
                int(np.count_nonzero(test.scores < plain.fitted.threshold)),
                int(np.count_nonzero(genuine < fitted.threshold)),
                at_equal_acceptance(genuine, others, num_accepted),
            ]
            sums += [*found, len(test)]
            cells = " | ".join(f"{num} of {len(test)}" for num in found)
            share = f"{num_accepted / len(fakes):.1%} to {passed / len(fakes):.1%}"
            rest = speech.rows(~np.isin(np.arange(len(speech)), mine))
            wronged = int(np.count_nonzero(rest.changed(fitted.change) < fitted.threshold))
            equal = at_equal_acceptance(rest.changed(fitted.change), others, num_accepted)
            now = np.array([np.count_nonzero(rest.called_spoof), wronged, equal, len(rest)])
            of_others += now
            theirs = f"{now[0]} to {now[1]}, at equal acceptance {now[2]}, of {now[3]}"
            print(f"| {name} | {seed} | {cells} | {share} | {theirs} |")
    before, after, equal, num = of_others
    theirs = f"{before} to {after}, at equal acceptance {equal}, of {num}"
    print("| all | | " + " | ".join(f"{num} of {sums[4]}" for num in sums[:4]), end="")
    print(f" | | {theirs} |")


if __name__ == "__main__":
    main()
