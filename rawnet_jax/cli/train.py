"""``train``: a config in, a work directory out."""

import argparse
import json
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.config_file import load_config, to_dict
from rawnet_jax.jobs.processes import ProcessOptions, joined
from rawnet_jax.terminal import show

EPILOG = """\
Any field of the config can be set on the command line:

  %(prog)s --config configs/conv1d_asvspoof2017.py --workdir runs/a \\
      --config.data.root=/data/ASVspoof2017 --config.optimizer.learning_rate=3e-4

The work directory then holds config.json, log.jsonl, tensorboard/ and checkpoints/. The same
command resumes a run that was stopped or killed; Ctrl-C or SIGTERM saves first and exits with
130 or 143. --config.train.num_seeds=8 trains eight seeds at once, each with a folder seed_N of its
own below the work directory. All fields with their meaning: rawnet_jax/config.py, or --print-config
for the values.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Train a spoof detector; on whatever devices there are."
    parser.epilog = EPILOG
    flags.add_config(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--workdir", type=Path, help="folder of this run; made if it is not there")
    where.add_argument(
        "--print-config", action="store_true", help="print all settings as JSON and stop"
    )
    flags.add_progress(parser, "no progress bars, only one line per epoch")
    flags.add_processes(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    config = load_config(args.config, overrides)
    if args.print_config:
        show(json.dumps(to_dict(config), indent=2))
        return 0
    from rawnet_jax.data.recognise import settled_config
    from rawnet_jax.runtime import start_runtime
    from rawnet_jax.training.loop import Trainer
    from rawnet_jax.training.workdir import held

    config, why = settled_config(config)
    if why:
        show(why)
    with joined(flags.options_of(ProcessOptions, args, overrides)):
        start_runtime(config.runtime)
        with held(args.workdir):
            Trainer(config, args.workdir, progress=args.progress).run()
    return 0
