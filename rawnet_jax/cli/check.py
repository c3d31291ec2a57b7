"""``check``: the health of a corpus before anyone trains on it."""

import argparse

from rawnet_jax.cli.train import add_config_arguments
from rawnet_jax.config_file import load_config
from rawnet_jax.data.health import examine, format_health

EXIT_NOT_HEALTHY = 1


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "check",
        help="report what is in a corpus and what is wrong with it",
        description="Count trials against the published numbers, read every audio header, and list "
        "every problem. Stops at none; exits with 1 if training would stop at one.",
    )
    add_config_arguments(parser)
    parser.add_argument(
        "--decode", action="store_true", help="decode every file to its end, not its header only"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    config = load_config(args.config, overrides)
    health = examine(config.data, decode=args.decode, progress=not args.no_progress)
    print(format_health(health))
    return 0 if health.healthy else EXIT_NOT_HEALTHY
