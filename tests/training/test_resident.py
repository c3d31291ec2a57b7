"""A corpus on the devices gives the loader's batches, and training from it the same state."""

from functools import partial

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from rawnet_jax.config_file import load_config
from rawnet_jax.data.loader import BatchSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label
from rawnet_jax.mesh import make_mesh
from rawnet_jax.training import feed, resident
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.resident import BLOCK, ResidentCorpus, fetch, fits, place_clips


class NumberedCache:
    """Clips whose samples tell which they are."""

    owner = None

    def __init__(self, lengths: list[int]) -> None:
        self.num_samples = np.array(lengths, np.int64)
        self.trials = [Trial(f"u{i}", Label(i % 2), f"u{i}.wav") for i in range(len(lengths))]

    def __len__(self) -> int:
        return len(self.trials)

    def waveform(self, position: int) -> np.ndarray:
        length = int(self.num_samples[position])
        return (17 * position + 5 * np.arange(length) - 9000).astype(np.int16)


# Shorter and longer than a block, and whole blocks.
CACHE = NumberedCache([1, 700, 1023, 1024, 1025, 2048, 5000, 3, 2500, 4096, 1100, 900, 6000])


def mesh_of(num_devices: int) -> Mesh:
    return make_mesh(jax.devices()[:num_devices])


@pytest.mark.parametrize("num_devices", [1, 8])
@pytest.mark.parametrize(("num_samples", "pad"), [(800, "zero"), (1025, "repeat"), (3000, "zero")])
def test_batches_are_the_loaders(num_devices, num_samples, pad):
    mesh = mesh_of(num_devices)
    source = BatchSource(
        CACHE, batch_size=8, num_samples=num_samples, crop="random", pad=pad, shuffle=True, seed=3
    )
    corpus = ResidentCorpus(CACHE, mesh)
    jitted = jax.jit(partial(fetch, mesh=mesh, num_samples=num_samples, pad=pad))
    for step in range(len(source)):
        wanted = source[step]
        found = jitted(corpus.blocks, corpus.where(source.plan.rows(step)))
        for name, rows in jax.device_get(found).items():
            np.testing.assert_array_equal(rows, wanted[name], err_msg=name)
    assert len(found["waveform"].sharding.device_set) == num_devices
    assert found["waveform"].addressable_shards[0].data.shape == (8 // num_devices, num_samples)


def test_devices_get_about_the_same():
    rng = np.random.default_rng(0)
    lengths = rng.integers(16_000, 80_000, 400)
    device, block, most = place_clips(lengths, mesh_of(8))
    sizes = -(-lengths // BLOCK)
    blocks = np.bincount(device, sizes, 8)
    assert most == blocks.max() < 1.05 * blocks.mean()
    for number in range(8):
        own = np.flatnonzero(device == number)
        ends = block[own] + sizes[own]
        np.testing.assert_array_equal(block[own][1:], ends[:-1])  # one behind the other
        assert block[own][0] == 0
        assert ends[-1] <= most


def test_chosen_by_free_memory(monkeypatch):
    mesh = mesh_of(1)
    needed = 2 * BLOCK * int((-(-CACHE.num_samples // BLOCK)).sum())
    monkeypatch.setattr(resident, "free_bytes", lambda _: 2 * needed)
    assert fits(CACHE, mesh)
    monkeypatch.setattr(resident, "free_bytes", lambda _: 2 * needed - 1)
    assert not fits(CACHE, mesh)
    monkeypatch.setattr(resident, "free_bytes", lambda _: None)
    assert not fits(CACHE, mesh)


def test_no_room_is_one_clear_line(tiny_config, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise MemoryError("out of memory")

    monkeypatch.setattr(feed, "ResidentCorpus", full)
    config = load_config(str(tiny_config), ["--config.data.resident=on"])
    with pytest.raises(ConfigError, match=r"resident=on: the corpus of .* GB has no room on 8"):
        Trainer(config, tmp_path / "run", progress=False).run()


def test_training_is_the_same_as_from_the_loader(tiny_config, tmp_path):
    """One step a dispatch from the host, against up to six from device memory: the same bits."""
    states = []
    for resident_or_not, dispatch in (("off", 1), ("on", 6), ("off", 3)):
        overrides = [
            f"--config.data.resident={resident_or_not}",
            f"--config.train.steps_per_dispatch={dispatch}",
            "--config.train.num_epochs=2",
        ]
        config = load_config(str(tiny_config), overrides)
        workdir = tmp_path / f"{resident_or_not}{dispatch}"
        states.append(jax.device_get(Trainer(config, workdir, progress=False).run()))
    assert int(states[0].step) == 12
    for other in states[1:]:
        for a, b in zip(jax.tree.leaves(states[0]), jax.tree.leaves(other), strict=True):
            # A loop is compiled on its own and may round otherwise.
            np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)
