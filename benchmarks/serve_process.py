"""Services in processes of their own: this project's, and that of `benchmarks.serve_anchor`.

    python -m benchmarks.serve_process general_1
    python -m benchmarks.serve_anchor general_1

Each writes "listens on URL" to standard error.
"""

import base64
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import Any

import httpx
import numpy as np

from benchmarks.serve_load import Target
from rawnet_jax.config import GateConfig
from rawnet_jax.detector import Detector, load
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint

STUB = "nothing"
OURS, ANCHOR = "benchmarks.serve_process", "benchmarks.serve_anchor"
_READY = {OURS: "/readyz", ANCHOR: "/health"}
_START_S = 600.0
_END_S = 30.0


class Nothing:
    """A model that gives every window the same score, at once; see `ScoringModel`."""

    name = STUB
    fingerprint = "0" * 64
    num_devices = 1
    recipe = Recipe(window=64_000, hop=64_000, gate=GateConfig(speech="off"))

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        return np.where(num_samples > 0, 1.0 + 0 * waveform[:, 0], np.nan).astype(np.float32)

    def decision(self, *, prior: float = 0.5, threshold: float | None = None) -> DecisionRule:
        return DecisionRule(OperatingPoint(threshold or 0.0, "none"), None, prior)


def has_anchor() -> bool:
    """Return whether LitServe is installed."""
    return importlib.util.find_spec("litserve") is not None


class Serving:
    """A service in a process of its own."""

    def __init__(self, kind: str, workdir: str) -> None:
        words = [sys.executable, "-m", kind, workdir]
        # LitServe ends its processes at Ctrl-C, not at SIGTERM; what is left is killed as a group.
        self.process = subprocess.Popen(
            words,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stderr is not None
        said = ""
        while not (found := re.search(r"listens on (\S+)", said)):
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit(f"{kind} did not start: {said}")
            said += line
        self.kind, self.url = kind, httpx.URL(found[1])
        self._said: deque[str] = deque(maxlen=20)
        self._reader = threading.Thread(target=self._said.extend, args=[self.process.stderr])
        self._reader.start()
        until_s = time.monotonic() + _START_S
        while not self._is_ready():
            if time.monotonic() > until_s or self.process.poll() is not None:
                self.__exit__()
                raise SystemExit(f"{kind} did not become ready: {''.join(self._said)}")
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self.url.join(_READY[self.kind])).status_code == 200
        except httpx.TransportError:
            return False

    def target(self, content: bytes) -> Target:
        """Return the request that scores a file."""
        path, kind = "/v1/score", "audio/wav"
        if self.kind == ANCHOR:
            path, kind = "/predict", "application/json"
            content = json.dumps({"audio": base64.b64encode(content).decode()}).encode()
        fields = f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close"
        head = f"POST {path} HTTP/1.1\r\nHost: {self.url.host}\r\n{fields}\r\n\r\n"
        return Target(self.url.host, self.url.port or 80, head.encode() + content)

    def memory_mb(self) -> float:
        """Return the resident memory of the service and all of its processes."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True
        )
        rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        ours = {self.process.pid}
        while more := {pid for pid, parent, _ in rows if parent in ours} - ours:
            ours |= more
        return sum(rss for pid, _, rss in rows if pid in ours) * 1024 / 1e6

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


def detector_of(workdir: str) -> Detector:
    """Return the detector of a run or preset, of `STUB` one that does nothing."""
    model: Any = Nothing()
    return Detector(model, model.decision()) if workdir == STUB else load(workdir or None)


def _serve(workdir: str) -> None:
    from rawnet_jax.serve.server import Listening, run
    from rawnet_jax.serve.service import Service

    run(Service(detector_of(workdir)), Listening(port=0), tell_url)


def tell_url(url: str) -> None:
    """Tell the benchmark where the service is."""
    sys.stderr.write(f"listens on {url}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
