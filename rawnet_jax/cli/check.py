"""``check``: the health of a corpus before anyone trains on it."""

import argparse

from rawnet_jax.cli import flags
from rawnet_jax.config_file import load_config

EPILOG = """\
Example:

  python -m rawnet_jax check --config configs/conv1d_asvspoof2017.py --config.data.root=/data/2017
"""

EXIT_NOT_HEALTHY = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Count trials against the published numbers, read every audio header, and list every "
        "problem. Stops at none; exits with 1 if training would stop at one."
    )
    parser.epilog = EPILOG
    flags.add_config(parser)
    parser.add_argument(
        "--decode", action="store_true", help="decode every file to its end, not its header only"
    )
    flags.add_progress(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.data.health import examine
    from rawnet_jax.data.health_text import format_health
    from rawnet_jax.data.recognise import settled
    from rawnet_jax.terminal import say

    config = load_config(args.config, overrides)
    data, _ = settled(config.data)
    health = examine(data, decode=args.decode, progress=args.progress)
    say(f"{format_health(health)}\n")
    return 0 if health.healthy else EXIT_NOT_HEALTHY
