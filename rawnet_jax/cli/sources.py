"""``sources``: learn which family of engines fakes come from."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax sources --workdir runs/x --spoof fakes --output with_sources
  python -m rawnet_jax score --workdir with_sources call.wav

Sub-folders of --spoof are families, each with 10 recordings or more. What it makes of recordings,
and of whole families, that the fit did not see is shown. score then names the family of what it
calls spoof, or says "none of these".

To undo it: use the old --workdir, which is never written to, and delete the new folder.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Learn from fakes which family of engines a fake comes from, on the embeddings of a "
        "detector, and save it as a new detector."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument("--seed", metavar="N", help="of a run of several seeds the one to take")
    parser.add_argument(
        "--spoof",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="fakes, a sub-folder per family of engines",
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="NEW", help="folder of the new detector"
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.05,
        metavar="RATE",
        help="names that may be wrong, and known fakes that may be too far off to be named "
        "(default: %(default)s)",
    )
    flags.add_channel(parser)
    flags.add_progress(parser)
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.sources import SourcesOptions, fit_sources

    return fit_sources(flags.run_options_of(SourcesOptions, args, overrides))
