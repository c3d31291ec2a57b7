"""``fuse``: one system of several."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.evaluation.fusion import FUSION_KINDS

EPILOG = """\
Written into the output folder: fusion.json, dev_scores.txt and eval_scores.txt (fused scores,
higher = more bona fide).

Examples:

  python -m rawnet_jax fuse --dev A/dev.txt B/dev.txt --eval A/eval.txt B/eval.txt --output fused
  python -m rawnet_jax fuse --fusion fused/fusion.json --eval A/new.txt B/new.txt --output new

With one system, --kind logistic calibrates its scores.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fit a fusion on the dev scores of several systems and apply it to their eval scores. Eval "
        "has no part in the fit."
    )
    parser.epilog = EPILOG
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--dev", nargs="+", type=Path, metavar="FILE", help="dev scores, one file per system"
    )
    source.add_argument(
        "--fusion", type=Path, metavar="FILE", help="apply this fusion.json instead of fitting one"
    )
    parser.add_argument(
        "--eval",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="scores to fuse, in the order of --dev",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--kind",
        choices=FUSION_KINDS,
        default="logistic",
        help="logistic: a weighted sum, gives log-likelihood ratios; svm: a polynomial support "
        "vector machine (default: %(default)s)",
    )
    parser.add_argument(
        "--p-bonafide",
        type=float,
        default=0.5,
        metavar="P",
        help="prior that the logistic fit is best for (default: %(default)s)",
    )
    parser.add_argument("--names", nargs="+", help="of the systems (default: from their files)")
    flags.add_protocol(parser, "keys of dev, where its files have none")
    flags.add_score_columns(parser)
    parser.add_argument(
        "--eval-protocol", type=Path, metavar="FILE", help="keys of eval, where its files have none"
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out trials that a file lacks, instead of stopping",
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.fuse import FuseOptions, fuse

    return fuse(flags.options_of(FuseOptions, args, overrides))
