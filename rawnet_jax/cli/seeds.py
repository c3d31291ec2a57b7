"""``seeds``: how far the seed moves the metrics of a config."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example (one run with --config.train.num_seeds=3 gives the same, sooner):

  for seed in 0 1 2; do
    python train.py --config configs/X.py --workdir runs/x$seed --config.train.seed=$seed
    python evaluate.py --workdir runs/x$seed
  done
  python -m rawnet_jax seeds runs/x0 runs/x1 runs/x2 --output runs/x_seeds

Written with --output: seeds.json, and scores.txt with the mean of the runs' scores.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Mean, standard deviation, best and worst of every metric over runs of one config with "
        "different seeds, and the same of the system that averages their scores."
    )
    parser.epilog = EPILOG
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
    flags.add_protocol(parser, "keys, where the score files have none")
    parser.add_argument(
        "--asv-scores", type=Path, metavar="FILE", help="ASV scores, for the tandem metrics"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results")


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.seeds import SeedsOptions, compare_seeds

    return compare_seeds(flags.options_of(SeedsOptions, args, overrides))
