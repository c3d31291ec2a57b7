"""``serve``: from options to a service that runs."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.detector import Detector, load
from rawnet_jax.errors import ConfigError
from rawnet_jax.jobs.options import MOST_WORKERS, at_least
from rawnet_jax.serve.gate_options import GateOptions
from rawnet_jax.serve.settings import Settings
from rawnet_jax.terminal import complain

_NEEDED = ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client")
_MOST_PORT = 65_535
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class ServeOptions(GateOptions):
    """Options of ``serve``, named as its flags; see ``serve --help``."""

    workdir: str | None
    checkpoint: str
    seed: str | None
    overrides: Sequence[str]
    p_spoof: float
    threshold: float | None
    speech: str | None
    host: str
    port: int
    tls_certificate: Path | None
    tls_key: Path | None
    trusted_proxies: str
    behind_proxy: bool
    metrics_port: int | None
    max_body: float
    max_audio: float
    max_audio_gate: float
    queue: int
    queue_wait: float
    batch: int
    decode_workers: int
    files_per_worker: int
    jobs: int
    max_streams: int
    max_streams_per_key: int
    max_stream: float
    stream_idle: float
    stream_hop: float
    drain: float
    encoder: Path | None
    speakers: Path | None
    template_key: Path | None
    voice_costs: str
    voice_band: float
    enrol_clips: int
    enrol_speech: float
    verify_speech: float

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("--port", self.port, 0, _MOST_PORT)
        at_least("--metrics-port", self.metrics_port, 0, _MOST_PORT)
        at_least("--queue", self.queue, 1, 10_000)
        at_least("--batch", self.batch, 1, 256)
        at_least("--decode-workers", self.decode_workers, 0, MOST_WORKERS)
        at_least("--files-per-worker", self.files_per_worker, 1)
        at_least("--jobs", self.jobs, 1, 10_000)
        at_least("--max-streams", self.max_streams, 1, 10_000)
        at_least("--max-streams-per-key", self.max_streams_per_key, 1, 10_000)
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError("--tls-certificate and --tls-key: give both, or none")
        if self.encoder is None and (self.speakers or self.template_key):
            raise ConfigError("--speakers and --template-key: go with --encoder only")
        if not 0 < self.max_body <= 1_024:
            raise ConfigError(f"--max-body {self.max_body:g}: it must be above 0, in MiB, <= 1024")
        if not is_loopback(self.host) and not self.behind_proxy and self.keys is None:
            raise ConfigError(
                f"--host {self.host}: other machines reach it and there are no keys; give --keys, "
                "listen on 127.0.0.1, or give --behind-proxy if a proxy does the authentication"
            )

    def settings(self) -> Settings:
        """Return the limits of the service.

        Raises:
            ConfigError: one is out of range.
        """
        return Settings(
            max_body_bytes=int(self.max_body * _MIB),
            max_audio_s=self.max_audio,
            max_audio_gate_s=min(self.max_audio, self.max_audio_gate),
            queue=self.queue,
            queue_wait_s=self.queue_wait,
            batch=self.batch,
            decode_workers=self.decode_workers or usable_cores(),
            decode_files=self.files_per_worker,
            max_jobs=self.jobs,
            streams=self.max_streams,
            streams_per_key=self.max_streams_per_key,
            max_stream_s=self.max_stream,
            stream_idle_s=self.stream_idle,
            stream_hop_s=self.stream_hop,
            drain_s=self.drain,
        )


def serve(options: ServeOptions) -> int:
    """Run the service until a signal comes.

    Raises:
        RawnetError: an option, the detector or the address is wrong, or an extra is missing.
        KeyboardInterrupt: Ctrl-C.
        Interrupted: SIGTERM.
    """
    check_installed()
    settings = options.settings()
    detector = _detector(options)
    for note in detector.notes:
        complain(f"note: {note}")
    # These bring FastAPI and uvicorn, which a wrong flag does not need.
    from rawnet_jax.serve.server import Listening, run
    from rawnet_jax.serve.service import Service

    gate = options.gate()
    service = Service(detector, settings, shows_metrics=options.metrics_port is None, gate=gate)
    if options.encoder is not None:
        from rawnet_jax.jobs.voices import COSTS
        from rawnet_jax.serve.voices import open_voices
        from rawnet_jax.speaker.verification import Policy

        service.voices = open_voices(
            detector,
            options.encoder,
            options.speakers,
            options.template_key,
            Policy(
                costs=COSTS[options.voice_costs],
                band=options.voice_band,
                min_speech_s=options.verify_speech,
                enrol_clips=options.enrol_clips,
                enrol_speech_s=options.enrol_speech,
            ),
            speech=options.speech,
        )
    where = Listening(
        host=options.host,
        port=options.port,
        tls_certificate=options.tls_certificate,
        tls_key=options.tls_key,
        trusted_proxies=options.trusted_proxies,
    )
    with _metrics_on(options, service):
        run(service, where, lambda url: complain(f"{detector.info.name} listens on {url}"))
    return 0


def _detector(options: ServeOptions) -> Detector:
    is_file = options.workdir is not None and options.workdir.lower().endswith(".onnx")
    if is_file and (options.overrides or options.seed or options.checkpoint != "best"):
        raise ConfigError("--checkpoint, --seed and --config: an .onnx file has none")
    return load(
        options.workdir,
        checkpoint=options.checkpoint,
        seed=options.seed,
        overrides=options.overrides,
        prior=options.p_spoof,
        threshold=options.threshold,
        speech=options.speech,
    )


def check_installed() -> None:
    """Check that the extra is there.

    Raises:
        ConfigError: it is not.
    """
    import importlib.util

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"serve: {', '.join(missing)} not installed; pip install 'rawnet_jax[serve]' has it"
        )


def is_loopback(host: str) -> bool:
    """Return whether a name or address is reached from this machine alone."""
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(one[4][0]).is_loopback for one in found)


@contextlib.contextmanager
def _metrics_on(options: ServeOptions, service: Any) -> Iterator[None]:
    """Show metrics on a port of their own, where one is given."""
    if options.metrics_port is None:
        yield
        return
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(
            options.metrics_port, options.host, registry=service.meters.registry
        )
    except OSError as error:
        raise ConfigError(f"--metrics-port {options.metrics_port}: {error.strerror}") from None
    complain(f"metrics on http://{options.host}:{server.server_port}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
