"""Flags that several commands judge scores by: threshold, costs, intervals."""

import argparse

from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.decision import RULES, ThresholdRule, parse_rule
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel

_Arguments = argparse.ArgumentParser | argparse._ArgumentGroup


def add_rule_arguments(group: _Arguments) -> None:
    """Add --threshold-rule and the costs that it may go by."""
    costs = ASVSPOOF5_COSTS
    group.add_argument(
        "--threshold-rule",
        metavar="RULE",
        help=f"{RULES} (default: eer with dev scores, else bayes)",
    )
    group.add_argument("--p-spoof", type=float, default=costs.p_spoof, help="prior of spoof")
    group.add_argument("--c-miss", type=float, default=costs.c_miss, help="cost of a miss")
    group.add_argument("--c-fa", type=float, default=costs.c_fa, help="cost of a false alarm")


def add_interval_arguments(group: _Arguments) -> None:
    """Add what confidence intervals are made by."""
    group.add_argument(
        "--replicates",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap replicates for confidence intervals (default: %(default)s)",
    )
    group.add_argument(
        "--no-bootstrap", dest="replicates", action="store_const", const=0, help="no intervals"
    )
    group.add_argument(
        "--bootstrap-by",
        choices=("trial", "speaker"),
        default="trial",
        help="what is drawn; by speaker is wider and says more of new speakers "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--level", type=float, default=0.95, help="of all intervals (default: %(default)s)"
    )


def rule_of(args: argparse.Namespace) -> ThresholdRule | None:
    """Return the rule that the flags name; None = the default one.

    Raises:
        ConfigError: there is no such rule.
    """
    return None if args.threshold_rule is None else parse_rule(args.threshold_rule)


def costs_of(args: argparse.Namespace) -> CostModel:
    """Return the costs that the flags name."""
    prior = (args.p_spoof, args.c_miss, args.c_fa)
    of_plan = (ASVSPOOF5_COSTS.p_spoof, ASVSPOOF5_COSTS.c_miss, ASVSPOOF5_COSTS.c_fa)
    return ASVSPOOF5_COSTS if prior == of_plan else CostModel("as given", *prior)


def resampling_of(args: argparse.Namespace) -> Resampling:
    """Return how intervals are made.

    Raises:
        ConfigError: a number is out of range.
    """
    if args.replicates < 0:
        raise ConfigError(f"--replicates {args.replicates}: it must be 0 or more")
    if not 0 < args.level < 1:
        raise ConfigError(f"--level {args.level}: it must be between 0 and 1")
    return Resampling(
        num_replicates=args.replicates,
        by_speaker=args.bootstrap_by == "speaker",
        level=args.level,
    )
