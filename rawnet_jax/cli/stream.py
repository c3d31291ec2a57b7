"""``stream``: audio that comes in, one verdict per window."""

import argparse

from rawnet_jax.cli import flags
from rawnet_jax.data.inputs import STDIN
from rawnet_jax.data.pcm import ENCODINGS

EPILOG = """\
Examples:

  ffmpeg -loglevel error -i URL -f wav - | python -m rawnet_jax stream --workdir runs/x
  arecord -q -f S16_LE -r 16000 -c 1 -t raw | python -m rawnet_jax stream --workdir runs/x \\
      --format s16le --rate 16000
  python -m rawnet_jax stream --workdir runs/x --microphone --hop 0.1
  python -m rawnet_jax stream --workdir runs/x --jsonl talk.flac > talk.jsonl

Standard input is WAV unless --format says that it is raw. There is one line per complete window: on
a terminal it is written over the one before, elsewhere and with --jsonl below it. A line has the
time where its window ends, the verdict at the run's threshold, the score (higher = more bona fide)
and, where the run is calibrated, the log-likelihood ratio and P(spoof). What the input gate refuses
(silence, no speech, clipping, ...) is "cannot judge". Windows, and by default the hop, are those
that the run was evaluated with. Ctrl-C ends it: with a microphone the exit status is then 0, else
130. More: docs/streaming.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Score audio from a pipe, a file or a microphone, window by window, as it comes in."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "input",
        nargs="?",
        default=STDIN,
        metavar="FILE",
        help="an audio file, a named pipe, or - for standard input (default)",
    )
    flags.add_run(parser)
    parser.add_argument(
        "--microphone",
        nargs="?",
        const="",
        metavar="DEVICE",
        help="listen to the default input device, or to this one: its number, or part of its name "
        "(python -m sounddevice lists them); needs the extra `microphone`",
    )
    parser.add_argument("--format", choices=ENCODINGS, help="raw samples of this kind, no header")
    parser.add_argument(
        "--rate", type=int, metavar="HZ", help="of raw samples or asked of the microphone"
    )
    parser.add_argument(
        "--channels", type=int, metavar="N", help="of raw samples or the microphone (default: 1)"
    )
    flags.add_channel(parser)
    flags.add_speech(parser, "a window without speech cannot be judged")
    parser.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help="from one window to the next (default: config.eval.window_hop of a window)",
    )
    flags.add_decision(parser)
    parser.add_argument(
        "--jsonl", action="store_true", help="one JSON object per line, for programs"
    )
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.stream import StreamOptions, stream

    return stream(flags.run_options_of(StreamOptions, args, overrides))
