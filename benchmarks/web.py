"""Time to a verdict in the browser, and with ONNX Runtime in Python beside it.

    python -m benchmarks.web                            # general_1, 10 s of speech made by code
    python -m benchmarks.web --workdir runs/x call.wav --rounds 10

Needs the built page (`make web`), Debian's chromium, the package playwright and the extra `export`.
Each round starts with nothing kept: a new browser profile, a new process of Python. "Ready" counts
from the address, or from the start of the process, until a recording can be given. The two are
timed in turns.
"""

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.machine import num_cores, processor
from rawnet_jax.cli.main import main as command
from rawnet_jax.simulate.phonemes import PHRASES
from rawnet_jax.simulate.synthetic import draw_voice, synthesise
from rawnet_jax.web.server import make_server
from rawnet_jax.web.site import MODEL

RATE_HZ = 16_000
COLUMNS = ("ready", "first verdict after that", "together", "second verdict")

_DONE = "#result:not([hidden])"
_LONGEST_MS = 600_000
_PYTHON = """
import json, sys, time
import rawnet_jax
detector = rawnet_jax.load(sys.argv[1])
times = [time.time()]
for _ in range(2):
    said = detector.score(sys.argv[2])
    times.append(time.time())
print(json.dumps([times, said.llr]))
"""

Times = tuple[float, float, float]
"""Seconds until ready, from there to the first verdict, to the second verdict of the same file."""


def of_the_page(browser: Any, address: str, recording: Path) -> tuple[Times, str]:
    """Return the times of one visit, and what the page says of itself: threads and verdict."""
    context = browser.new_context()
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=_LONGEST_MS)
    marks = [begun, time.perf_counter()]
    for _ in range(2):
        page.set_input_files("#file", str(recording))
        # The page hides the last verdict before it looks at the next file.
        page.wait_for_selector(_DONE, timeout=_LONGEST_MS)
        marks.append(time.perf_counter())
        page.evaluate("document.getElementById('result').hidden = true")
    said = page.inner_text("#status")
    context.close()
    return _between(marks), said


def of_python(model: Path, recording: Path) -> tuple[Times, str]:
    """Return the times of one process, and its log-likelihood ratio."""
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-c", _PYTHON, str(model), str(recording)],
        capture_output=True,
        text=True,
        env=os.environ | {"ORT_DISABLE_TELEMETRY": "1"},
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    marks, llr = json.loads(done.stdout)
    return _between([begun, *marks]), f"LLR {llr:.2f}"


def _between(marks: Sequence[float]) -> Times:
    first, second, third = (b - a for a, b in itertools.pairwise(marks))
    return first, second, third


def speech(folder: Path, seconds: float) -> Path:
    """Write speech made by code; returns the file."""
    import numpy as np

    rng = np.random.default_rng(0)
    voice = draw_voice("F", rng)
    wanted = round(seconds * RATE_HZ)
    waveform = np.zeros(0)
    while len(waveform) < wanted:
        parts = [synthesise(phrase, voice, rng) for phrase in PHRASES.values()]
        waveform = np.concatenate([waveform, *parts])
    path = folder / "speech.wav"
    soundfile.write(path, 0.3 * waveform[:wanted] / np.abs(waveform).max(), RATE_HZ)
    return path


def measured(site: Path, recording: Path, rounds: int, chromium: str) -> dict[str, list[Times]]:
    """Return the times of both, a row for each round, and print what they say."""
    from playwright.sync_api import sync_playwright

    server = make_server(site, 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found: dict[str, list[Times]] = {"page": [], "Python": []}
    try:
        with sync_playwright() as playwright:
            # The sandbox of a browser needs rights that root in a container has not.
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            print(f"Chromium {browser.version}")
            address = f"http://localhost:{server.server_address[1]}/"
            said = ""
            for _ in range(rounds):
                for name, (times, said) in (
                    ("page", of_the_page(browser, address, recording)),
                    ("Python", of_python(site / MODEL, recording)),
                ):
                    found[name].append(times)
                    print(f"{name}: {', '.join(f'{t:.2f}' for t in times)} s; {said}", flush=True)
            browser.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    return found


def table(found: dict[str, list[Times]]) -> str:
    """Return medians and ranges as Markdown."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---|---|---|---|---|"]
    for name, rows in found.items():
        columns = [(ready, first, ready + first, second) for ready, first, second in rows]
        cells = [
            f"{statistics.median(one):.2f} ({min(one):.2f} to {max(one):.2f})"
            for one in zip(*columns, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", nargs="?", type=Path, help="default: speech made by code")
    parser.add_argument("--workdir", default="general_1", help="run or preset")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the speech made by code")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    args = parser.parse_args(words)
    versions = importlib.metadata.version
    print(f"{datetime.date.today()}, {num_cores()} cores of {processor()},")
    print(f"Python {platform.python_version()}, ONNX Runtime {versions('onnxruntime')}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if command(["web", f"--workdir={args.workdir}", f"--export={folder / 'site'}"]):
            sys.exit("the page could not be written")
        recording = args.recording or speech(folder, args.seconds)
        before = os.getloadavg()[0]
        found = measured(folder / "site", recording, args.rounds, args.chromium)
        print(f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    print(table(found))


if __name__ == "__main__":
    main()
