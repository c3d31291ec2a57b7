"""``score``: the flags; what it does is in `score_run`."""

import argparse
from pathlib import Path

from rawnet_jax.cli.run_flags import (
    EXIT_CANNOT_JUDGE,
    EXIT_UNREADABLE,
    FIRST,
    TABLE,
    add_channel_argument,
    add_judge_arguments,
    add_run_arguments,
    check_prior_and_channel,
)
from rawnet_jax.data.score_file import SCORE_FILE_FORMS
from rawnet_jax.errors import ConfigError

FORMS = (TABLE, "jsonl", "csv", "asvspoof2017", *SCORE_FILE_FORMS)

EPILOG = f"""\
Examples:

  python -m rawnet_jax score --workdir runs/x call.wav
  python -m rawnet_jax score --workdir runs/x recordings/ --output scores.jsonl
  python -m rawnet_jax score --workdir runs/x talk.flac --windows --plot pictures
  find . -name '*.mp3' | python -m rawnet_jax score --workdir runs/x --list - --format csv
  ffmpeg -i talk.mp4 -f wav - | python -m rawnet_jax score --workdir runs/x -

A score is higher the more bona fide a file is. It is calibrated and judged by what evaluate found
on dev trials (calibration.json and threshold.json in the work directory); P(spoof) is that of
somebody who expects spoof with --p-spoof before listening. What no verdict should be given for,
such as silence, cannot be judged and has no score.

An output that is there already is gone on with: files that it has are skipped, those that could not
be read are tried again. It is refused where run or settings are others.

Exit status: 0 every file has a score; {EXIT_UNREADABLE} a file could not be read, the others are
done; {EXIT_CANNOT_JUDGE} all could be read, but one cannot be judged; 2 an error, such as a wrong
flag, and no file is scored from there on; 130 Ctrl-C.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "score",
        help="score audio files with a trained run",
        description="Score, likelihood ratio, P(spoof) and verdict of audio files: any sample "
        "rate, any number of channels, any length.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="file, folder (with all below it), quoted pattern such as 'a/**/*.wav', or - for "
        "audio from standard input",
    )
    parser.add_argument(
        "--list",
        action="append",
        default=[],
        metavar="FILE",
        help="text file with a PATH a line, relative to the current folder; - = standard input; "
        "may be repeated",
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--seed",
        metavar="N",
        help="of a run of several seeds the one that scores, or averaged: the mean of all",
    )
    _add_scoring(parser.add_argument_group("how a file is scored"))
    _add_results(parser.add_argument_group("what comes out"))
    parser.add_argument(
        "--num-workers",
        type=int,
        default=0,
        metavar="N",
        help="threads that decode (default: one a core)",
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=run, takes_overrides=True)


def _add_scoring(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--aggregate",
        choices=(FIRST, "mean", "max_spoof", "trimmed"),
        help="the first part alone, or all of a file: mean over its windows, its most spoofed "
        "window, or the mean without extremes (default: as the run was evaluated)",
    )
    add_channel_argument(group)
    add_judge_arguments(group)
    group.add_argument(
        "--max-duration",
        type=float,
        default=86_400.0,
        metavar="S",
        help="longer files are not read (default: 24 hours)",
    )


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        choices=FORMS,
        help="default: by the extension of the output (.jsonl, .csv, .txt = asvspoof2019, .tsv = "
        "asvspoof5), else table",
    )
    group.add_argument(
        "--output", type=Path, metavar="FILE", help="instead of standard output; gone on with"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="begin an output anew that is there already"
    )
    group.add_argument(
        "--names",
        choices=("path", "file", "stem"),
        help="what a file is called: path as given, name, or name without extension (default: "
        "path; in score files of challenges stem, asvspoof2017 file)",
    )
    group.add_argument(
        "--windows", action="store_true", help="the time line too: what each window of it got"
    )
    group.add_argument(
        "--plot", type=Path, metavar="DIR", help="a picture a file: waveform and scores over time"
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    if not args.paths and not args.list:
        raise ConfigError("score: a file, a folder, - or --list was wanted")
    args.format = args.format or _by_extension(args.output)
    _check(args)
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.cli.score_run import score_run

    return score_run(args, overrides)


def _check(args: argparse.Namespace) -> None:
    check_prior_and_channel(args)
    if not args.max_duration > 0:
        raise ConfigError(f"--max-duration {args.max_duration:g}: seconds above 0 were wanted")
    if args.num_workers < 0:
        raise ConfigError(f"--num-workers {args.num_workers}: 0 or more was wanted")
    if args.overwrite and args.output is None:
        raise ConfigError("--overwrite: goes with --output only")
    if args.output is not None and args.format == TABLE:
        raise ConfigError("--format table: is for people; a file takes one of the others")
    if args.windows and args.format.startswith("asvspoof"):
        raise ConfigError(f"--windows: {args.format} has one line a file; use jsonl, csv or table")


def _by_extension(output: Path | None) -> str:
    if output is None:
        return TABLE
    forms = {".jsonl": "jsonl", ".csv": "csv", ".txt": "asvspoof2019", ".tsv": "asvspoof5"}
    form = forms.get(output.suffix.lower())
    if form is None:
        raise ConfigError(
            f"--output {output}: its extension names no format; give --format, or one of "
            f"{', '.join(forms)}"
        )
    return form
