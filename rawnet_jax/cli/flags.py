"""Flags that several commands have, and the way from flags to a command's options."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.labels import UNSTATED, Label

Options = TypeVar("Options")
Parser = argparse.ArgumentParser | argparse._ArgumentGroup


def options_of(kind: type[Options], args: argparse.Namespace, overrides: Sequence[str]) -> Options:
    """Return the options of a command: each field is the flag of that name.

    Args:
        kind: a dataclass; a field ``overrides`` gets the settings ``--config.x.y=…``.
        args: what was parsed.
        overrides: the settings.

    Raises:
        RawnetError: the options do not fit together.
    """
    given = {**vars(args), "overrides": tuple(overrides)}
    assert dataclasses.is_dataclass(kind)
    return kind(**{field.name: given[field.name] for field in dataclasses.fields(kind)})


def run_options_of(
    kind: type[Options], args: argparse.Namespace, overrides: Sequence[str]
) -> Options:
    """Return the options of a command on a trained run, with the folder that --workdir means.

    Where no run is named, it is the default preset; that is said on standard error.

    Raises:
        RawnetError: the options do not fit together, or there is no such run.
    """
    from rawnet_jax.presets.catalog import run_folder

    is_named = args.workdir is not None
    args.workdir = run_folder(args.workdir)
    options = options_of(kind, args, overrides)
    if not is_named:
        from rawnet_jax.jobs.chosen_run import say_default

        say_default(args.workdir)
    return options


def add_run(parser: Parser) -> None:
    add_workdir(parser)
    add_checkpoint(parser)


def add_workdir(parser: Parser) -> None:
    parser.add_argument(
        "--workdir",
        type=Path,
        help="folder of the trained run, or folder or name of a preset, results on which go to "
        "NAME_results (default: the default preset; see the command presets)",
    )


def add_checkpoint(parser: Parser) -> None:
    parser.add_argument(
        "--checkpoint",
        default=BEST,
        metavar="WHICH",
        help="best (by dev EER), latest, swa (averaged) or a step number (default: %(default)s)",
    )


def add_progress(parser: Parser, help_text: str = "no progress bar") -> None:
    parser.add_argument("--no-progress", dest="progress", action="store_false", help=help_text)


def add_stdin(parser: Parser) -> None:
    parser.add_argument(
        "--max-stdin",
        type=float,
        default=4.0,
        metavar="GIB",
        help="of audio on standard input; more is refused (default: 4 GiB)",
    )


def add_decision(parser: Parser) -> None:
    parser.add_argument(
        "--p-spoof",
        type=float,
        default=0.5,
        metavar="PRIOR",
        help="prior of spoof, for P(spoof) (default: %(default)s); does not change verdicts",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="call a score at or above this bona fide (default: the threshold of the run)",
    )


def add_channel(parser: Parser) -> None:
    parser.add_argument(
        "--channel",
        type=int,
        metavar="N",
        help="use this channel, 1 = the first (default: average of all)",
    )


def add_speech(parser: Parser, what: str) -> None:
    """Add --speech; `what` says what the flag decides in this command."""
    parser.add_argument(
        "--speech",
        choices=("silero", "energy", "off"),
        help=f"speech detector: Silero, by energy, or off; {what} "
        "(default: config.gate.speech of the run)",
    )


def add_voice(parser: argparse.ArgumentParser, *, with_key: bool = True) -> None:
    """Add what judges a voice: detector, encoder, and the key of templates."""
    add_run(parser)
    add_decision(parser)
    add_channel(parser)
    add_speech(parser, "the same for detector and encoder")
    parser.add_argument(
        "--encoder",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="encoder of voices, calibrated; see the command speaker-encoder",
    )
    if with_key:
        parser.add_argument(
            "--key",
            type=Path,
            metavar="FILE",
            help="of 32 random bytes or more; templates are encrypted with it",
        )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config; its overrides (--config.x.y=…) are taken from what argparse leaves over."""
    parser.add_argument(
        "--config", required=True, metavar="FILE.py", help="experiment, a file in configs/"
    )
    parser.set_defaults(takes_overrides=True)


def add_processes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several hosts (or processes), the same command on each")
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0; 'auto' under a cluster manager or on a TPU pod",
    )
    group.add_argument("--num-processes", type=int, metavar="N", help="how many there are")
    group.add_argument("--process-id", type=int, metavar="I", help="which one this is, from 0")


def add_protocol(parser: Parser, what: str) -> None:
    """Add --protocol and --corpus, of score files without keys."""
    from rawnet_jax.data.protocol_file import PROTOCOL_CORPORA

    parser.add_argument("--protocol", type=Path, metavar="FILE", help=f"protocol: {what}")
    parser.add_argument(
        "--corpus",
        choices=PROTOCOL_CORPORA,
        default="",
        metavar="NAME",
        help="whose form protocols have, where their lines do not tell: "
        + ", ".join(PROTOCOL_CORPORA),
    )
    add_one_means(parser)


def add_one_means(parser: Parser) -> None:
    """Add --one-means, of lists of one's own with keys 0 and 1."""
    parser.add_argument(
        "--one-means",
        choices=(Label.BONAFIDE.key, Label.SPOOF.key),
        default=UNSTATED,
        help="what key 1 means in lists and score files of your own; 0 is the other",
    )


def add_score_columns(parser: Parser) -> None:
    """Add --columns, of score files that do not tell their columns."""
    from rawnet_jax.data.score_choice import parse_choice

    parser.add_argument(
        "--columns",
        type=parse_choice,
        metavar="SPEC",
        help="columns of the score files where they do not tell: name=COLUMN,score=COLUMN and, if "
        "there are any, key=COLUMN, attack=COLUMN; COLUMN is a name in the header or a number from "
        "1",
    )


def add_rule(parser: Parser) -> None:
    """Add --threshold-rule and the costs that it may go by."""
    from rawnet_jax.evaluation.decision import RULES, parse_rule
    from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS as COSTS

    parser.add_argument(
        "--threshold-rule",
        type=parse_rule,
        metavar="RULE",
        help=f"{RULES} (default: eer with dev scores, else bayes)",
    )
    parser.add_argument("--p-spoof", type=float, default=COSTS.p_spoof, help="prior of spoof")
    parser.add_argument("--c-miss", type=float, default=COSTS.c_miss, help="cost of a miss")
    parser.add_argument("--c-fa", type=float, default=COSTS.c_fa, help="cost of a false alarm")


def add_intervals(parser: Parser) -> None:
    parser.add_argument(
        "--replicates",
        type=int,
        default=1000,
        metavar="N",
        help="bootstrap replicates for confidence intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--no-bootstrap", dest="replicates", action="store_const", const=0, help="no intervals"
    )
    parser.add_argument(
        "--bootstrap-by",
        choices=("trial", "speaker"),
        default="trial",
        help="what is drawn; by speaker is wider and says more of new speakers "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--level", type=float, default=0.95, help="of all intervals (default: %(default)s)"
    )


def add_corpus_writer(parser: Parser, *, required: bool = True) -> None:
    parser.add_argument("--output", required=required, type=Path, help="folder to write; new")
    parser.add_argument("--seed", type=int, default=0, help="decides every sample (default: 0)")
    parser.add_argument(
        "--num-workers",
        "--processes",
        type=int,
        default=0,
        metavar="N",
        help="processes (default: 0 = one per core)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a corpus that this command wrote before"
    )
    add_progress(parser)
