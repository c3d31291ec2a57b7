"""Flags of every command that uses a trained run: which one, and by what its scores are judged."""

import argparse
from pathlib import Path

from rawnet_jax.errors import ConfigError

EXIT_UNREADABLE = 1
EXIT_CANNOT_JUDGE = 3
FIRST = "first"
TABLE = "table"
INT8 = "int8"

_Arguments = argparse.ArgumentParser | argparse._ArgumentGroup


def add_run_arguments(parser: _Arguments) -> None:
    """Add --workdir and --checkpoint."""
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the trained run")
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="WHICH",
        help="best (by dev EER), latest, swa (averaged) or a step number (default: %(default)s)",
    )


def add_judge_arguments(parser: _Arguments) -> None:
    """Add --p-spoof and --threshold."""
    parser.add_argument(
        "--p-spoof",
        type=float,
        default=0.5,
        metavar="PRIOR",
        help="prior of spoof, for P(spoof) (default: %(default)s); it moves no verdict",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SCORE", help="bona fide at and above it, instead"
    )


def add_channel_argument(parser: _Arguments) -> None:
    """Add --channel."""
    parser.add_argument(
        "--channel", type=int, metavar="N", help="take this one, 1 = the first (default: average)"
    )


def check_prior_and_channel(args: argparse.Namespace) -> None:
    """Check --p-spoof and --channel before anything is loaded.

    Raises:
        ConfigError: naming the flag.
    """
    if not 0 < args.p_spoof < 1:
        raise ConfigError(f"--p-spoof {args.p_spoof:g}: above 0 and below 1 was wanted")
    if args.channel is not None and args.channel < 1:
        raise ConfigError(f"--channel {args.channel}: 1 = the first; 1 or more was wanted")
