"""A service on loopback, in a thread of the tests, and models that need no network."""

import asyncio
import contextlib
import io
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import soundfile

from rawnet_jax.config import GateConfig
from rawnet_jax.detector import Detector
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint
from rawnet_jax.serve.server import Listening, serve
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings

RATE = 16_000


class StubModel:
    """Scores a window by its mean absolute value; counts and, if told, waits.

    See `rawnet_jax.scoring.model.ScoringModel`.
    """

    name = "stub"
    fingerprint = "0" * 64
    num_devices = 1
    threshold = 0.05

    def __init__(self) -> None:
        gate = GateConfig(speech="off", min_active_s=0.0)
        self.recipe = Recipe(window=3_200, hop=3_200, gate=gate)
        self.shapes: set[tuple[int, ...]] = set()
        self.may_go = threading.Event()
        self.may_go.set()
        self.shift = 0.0  # of every score; another one is another network

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        self.shapes.add(waveform.shape)
        self.may_go.wait(30)
        found = np.abs(waveform).mean(axis=1) + self.shift
        return np.where(num_samples > 0, found, np.nan).astype(np.float32)

    def decision(self, *, prior: float = 0.5, threshold: float | None = None) -> DecisionRule:
        point = OperatingPoint(self.threshold if threshold is None else threshold, "a rule")
        return DecisionRule(point, AffineCalibration(2.0, 0.5, 0.5, 100, 100), prior)


def stub_detector() -> Detector:
    model = StubModel()
    return Detector(model, model.decision())


@dataclass
class Running:
    """A service that runs.

    Attributes:
        service: the service.
        url: where it listens.
        client: of this thread.
    """

    service: Service
    url: str
    client: httpx.Client
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    thread: threading.Thread
    errors: list[BaseException] = field(default_factory=list)

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    @property
    def stub(self) -> Any:
        """The model, where it is a `StubModel`."""
        return self.service.detector.model

    def score(self, content: bytes, **params: Any) -> httpx.Response:
        return self.client.post("/v1/score", content=content, params=params)

    def end(self) -> None:
        """Tell it to end, as a signal would."""
        self.loop.call_soon_threadsafe(self.stop.set)


@contextlib.contextmanager
def running(
    service: Service,
    *,
    ready: bool = True,
    where: Listening | None = None,
    verify: ssl.SSLContext | bool = True,
) -> Iterator[Running]:
    """Run a service on a free port until the block ends."""
    listening_at = where or Listening(port=0)
    known: dict[str, Any] = {}
    begun = threading.Event()
    errors: list[BaseException] = []

    async def main() -> None:
        known.update(loop=asyncio.get_running_loop(), stop=asyncio.Event())

        def listening(url: str) -> None:
            known["url"] = url
            begun.set()

        await serve(service, listening_at, known["stop"], listening)

    def target() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            errors.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=target, name="service")
    thread.start()
    assert begun.wait(30)
    assert "url" in known, errors
    with httpx.Client(base_url=known["url"], timeout=30, verify=verify) as client:
        found = Running(service, client=client, thread=thread, errors=errors, **known)
        try:
            while ready and client.get("/readyz").status_code != 200:
                assert thread.is_alive(), errors
                threading.Event().wait(0.02)
            yield found
        finally:
            with contextlib.suppress(RuntimeError):
                found.end()
            thread.join(40)
            assert not thread.is_alive()


def stub_service(**settings: Any) -> Service:
    return Service(stub_detector(), Settings(**settings))


def wav(waveform: np.ndarray, rate: int = RATE, **form: str) -> bytes:
    """Return a recording as the bytes of a file; 16-bit WAV unless `form` says otherwise."""
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, **{"format": "WAV", "subtype": "PCM_16", **form})
    return file.getvalue()


def noise(num_samples: int, *channels: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((num_samples, *channels))).astype(np.float32)
