"""``ensemble``: several trained runs as one."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example, three folds of one recipe:

  python -m rawnet_jax ensemble runs/fold1 runs/fold2 runs/fold3 --workdir runs/all
  python evaluate.py --workdir runs/all --dev-scores runs/fold*/eval/dev_scores.txt

--dev-scores calibrates by what each member says of its own dev part, which the others may have
learned from. The config is that of the first run. A run of several seeds is averaged without this
command: score --seed averaged.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Put trained runs of one network together as a run whose score is the mean of theirs. "
        "Every command takes it as it takes any run."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="WORKDIR", help="trained runs, two or more"
    )
    parser.add_argument("--workdir", required=True, type=Path, help="folder to make")
    parser.add_argument(
        "--half",
        action="store_true",
        help="round parameters to 16 bit, so that a preset of the run has half the size",
    )
    flags.add_checkpoint(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.ensemble import EnsembleOptions, ensemble

    return ensemble(flags.options_of(EnsembleOptions, args, overrides))
