"""Words of a command line that argparse alone does not sort: settings, and names of files."""

import argparse
import os
from collections.abc import Sequence

OVERRIDE = "--config."
"""What a setting of the experiment begins with."""

_END_OF_FLAGS = "--"


def divided(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return flags, settings of the experiment, and ``--`` with the names behind it, if any."""
    words = list(arguments)
    end = words.index(_END_OF_FLAGS) if _END_OF_FLAGS in words else len(words)
    flags = [word for word in words[:end] if not word.startswith(OVERRIDE)]
    return flags, [word for word in words[:end] if word.startswith(OVERRIDE)], words[end:]


def refuse_names(parser: argparse.ArgumentParser, flags: Sequence[str]) -> None:
    """End in one line where what looks like a flag is a file, as the shell's ``*`` may give it."""
    for word in flags:
        is_flag = word in parser._option_string_actions or _is_number(word)
        if word.startswith("-") and word != "-" and not is_flag and os.path.lexists(word):
            parser.error(
                f"{word!r} begins with -, so it is read as a flag, and is the name of a file: "
                f"write ./{word}, or put -- before the names of files"
            )


def with_more_names(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    unknown: Sequence[str],
    names: Sequence[str],
) -> list[str]:
    """Put names that stand behind flags to those before them, which argparse does not.

    Args:
        parser: of the command.
        args: what was parsed; its list of files grows.
        unknown: what was not.
        names: as `divided` returns them.

    Returns:
        What stays unknown.
    """
    lists = [a for a in parser._actions if not a.option_strings and a.nargs in ("*", "+")]
    if not lists:
        return list(unknown)
    num_names = len(names) if names and list(unknown[-len(names) :]) == list(names) else 0
    before = unknown[: len(unknown) - num_names]
    more = [word for word in before if not word.startswith("-")]
    more += names[1:] if num_names else []
    given = getattr(args, lists[0].dest)
    kind = lists[0].type if callable(lists[0].type) else str
    setattr(args, lists[0].dest, [*given, *map(kind, more)])
    return [word for word in before if word.startswith("-")]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
