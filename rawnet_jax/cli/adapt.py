"""``adapt``: fit a detector to somebody's own recordings."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax adapt --bonafide our_calls --spoof fakes --output ours
  python -m rawnet_jax adapt --workdir runs/x --bonafide our_calls --spoof fakes --last-layer \\
      --others other_people --output ours
  python -m rawnet_jax score --workdir ours call.wav
  python -m rawnet_jax adapt --speaker ana --bonafide ana --others other_people --output with_ana
  python -m rawnet_jax score --workdir with_ana --speaker ana call.wav

Sub-folders of --bonafide are speakers, those of --spoof are systems; cross-validation never splits
one. With one speaker, it splits recordings.

No more of the known fakes are accepted than before, unless --accept says so; the results of
cross-validation are shown. Without known fakes the threshold may rise (--miss) but never falls.
Known fakes are those of --spoof and, without --last-layer, of --dev-scores or of the dev scores
that the run keeps (eval/dev_scores.txt, or adapted.json of a run that was adapted before).

To undo it: use the old --workdir, which is never written to, and delete the new folder.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fit threshold and calibration of a detector, and if wanted its last layer, to recordings "
        "of your own: shown before and after, by cross-validation, and saved as a new detector."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument(
        "--seed", metavar="N", help="for a run with several seeds: the one to adapt"
    )
    parser.add_argument(
        "--bonafide",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="genuine speech, 10 recordings or more; a sub-folder per speaker",
    )
    parser.add_argument(
        "--spoof", type=Path, metavar="FOLDER", help="fakes, 20 or more; a sub-folder per system"
    )
    parser.add_argument(
        "--others",
        type=Path,
        metavar="FOLDER",
        help="genuine speech of other people, whom the detector is to go on accepting; a "
        "sub-folder per speaker",
    )
    parser.add_argument(
        "--speaker",
        metavar="NAME",
        help="enrol the person whose speech --bonafide holds, 3 recordings or more: score "
        "--speaker NAME then reads that person's scores against them; nothing else is fitted",
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        metavar="FOLDER",
        help="with --speaker: keep the voice, too, by this encoder of voices (speaker-encoder)",
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="with --encoder: the key that encrypts the voice"
    )
    parser.add_argument(
        "--dev-scores",
        type=Path,
        metavar="FILE",
        help="scores of this detector with keys; their fakes count as known fakes",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="NEW",
        help="new folder for the adapted detector",
    )
    parser.add_argument(
        "--miss",
        type=float,
        metavar="RATE",
        help="share of genuine speech that may be called spoof, to reject more fakes (default: as "
        "little as the known fakes allow)",
    )
    parser.add_argument(
        "--accept",
        type=float,
        metavar="RATE",
        help="share of known fakes that may be accepted (default: no more than before)",
    )
    parser.add_argument(
        "--last-layer",
        action="store_true",
        help="fit the last layer, too; needs fakes like those to be found: --spoof, or a run that "
        "keeps some",
    )
    parser.add_argument(
        "--folds",
        type=int,
        default=5,
        metavar="N",
        help="parts of the cross-validation, at most (default: %(default)s)",
    )
    flags.add_channel(parser)
    flags.add_speech(parser, "a recording without speech is left out")
    flags.add_progress(parser)
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.adapt import AdaptOptions, adapt_detector

    return adapt_detector(flags.run_options_of(AdaptOptions, args, overrides))
