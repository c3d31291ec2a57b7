"""``manifest``: a list of recordings for ``score-many``."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax manifest recordings/ archive.tar --output all.jsonl
  python -m rawnet_jax manifest s3://bucket/calls/ --output calls.parquet
  python -m rawnet_jax manifest --list urls.txt --output web.jsonl

A row is {"uri", "size", "etag"}. It is written as it is found: memory does not grow with it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List recordings with size and etag: folders, tar files, S3, Google Cloud Storage, Azure "
        "and lists of web addresses."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="file, folder (searched recursively), plain tar file, or URI: s3://, gs://, az://, "
        "http(s)://; one that ends in / is searched recursively",
    )
    parser.add_argument(
        "--list",
        dest="lists",
        action="append",
        default=[],
        metavar="FILE",
        help="text file with one SOURCE per line; may be repeated",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        metavar="FILE",
        help=".jsonl, or .parquet (extra scale); replaced",
    )
    flags.add_progress(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.manifest import ManifestOptions, write_manifest_of

    write_manifest_of(flags.options_of(ManifestOptions, args, overrides))
    return 0
