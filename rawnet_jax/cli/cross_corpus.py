"""``cross-corpus``: a run on every corpus of a list."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.data.corpus_list import parse_corpus_flag
from rawnet_jax.data.layouts import CORPORA

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
line on standard error, the others are scored, and the exit status is 1. What was scored before is
kept. Written into the output folder: cross_corpus.json, .csv, .md and .html, and scores/.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Error rates of a trained run on many corpora, at the threshold that it brings along."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument(
        "--corpus",
        dest="corpora",
        type=parse_corpus_flag,
        action="append",
        default=[],
        metavar="NAME=CORPUS:ROOT",
        help="a corpus, with further settings behind commas; may be repeated. CORPUS: "
        + ", ".join(CORPORA),
    )
    parser.add_argument("--list", type=Path, metavar="FILE", help="TOML or JSON list of corpora")
    parser.add_argument(
        "--no-own",
        dest="own",
        action="store_false",
        help="without the eval partition of the run's own corpus",
    )
    parser.add_argument(
        "--no-dev", dest="dev", action="store_false", help="without a threshold from dev"
    )
    flags.add_rule(parser)
    flags.add_intervals(parser)
    parser.add_argument(
        "--output", type=Path, help="folder for the results (default: WORKDIR/cross_corpus)"
    )
    flags.add_progress(parser)
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.cross_corpus import CrossCorpusOptions, cross_corpus

    return cross_corpus(flags.run_options_of(CrossCorpusOptions, args, overrides))
