"""``segments``: how well the time lines of score find the fake parts of recordings."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example:

  python -m rawnet_jax score --workdir RUN --windows --output lines.jsonl PartialSpoof/eval/con_wav
  python -m rawnet_jax segments --scores lines.jsonl --corpus partialspoof \\
      --protocol PartialSpoof/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.eval.trl.txt

The truth is what the list says of segments: PartialSpoof's own label files beside its protocols,
those of LlamaPartialSpoof, or the column segments of a list of your own ('0-1.2-bonafide
1.2-2-spoof'). A trial without segments is all of its own class. Definitions: docs/metrics.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rawnet_jax.evaluation.localisation import RESOLUTIONS_MS

    parser.description = (
        "EER of frames at several resolutions, and precision and recall of fake time, of what "
        "score --windows wrote."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "--scores",
        required=True,
        type=Path,
        metavar="FILE",
        help="what score --windows wrote: jsonl or csv",
    )
    flags.add_protocol(parser, "the list that states segments")
    parser.add_argument(
        "--resolutions",
        type=float,
        nargs="+",
        default=RESOLUTIONS_MS,
        metavar="MS",
        help=f"lengths of frames (default: {' '.join(map(str, RESOLUTIONS_MS))})",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="a moment is called fake below it (default: that of the EER of time, found on these "
        "recordings)",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results")


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.errors import ConfigError
    from rawnet_jax.jobs.segments import SegmentsOptions, measure_segments

    if args.protocol is None:
        raise ConfigError("segments: give --protocol, the list that states segments")
    return measure_segments(flags.options_of(SegmentsOptions, args, overrides))
