"""``import-torch``: published PyTorch weights become a work directory."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  %(prog)s AASIST.pth --model aasist --workdir runs/aasist
  python evaluate.py --workdir runs/aasist --config.data.corpus=asvspoof2019_la \\
      --config.data.root=/data/LA

Nothing in the file is run, and PyTorch is not needed. A file with a whole module in it
(torch.save(model)) is refused; save its state dict where its code is:

  torch.save(model.state_dict(), "FILE.pth")

Without --config, the settings are the published network's: its fields, its clip length, short clips
repeated, its loss. The corpus is named when it is scored, or here by --config.data.*.
docs/importing.md tells where the published weights are.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Read PyTorch state dicts, without running anything in them, and make a work directory "
        "that evaluate scores with."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "checkpoints",
        nargs="+",
        type=Path,
        metavar="CHECKPOINT",
        help=".pth file; several are put together (a network, and a loss that has weights)",
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="which network it is")
    parser.add_argument("--workdir", required=True, type=Path, help="folder to make")
    parser.add_argument(
        "--config", metavar="FILE.py", help="experiment to take all settings from, of that network"
    )
    parser.add_argument(
        "--licence",
        default="unknown",
        metavar="TEXT",
        help="of the weights, noted in source.json (default: %(default)s)",
    )
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.import_torch import ImportOptions, import_torch

    return import_torch(flags.options_of(ImportOptions, args, overrides))
