"""``vocode``: bona fide recordings and their copies by vocoders, as a corpus."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax vocode --list
  python -m rawnet_jax vocode --input voices --output copies
  python -m rawnet_jax vocode --input /data/LA --output copies --vocoder world,lpc --copies 2
  python -m rawnet_jax vocode --input voices --output copies --model hifigan.onnx --model lyra

Train on the result with config.data.corpus = "manifest". What each part of it means, and what the
JSON file beside an ONNX model holds: docs/vocode.md.

Exit status: 0; 1 if a recording was left out; 2 an error; 130 stopped by Ctrl-C.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Resynthesise bona fide recordings by vocoders (copy-synthesis), and write both as a "
        "corpus with one protocol: same words, speaker, partition and length, same level law and "
        "format. "
        "The same command resumes a run that was stopped."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "--input",
        type=Path,
        help="folder of bona fide recordings, searched recursively, or a corpus with lists, of "
        "which the bona fide trials are taken",
    )
    flags.add_corpus_writer(parser, required=False)
    _add_vocoders(parser)
    _add_reading(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.vocode import VocodeOptions, run_vocode

    return run_vocode(flags.options_of(VocodeOptions, args, overrides))


def _add_vocoders(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("vocoders")
    group.add_argument(
        "--list", action="store_true", help="list vocoders, settings, packages, licences; then end"
    )
    group.add_argument(
        "--vocoder",
        type=_names,
        default=(),
        metavar="NAME[,NAME...]",
        help="draw from these (default: all that are installed, and those of --model)",
    )
    group.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a vocoder with weights: folder of Lyra v2's TFLite files, or NAME.onnx with "
        "NAME.json beside it; may be given several times",
    )
    group.add_argument(
        "--copies",
        type=float,
        default=1.0,
        metavar="N",
        help="copies of each recording, by different vocoders; 0.5 is one of every other recording "
        "(default: %(default)g)",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input")
    group.add_argument(
        "--corpus",
        default="",
        metavar="NAME",
        help="whose lists the input has, a name of docs/datasets.md; 'recordings': take all files "
        "as bona fide (default: look for lists)",
    )
    flags.add_one_means(group)
    group.add_argument(
        "--speaker-pattern",
        metavar="REGEX",
        help="without lists: finds the speaker in a file's path by a group of this name (default: "
        "the first sub-folder)",
    )
    group.add_argument(
        "--partition-shares",
        type=_shares,
        default=(0.6, 0.2, 0.2),
        metavar="A,B,C",
        help="without lists: shares of the speakers in train, dev and eval (default: 0.6,0.2,0.2)",
    )
    group.add_argument(
        "--max-clips", type=int, metavar="N", help="take N recordings at most, drawn at random"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _shares(text: str) -> tuple[float, ...]:
    shares = tuple(float(part) for part in text.split(","))
    if len(shares) != 3:
        raise argparse.ArgumentTypeError("must be three numbers, such as 0.6,0.2,0.2")
    return shares
