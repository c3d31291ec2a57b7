"""``speaker-encoder``: bring in an encoder of voices, measure it, calibrate it."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.data.protocol_file import PROTOCOL_CORPORA
from rawnet_jax.errors import ConfigError

EPILOG = """\
Examples:

  python -m rawnet_jax speaker-encoder --import installed --output ge2e --licence Apache-2.0
  python -m rawnet_jax speaker-encoder --import pretrained.model --output ecapa
  python -m rawnet_jax speaker-encoder --encoder ge2e --folder dev_speakers --calibrate
  python -m rawnet_jax speaker-encoder --encoder ge2e --folder other_speakers --enrol-clips 5

No encoder comes with the package. --import reads GE2E as in the package Resemblyzer (its file
pretrained.pt, its wheel, or the package where it is installed), ECAPA-TDNN as in TaoRuijie's code,
and any ONNX file that makes a vector of a waveform. Nothing in a file is run but an ONNX graph.

An encoder is calibrated on clips of known speakers, and measured on clips of others.
"""

_IMPORT_ONLY = {"output": None, "name": "", "licence": "not stated"}
_MEASURE_ONLY = {"folder": None, "protocol": None, "audio_dir": None, "calibrate": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Bring in an encoder of voices; measure how well it tells speakers apart; calibrate it."
    )
    parser.epilog = EPILOG
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--import",
        dest="source",
        metavar="FILE",
        help="PyTorch file, wheel of Resemblyzer, or ONNX file; 'installed' = the installed "
        "package resemblyzer",
    )
    what.add_argument("--encoder", type=Path, metavar="FOLDER", help="one that was brought in")
    group = parser.add_argument_group("bring in")
    group.add_argument("--output", type=Path, metavar="FOLDER", help="folder to make; new")
    group.add_argument("--name", default="", metavar="TEXT", help="default: kind and source")
    group.add_argument(
        "--licence", default="not stated", metavar="TEXT", help="of the weights (%(default)s)"
    )
    _add_measuring(parser.add_argument_group("measure and calibrate"))
    flags.add_progress(parser)


def _add_measuring(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--folder", type=Path, metavar="DIR", help="with a subfolder per speaker")
    group.add_argument(
        "--protocol",
        type=Path,
        metavar="FILE",
        help="list of trials with speakers, instead of --folder; bona fide ones count",
    )
    group.add_argument(
        "--corpus",
        choices=PROTOCOL_CORPORA,
        default="",
        metavar="NAME",
        help=f"form of the list: {', '.join(PROTOCOL_CORPORA)}",
    )
    group.add_argument("--audio-dir", type=Path, metavar="DIR", help="recordings of the list")
    group.add_argument(
        "--speakers",
        default="*",
        metavar="PATTERN",
        help="only speakers whose names match, such as 'Libri-*' (default: all)",
    )
    group.add_argument(
        "--enrol-clips",
        type=int,
        default=0,
        metavar="N",
        help="test the mean of a speaker's first N clips against single other clips (default: 0, "
        "clip against clip)",
    )
    group.add_argument(
        "--calibrate", action="store_true", help="fit the calibration on these trials"
    )
    group.add_argument(
        "--speech",
        choices=("silero", "energy", "off"),
        default="silero",
        help="what looks for speech; pauses are cut out (default: %(default)s)",
    )
    group.add_argument("--seed", type=int, default=0, help="of the interval (%(default)s)")


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.speaker_encoder import (
        ImportOptions,
        MeasureOptions,
        import_encoder,
        measure_encoder,
    )

    if args.source is not None:
        _refuse(args, _MEASURE_ONLY, "goes with --encoder only")
        if args.output is None:
            raise ConfigError("--import: needs --output, the folder of the encoder")
        return import_encoder(flags.options_of(ImportOptions, args, overrides))
    _refuse(args, _IMPORT_ONLY, "goes with --import only")
    return measure_encoder(flags.options_of(MeasureOptions, args, overrides))


def _refuse(args: argparse.Namespace, names: Mapping[str, object], why: str) -> None:
    for name, default in names.items():
        if getattr(args, name) != default:
            raise ConfigError(f"--{name.replace('_', '-')}: {why}")
