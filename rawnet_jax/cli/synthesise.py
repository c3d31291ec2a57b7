"""``python -m rawnet_jax synthesise``: fakes by the text-to-speech engines that are installed."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax synthesise --list
  python -m rawnet_jax synthesise --list --engine espeak-ng --language sv
  python -m rawnet_jax synthesise --text sentences.txt --output fakes
  python -m rawnet_jax synthesise --text lj.csv --output fakes --engine flite,festival
  python -m rawnet_jax synthesise --text saetze.txt --output fakes --language de --copies 2

The text has one sentence per line, alone or as id<TAB>text or id|text. Engines are programs of
their own; what each needs: docs/synthesise.md.

Exit status: 0; 1 if a clip was left out; 2 an error; 130 stopped by Ctrl-C.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Speak sentences by text-to-speech engines that are installed, and write the clips as a "
        "corpus of spoofs with a protocol. The same command resumes a run that was stopped."
    )
    parser.epilog = EPILOG
    parser.add_argument("--text", type=Path, metavar="FILE", help="sentences, one per line")
    flags.add_corpus_writer(parser, required=False)
    _add_engines(parser)
    _add_text(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.synthesise import SynthesiseOptions, run_synthesise

    return run_synthesise(flags.options_of(SynthesiseOptions, args, overrides))


def _add_engines(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engines")
    group.add_argument(
        "--list",
        action="store_true",
        help="list engines, voices, languages, licences, and how to install what is missing; "
        "then end",
    )
    group.add_argument(
        "--engine",
        type=_names,
        default=(),
        metavar="NAME[,NAME...]",
        help="use these (default: all that are installed and speak the language)",
    )
    group.add_argument(
        "--voices",
        type=_names,
        default=(),
        metavar="VOICE[,VOICE...]",
        help="use these, such as slt, flite:slt or 'espeak-ng:en-*' (default: all)",
    )
    group.add_argument(
        "--language",
        metavar="CODE",
        help="of the text, such as en, en-us or de (default: en; with --list: any)",
    )
    group.add_argument(
        "--models",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="with model files of Piper, Kokoro or Kitten, searched recursively; may be given "
        "several times",
    )
    group.add_argument(
        "--copies",
        type=int,
        default=1,
        metavar="N",
        help="clips of each sentence, by different engines as far as there are "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="that a sentence may take; then the engine is stopped (default: %(default)g)",
    )


def _add_text(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("text and protocol")
    group.add_argument(
        "--max-characters",
        type=int,
        default=300,
        metavar="N",
        help="a longer line is an error (default: %(default)s)",
    )
    group.add_argument(
        "--split-long",
        action="store_true",
        help="divide longer lines instead, at ends of sentences, else commas, else blanks",
    )
    group.add_argument(
        "--partition",
        choices=("train", "dev", "eval"),
        default="eval",
        help="of all clips (default: %(default)s)",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
