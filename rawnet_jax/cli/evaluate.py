"""``evaluate``: figures and a report, of a trained run or of any system's score files."""

import argparse
from pathlib import Path

from rawnet_jax.cli.evaluate_flags import (
    add_interval_arguments,
    add_rule_arguments,
    costs_of,
    resampling_of,
    rule_of,
)
from rawnet_jax.cli.robustness_flags import add_robustness_arguments, run_robustness
from rawnet_jax.cli.train import add_distributed_arguments
from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.protocol_file import PROTOCOL_CORPORA
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.assess import AssessOptions
from rawnet_jax.metrics.calibration import CALIBRATION_KINDS
from rawnet_jax.progress import BatchBars

EPILOG = """\
A trained run:
  python evaluate.py --workdir runs/x
scores a partition, and dev for threshold and calibration. The config comes from the work
directory. Where the corpus lies, and how it is scored, may be overridden:
  --config.data.root=/elsewhere --config.eval.batch_size=256

  python evaluate.py --workdir runs/x --robustness
scores the same trials clean and under noise, in rooms, through codecs and cut short, and writes
robustness.html beside its tables (docs/robustness.md).

Score files of any system, no model needed:
  python evaluate.py --scores a.txt b.txt --protocol ASVspoof2019.LA.cm.eval.trl.txt \\
    --asv-scores ASVspoof2019.LA.asv.eval.gi.trl.scores.txt
Lines are 'utterance attack key score' or 'utterance score', or the file has a header with filename
and cm-score. Scores and trials are joined by utterance. Higher must mean more bona fide.

Written into the output folder: metrics.json, figures.csv, attacks.csv, breakdowns.csv,
fairness.csv, unmatched.csv (utterances without a partner), calibration.json (with dev scores) and
report.html, one file to open in any browser; of a run also scores.txt and dev_scores.txt.

A threshold is never chosen on the trials that it is judged on: rules that look for one need dev
scores. docs/metrics.md explains every figure.
"""

_ROBUSTNESS_ONLY = ("limit", "conditions", "noise_dir", "rir_dir")
_RUN_ONLY = ("checkpoint", "no_dev", "robustness", *_ROBUSTNESS_ONLY)
_SCORES_ONLY = (
    *("protocol", "corpus", "names", "dev_scores", "dev_protocol", "dev_corpus"),
    *("where", "allow_missing"),
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "evaluate",
        help="metrics and a report of a trained run, or of score files",
        description="Figures, tables and a report: of a trained run, or of any score files.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--workdir", type=Path, help="folder of the trained run")
    what.add_argument(
        "--scores", type=Path, nargs="+", metavar="FILE", help="score files, one a system"
    )
    _add_run_arguments(parser.add_argument_group("a trained run"))
    add_robustness_arguments(parser.add_argument_group("robustness of a trained run"))
    _add_score_arguments(parser.add_argument_group("score files"))
    _add_analysis_arguments(parser.add_argument_group("what to compute"))
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for the results (default: WORKDIR/PARTITION; of score files: ./evaluation)",
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    add_distributed_arguments(parser)
    parser.set_defaults(run=run, takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    options = _options(args)
    if args.workdir is not None:
        _refuse(args, "--scores", _SCORES_ONLY)
        if args.robustness:
            return run_robustness(args, overrides, options)
        _refuse(args, "--robustness", _ROBUSTNESS_ONLY)
        # Brings JAX, which judging a score file does not need.
        from rawnet_jax.cli.evaluate_run import evaluate_run

        return evaluate_run(args, overrides, options)
    _refuse(args, "--workdir", _RUN_ONLY)
    if overrides:
        raise ConfigError(f"{overrides[0]}: belongs to a trained run; there is none with --scores")
    # Brings matplotlib, which --help does not need.
    from rawnet_jax.cli.evaluate_scores import evaluate_scores

    return evaluate_scores(args, options)


def _add_run_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--partition",
        choices=("eval", "dev", "train"),
        default="eval",
        help="what to score, or to take from a list that names partitions (default: %(default)s; "
        "dev is what training selected on)",
    )
    group.add_argument(
        "--checkpoint",
        metavar="WHICH",
        help="best (by dev EER), latest, swa (averaged) or a step number (default: best)",
    )
    group.add_argument(
        "--no-dev",
        action="store_true",
        help="do not score dev: no calibration, and no threshold but by costs",
    )


def _add_score_arguments(group: argparse._ArgumentGroup) -> None:
    corpora = ", ".join(PROTOCOL_CORPORA)
    group.add_argument(
        "--protocol",
        type=Path,
        metavar="FILE",
        help="list of the trials with keys; not needed where the first score file has keys",
    )
    group.add_argument(
        "--corpus", choices=PROTOCOL_CORPORA, metavar="NAME", help=f"form of the list: {corpora}"
    )
    group.add_argument(
        "--names", nargs="+", metavar="NAME", help="one a score file (default: names of the files)"
    )
    group.add_argument(
        "--dev-scores",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="scores of the same systems on development trials: for threshold and calibration",
    )
    group.add_argument("--dev-protocol", type=Path, metavar="FILE", help="list of those trials")
    group.add_argument(
        "--dev-corpus", choices=PROTOCOL_CORPORA, metavar="NAME", help="form of that list"
    )
    group.add_argument(
        "--where",
        action="append",
        metavar="COLUMN=VALUE",
        help="measure only these trials, such as subset=eval; may be repeated",
    )
    group.add_argument(
        "--allow-missing",
        action="store_true",
        help="measure on the trials that have a score instead of stopping",
    )


def _add_analysis_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--asv-scores",
        type=Path,
        metavar="FILE",
        help="scores of a speaker verification system ('group key score'), for t-DCF",
    )
    group.add_argument(
        "--by",
        nargs="*",
        metavar="COLUMN",
        help="break down by these columns, or pairs such as attack×codec (or attack:codec); "
        "default: every column that groups the trials; without a name: none",
    )
    add_rule_arguments(group)
    group.add_argument(
        "--calibration",
        choices=CALIBRATION_KINDS,
        default=CALIBRATION_KINDS[0],
        help="fitted on dev scores (default: %(default)s)",
    )
    add_interval_arguments(group)


def _options(args: argparse.Namespace) -> AssessOptions:
    return AssessOptions(
        rule=rule_of(args),
        costs=costs_of(args),
        asv=None if args.asv_scores is None else read_asv_scores(args.asv_scores),
        calibration=args.calibration,
        resampling=resampling_of(args),
        bars=BatchBars(not args.no_progress),
    )


def _refuse(args: argparse.Namespace, with_flag: str, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(args, name):
            raise ConfigError(f"--{name.replace('_', '-')}: goes with {with_flag} only")
