"""``score-many``: millions of files in, parts of results out."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, EXIT_UNREADABLE
from rawnet_jax.jobs.options import FIRST

EPILOG = f"""\
Examples:

  python -m rawnet_jax score-many --manifest all.jsonl --output scores/
  python -m rawnet_jax score-many --manifest all.parquet --output s3://bucket/scores \\
      --format parquet --workers 8 --price-per-hour 2.5
  python -m rawnet_jax score-many --manifest all.jsonl --output scores/ --share 3/16

The manifest is divided into shards. The results of a shard are one file, part-NNNNN, which is there
whole or not at all; files that failed come last, in retry-NNNNN. The same command resumes what
a killed one left and reads nothing of a finished shard again. Results are those of the command
score. An output of another run or other settings is refused.

Exit status: 0 every file has a score; {EXIT_UNREADABLE} a file could not be read;
{EXIT_CANNOT_JUDGE} all could be read, but one cannot be judged; 2 an error; 130 Ctrl-C; 143
SIGTERM. After 2, 130 and 143 the same command goes on.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Score the files of a manifest by workers that may be killed at any time."
    parser.epilog = EPILOG
    parser.add_argument(
        "--manifest", required=True, type=Path, metavar="FILE", help="of the command manifest"
    )
    parser.add_argument(
        "--output", required=True, metavar="URI", help="folder, or s3://, gs://, az:// prefix"
    )
    flags.add_run(parser)
    parser.add_argument("--seed", metavar="N", help="see score")
    _add_scoring(parser.add_argument_group("how a file is scored"))
    _add_work(parser.add_argument_group("who does the work"))
    _add_watching(parser.add_argument_group("watching"))
    parser.set_defaults(takes_overrides=True)


def _add_scoring(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--aggregate",
        choices=(FIRST, "mean", "max_spoof", "trimmed"),
        help="see score (default: as the run was evaluated)",
    )
    flags.add_channel(group)
    flags.add_speech(group, "see score")
    flags.add_decision(group)
    group.add_argument(
        "--max-duration",
        type=float,
        default=86_400.0,
        metavar="S",
        help="longer files are not read (default: 24 hours)",
    )
    group.add_argument(
        "--format",
        choices=("jsonl", "parquet"),
        default="jsonl",
        help="of the parts; parquet takes the extra scale (default: %(default)s)",
    )


def _add_work(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--runner",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or actors of a Ray cluster, extra ray (default: "
        "%(default)s)",
    )
    group.add_argument("--address", metavar="HOST:PORT", help="of Ray (default: start one here)")
    group.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes or actors, each with the model (default: one per four cores)",
    )
    group.add_argument(
        "--decoders",
        type=int,
        default=0,
        metavar="N",
        help="Ray actors without the model that decode for the others, such as CPUs for a GPU "
        "(default: 0, each decodes itself)",
    )
    group.add_argument(
        "--num-workers",
        type=int,
        default=0,
        metavar="N",
        help="threads of each that decode (default: one per core)",
    )
    group.add_argument(
        "--concurrency",
        type=int,
        default=16,
        metavar="N",
        help="files that each fetches at once (default: %(default)s)",
    )
    group.add_argument(
        "--shard-mb",
        type=float,
        default=256.0,
        metavar="MB",
        help="of recordings in a shard (default: %(default)g)",
    )
    group.add_argument(
        "--shard-files",
        type=int,
        default=1000,
        metavar="N",
        help="in a shard, at most (default: %(default)s)",
    )
    group.add_argument(
        "--shard-timeout",
        type=float,
        metavar="S",
        help="a shard that takes longer is split (default: none is)",
    )
    group.add_argument(
        "--share",
        default="0/1",
        metavar="I/N",
        help="take only every Nth shard, from the Ith on; for several runners on one output",
    )


def _add_watching(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--price-per-hour",
        type=float,
        metavar="X",
        help="of all machines of this runner, for the cost of a million files",
    )
    group.add_argument(
        "--textfile", type=Path, metavar="FILE", help="for Prometheus' node exporter, .prom"
    )
    flags.add_progress(group)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.score_many import ScoreManyOptions, score_many

    return score_many(flags.run_options_of(ScoreManyOptions, args, overrides))
