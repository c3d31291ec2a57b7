"""The command line: picks the command, turns errors into one line and an exit status."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from rawnet_jax.errors import Interrupted, RawnetError
from rawnet_jax.huge_pages import restart_with_huge_pages

EXIT_USER_ERROR = 2
EXIT_KEYBOARD = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None = those of this process.

    Returns:
        Exit status: 0 success, 1 a check found problems, 2 an error that the user can act on
        (one line on standard error), 128 + n stopped by signal n; others as a command's --help
        says.
    """
    if arguments is None:
        restart_with_huge_pages()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except Interrupted as error:
        print(error, file=sys.stderr)
        return 128 + error.signal_number
    except RawnetError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_KEYBOARD
    except BrokenPipeError:
        # The reader of our output went away (| head); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rawnet-jax", description="Train, evaluate and prepare data for spoof detectors."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parser.set_defaults(takes_overrides=False)
    _add_commands(commands)
    args, left_over = parser.parse_known_args(arguments)
    overrides = [word for word in left_over if word.startswith("--config.")]
    unknown = [word for word in left_over if word not in overrides]
    if unknown or (overrides and not args.takes_overrides):
        commands.choices[args.command].error(
            f"unknown argument {(unknown or overrides)[0]!r}; a setting of the experiment is "
            "written --config.group.field=value"
        )
    return args.run(args, overrides)


def _add_commands(commands: argparse._SubParsersAction) -> None:
    from rawnet_jax.cli import (
        check,
        corpora,
        cross_corpus,
        evaluate,
        explain,
        export,
        fuse,
        robustness_table,
        score,
        search,
        seeds,
        stream,
        torch_weights,
        train,
    )

    listed = (train, search, evaluate, score, robustness_table, cross_corpus, fuse, seeds, stream)
    for command in (*listed, explain, export, torch_weights, check, corpora):
        command.add_parser(commands)
