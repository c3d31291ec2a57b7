"""``score``: audio files in, verdicts out."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.data.score_file import SCORE_FILE_FORMS
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE
from rawnet_jax.jobs.options import FIRST, TABLE

FORMATS = (TABLE, "jsonl", "csv", "asvspoof2017", *SCORE_FILE_FORMS)

EPILOG = f"""\
Examples:

  python -m rawnet_jax score --workdir runs/x call.wav
  python -m rawnet_jax score --workdir runs/x recordings/ --output scores.jsonl
  python -m rawnet_jax score --workdir runs/x talk.flac --windows --plot pictures
  find . -name '*.mp3' | python -m rawnet_jax score --workdir runs/x --list - --format csv
  ffmpeg -i talk.mp4 -f wav - | python -m rawnet_jax score --workdir runs/x -

A score is higher the more bona fide a file is. Calibration and threshold are those that evaluate
found on dev trials (calibration.json and threshold.json in the work directory); P(spoof) is that of
somebody who expects spoof with --p-spoof before listening. What should get no verdict,
such as silence or noise without speech, cannot be judged and has no score.

An existing output is resumed: files that it has are skipped, those that could not be read are tried
again. With another run or other settings it is refused.

Exit status: 0 every file has a score; {EXIT_UNREADABLE} a file could not be read, the others are
done; {EXIT_CANNOT_JUDGE} all could be read, but one cannot be judged; 2 an error, such as a wrong
flag, and no file is scored from there on, or a model that gave no finite score to any file; 130
Ctrl-C; 143 SIGTERM.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Score, likelihood ratio, P(spoof) and verdict of audio files: any sample rate, any number "
        "of channels, any length."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="file, folder (searched recursively), quoted pattern such as 'a/**/*.wav', or - for "
        "audio from standard input",
    )
    parser.add_argument(
        "--list",
        dest="lists",
        action="append",
        default=[],
        metavar="FILE",
        help="text file with one PATH per line, relative to the current folder; - = standard "
        "input; may be repeated",
    )
    flags.add_run(parser)
    parser.add_argument(
        "--seed",
        metavar="N",
        help="for a run with several seeds: the one that scores, or averaged: the mean of all",
    )
    _add_scoring(parser.add_argument_group("how a file is scored"))
    _add_results(parser.add_argument_group("what comes out"))
    parser.add_argument(
        "--num-workers",
        type=int,
        default=0,
        metavar="N",
        help="threads that decode (default: one per core)",
    )
    flags.add_progress(parser)
    parser.set_defaults(takes_overrides=True)


def _add_scoring(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--aggregate",
        choices=(FIRST, "mean", "max_spoof", "trimmed"),
        help="the first window that holds speech, or all of a file: mean over its windows, its "
        "most spoofed window, or the mean without extremes (default: as the run was evaluated)",
    )
    flags.add_channel(group)
    flags.add_speech(
        group,
        "windows without speech do not count, and a file without any cannot be judged",
    )
    flags.add_decision(group)
    group.add_argument(
        "--speaker",
        metavar="NAME",
        help="all files are said to be of this person, whom adapt --speaker enrolled: scores are "
        "read against that person's genuine speech",
    )
    group.add_argument(
        "--encoder",
        type=Path,
        metavar="FOLDER",
        help="with --speaker: what is another voice by this encoder keeps its score",
    )
    group.add_argument(
        "--key", type=Path, metavar="FILE", help="with --encoder: the key of the kept voice"
    )
    group.add_argument(
        "--max-duration",
        type=float,
        default=86_400.0,
        metavar="S",
        help="longer files are not read (default: 24 hours)",
    )
    flags.add_stdin(group)


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        choices=FORMATS,
        help="default: by the extension of the output (.jsonl, .csv, .txt = asvspoof2019, .tsv = "
        "asvspoof5), else table",
    )
    group.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write to this file; an existing one is resumed (default: standard output)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace an existing output instead of resuming it"
    )
    group.add_argument(
        "--names",
        choices=("path", "file", "stem"),
        help="what a file is called: path as given, name, or name without extension (default: "
        "path; in score files of challenges stem, asvspoof2017 file)",
    )
    group.add_argument(
        "--windows", action="store_true", help="also write the scores of all windows"
    )
    group.add_argument(
        "--plot",
        type=Path,
        metavar="DIR",
        help="one picture per file: waveform and scores over time",
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.score import ScoreOptions, score

    return score(flags.run_options_of(ScoreOptions, args, overrides))
