"""``serve-key``: make, list and take out keys of the service."""

import argparse

EPILOG = """\
Examples:

  python -m rawnet_jax serve-key --keys keys.json --role gate --id login
  python -m rawnet_jax serve-key --keys keys.json --role analyst --id desk --expires 90
  python -m rawnet_jax serve-key --keys keys.json --list
  python -m rawnet_jax serve-key --keys keys.json --remove login

The key is printed once and is nowhere kept: the file has its SHA-256. A running service sees the
change within a second or so. More: docs/gate.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make a key for the service, list those of a file, or take one out."
    parser.epilog = EPILOG
    parser.add_argument(
        "--keys", required=True, metavar="FILE", help="file of keys, made if it is not there"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--role",
        choices=("gate", "analyst"),
        help="make a key: gate = told a decision and a class of reason; analyst = told scores",
    )
    what.add_argument("--list", action="store_true", help="print id, role and limits of each key")
    what.add_argument("--remove", metavar="ID", help="take this key out")
    parser.add_argument("--id", metavar="NAME", help="name of the key, in logs (default: random)")
    parser.add_argument("--expires", type=float, metavar="DAYS", help="refused after that many")
    parser.add_argument(
        "--requests-per-minute", type=float, metavar="N", help="instead of the service's limit"
    )
    parser.add_argument(
        "--streams", type=int, metavar="N", help="open at a time, instead of the service's limit"
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.cli import flags
    from rawnet_jax.serve.key_command import KeyOptions, serve_key

    return serve_key(flags.options_of(KeyOptions, args, overrides))
