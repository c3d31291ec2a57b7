"""The work of ``stream``: audio in, a line a window out."""

import argparse
import contextlib
import sys

from rawnet_jax.cli.score_sinks import complain
from rawnet_jax.cli.stream_lines import Lines
from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.inputs import STDIN
from rawnet_jax.data.live_audio import LiveAudio, listen, open_live
from rawnet_jax.data.pcm_stream import raw_format
from rawnet_jax.errors import ConfigError
from rawnet_jax.run import Run


def stream(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, the flags or the audio.
        KeyboardInterrupt: Ctrl-C, but for a microphone, which ends no other way.
    """
    run = Run.open(args.workdir, args.checkpoint, overrides)
    is_microphone = args.microphone is not None
    try:
        with _open(args, run.config.data.audio) as audio:
            _score(args, run, audio)
    except KeyboardInterrupt:
        if not is_microphone:
            raise
    return 0


def _open(
    args: argparse.Namespace, bounds: AudioConfig
) -> contextlib.AbstractContextManager[LiveAudio]:
    if args.microphone is None:
        raw = raw_format(args.format, args.rate, args.channels)
        return open_live(args.input, bounds, raw)
    if args.input != STDIN or args.format is not None:
        raise ConfigError("--microphone takes no FILE and no --format")
    return listen(args.microphone or None, args.rate, args.channels)


def _score(args: argparse.Namespace, run: Run, audio: LiveAudio) -> None:
    if args.channel is not None and not 1 <= args.channel <= audio.num_channels:
        raise ConfigError(
            f"--channel {args.channel}: the audio has {audio.num_channels}; the first is 1"
        )
    scorer = run.stream(hop_s=args.hop, sample_rate_hz=audio.sample_rate_hz, channel=args.channel)
    judge = run.decision(prior=args.p_spoof, threshold=args.threshold)
    for note in judge.notes:
        complain(f"note: {note}")
    scorer.warm_up()
    if sys.stderr.isatty():
        complain(judge.in_words)
    with Lines(judge, scorer.window / SAMPLE_RATE_HZ, as_json=args.jsonl) as lines:
        for block in audio.blocks:
            lines.write(scorer.push(block))
        lines.write(scorer.finish())
