"""What a frozen encoder makes of clips: statistics over time of its hidden states.

One compiled program takes a batch of windows to the statistics of all wanted layers, so that no
frame leaves the device. Features of a clip are those of its first window or, where scores are means
over windows, the means over its windows: a linear classifier of them then gives the score that the
run gives.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.encoder_weights import EncoderWeights
from rawnet_jax.mesh import dividing_rows, make_mesh, replicated
from rawnet_jax.models.ssl_probe import LayerStatistics
from rawnet_jax.probe.feature_store import FeatureStore
from rawnet_jax.progress import BatchBars
from rawnet_jax.scoring.clips import clip_windows
from rawnet_jax.scoring.embedder import Embedder
from rawnet_jax.scoring.recordings import Recipe

_VERSION = 1
# In one file, at most: little is lost when a run is killed.
_FILE_CLIPS = 256
_FILE_BYTES = 2**25
_WITHOUT_EFFECT = ("first_layers", "remat", "unroll")  # on a state, among an encoder's fields


def column_name(layer: int, statistic: str) -> str:
    """Return the name of a column of the features."""
    return f"layer_{layer}/{statistic}"


def audio_digests(clips: WaveformSource) -> list[bytes]:
    """Return the SHA-256 of each clip's samples."""
    waveforms = (clips.waveform(position) for position in range(len(clips)))
    return [hashlib.sha256(np.ascontiguousarray(w).tobytes()).digest() for w in waveforms]


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """How clips become features.

    Attributes:
        weights: of the encoder, up to the last of `layers` at least.
        digest: stands for the weights of the whole encoder.
        layers: of the states, from 0.
        statistics: some of `rawnet_jax.poolings.STATISTICS`.
        recipe: windows, padding, gate and aggregation, as the run has them.
        batch_size: windows at once.
        num_threads: that read clips.
        root: folder that holds the features of all encoders.
    """

    weights: EncoderWeights
    digest: str
    layers: Sequence[int]
    statistics: Sequence[str]
    recipe: Recipe
    batch_size: int
    num_threads: int
    root: Path

    @cached_property
    def store(self) -> FeatureStore:
        """What is on disk.

        Raises:
            DataError: the folder cannot be used.
        """
        columns = [column_name(layer, name) for layer in self.layers for name in self.statistics]
        return FeatureStore(self.root / self._key, columns, self.weights.config.width)

    @property
    def _key(self) -> str:
        """SHA-256 of all that decides the features of a clip, but for its audio."""
        encoder = dataclasses.asdict(self.weights.config)
        recipe = dataclasses.asdict(self.recipe)
        settings = {
            "version": _VERSION,
            "encoder": {k: v for k, v in encoder.items() if k not in _WITHOUT_EFFECT},
            "weights": self.digest,
            "recipe": {k: v for k, v in recipe.items() if k not in ("audio", "batch_size")},
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:20]

    def fill(self, clips: WaveformSource, title: str, bars: BatchBars) -> list[bytes]:
        """Compute what the store lacks; what is done stays done, however this ends.

        Args:
            clips: as they are stored.
            title: of the bar.
            bars: makes it.

        Returns:
            Digests of the clips, to read the store with.

        Raises:
            CheckpointError: the encoder's states are not finite.
            DataError: the store cannot be written.
        """
        digests = audio_digests(clips)
        missing = self.store.missing(digests)
        if not missing:
            return digests
        row_bytes = 4 * self.store.width * len(self.store.columns)
        per_file = max(1, min(_FILE_CLIPS, _FILE_BYTES // row_bytes))
        done = len(clips) - len(missing)
        with bars(title, len(clips), initial=done, unit="clip") as bar:
            rows: list[np.ndarray] = []
            for number, row in enumerate(self._computed(clips, missing), 1):
                rows.append(row)
                bar.update()
                if len(rows) == per_file or number == len(missing):
                    positions = missing[number - len(rows) : number]
                    self._keep([digests[position] for position in positions], rows)
                    rows = []
        return digests

    def _keep(self, digests: Sequence[bytes], rows: Sequence[np.ndarray]) -> None:
        features = np.stack(rows)
        if not np.isfinite(features).all():
            raise CheckpointError(
                "the encoder's states are not finite; are the weights whole, and the sizes theirs?"
            )
        shape = (len(rows), len(self.store.columns), self.store.width)
        self.store.add(digests, features.reshape(shape))

    def _computed(self, clips: WaveformSource, positions: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield float32 [columns * width] of each of the clips."""
        found = clip_windows(
            clips,
            positions,
            self._embedder(),
            self.recipe,
            batch_size=dividing_rows(make_mesh(), self.batch_size),
            num_threads=self.num_threads,
        )
        for one in found:
            yield one.windows.aggregate_more(self.recipe.aggregation).astype(np.float32)

    def _embedder(self) -> Embedder:
        mesh = make_mesh()
        model = LayerStatistics(
            encoder=dataclasses.asdict(self.weights.config),
            variable_length=True,
            layers=tuple(self.layers),
            statistics=tuple(self.statistics),
        )
        return Embedder(model, mesh, jax.device_put(self._variables, replicated(mesh)))

    @property
    def _variables(self) -> dict[str, Any]:
        found = self.weights.variables
        return {name: {"encoder": part} for name, part in found.items() if part}
