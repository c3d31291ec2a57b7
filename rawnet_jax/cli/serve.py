"""``serve``: a detector as a service."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax serve
  curl --data-binary @call.wav http://127.0.0.1:8000/v1/score
  python -m rawnet_jax serve --workdir runs/x --port 9000 --metrics-port 9001
  python -m rawnet_jax serve --workdir model.onnx --queue 16 --max-audio 120

POST /v1/score takes an audio file and answers with the record of `score --format jsonl`. What the
audio is, is told by its first bytes. It is decoded in processes that can open no file and no
socket. What is beyond a limit is refused: 413, 415, 422, 429, 503, as application/problem+json.
GET /docs describes all routes, GET /v1/model names the model and every limit.

Without keys the service listens on this machine alone. SIGTERM and Ctrl-C end it when the requests
that run are answered. More: docs/serve.md.

Exit status: 2 an error, such as a port that is taken; 130 Ctrl-C; 143 SIGTERM.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Run a service that scores audio for other programs over HTTP."
    parser.epilog = EPILOG
    parser.add_argument(
        "--workdir",
        metavar="RUN",
        help="folder of the trained run, folder or name of a preset, or an .onnx file that export "
        "wrote (default: the default preset)",
    )
    flags.add_checkpoint(parser)
    parser.add_argument(
        "--seed",
        metavar="N",
        help="for a run with several seeds: the one that scores, or averaged: the mean of all",
    )
    flags.add_decision(parser)
    flags.add_speech(parser, "a recording without speech cannot be judged")
    _add_listening(parser.add_argument_group("where it listens"))
    _add_limits(parser.add_argument_group("limits"))
    _add_voices(parser.add_argument_group("speakers (docs/speaker.md)"))
    _add_gate(parser.add_argument_group("who may ask, and the gate (docs/gate.md)"))
    _add_upstream(parser.add_argument_group("the system behind the gate"))
    parser.set_defaults(takes_overrides=True)


def _add_listening(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    group.add_argument(
        "--port", type=int, default=8000, metavar="N", help="0 = any free (default: %(default)s)"
    )
    group.add_argument(
        "--behind-proxy",
        action="store_true",
        help="a proxy in front does the authentication: allow any --host",
    )
    group.add_argument(
        "--trusted-proxies",
        default="",
        metavar="ADDRESSES",
        help="whose X-Forwarded-For and X-Forwarded-Proto are trusted, with commas (default: "
        "nobody's)",
    )
    group.add_argument("--tls-certificate", type=Path, metavar="FILE", help="PEM file: serve HTTPS")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="PEM file of its key")
    group.add_argument(
        "--metrics-port",
        type=int,
        metavar="N",
        help="show /metrics on a port of its own (default: on the same)",
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    def add(name: str, kind: type, default: float, metavar: str, text: str) -> None:
        text = f"{text} (default: %(default)s)"
        group.add_argument(name, type=kind, default=default, metavar=metavar, help=text)

    add("--max-body", float, 10.0, "MIB", "of a request; more is refused with 413")
    add("--max-audio", float, 600.0, "S", "of a recording; longer ones are refused")
    add("--max-audio-gate", float, 60.0, "S", "the same for requests with a gate key")
    add("--queue", int, 64, "N", "recordings in the service at once; more are refused with 503")
    add("--queue-wait", float, 2.0, "S", "longest wait of a recording; after that 503")
    add("--batch", int, 8, "N", "recordings that are scored at once")
    add("--decode-workers", int, 0, "N", "processes that decode; 0 = one per core")
    add("--files-per-worker", int, 100, "N", "recordings after which a decoder is replaced")
    add("--jobs", int, 16, "N", "jobs (recordings judged later) and kept results at once")
    add("--max-streams", int, 32, "N", "streams that are open at once")
    add("--max-streams-per-key", int, 4, "N", "streams of one key; serve-key can override it")
    add("--max-stream", float, 300.0, "S", "of a stream; what came by then is judged")
    add("--stream-idle", float, 10.0, "S", "within which a message of a stream must come")
    add("--stream-hop", float, 0.0, "S", "between its windows; 0 = as the run was evaluated")
    add("--drain", float, 30.0, "S", "for running requests when the service is told to end")


def _add_voices(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--encoder",
        type=Path,
        metavar="FOLDER",
        help="encoder of voices, calibrated: enrol and verify speakers; see speaker-encoder",
    )
    group.add_argument("--speakers", type=Path, metavar="DIR", help="folder of templates")
    group.add_argument(
        "--template-key", type=Path, metavar="FILE", help="32 random bytes; encrypts templates"
    )
    group.add_argument(
        "--voice-costs",
        choices=("odyssey2024", "asvspoof5"),
        default="odyssey2024",
        help="priors and costs of decisions on speakers (default: %(default)s)",
    )
    group.add_argument(
        "--voice-band",
        type=float,
        default=0.5,
        metavar="NATS",
        help="inconclusive if within this distance of the threshold (default: %(default)s)",
    )
    group.add_argument(
        "--enrol-clips", type=int, default=3, metavar="N", help="at least (default: %(default)s)"
    )
    group.add_argument(
        "--enrol-speech",
        type=float,
        default=30.0,
        metavar="S",
        help="net speech in all clips of an enrolment, seconds (default: %(default)g)",
    )
    group.add_argument(
        "--verify-speech",
        type=float,
        default=3.0,
        metavar="S",
        help="net speech that a decision takes, seconds (default: %(default)g)",
    )


def _add_gate(group: argparse._ArgumentGroup) -> None:
    def add(name: str, text: str, metavar: str = "FILE") -> None:
        group.add_argument(name, metavar=metavar, help=text)

    add("--keys", "keys of clients, which serve-key makes; without, whoever reaches the service")
    group.add_argument(
        "--requests-per-minute",
        type=float,
        default=600.0,
        metavar="N",
        help="of a key; more are refused with 429 (default: %(default)s)",
    )
    add("--secret", "32 random bytes or more, from which the keys of all keyed hashes come")
    add("--attempts", "failed attempts of subjects and sources, kept over a restart (SQLite)")
    add("--replayed", "keyed fingerprints of recordings, kept over a restart for 30 days (SQLite)")
    add("--audit-log", "a line of JSON for every decision, chained by hashes; see verify-log")
    group.add_argument(
        "--require-challenge",
        action="store_true",
        help="refuse recordings of gates that name no challenge",
    )
    group.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="page whose scripts may ask and stream, such as https://bank.example; repeatable",
    )
    add("--twilio-token", "the auth token of Twilio, alone in the file: take its Media Streams")
    add("--twilio-url", "as Twilio is told it, such as wss://gate.example/v1/twilio", "URL")


def _add_upstream(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--upstream", metavar="URL", help="POST /v1/gate forwards bona fide audio there"
    )
    group.add_argument(
        "--upstream-timeout",
        type=float,
        default=30.0,
        metavar="S",
        help="for its answer; later is a refusal (default: %(default)s)",
    )
    group.add_argument(
        "--decision-key", metavar="FILE", help="PEM file, Ed25519: sign decisions with it"
    )
    group.add_argument(
        "--audience", metavar="NAME", help="of signed decisions (default: origin of --upstream)"
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.serve.start import ServeOptions, serve

    args.origin = tuple(args.origin)

    return serve(flags.options_of(ServeOptions, args, overrides))
