"""What ``/metrics`` shows, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Meters:
    """Counters and histograms of one service.

    Attributes:
        registry: holds them all.
        requests: answers by route, method and status.
        verdicts: recordings by verdict.
        waited: seconds that recordings wait for the network.
        decoded: seconds that decoding took.
        scored: seconds that scoring took, of a batch.
        received: seconds until a body was there.
        died: processes that died while they decoded.
        working: recordings in the service now.
        receiving: bodies that are being received now.
        streams: that ended, by the code of the close frame.
        ready: 1 where the service is.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Answers.", "route", "method", "status")
        self.verdicts = self._counter("verdicts", "Recordings judged.", "verdict")
        self.waited = self._histogram("queue_seconds", "From the queue to the network.")
        self.decoded = self._histogram("decode_seconds", "Decoding a recording.")
        self.scored = self._histogram("score_seconds", "Scoring the batch of a recording.")
        self.received = self._histogram("receive_seconds", "From the head to the end of a body.")
        self.died = self._counter("decode_workers_died", "Processes that died while decoding.")
        self.working = self._gauge("working", "Recordings that are decoded, wait or are scored.")
        self.receiving = self._gauge("receiving", "Bodies that are being received.")
        self.streams = self._counter("streams", "Streams that ended, by close code.", "code")
        self.ready = self._gauge("ready", "Whether the service is ready.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"rawnet_jax_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"rawnet_jax_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        name = f"rawnet_jax_{name}"
        return Histogram(name, text, registry=self.registry, buckets=_BUCKETS_S)

    def text(self) -> bytes:
        """Return all of them in Prometheus' text form."""
        return generate_latest(self.registry)
