"""``build-pool``: the training pool from clones of public repositories."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a training pool of real and synthetic speech from clones of public repositories, by "
        "a table of commits, licences and path patterns: pieces of 1.2 to 3.2 s, protocols in "
        "ASVspoof 2019 form for three dev folds and a test fold, manifest, licences, digests and a "
        "report of what tells the classes apart without the speech. A build that was stopped goes "
        "on where it was."
    )
    parser.epilog = (
        "Examples: %(prog)s --clones clones --dry-run;  %(prog)s --clones clones --output pool;  "
        "%(prog)s --report pool"
    )
    parser.add_argument(
        "--clones",
        type=Path,
        metavar="DIR",
        help="folder of clones named owner+name, owner/name or name; what is missing is listed "
        "with the command that gets it",
    )
    parser.add_argument("--output", type=Path, metavar="POOL", help="folder to write; new")
    parser.add_argument(
        "--report", type=Path, metavar="POOL", help="print the confound report of this pool, again"
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE.toml",
        help="a table of your own (default: the project's)",
    )
    parser.add_argument(
        "--vocoders",
        type=Path,
        metavar="DIR",
        help="folder of the trained vocoders that the table names (the project's: vocoders/ in its "
        "repository), which copy every bona fide piece",
    )
    parser.add_argument(
        "--clean",
        action="store_true",
        help="genuine speech alone, without the test part, before noise, codec and band: what "
        "train-vocoder learns from",
    )
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="build without missing clones and files; the pool says which",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="count what would be taken, and write nothing"
    )
    parser.add_argument(
        "--num-workers", type=int, default=0, help="processes (default: 0 = one per core)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a pool that this command wrote before"
    )
    flags.add_progress(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.build_pool import PoolOptions, build_pool

    return build_pool(flags.options_of(PoolOptions, args, overrides))
