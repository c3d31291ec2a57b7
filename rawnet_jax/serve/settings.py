"""Every number that bounds what the service does; each is in the answer of ``/v1/model``."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from rawnet_jax.errors import ConfigError

_MAY_BE_ZERO = ("batch_wait_s", "answer_step_s", "grace_s", "stream_hop_s")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Limits of the service. Names that end in ``_s`` are seconds.

    Attributes:
        max_body_bytes: of a request.
        max_audio_s: of a recording that an analyst sends.
        max_audio_gate_s: of a recording that a gate sends.
        min_rate_hz: lowest sample rate of a recording.
        max_rate_hz: highest sample rate of a recording.
        max_channels: of a recording.
        head_s: for the head of a request.
        body_s: for the body of a request, whatever its size.
        min_body_rate: bytes a second that a body must keep up with after `grace_s`.
        grace_s: before `min_body_rate` counts.
        receiving: bodies that are received at once.
        queue: recordings that are decoded, wait or are scored at once, in all.
        queue_per_key: of those, one key's.
        queue_audio_s: seconds of decoded audio that wait for the network at once.
        held_bytes: of bodies, from their first byte to their answer, in all.
        queue_wait_s: that a recording waits for a decoder and for the network at most.
        batch: recordings that are scored at once.
        batch_wait_s: that the first of a batch waits for others.
        batch_audio_s: seconds of audio that are scored at once.
        decode_workers: processes that decode.
        decode_s: for decoding one recording.
        decode_cpu_s: of CPU time for decoding one recording.
        decode_memory_bytes: of address space for a process that decodes.
        decode_files: recordings until such a process is replaced.
        max_jobs: kept at once, finished ones too.
        job_life_s: that the result of a job is kept.
        drain_s: for requests that run when the service is told to end.
        answer_step_s: answers to gates leave at multiples of this after their body came.
        self_test_s: between two self-tests while ``/readyz`` is asked.
        streams: open at once.
        streams_per_key: of those, one key's.
        max_stream_s: of a stream.
        stream_idle_s: in which a message of the client must come.
        stream_hop_s: from one window of a stream to the next; 0 = as the model was evaluated.
    """

    max_body_bytes: int = 10 * 2**20
    max_audio_s: float = 600.0
    max_audio_gate_s: float = 60.0
    min_rate_hz: int = 8_000
    max_rate_hz: int = 192_000
    max_channels: int = 8
    head_s: float = 10.0
    body_s: float = 60.0
    min_body_rate: int = 16 * 2**10
    grace_s: float = 3.0
    receiving: int = 32
    queue: int = 64
    queue_per_key: int = 32
    queue_audio_s: float = 3_600.0
    held_bytes: int = 2**29
    queue_wait_s: float = 2.0
    batch: int = 8
    batch_wait_s: float = 0.005
    batch_audio_s: float = 120.0
    decode_workers: int = 2
    decode_s: float = 15.0
    decode_cpu_s: int = 10
    decode_memory_bytes: int = 2**30
    decode_files: int = 100
    max_jobs: int = 16
    job_life_s: float = 600.0
    drain_s: float = 30.0
    answer_step_s: float = 0.05
    self_test_s: float = 30.0
    streams: int = 32
    streams_per_key: int = 4
    max_stream_s: float = 300.0
    stream_idle_s: float = 10.0
    stream_hop_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: one is out of range.
        """
        for field in fields(self):
            number = getattr(self, field.name)
            lowest_is_zero = field.name in _MAY_BE_ZERO
            if not math.isfinite(number) or number < 0 or (number == 0 and not lowest_is_zero):
                least = "0 or more" if lowest_is_zero else "above 0"
                raise ConfigError(f"{field.name} {number}: it must be {least}, and finite")
        if self.min_rate_hz > self.max_rate_hz:
            raise ConfigError(
                f"min_rate_hz {self.min_rate_hz}: it must be at most {self.max_rate_hz}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return all of them by name, ready for JSON."""
        return asdict(self)
