"""``export``: the flags; what it does is in `export_run`."""

import argparse
from pathlib import Path

from rawnet_jax.cli.run_flags import INT8, add_run_arguments
from rawnet_jax.errors import ConfigError
from rawnet_jax.export_formats import FORMATS

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


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "export",
        help="write a trained run as one file for other runtimes",
        description="Write a trained run as one file: StableHLO for JAX, ONNX for ONNX Runtime, "
        "TFLite for LiteRT.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run_arguments(parser)
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
    parser.set_defaults(run=run, takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    if args.quantize and args.format != "tflite":
        raise ConfigError(f"--quantize {args.quantize}: is for --format tflite")
    if args.num_samples is not None and args.num_samples < 1:
        raise ConfigError(f"--num-samples {args.num_samples}: 1 or more was wanted")
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.cli.export_run import export_run

    return export_run(args, overrides)
