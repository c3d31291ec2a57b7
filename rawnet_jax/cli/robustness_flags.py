"""The flags of ``evaluate --robustness``, which need no JAX to be read."""

import argparse

from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.assess import AssessOptions

_NOT_HERE = ("asv_scores", "by", "coordinator")


def add_robustness_arguments(group: argparse._ArgumentGroup) -> None:
    """Add --robustness and what goes with it."""
    group.add_argument(
        "--robustness",
        action="store_true",
        help="score the same trials under noise, reverberation, codecs, clipping, gain and "
        "truncation; results in WORKDIR/robustness",
    )
    group.add_argument(
        "--limit",
        type=int,
        default=0,
        metavar="N",
        help="score about N trials, with the shares of all attacks (default: all)",
    )
    group.add_argument(
        "--conditions",
        nargs="+",
        metavar="NAME",
        help="only these, or patterns such as 'noise*' (default: all; clean is always there)",
    )
    group.add_argument(
        "--noise-dir",
        metavar="DIR",
        help="folder of noises (default: the one the run was trained with; none = white and pink "
        "noise)",
    )
    group.add_argument(
        "--rir-dir",
        metavar="DIR",
        help="folder of impulse responses (default: the one the run was trained with; none = a "
        "small and a large simulated room)",
    )


def run_robustness(args: argparse.Namespace, overrides: list[str], options: AssessOptions) -> int:
    """Run ``evaluate --robustness``; returns the exit status.

    Raises:
        ConfigError: a flag does not go with it.
    """
    for name in _NOT_HERE:
        if getattr(args, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')}: does not go with --robustness")
    if args.limit < 0:
        raise ConfigError(f"--limit {args.limit}: 0 (all) or more was wanted")
    from rawnet_jax.cli.evaluate_robustness import evaluate_robustness

    return evaluate_robustness(args, overrides, options)
