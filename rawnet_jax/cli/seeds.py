"""``seeds``: mean, spread and pooled system of runs that differ in their seed."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rawnet_jax.atomic_file import make_folder, write_text_atomically
from rawnet_jax.cli.fuse import add_protocol_arguments
from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.data.score_file import write_scores
from rawnet_jax.evaluation.seeds import (
    SeedRun,
    read_run,
    seeds_record,
    summarise_seeds,
)
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.reports.seeds_table import format_seeds

EPILOG = """\
Example (one run with --config.train.num_seeds=3 gives the same, sooner):

  for seed in 0 1 2; do
    python train.py --config configs/X.py --workdir runs/x$seed --config.train.seed=$seed
    python evaluate.py --workdir runs/x$seed
  done
  python -m rawnet_jax seeds runs/x0 runs/x1 runs/x2 --output runs/x_seeds

Written with --output: seeds.json, and scores.txt with the mean of the runs' scores.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "seeds",
        help="compare runs that differ in their seed, and pool them",
        description="Mean, standard deviation, best and worst of every metric over runs of one "
        "config with different seeds, and the same of the system that averages their scores.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="work directory of an evaluated run, or a score file; two or more",
    )
    parser.add_argument(
        "--partition",
        choices=("eval", "dev", "train"),
        default="eval",
        help="which scores of a work directory (default: %(default)s)",
    )
    add_protocol_arguments(parser, "--protocol", "keys, where the score files have none")
    parser.add_argument(
        "--asv-scores", type=Path, metavar="FILE", help="ASV scores, for the tandem metrics"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    trials = read_protocol(args.protocol, args.corpus) if args.protocol else []
    asv = read_asv_scores(args.asv_scores) if args.asv_scores else None
    runs = [read_run(path, args.partition, trials) for path in args.runs]
    report_seeds(runs, asv, args.output)
    return 0


def report_seeds(runs: Sequence[SeedRun], asv: AsvScores | None, output: Path | None) -> None:
    """Print metrics over several runs; write them and the averaged scores where asked to."""
    summary = summarise_seeds(runs, asv=asv)
    print(format_seeds(summary))
    if output:
        make_folder(output)
        record = json.dumps(seeds_record(summary), indent=2, allow_nan=False, ensure_ascii=False)
        write_text_atomically(output / "seeds.json", record + "\n")
        write_scores(output / "scores.txt", summary.pooled)
        print(f"\nmetrics: {output / 'seeds.json'}")
        print(f"scores:  {output / 'scores.txt'} (pooled)")
