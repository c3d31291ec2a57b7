"""``search``: hyper-parameters with the lowest dev EER."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.search.study import PRUNERS

EPILOG = """\
What to search (any field of the config, as often as wanted; quote what a shell would read):

  --search config.optimizer.learning_rate=log:1e-4..1e-2       a range; log: equal ratios are
                                                               equally likely
  --search config.model.fields.hidden_dropout=0.1..0.7         whole numbers if the field's are
  --search config.train.batch_size=16,32,64                    choices
  --search 'config.model.fields.channels=(16,32)|(32,64)'      choices that hold commas
  --search config.model.fields.channels.0=16,32,64             one place of a tuple, from 0

Without --search, for Conv1D: filters, kernel width and dropout of each layer, dropout before the
last one, learning rate and batch size.

  python -m rawnet_jax search --config configs/conv1d_speech.py --study runs/conv1d_search \\
      --num-trials 40 --config.data.root=FOLDER --config.train.num_epochs=10

The first trial is the config as it is. The same command resumes a study that was stopped or killed,
up to --num-trials; started a second time meanwhile, it helps. The study folder then holds
trials.csv, history.png, importance.png, slices.png, and a work directory per trial in trials/, for
evaluate.py --workdir. Only dev is looked at. More: docs/search.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a config many times with other settings, drawn by Optuna's TPE, and show which "
        "reach the lowest dev EER. Trials without prospects are stopped early."
    )
    parser.epilog = EPILOG
    flags.add_config(parser)
    add_plan(parser)
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="FIELD=VALUES",
        help="a field and what it may be, see below; give one for each field",
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=1,
        metavar="N",
        help="trials at a time, each in a process of its own (default: %(default)s)",
    )
    flags.add_progress(parser, "no bar, only one line per trial")


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add what the workers of a search are told, too."""
    parser.add_argument(
        "--study", type=Path, required=True, metavar="DIR", help="folder; made if it is not there"
    )
    parser.add_argument(
        "--num-trials",
        type=_positive,
        required=True,
        metavar="N",
        help="trials in all, with those that the study has already",
    )
    parser.add_argument(
        "--pruner",
        choices=PRUNERS,
        default="median",
        help="median: stop a trial whose dev EER is above the median of the others at that epoch; "
        "hyperband: let ever fewer trials train on (default: %(default)s)",
    )
    parser.add_argument(
        "--warmup-epochs",
        type=_positive,
        default=2,
        metavar="N",
        help="--pruner median stops no trial before (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_at_least_0,
        default=0,
        metavar="N",
        help="of what is drawn (default: %(default)s)",
    )


def _at_least_0(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be 1 or more")
    return number


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.search import SearchOptions, search

    return search(flags.options_of(SearchOptions, args, overrides))
