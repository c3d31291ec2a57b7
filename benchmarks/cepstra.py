"""A reference for any detector: logistic regression on statistics of cepstra.

    python -m benchmarks.cepstra --root pool --train protocols/fold3.train.csv \
        --lists protocols/fold3.dev.csv protocols/test.csv --output runs/cepstra

Features of a clip: mean, deviation and 10 and 90 % percentiles over time of 20 LFCCs with their
deltas and double deltas. Written: a score file per list, with keys, for ``evaluate --scores``.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rawnet_jax.config import DataConfig, ProblemPolicy
from rawnet_jax.data.cache import Cache, open_or_build
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.score_file import score_table, write_scores
from rawnet_jax.data.trial import ProblemLedger, labels_of
from rawnet_jax.dsp.lfcc import lfcc
from rawnet_jax.terminal import show

_LENGTH = 51_200  # samples of a clip that are looked at


@partial(jax.jit, static_argnums=1)
def _features(waveform: jax.Array, num_samples: int) -> jax.Array:
    found, _ = lfcc(waveform[None], jnp.array([num_samples]))
    frames = found[0]
    percentiles = jnp.percentile(frames, jnp.array([10.0, 90.0]), axis=1)
    return jnp.concatenate([frames.mean(1), frames.std(1), percentiles.reshape(-1)])


def features(cache: Cache) -> np.ndarray:
    """Return float64 [N, 240]: a clip's statistics; clips are cut or repeated to one length."""
    rows = [np.resize(cache.waveform(n), _LENGTH) for n in range(len(cache))]
    return np.stack([np.asarray(_features(row, _LENGTH), np.float64) for row in rows])


def clips(root: Path, name: str) -> Cache:
    """Return the clips of a list."""
    data = DataConfig(corpus="manifest", root=str(root), train_protocol=name)
    ledger = ProblemLedger(ProblemPolicy())
    return open_or_build(load_partition(data, "train", ledger), data, ledger, progress=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--train", required=True, help="list to train on, below it")
    parser.add_argument("--lists", nargs="+", required=True, help="lists to score")
    parser.add_argument("--output", type=Path, required=True, help="folder of the score files")
    options = parser.parse_args(arguments)
    train = clips(options.root, options.train)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model.fit(features(train), labels_of(train.trials))
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.lists:
        cache = clips(options.root, name)
        path = options.output / f"{Path(name).stem}.txt"
        write_scores(path, score_table(cache.trials, model.decision_function(features(cache))))
        show(f"{name}: {len(cache)} clips, scores in {path}")


if __name__ == "__main__":
    main()
