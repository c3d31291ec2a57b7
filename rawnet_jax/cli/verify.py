"""``verify``: whether recordings are bona fide speech of an enrolled voice."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example:

  python -m rawnet_jax verify --workdir runs/x --encoder ge2e --key templates.key \\
      --speaker ana.voice call.wav

The decision is joint: a log-likelihood ratio of the detector and one of the speaker, fused, against
the threshold of least expected cost. It is accept, reject, inconclusive or not_enough_speech.
Exit status: 0 if every recording is accepted, 3 if one is not, 1 if one cannot be read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Decide whether recordings are bona fide speech of an enrolled voice."
    parser.epilog = EPILOG
    parser.add_argument("paths", nargs="+", metavar="PATH", help="recordings, or folders of them")
    flags.add_voice(parser)
    parser.add_argument(
        "--speaker", required=True, type=Path, metavar="FILE", help="template that enrol wrote"
    )
    parser.add_argument(
        "--costs",
        choices=("odyssey2024", "asvspoof5"),
        default="odyssey2024",
        help="priors and costs that set the threshold (default: %(default)s)",
    )
    parser.add_argument(
        "--prior",
        type=_priors,
        metavar="NONTARGET,SPOOF",
        help="priors of another speaker and of spoof, instead of the named ones': 0.01,0.05",
    )
    parser.add_argument(
        "--band",
        type=float,
        default=0.5,
        metavar="NATS",
        help="inconclusive so near to the threshold (default: %(default)s)",
    )
    parser.add_argument(
        "--min-speech",
        type=float,
        default=3.0,
        metavar="S",
        help="net speech that a decision takes, seconds (default: %(default)g)",
    )
    parser.add_argument(
        "--format", choices=("text", "jsonl"), default="text", help="(default: %(default)s)"
    )


def _priors(text: str) -> tuple[float, float]:
    try:
        nontarget, spoof = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be two numbers: 0.01,0.05") from None
    if not (nontarget >= 0 and spoof >= 0 and 0 < nontarget + spoof < 1):
        raise argparse.ArgumentTypeError(f"{text!r}: both must be 0 or more, their sum in (0, 1)")
    return nontarget, spoof


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.verify import VerifyOptions, verify_recordings

    return verify_recordings(flags.run_options_of(VerifyOptions, args, overrides))
