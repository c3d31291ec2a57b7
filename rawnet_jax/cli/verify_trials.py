"""``verify-trials``: scores of both kinds for a list of verification trials."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example, on ASVspoof 2019 LA as SASVC 2022 uses it:

  python -m rawnet_jax verify-trials --workdir runs/x --encoder ge2e \\
      --trials ASVspoof2019.LA.asv.dev.gi.trl.txt --enrolment dev.trn.txt \\
      --audio-dir LA --output dev.tsv
  python -m rawnet_jax evaluate --scores eval.tsv --protocol ASVspoof2019.LA.asv.eval.gi.trl.txt \\
      --dev-scores dev.tsv --dev-protocol ASVspoof2019.LA.asv.dev.gi.trl.txt

The file that is written has the form of ASVspoof 5, track 2: cm-score is the detector's
log-likelihood ratio, asv-score the cosine, sasv-score the fused ratio; '-' where there is none.
Every recording is judged once, however many trials it is in. Exit status: 1 if one cannot be read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Score a list of verification trials with a detector and an encoder of voices, for "
        "evaluate --scores."
    )
    parser.epilog = EPILOG
    flags.add_voice(parser, with_key=False)
    parser.add_argument(
        "--trials", required=True, type=Path, metavar="FILE", help="'speaker utterance attack key'"
    )
    parser.add_argument(
        "--enrolment", required=True, type=Path, metavar="FILE", help="'speaker utterance,…'"
    )
    parser.add_argument(
        "--audio-dir", required=True, type=Path, metavar="DIR", help="recordings of both lists"
    )
    parser.add_argument(
        "--costs",
        choices=("asvspoof5", "odyssey2024"),
        default="asvspoof5",
        help="priors and costs that the fusion goes by (default: %(default)s)",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="scores")
    flags.add_progress(parser)
    parser.set_defaults(paths=(), key=None)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.verify_trials import VerifyTrialsOptions, verify_trials

    return verify_trials(flags.run_options_of(VerifyTrialsOptions, args, overrides))
