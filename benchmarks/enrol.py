"""What enrolling a person does to that person's false alarms, by seconds of enrolment.

Speakers of the dev and eval parts with enough speech are enrolled with some of it and tested on
clips that are not enrolled. People in general are the speakers of the train part; fakes are those
of the eval part, each of them said to be of each person, which is the worst case.

    python -m benchmarks.enrol --data FOLDER --threshold 1.46

FOLDER is in ASVspoof 2019 layout: train.trl.txt, dev.trl.txt, eval.trl.txt, flac/. Prints a
Markdown table.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.adapt import at_equal_acceptance, read_lists
from rawnet_jax.evaluation.adaptation_fit import Recordings
from rawnet_jax.jobs.measured_recordings import Named, measured
from rawnet_jax.metrics.speaker_norm import Population, population_of
from rawnet_jax.presets.catalog import run_folder
from rawnet_jax.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workdir", type=Path, help="default: the default preset")
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 15.0, 60.0])
    parser.add_argument("--test-clips", type=int, default=8)
    parser.add_argument("--most-clips", type=int, default=60, help="more is no single speaker")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    run = Run.open(run_folder(args.workdir))
    rule = run.decision(threshold=args.threshold)

    def scored(part: str, genuine: bool) -> tuple[Recordings, np.ndarray]:
        rows = [row for row in read_lists(args.data) if (row[0], row[4]) == (part, genuine)]
        paths = [str(args.data / "flac" / f"{row[2]}.flac") for row in rows]
        # The path stands for the speaker, so that what cannot be judged is known by its absence.
        named = [Named(path, path, path) for path in paths]
        found = measured(run, rule, named, False, None, part, True)
        speakers = dict(zip(paths, (row[1] for row in rows), strict=True))
        seconds = np.array([soundfile.info(path).duration for path in found.groups])
        return replace(found, groups=tuple(speakers[path] for path in found.groups)), seconds

    (train, _), (fakes, _) = scored("train", True), scored("eval", False)
    people = population_of(train.scores, train.groups)
    print(
        f"{people.num_speakers} people in general: mean {people.mean:.2f}, variance within "
        f"{people.within:.2f}, between {people.between:.2f}; {len(fakes)} fakes\n"
    )
    known = [scored(part, True) for part in ("dev", "eval")]
    heads = ("seconds", "people", "called spoof, none", "enrolled", "fakes accepted, none")
    print("| " + " | ".join((*heads, "enrolled", "as many accepted: none", "enrolled")) + " |")
    print("|---" * 8 + "|")
    for seconds in args.seconds:
        print(_line(seconds, known, fakes.scores, people, args))


def _line(
    seconds: float,
    known: list[tuple[Recordings, np.ndarray]],
    fakes: np.ndarray,
    people: Population,
    args: argparse.Namespace,
) -> str:
    """Return a row of the table: all people with so much speech, all seeds."""
    genuine, raised, claimed, names = [], [], [], []
    for speech, lengths in known:
        groups = np.array(speech.groups)
        for name in dict.fromkeys(speech.groups):
            own = np.flatnonzero(groups == name)
            if len(own) > args.most_clips:
                continue
            for seed in range(args.seeds):
                order = np.random.default_rng(seed).permutation(own)
                enough = np.flatnonzero(np.cumsum(lengths[order]) >= seconds)
                if not len(enough) or len(own) - enough[0] - 1 < args.test_clips:
                    continue
                shift = people.shift(speech.scores[order[: enough[0] + 1]])
                test = speech.scores[order[-args.test_clips :]]
                genuine.append(test)
                raised.append(test + shift)
                claimed.append(fakes + shift)
                names.append(name)
    if not genuine:
        return f"| {seconds:g} | 0 |" + " |" * 6
    before, after = np.concatenate(genuine), np.concatenate(raised)
    plain, shifted = np.tile(fakes, len(names)), np.concatenate(claimed)
    num = int(np.count_nonzero(plain >= args.threshold))
    cells = [
        *(f"{np.count_nonzero(one < args.threshold)} of {one.size}" for one in (before, after)),
        *(f"{np.mean(one >= args.threshold):.1%}" for one in (plain, shifted)),
        str(at_equal_acceptance(before, plain, num)),
        str(at_equal_acceptance(after, shifted, num)),
    ]
    return f"| {seconds:g} | {len(set(names))} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
