"""``cross-corpus``: the flags; what it does is in `evaluate_corpora`."""

import argparse
from pathlib import Path

from rawnet_jax.cli.evaluate_flags import add_interval_arguments, add_rule_arguments
from rawnet_jax.data.corpus_list import parse_corpus_flag, read_corpus_list, unique_names
from rawnet_jax.data.layouts import CORPORA
from rawnet_jax.errors import ConfigError

EPILOG = """\
Examples:

  python -m rawnet_jax cross-corpus --workdir runs/x \\
      --corpus la21=asvspoof2021_la:/data/ASVspoof2021 --corpus itw=in_the_wild:/data/itw \\
      --corpus mine=manifest:/data/mine,eval_protocol=all.csv,partitions=dev+eval

  python -m rawnet_jax cross-corpus --workdir runs/x --list corpora.toml

with corpora.toml:

  [la21]
  corpus = "asvspoof2021_la"
  root = "/data/ASVspoof2021"
  same_attacks = true          # A07 … mean the same as in the corpus of training

  [mine]
  corpus = "manifest"
  root = "/data/mine"
  partitions = ["dev", "eval"]
  problems = "warn"            # skip and count bad files instead of stopping

The threshold is the run's own, chosen on its own dev trials. A corpus that cannot be read is one
line on standard error, the others go on, and the exit status is 1. What was scored before is kept.
Written into the output folder: cross_corpus.json, .csv, .md and .html, and scores/.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "cross-corpus",
        help="evaluate a run on a list of corpora",
        description="Error rates of a trained run on many corpora, at the threshold that it "
        "brings along.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the trained run")
    parser.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME=CORPUS:ROOT",
        help="a corpus, with further settings behind commas; may be repeated. CORPUS: "
        + ", ".join(CORPORA),
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="TOML or JSON list of corpora")
    parser.add_argument(
        "--no-own", action="store_true", help="without the eval partition of the run's own corpus"
    )
    parser.add_argument(
        "--checkpoint",
        metavar="WHICH",
        help="best (by dev EER), latest, swa (averaged) or a step number (default: best)",
    )
    parser.add_argument("--no-dev", action="store_true", help="without a threshold from dev")
    add_rule_arguments(parser)
    add_interval_arguments(parser)
    parser.add_argument(
        "--output", type=Path, help="folder for the results (default: WORKDIR/cross_corpus)"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=run, takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status: 1 where a corpus could not be scored."""
    corpora = [parse_corpus_flag(text) for text in args.corpus]
    if args.list is not None:
        corpora += read_corpus_list(args.list)
    if not corpora:
        raise ConfigError("cross-corpus: --corpus or --list was wanted")
    # Brings JAX, which reading a list does not need.
    from rawnet_jax.cli.evaluate_corpora import evaluate_corpora

    return evaluate_corpora(args, overrides, unique_names(corpora))
