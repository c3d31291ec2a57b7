"""Actors that decode for those that score: CPUs of any node feed a GPU of another.

A decoder has no model. It gets some rows, fetches and decodes them, and sends samples back. What it
cannot send (it was lost, or the recording is long) is decoded by whoever scores.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, overload

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import Source
from rawnet_jax.data.fetch import Recordings
from rawnet_jax.scale.shard import Settings
from rawnet_jax.scoring.decoded import Decoded, Promised, decode
from rawnet_jax.scoring.file_windows import Recording
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.storage.rows import Row

_CHUNK_FILES = 16  # that a decoder gets at once
_CHUNK_BYTES = 2**24
_AHEAD = 2  # chunks of each decoder that are under way
_MOST_S = 600.0  # a longer recording is decoded by whoever scores it, piece by piece


@dataclass(frozen=True, slots=True)
class Decoding:
    """How recordings are decoded.

    Attributes:
        audio: bounds on what is decoded.
        gate: bounds on what is judged.
        channel: the one that is taken, 1 = the first; None = the average of all.
        concurrency: files that are fetched at once.
    """

    audio: AudioConfig
    gate: GateConfig
    channel: int | None
    concurrency: int

    @classmethod
    def of(cls, recipe: Recipe, settings: Settings) -> "Decoding":
        """Return how a model's shards are decoded."""
        audio = replace(recipe.audio, max_duration_s=settings.max_duration_s)
        return cls(audio, recipe.gate, settings.channel, settings.concurrency)


class Decoder:
    """What runs in a decoding process of the cluster."""

    def decode(self, rows: Sequence[Row], how: Decoding) -> list[Decoded | None]:
        """Return what came of each row; None = whoever scores it has to decode it."""
        audio = replace(how.audio, max_duration_s=min(how.audio.max_duration_s, _MOST_S))
        with Recordings(rows, concurrency=how.concurrency) as recordings:
            found = [decode(source, audio, how.gate, how.channel) for _, source in recordings]
        return [None if one.error and one.error.reason == "too long" else one for one in found]


class _Chunk:
    """Some rows that one decoder was given."""

    def __init__(self, first: int, rows: Sequence[Row]) -> None:
        self.first = first
        self.rows = rows
        self.coming: Any = None  # what Ray gives for the call
        self._found: list[Decoded | None] | None = None
        self._lock = threading.Lock()

    def take(self, index: int, ray: Any) -> Decoded | None:
        """Return what came of a row, once; None where whoever asks has to decode it."""
        with self._lock:
            if self._found is None:
                try:
                    self._found = list(ray.get(self.coming))
                except ray.exceptions.RayError:  # the decoder was lost, maybe by one of these rows
                    self._found = [None] * len(self.rows)
                self.coming = None
            found, self._found[index - self.first] = self._found[index - self.first], None
            return found


class DecodedRecordings(Sequence[tuple[str, Recording]]):
    """Names and sources of rows, decoded ahead by other processes.

    Memory holds the samples of some chunks of each decoder.
    """

    def __init__(
        self, ray: Any, decoders: Sequence[Any], how: Decoding, rows: Sequence[Row]
    ) -> None:
        """Begin; use it in a ``with`` statement.

        Args:
            ray: the package.
            decoders: actors of `Decoder`.
            how: settings.
            rows: of the manifest.
        """
        self._ray, self._decoders, self._how = ray, decoders, how
        self._own = Recordings(rows, concurrency=how.concurrency)
        self._chunks = list(_chunks(rows))
        self._chunk_of = [i for i, chunk in enumerate(self._chunks) for _ in chunk.rows]
        self._next = 0  # chunk that no decoder has yet
        self._lock = threading.Lock()

    def __enter__(self) -> "DecodedRecordings":
        self._own.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of what was not used."""
        self._own.__exit__(*error)

    def __len__(self) -> int:
        return len(self._own)

    @overload
    def __getitem__(self, index: int) -> tuple[str, Recording]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, Recording]]: ...

    def __getitem__(
        self, index: int | slice
    ) -> tuple[str, Recording] | Sequence[tuple[str, Recording]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._own[index][0], Promised(partial(self._taken, index))

    def _taken(self, index: int) -> Decoded | Source:
        """Return one recording as samples, or where it lies; the next chunks come meanwhile."""
        number = self._chunk_of[index]
        with self._lock:
            end = min(number + 1 + _AHEAD * len(self._decoders), len(self._chunks))
            for ahead in range(self._next, end):
                decoder = self._decoders[ahead % len(self._decoders)]
                chunk = self._chunks[ahead]
                chunk.coming = decoder.decode.remote(chunk.rows, self._how)
            self._next = max(self._next, end)
        return self._chunks[number].take(index, self._ray) or self._own[index][1]


def _chunks(rows: Sequence[Row]) -> Iterator[_Chunk]:
    begin = held = 0
    for index, row in enumerate(rows):
        if index - begin == _CHUNK_FILES or held >= _CHUNK_BYTES:
            yield _Chunk(begin, rows[begin:index])
            begin, held = index, 0
        held += row.size
    if rows:
        yield _Chunk(begin, rows[begin:])
