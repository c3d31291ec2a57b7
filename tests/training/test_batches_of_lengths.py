"""Training on batches of several lengths, drawn crops, equal shares and changed clips."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from rawnet_jax.config_file import load_config
from rawnet_jax.data.host_augment import host_augment_config
from rawnet_jax.data.loader import BatchSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.labels import Label
from rawnet_jax.mesh import make_mesh
from rawnet_jax.progress import BatchBars
from rawnet_jax.training import feed, loop
from rawnet_jax.training.feed import StreamFeed, make_feed
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.resident import ResidentCorpus, fetch
from rawnet_jax.training.writer import epoch_history

LENGTHS = [1, 700, 1023, 1024, 1025, 2048, 5000, 3, 2500, 4096, 1100]


class NumberedCache:
    """Clips whose samples tell which they are."""

    owner = None

    def __init__(self) -> None:
        self.num_samples = np.array(LENGTHS, np.int64)
        self.trials = [Trial(f"u{i}", Label(i % 2), "") for i in range(len(LENGTHS))]

    def __len__(self) -> int:
        return len(LENGTHS)

    def waveform(self, position: int) -> np.ndarray:
        return (17 * position + 5 * np.arange(LENGTHS[position]) - 9000).astype(np.int16)


@pytest.mark.parametrize("pad", ["zero", "repeat"])
def test_drawn_crops_and_shares_are_the_same_from_device_memory(pad):
    mesh, cache = make_mesh(jax.devices()[:1]), NumberedCache()
    source = BatchSource(
        cache,
        batch_size=8,
        num_samples=1500,
        min_samples=300,
        pad=pad,
        shuffle=True,
        groups=np.array([[0]] * 3 + [[1]] * 8),
        num_epochs=2,
    )
    corpus = ResidentCorpus(cache, mesh)
    jitted = jax.jit(partial(fetch, mesh=mesh, num_samples=1500, pad=pad))
    for step in range(len(source)):
        found = jitted(corpus.blocks, corpus.where(source.plan.rows(step)))
        for name, rows in jax.device_get(found).items():
            np.testing.assert_array_equal(rows, source[step][name], err_msg=name)


RECIPE = [
    "--config.data.min_samples=300",
    "--config.data.bucket_samples=(1200, 2000)",
    "--config.data.num_samples=2000",
    "--config.data.balance=('class', 'attack', 'speaker')",
]


@pytest.fixture(scope="module")
def host_config(tiny_config: Path) -> Path:
    """Give the tiny config, 800 to 2,400 samples a clip, with augmentation on the host."""
    text = tiny_config.read_text(encoding="utf-8")
    steps = {"second_speaker": {"probability": 0.5}, "vorbis": {"probability": 0.2}}
    config = host_augment_config(steps)
    text = text.replace(
        "    return config\n",
        "    from rawnet_jax.data.host_augment import host_augment_config\n"
        f"    config.data.host_augment = host_augment_config({config.steps.to_dict()!r})\n"
        "    return config\n",
    )
    path = tiny_config.parent / "host.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_streams_even_where_the_corpus_would_fit(host_config, monkeypatch):
    monkeypatch.setattr(feed, "fits", lambda *_: True)
    monkeypatch.setattr(feed, "ResidentFeed", lambda *_: "resident")
    cache, bars, mesh = NumberedCache(), BatchBars(False), make_mesh(jax.devices()[:1])
    source = BatchSource(cache, batch_size=4, num_samples=800)
    config = load_config(str(host_config), RECIPE)
    made = make_feed(cache, [source], mesh, config.data, 0, 0, bars)
    assert isinstance(made, StreamFeed)
    made.close()
    plain = load_config(str(host_config), ["--config.data.host_augment.chain=()"])
    resident: object = make_feed(cache, [source], mesh, plain.data, 0, 0, bars)
    assert resident == "resident"


def test_a_run_trains_on_all_of_it(host_config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "make_mesh", lambda: make_mesh(jax.devices()[:1]))  # compiles sooner
    config = load_config(str(host_config), [*RECIPE, "--config.train.num_epochs=1"])
    trainer = Trainer(config, tmp_path / "run", progress=False)
    state = trainer.run()
    [plan] = [source.plan for source in trainer.sources]
    assert {plan.length(step) for step in range(len(plan))} == {1200, 2000}
    assert int(state.step) == len(plan)
    for leaf in jax.tree.leaves(jax.device_get(state)):
        assert np.isfinite(leaf).all()
    [epoch] = epoch_history(tmp_path / "run")
    assert np.isfinite(epoch["dev"]["loss"])
