"""What is unlike training: which distance of an embedding tells most of it.

    python -m benchmarks.outlier --workdir runs/x --noise ../shared/data/noise --speech DIR

The run's corpus must be at hand. Each distance is fitted on train and bounded so that --share of
the genuine dev clips lies beyond; the table has the share of each kind beyond that bound:

- the run's own partitions, by class
- sounds made by code (`benchmarks.outlier_sounds`), and the files of --noise
- genuine eval speech after hard treatment, and through codecs where ffmpeg has them
- the files of --speech, other genuine speech

One window is judged of each clip. The last column is the share that the input gate refuses first.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.machine import num_cores, processor
from benchmarks.outlier_sounds import LENGTH, SOUNDS, SPEECH, at_level, read, usable_codecs
from rawnet_jax.data.audio import INT16_SCALE, from_int16
from rawnet_jax.data.partitions import load_drawn_cache, load_scoring_cache
from rawnet_jax.data.trial import labels_of
from rawnet_jax.labels import Label
from rawnet_jax.metrics import outlier
from rawnet_jax.run import Run
from rawnet_jax.scoring.clips import score_clips
from rawnet_jax.scoring.gate import gate_refusal

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From embeddings [N, D] and energies [N] to distances [N]."""


class Clips:
    """Waveforms in memory, as a list of clips."""

    owner = None

    def __init__(self, waveforms: Iterable[np.ndarray]) -> None:
        self.waveforms = [np.asarray(w, np.float32) for w in waveforms]
        self.trials: list[Any] = [None] * len(self.waveforms)
        self.num_samples = np.array([len(w) for w in self.waveforms])

    def __len__(self) -> int:
        return len(self.waveforms)

    def waveform(self, position: int) -> np.ndarray:
        return self.waveforms[position] * np.float32(INT16_SCALE)


class Network:
    """Embeddings and energies of a run."""

    def __init__(self, run: Run) -> None:
        self.run = run

        @jax.jit
        def found(variables: Any, waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
            output: Any = run.model.apply(variables, waveform, num_samples, train=False)
            logits = output.logits.reshape(*output.score.shape, -1, output.logits.shape[-1])
            if output.logits.ndim == 1:  # log odds alone
                logits = jnp.stack([output.logits * 0, output.logits], -1)[:, None]
            energy = -jax.nn.logsumexp(logits, axis=-1).mean(-1)
            return jnp.concatenate([output.score[:, None], energy[:, None], output.embedding], 1)

        self._found = found
        row = np.zeros((1, run.recipe.window), np.float32)
        shape = jax.eval_shape(found, run.variables, row, np.full(1, row.size, np.int32)).shape
        self.width = shape[1] - 1

    def __call__(self, clips: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return embeddings [N, D] and energies [N] of first windows."""
        found = score_clips(
            clips,
            lambda *rows: np.array(self._found(self.run.variables, *rows)),
            self.run.recipe,
            batch_size=16,
            num_more=self.width,
        )
        return found.more_of_first[:, 1:], found.more_of_first[:, 0]


def distances(train: np.ndarray, labels: np.ndarray) -> dict[str, Distance]:
    """Fit every candidate."""
    width = train.shape[1]
    measures = {k: outlier.fit_distance(train, labels, k) for k in (16, 64, width)}
    pooled = outlier.fit_distance(train, np.zeros(len(train)), width)
    whole = measures[width]
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    mean = train.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(train.T))

    def neighbour(x: np.ndarray, _: np.ndarray) -> np.ndarray:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return np.sort(2 - 2 * x @ unit.T, axis=1)[:, 9]

    return {
        "Mahalanobis, 16 directions": lambda x, _: measures[16](x),
        "64 directions": lambda x, _: measures[64](x),
        "all directions": lambda x, _: whole(x),
        "relative": lambda x, _: whole(x) ** 2 - pooled(x) ** 2,
        "10th neighbour": neighbour,
        "residual": lambda x, _: np.linalg.norm((x - mean) @ axes[:, :-16], axis=1),
        "energy": lambda _, energy: energy,
    }


def kinds(arguments: argparse.Namespace, run: Run) -> Iterator[tuple[str, Clips]]:
    """Yield every kind of clip."""
    rng = np.random.default_rng(0)
    for name, make in SOUNDS.items():
        yield name, Clips(at_level(make(rng), rng) for _ in range(arguments.num))
    if arguments.noise is not None:
        yield "recorded noise", Clips(_pieces(arguments.noise))
    genuine = _genuine(run, arguments.num, rng)
    for name, treat in {**SPEECH, **usable_codecs()}.items():
        yield f"speech {name}", Clips(treat(clip, rng) for clip in genuine)
    if arguments.speech is not None:
        paths = sorted(path for path in arguments.speech.rglob("*.*") if path.is_file())
        chosen = paths[:: max(1, len(paths) // (4 * arguments.num))]
        yield f"speech of {arguments.speech.name}", Clips(read(str(path)) for path in chosen)


def _labels(clips: Any) -> np.ndarray:
    labels = labels_of(clips.trials)
    assert labels is not None
    return labels


def _pieces(folder: Path) -> Iterator[np.ndarray]:
    for path in sorted(folder.glob("*.flac")):
        sound = read(str(path))
        for start in np.linspace(0, max(len(sound) - LENGTH, 0), 3).astype(int).tolist():
            yield sound[start : start + LENGTH]


def _genuine(run: Run, num: int, rng: np.random.Generator) -> list[np.ndarray]:
    cache = load_scoring_cache(run.config.data, "eval", progress=False)
    labels = _labels(cache)
    chosen = rng.permutation(np.flatnonzero(labels == Label.BONAFIDE))[:num]
    return [from_int16(cache.waveform(position)) for position in chosen.tolist()]


def _refused(clips: Clips, run: Run) -> float:
    window = run.recipe.window
    refused = [gate_refusal(w[:window], run.config.gate) is not None for w in clips.waveforms]
    return float(np.mean(refused))


def _row(name: str, values: Iterable[float]) -> str:
    return f"| {name} | " + " | ".join(f"{100 * v:.0f}" if v == v else "" for v in values) + " |"


def main(arguments: argparse.Namespace) -> None:
    run = Run.open(arguments.workdir, overrides=["--config.eval.outlier_share=0"])
    network = Network(run)
    data = run.config.data
    drawn = load_drawn_cache(data, run.config.eval.outlier_clips, progress=False)
    labels = _labels(drawn)
    candidates = distances(network(drawn)[0], labels)
    dev = load_scoring_cache(data, "dev", progress=False)
    of_dev, dev_labels = network(dev), _labels(dev)
    genuine = dev_labels == Label.BONAFIDE
    bounds = {
        name: outlier.upper_bound(measure(*of_dev)[genuine], arguments.share)
        for name, measure in candidates.items()
    }
    print(f"{processor()}, {num_cores()} cores; {len(drawn)} train clips, {genuine.sum()} dev\n")
    print("| % refused | " + " | ".join([*candidates, "gate"]) + " |")
    print("|---" * (len(candidates) + 2) + "|")

    def beyond(found: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
        return [measure(*found) > bounds[name] for name, measure in candidates.items()]

    for name in ("dev", "eval"):
        cache = load_scoring_cache(data, name, progress=False)
        refused, keys = beyond(network(cache)), _labels(cache)
        for label in Label:
            shares = [float(row[keys == label].mean()) for row in refused]
            print(_row(f"{name}, {label.key}", [*shares, np.nan]))
    for name, clips in kinds(arguments, run):
        shares = [float(row.mean()) for row in beyond(network(clips))]
        print(_row(name, [*shares, _refused(clips, run)]), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="of a trained run")
    parser.add_argument("--noise", type=Path, help="folder of FLAC files")
    parser.add_argument("--speech", type=Path, help="folder of other genuine speech")
    parser.add_argument("--share", type=float, default=0.01, help="of genuine dev clips beyond")
    parser.add_argument("--num", type=int, default=20, help="clips of a kind")
    main(parser.parse_args())
