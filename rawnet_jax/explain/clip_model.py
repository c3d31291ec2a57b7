"""A network as a function of one clip: scores, gradients by the waveform, attention."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from rawnet_jax.contract import is_real
from rawnet_jax.explain.attention import AttentionMap, read_attention
from rawnet_jax.mesh import make_mesh, replicated, split_rows
from rawnet_jax.run import Run
from rawnet_jax.scoring.embedder import embedded
from rawnet_jax.scoring.file_scorer import Rows

SCORE_BATCH = 16
GRADIENT_BATCH = 4  # what a gradient keeps of every layer is many times a score's memory


class ClipModel:
    """Scores clips as a run would, each by itself, and tells what the score depends on.

    Clips are filled up to the length of the network's window inside, so that a gradient is one by
    the clip's own samples, however often they are repeated.

    Attributes:
        window: length of the network's input in samples.
        pad: how a shorter clip is filled: "zero" or "repeat".
        bucket_samples: shorter lengths to repeat a clip to, see `Rows`.
        score_rows: clips that are scored at once.
        gradient_rows: gradients that are taken at once.
    """

    def __init__(
        self,
        model: nn.Module,
        variables: dict[str, Any],
        *,
        window: int,
        pad: str = "zero",
        buckets: Sequence[int] = (),
        mesh: Mesh | None = None,
    ) -> None:
        """Prepare; each program is compiled when it is first needed.

        Args:
            model: the network.
            variables: ``{"params", "batch_stats"}``.
            window: length of its input in samples.
            pad: how a shorter clip is filled: "zero" or "repeat".
            buckets: shorter lengths to repeat a clip to, see `Rows`.
            mesh: the devices; None = all.
        """
        self.window = window
        self._model = model
        self._variables = variables
        mesh = mesh or make_mesh()
        self.score_rows = -(-SCORE_BATCH // mesh.size) * mesh.size
        self.gradient_rows = -(-GRADIENT_BATCH // mesh.size) * mesh.size
        self.pad, self.bucket_samples = pad, tuple(buckets)
        self._rows = Rows((window,), self.score_rows, pad, self.bucket_samples)
        rows, whole = split_rows(mesh), replicated(mesh)
        sharded: dict[str, Any] = {"in_shardings": (whole, rows, rows), "out_shardings": whole}
        self._score = jax.jit(self._apply, **sharded)
        self._gradient = jax.jit(jax.value_and_grad(self._summed, 1, has_aux=True), **sharded)

    def score(self, waveforms: Iterable[np.ndarray], progress: tqdm | None = None) -> np.ndarray:
        """Score clips.

        Args:
            waveforms: float32 [n] each, 1 <= n <= `window`, n the same for all.
            progress: a bar to move by one per clip.

        Returns:
            float64 [K], higher = more bona fide.
        """
        scores: list[np.ndarray] = []
        for chunk in _chunks(waveforms, self.score_rows):
            found = self._score(self._variables, *self._batch(chunk, self.score_rows))
            scores.append(np.asarray(found, np.float64)[: len(chunk)])
            if progress is not None:
                progress.update(len(chunk))
        return np.concatenate(scores)

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Score a batch as `rawnet_jax.scoring.file_scorer.score_files` makes it.

        Args:
            waveform: float32 [score_rows, window].
            num_samples: int32 [score_rows], 0 in rows that hold nothing.

        Returns:
            float32 [score_rows].
        """
        return np.asarray(self._score(self._variables, waveform, num_samples))

    def embedding(self, waveform: np.ndarray) -> np.ndarray:
        """Return the network's embedding of a clip, float32 [D].

        Args:
            waveform: float32 [n], n <= `window`.
        """
        found = jax.jit(partial(embedded, self._model))
        return np.asarray(found(self._variables, *self._batch([waveform], 1)))[0, 1:]

    def gradient(
        self, waveforms: np.ndarray, progress: tqdm | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and their gradients.

        Args:
            waveforms: float32 [K, n], n <= `window`.
            progress: a bar to move by one per clip.

        Returns:
            Scores, float64 [K], and the gradient of each by its own waveform, float64 [K, n]: how
            much the score rises for a sample that rises by full scale.
        """
        scores: list[np.ndarray] = []
        gradients: list[np.ndarray] = []
        length = waveforms.shape[1]
        for chunk in _chunks(waveforms, self.gradient_rows):
            batch = self._batch(chunk, self.gradient_rows)
            (_, score), gradient = self._gradient(self._variables, *batch)
            scores.append(np.asarray(score, np.float64)[: len(chunk)])
            rows = np.asarray(gradient, np.float64)[: len(chunk)]
            gradients.append(_by_clip(rows, int(batch[1][0]), length))
            if progress is not None:
                progress.update(len(chunk))
        return np.concatenate(scores), np.concatenate(gradients)

    def attention(self, waveform: np.ndarray) -> list[AttentionMap]:
        """Return what the network's own attention weighs in a clip; empty where it has none.

        Args:
            waveform: float32 [n], n <= `window`.
        """
        return read_attention(self._model, self._variables, *self._batch([waveform], 1))

    def _apply(self, variables: Any, waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
        output: Any = self._model.apply(variables, waveform, num_samples, train=False)
        return output.score

    def _summed(
        self, variables: Any, waveform: jax.Array, num_samples: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Return the sum of all scores: its gradient by one row is that of the row's own score."""
        score = self._apply(variables, waveform, num_samples)
        return (score * is_real(num_samples)).sum(), score

    def _batch(self, chunk: Sequence[np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return waveform float32 [rows, window] and num_samples int32 [rows], 0 in filler rows."""
        waveform = np.zeros((rows, self.window), np.float32)
        num_samples = np.zeros(rows, np.int32)
        for i, clip in enumerate(chunk):
            num_samples[i] = self._rows.fill(waveform[i], clip)
        return waveform, num_samples


def clip_model_of(run: Run) -> ClipModel:
    """Return the network of a run, with windows as the run scores recordings."""
    recipe = run.recipe
    return ClipModel(
        run.model,
        run.variables,
        window=recipe.window,
        pad=recipe.pad,
        buckets=recipe.bucket_samples,
        mesh=run.mesh,
    )


def _chunks(waveforms: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    chunk: list[np.ndarray] = []
    for waveform in waveforms:
        chunk.append(waveform)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _by_clip(gradient: np.ndarray, filled: int, length: int) -> np.ndarray:
    """Return the gradient by clips [K, n] of that by the rows [K, T] that they fill."""
    rounds = -(-filled // length)  # 1 but for clips that are repeated
    padded = np.zeros((len(gradient), rounds * length))
    padded[:, :filled] = gradient[:, :filled]
    return padded.reshape(-1, rounds, length).sum(axis=1)
