"""The command line: picks the command, turns errors into one line and an exit status.

A command is a module of this folder. ``add_arguments(parser)`` describes it, ``run(args,
overrides)`` carries it out and returns the exit status. What ``--help`` does not need, such as JAX
or matplotlib, is imported in ``run``.
"""

import argparse
import errno
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Sequence

from rawnet_jax.cli.words import divided, refuse_names, with_more_names
from rawnet_jax.data.decoder_lines import drop_decoder_lines
from rawnet_jax.errors import ConfigError, Interrupted, RawnetError
from rawnet_jax.huge_pages import restart_with_huge_pages
from rawnet_jax.terminal import complain, log_to_terminal, one_line, shortened

COMMANDS = {
    "train": "train a model, or resume a run",
    "train-vocoder": "train a neural vocoder, whose copies of speech are fakes to train on",
    "search": "search for good hyper-parameters",
    "evaluate": "metrics and a report of a trained run, or of score files",
    "score": "score audio files with a trained run",
    "manifest": "list recordings for score-many",
    "score-many": "score millions of files by workers that may be killed",
    "score-many-status": "say how far score-many is",
    "robustness-table": "set robustness reports side by side",
    "cross-corpus": "evaluate a run on a list of corpora",
    "benchmark": "evaluate a run on every known corpus in a folder",
    "segments": "measure how well time lines find the fake parts of recordings",
    "fuse": "fuse the scores of several systems",
    "seeds": "compare runs that differ in their seed, and pool them",
    "stream": "score audio while it comes in",
    "serve": "run a service that scores audio for other programs",
    "explain": "show which times and frequencies moved the score of a file",
    "ensemble": "put several trained runs together as one",
    "presets": "list trained detectors that come with the package, or make one of a run",
    "adapt": "fit a detector to recordings of your own, as a new detector",
    "sources": "learn which family of engines fakes come from, as a new detector",
    "probe": "fit a linear classifier to a frozen speech encoder, as a run",
    "speaker-encoder": "bring in an encoder of voices, measure it, calibrate it",
    "enrol": "make a template of a voice, of clips that are all bona fide",
    "verify-trials": "score a list of verification trials, for evaluate --scores",
    "verify": "decide whether recordings are bona fide speech of an enrolled voice",
    "export": "write a trained run as one file for other runtimes",
    "web": "a page that scores recordings in the browser",
    "import-torch": "bring published PyTorch weights into a work directory",
    "export-torch": "write a run's weights for the published PyTorch code",
    "check": "report what is in a corpus and what is wrong with it",
    "demo-corpus": "write the synthetic demo corpus",
    "replay": "write a replay corpus from bona fide recordings",
    "vocode": "write a corpus of bona fide recordings and their copies by vocoders",
    "synthesise": "write a corpus of sentences by text-to-speech engines that are installed",
    "build-pool": "write a training pool from clones of public repositories",
    "serve-key": "make, list and take out keys of the service",
    "verify-log": "check the audit log of the service for tampering",
}
"""Each command and its line in ``--help``. Its module in this folder has its name; only that of the
command that is run is imported."""

_FOR_PROGRAMS = {"search-worker"}  # commands that people do not type
NEED_LARGE_PAGES = {"train", "evaluate", "search", "search-worker"}
"""Commands that run long enough to gain from large memory pages."""

_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory")  # in errors of JAX

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
    if arguments is None and set(sys.argv[1:2]) & NEED_LARGE_PAGES:
        restart_with_huge_pages()
    drop_decoder_lines(own_stderr=arguments is None)
    _let_any_name_be_printed()
    log_to_terminal()
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except Interrupted as error:
        complain(one_line(error))
        return 128 + error.signal_number
    except RawnetError as error:
        complain(f"error: {shortened(one_line(error))}")
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_KEYBOARD
    except BrokenPipeError:
        # The reader of our output went away (| head); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RuntimeError as error:
        if not any(word in str(error) for word in _OUT_OF_MEMORY):
            raise
        said = " ".join(str(error).split())[:200]
        complain(
            f"error: out of memory: {one_line(said)}; use a smaller network, batch or clip length"
        )
        return EXIT_USER_ERROR
    except (OSError, MemoryError) as error:  # a full disk, a folder that must not be written
        complain(f"error: {one_line(_reason(error))}")
        return EXIT_USER_ERROR


def _let_any_name_be_printed() -> None:
    """Names of files need not be text; bytes that are none are printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _reason(error: OSError | MemoryError) -> str:
    """Say in a line what the operating system refused."""
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    said = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {said}"
    if error.errno == errno.ENOSPC:  # errors of files name their file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in it
        return f"standard output: {said}"
    return said


def _run(arguments: list[str]) -> int:
    for word in arguments:
        if word.startswith("--") and word.endswith("=--"):  # argparse would make it a list
            raise ConfigError(f"{word}: -- is not a value")
    parser = argparse.ArgumentParser(
        prog="rawnet-jax", description="Train, evaluate and prepare data for spoof detectors."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parser.set_defaults(takes_overrides=False)
    _add_commands(commands, arguments)
    flags, overrides, names = divided(arguments)
    asked = commands.choices.get(next(iter(flags), ""))
    if asked is not None:
        refuse_names(asked, flags)
    args, unknown = parser.parse_known_args([*flags, *names])
    command = commands.choices[args.command]
    unknown = with_more_names(command, args, unknown, names)
    if unknown or (overrides and not args.takes_overrides):
        command.error(
            f"unknown argument {(unknown or overrides)[0]!r}; a setting of the experiment is "
            "written --config.group.field=value"
        )
    return args.run(args, overrides)


def _add_commands(commands: argparse._SubParsersAction, arguments: Sequence[str]) -> None:
    """Add the command that is asked for whole, and of the others name and help."""
    asked = next((word for word in arguments if not word.startswith("-")), "")
    for name, text in COMMANDS.items():
        parser = commands.add_parser(
            name, help=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == asked:
            _complete(name, parser)
    if asked in _FOR_PROGRAMS:
        _complete(asked, commands.add_parser(asked))


def _complete(name: str, parser: argparse.ArgumentParser) -> None:
    module = importlib.import_module(f"rawnet_jax.cli.{name.replace('-', '_')}")
    module.add_arguments(parser)
    parser.description = textwrap.fill(parser.description or "", 100)
    parser.set_defaults(run=module.run)
