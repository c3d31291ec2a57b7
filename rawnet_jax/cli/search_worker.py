"""``search-worker``: what ``search`` starts its workers by; people do not type it."""

import argparse

from rawnet_jax.cli import flags
from rawnet_jax.cli.search import add_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan(parser)
    parser.add_argument("--cores", default="")
    parser.add_argument("--parent", type=int, required=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.search import PlanOptions, work_for

    return work_for(flags.options_of(PlanOptions, args, overrides), args.cores, args.parent)
