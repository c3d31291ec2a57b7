"""``export-torch``: a run's weights for the published PyTorch code."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example:

  %(prog)s --workdir runs/aasist_mine --output aasist_mine.pth

and in the published code:  model.load_state_dict(torch.load("aasist_mine.pth", weights_only=True))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the weights of a run as a PyTorch state dict with the published names, and read it "
        "back to compare bit for bit."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument(
        "--output", required=True, type=Path, metavar="FILE.pth", help="file to write"
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.export_torch import ExportTorchOptions, export_torch

    return export_torch(flags.run_options_of(ExportTorchOptions, args, overrides))
