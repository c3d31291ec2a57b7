"""``verify-log``: was an audit log tampered with."""

import argparse

EPILOG = """\
Examples:

  python -m rawnet_jax verify-log audit.jsonl
  python -m rawnet_jax verify-log audit.jsonl --head copy-of-yesterday.head

Exit status 0: every line is as it was written and follows the one before. 1: something was changed,
removed, added or moved, or the end was cut off; one line says where. That the end was cut off shows
against the head file, FILE.head unless --head names another. More: docs/gate.md.
"""

EXIT_TAMPERED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Check the audit log of a service for every kind of tampering."
    parser.epilog = EPILOG
    parser.add_argument("log", metavar="FILE", help="the audit log")
    parser.add_argument(
        "--head", metavar="FILE", help="what the end of the log was once (default: FILE.head)"
    )


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    from pathlib import Path

    from rawnet_jax.errors import DataError
    from rawnet_jax.serve.audit import head_of, read_head, verify_log
    from rawnet_jax.terminal import complain, one_line, show

    path = Path(args.log)
    head = head_of(path) if args.head is None else read_head(Path(args.head))
    try:
        found = verify_log(path, head)
    except DataError as error:
        complain(one_line(error))
        return EXIT_TAMPERED
    against = "no head file: a cut end would not show" if head is None else "its head is in it"
    show(f"{path}: {found.num_lines} lines, nothing changed; {against}; last hash {found.hash}")
    return 0
