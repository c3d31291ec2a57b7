"""``train``: a config in, a work directory out."""

import argparse
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from rawnet_jax.config_file import load_config, to_dict

EPILOG = """\
Any field of the config can be set on the command line:

  %(prog)s --config configs/conv1d_asvspoof2017.py --workdir runs/a \\
      --config.data.root=/data/ASVspoof2017 --config.optimizer.learning_rate=3e-4

The work directory then holds config.json, log.jsonl, tensorboard/ and checkpoints/. The same
command goes on with a run that was stopped or killed; Ctrl-C or SIGTERM saves first and exits with
130 or 143. --config.train.num_seeds=8 trains eight seeds at once, each with a folder seed_N of its
own below the work directory. All fields with their meaning: rawnet_jax/config.py, or --print-config
for the values.
"""


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --config; its overrides (--config.x.y=…) are taken from what argparse leaves over."""
    parser.add_argument(
        "--config", required=True, metavar="FILE.py", help="experiment, a file in configs/"
    )
    parser.set_defaults(takes_overrides=True)


def add_distributed_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what joins several processes into one run."""
    group = parser.add_argument_group("several hosts (or processes), the same command on each")
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0; 'auto' under a cluster manager or on a TPU pod",
    )
    group.add_argument("--num-processes", type=int, metavar="N", help="how many there are")
    group.add_argument("--process-id", type=int, metavar="I", help="which one this is, from 0")


@contextlib.contextmanager
def joined_processes(args: argparse.Namespace) -> Iterator[None]:
    """Run what is inside on all processes that the command line joins; on this one alone if none.

    Raises:
        ConfigError: the flags do not fit together, or there is no cluster to join.
    """
    if not args.coordinator:
        yield
        return
    from rawnet_jax.mesh import start_distributed
    from rawnet_jax.peers import watching_peers

    host = start_distributed(args.coordinator, args.num_processes, args.process_id)
    with watching_peers(host):
        yield


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "train",
        help="train a model, or resume a run",
        description="Train a spoof detector; on whatever devices there are.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--workdir", type=Path, help="folder of this run; made if it is not there")
    where.add_argument(
        "--print-config", action="store_true", help="print all settings as JSON and stop"
    )
    parser.add_argument(
        "--no-progress", action="store_true", help="no progress bars, only a line an epoch"
    )
    add_distributed_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    config = load_config(args.config, overrides)
    if args.print_config:
        print(json.dumps(to_dict(config), indent=2))
        return 0
    # JAX takes seconds to start; the commands that work without it share this module.
    from rawnet_jax.runtime import start_runtime
    from rawnet_jax.training.loop import Trainer
    from rawnet_jax.training.workdir import held

    with joined_processes(args), held(args.workdir):
        start_runtime(config.runtime)
        Trainer(config, args.workdir, progress=not args.no_progress).run()
    return 0
