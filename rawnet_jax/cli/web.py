"""``web``: a page to drop a recording on."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Examples:

  python -m rawnet_jax web
  python -m rawnet_jax web --workdir runs/x --scores runs/x/scores.txt
  python -m rawnet_jax web --export page && python -m http.server --directory page
  python -m rawnet_jax web --server https://scores.example --export page

The page scores in the browser: the model is exported to ONNX and runs there as WebAssembly. No
recording leaves the device, and nothing is asked of any other server. Without --export it is served
to this machine alone, until Ctrl-C. What it shows of the model is the preset's card.

With --server it sends recordings to a service of `serve`, with a key that the person enters. Start
that with --origin and the address of the page, such as --origin http://localhost:8000.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Open a page that scores recordings and the microphone in the browser, or write it as a "
        "folder for any file server."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="write the page into a new folder, serve nothing"
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="on this machine; 0 = any free one (%(default)s)"
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="open no window of a browser"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        metavar="FILE",
        help="scores of trials with keys, whose error rates stand beside the threshold (default: "
        "those of a preset's card)",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="origin of a service of `serve`, which scores in place of the browser; --workdir then "
        "names the card alone",
    )
    parser.add_argument(
        "--speaker",
        metavar="NAME",
        help="all recordings are said to be of this person, whom adapt --speaker enrolled",
    )
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.web import WebOptions, web

    return web(flags.run_options_of(WebOptions, args, overrides))
