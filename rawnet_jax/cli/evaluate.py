"""``evaluate``: metrics and a report, of a trained run or of any system's score files."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.data.protocol_file import PROTOCOL_CORPORA
from rawnet_jax.errors import ConfigError
from rawnet_jax.metrics.calibration import CALIBRATION_KINDS

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

Scores of verification under attack are found by their form: a header with spk, filename and any of
cm-score, asv-score, sasv-score (ASVspoof 5, track 2), or 'speaker utterance attack key score' with
the keys target, nontarget and spoof (SASVC 2022). With --dev-scores both parts are calibrated and
fused. Written are metrics.json, sasv_figures.csv, sasv_attacks.csv and report.html.

Written into the output folder: metrics.json, figures.csv, attacks.csv, breakdowns.csv,
fairness.csv, unmatched.csv (utterances without a partner), calibration.json (with dev scores) and
report.html, one file to open in any browser; of a run also scores.txt and dev_scores.txt.

A threshold is never chosen on the trials that it is measured on: rules that look for one need
dev scores. docs/metrics.md explains every metric.
"""

_ROBUSTNESS_ONLY = ("limit", "conditions", "noise_dir", "rir_dir")
_NOT_ROBUSTNESS = ("asv_scores", "by", "coordinator", "dev_scores")
_RUN_ONLY = ("checkpoint", "dev", "robustness", *_ROBUSTNESS_ONLY)
_SCORES_ONLY = (
    *("protocol", "corpus", "names", "dev_protocol", "dev_corpus"),
    *("where", "allow_missing", "one_means", "columns", "adcf_costs"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Metrics, tables and a report: of a trained run, or of any score files."
    parser.epilog = EPILOG
    what = parser.add_mutually_exclusive_group()
    flags.add_workdir(what)
    what.add_argument(
        "--scores", type=Path, nargs="+", metavar="FILE", help="score files, one per system"
    )
    _add_run_arguments(parser.add_argument_group("a trained run"))
    _add_robustness_arguments(parser.add_argument_group("robustness of a trained run"))
    _add_score_arguments(parser.add_argument_group("score files"))
    _add_analysis_arguments(parser.add_argument_group("what to compute"))
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for the results (default: WORKDIR/PARTITION; of a preset: "
        "NAME_results/PARTITION; of score files: ./evaluation)",
    )
    flags.add_progress(parser)
    flags.add_processes(parser)
    parser.set_defaults(takes_overrides=True, default_of=parser.get_default)


def _add_run_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--partition",
        choices=("eval", "dev", "train"),
        default="eval",
        help="what to score, or to take from a list that names partitions (default: %(default)s; "
        "dev is what training selected on)",
    )
    flags.add_checkpoint(group)
    group.add_argument(
        "--no-dev",
        dest="dev",
        action="store_false",
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
        "--names",
        nargs="+",
        metavar="NAME",
        help="one per score file (default: names of the files)",
    )
    group.add_argument(
        "--dev-scores",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="scores of the same systems on development trials: for threshold and calibration; of "
        "a trained run, with keys, in place of its own: of all folds of a cross-validation",
    )
    group.add_argument("--dev-protocol", type=Path, metavar="FILE", help="list of those trials")
    group.add_argument(
        "--dev-corpus", choices=PROTOCOL_CORPORA, metavar="NAME", help="form of that list"
    )
    flags.add_one_means(group)
    flags.add_score_columns(group)
    group.add_argument(
        "--where",
        action="append",
        metavar="COLUMN=VALUE",
        help="measure only these trials, such as subset=eval; may be repeated",
    )
    group.add_argument(
        "--adcf-costs",
        choices=("asvspoof5", "odyssey2024"),
        help="priors and costs of a-DCF, of scores that name a claimed speaker (default: "
        "asvspoof5)",
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
    flags.add_rule(group)
    group.add_argument(
        "--calibration",
        choices=CALIBRATION_KINDS,
        default=CALIBRATION_KINDS[0],
        help="fitted on dev scores (default: %(default)s)",
    )
    flags.add_intervals(group)


def _add_robustness_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--robustness",
        action="store_true",
        help="score the same trials under noise, reverberation, codecs, clipping, gain and "
        "truncation; results in WORKDIR/robustness",
    )
    group.add_argument(
        "--limit",
        type=int,
        default=0,
        metavar="N",
        help="score about N trials, with the shares of all attacks (default: all)",
    )
    group.add_argument(
        "--conditions",
        nargs="+",
        metavar="NAME",
        help="only these, or patterns such as 'noise*' (default: all; clean is always there)",
    )
    group.add_argument(
        "--noise-dir",
        metavar="DIR",
        help="folder of noises (default: the one the run was trained with; none = white and pink "
        "noise)",
    )
    group.add_argument(
        "--rir-dir",
        metavar="DIR",
        help="folder of impulse responses (default: the one the run was trained with; none = a "
        "small and a large simulated room)",
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    if args.scores is not None:
        _refuse(args, "goes with a trained run only", _RUN_ONLY)
        if overrides:
            raise ConfigError(
                f"{overrides[0]}: belongs to a trained run; there is none with --scores"
            )
        from rawnet_jax.jobs.evaluate_scores import EvaluateScoresOptions, evaluate_scores

        return evaluate_scores(flags.options_of(EvaluateScoresOptions, args, overrides))
    _refuse(args, "goes with --scores only", _SCORES_ONLY)
    if args.robustness:
        _refuse(args, "does not go with --robustness", _NOT_ROBUSTNESS)
        from rawnet_jax.jobs.robustness import RobustnessOptions, evaluate_robustness

        return evaluate_robustness(flags.run_options_of(RobustnessOptions, args, overrides))
    _refuse(args, "goes with --robustness only", _ROBUSTNESS_ONLY)
    from rawnet_jax.jobs.evaluate_run import EvaluateRunOptions, evaluate_run

    return evaluate_run(flags.run_options_of(EvaluateRunOptions, args, overrides))


def _refuse(args: argparse.Namespace, why: str, names: tuple[str, ...]) -> None:
    """Refuse flags that were given."""
    for name in names:
        if getattr(args, name) != args.default_of(name):
            flag = "no-dev" if name == "dev" else name.replace("_", "-")
            raise ConfigError(f"--{flag}: {why}")
