"""``export``: a trained run as one file for other runtimes."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.export_formats import FORMATS, INT8

EPILOG = """\
Examples:

  python -m rawnet_jax export --workdir runs/x --format onnx
  python -m rawnet_jax export --workdir runs/x --format tflite --quantize int8
  python -m rawnet_jax export --workdir runs/x --format stablehlo --output spoof.stablehlo \\
      --licence 'CC BY 4.0' --clips recordings/

The file takes waveforms at 16 kHz, float32 [B, T] with full scale 1, and returns scores, higher =
more bona fide, and log-likelihood ratios where the run is calibrated. How long T is, how a shorter
clip is filled, the threshold, the licence and more stand in it as metadata.

It is then run in its own runtime, without this package, on recordings of the run's corpus (or
--clips) and on noise and tones, and held against the network itself. Where a score is off by more
than 0.0001, there is no file and the exit status is 2. A file with --quantize int8 computes other
numbers; for it the equal error rate of a partition is measured, before and after.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a trained run as one file: StableHLO for JAX, ONNX for ONNX Runtime, TFLite for "
        "LiteRT."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument("--format", choices=FORMATS, required=True, help="of the file")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: WORKDIR/model with the format's name"
    )
    parser.add_argument(
        "--num-samples",
        type=int,
        metavar="T",
        help="length of a clip at 16 kHz (default: as the run was trained)",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="noted in the file instead of the run's"
    )
    flags.add_speech(parser, "an ONNX file holds Silero, and says how much speech a row has")
    parser.add_argument(
        "--licence",
        default="",
        metavar="TEXT",
        help="of the trained weights, noted in the file (default: the one they were imported with)",
    )
    parser.add_argument(
        "--clips",
        nargs="+",
        default=[],
        metavar="PATH",
        help="recordings to try the file on: files, folders, patterns (default: some of the run's "
        "corpus)",
    )
    quantized = parser.add_argument_group("8-bit weights and activations")
    quantized.add_argument("--quantize", choices=(INT8,), help="tflite alone")
    quantized.add_argument(
        "--partition",
        choices=("dev", "eval"),
        default="eval",
        help="whose equal error rate is measured before and after; another corpus by "
        "--config.data.root=DIR and so on (default: %(default)s)",
    )
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.export import ExportOptions, export

    return export(flags.run_options_of(ExportOptions, args, overrides))
