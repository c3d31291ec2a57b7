"""``import-torch`` and ``export-torch``: weights from and for the published PyTorch code."""

import argparse
from pathlib import Path

IMPORT_EPILOG = """\
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

EXPORT_EPILOG = """\
Example:

  %(prog)s --workdir runs/aasist_mine --output aasist_mine.pth

and in the published code:  model.load_state_dict(torch.load("aasist_mine.pth", weights_only=True))
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register both commands."""
    _add_import(commands)
    _add_export(commands)


def _add_import(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "import-torch",
        help="bring published PyTorch weights into a work directory",
        description="Read PyTorch state dicts, without running anything in them, and make a work "
        "directory that evaluate scores with.",
        epilog=IMPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
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
    parser.set_defaults(run=run_import, takes_overrides=True)


def run_import(args: argparse.Namespace, overrides: list[str]) -> int:
    """Import; returns the exit status."""
    # Brings JAX, which other commands do without.
    from rawnet_jax.cli.import_torch import import_torch

    return import_torch(args, overrides)


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "export-torch",
        help="write a run's weights for the published PyTorch code",
        description="Write the weights of a run as a PyTorch state dict with the published names, "
        "and read it back to compare bit for bit.",
        epilog=EXPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FILE.pth", help="file to write"
    )
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="WHICH",
        help="best (by dev EER), latest, swa (averaged) or a step number (default: %(default)s)",
    )
    parser.set_defaults(run=run_export)


def run_export(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Export; returns the exit status."""
    from rawnet_jax.cli.export_torch import export_torch

    return export_torch(args)
