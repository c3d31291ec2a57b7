"""``demo-corpus``: a corpus that needs no download."""

import argparse

from rawnet_jax.cli import flags
from rawnet_jax.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a small synthetic corpus in ASVspoof 2017 V2 layout: voices of a source-filter "
        "synthesiser, and replays of them through simulated loudspeakers, rooms and microphones. "
        "Error rates on it say nothing about real attacks."
    )
    flags.add_corpus_writer(parser)
    parser.add_argument("--num-clips", type=int, default=800, help="default: %(default)s")


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    from rawnet_jax.simulate.demo_corpus import write_demo_corpus

    summary = write_demo_corpus(
        args.output,
        num_clips=args.num_clips,
        seed=args.seed,
        num_workers=args.num_workers,
        progress=args.progress,
        overwrite=args.overwrite,
    )
    show(summary)
    return 0
