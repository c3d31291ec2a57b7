"""Batches: the same whatever the threads, processes and restarts; each clip once an epoch."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.data.loader import BatchIterator, BatchSource, crop_or_pad
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.labels import Label

LABELS = (Label.SPOOF, Label.BONAFIDE, None)


class FakeCache:
    """Clips of known lengths; sample j of clip i is 100 i + j."""

    owner: np.ndarray | None = None

    def __init__(self, lengths: list[int]) -> None:
        self.num_samples = np.array(lengths, np.int64)
        self.trials = [Trial(f"u{i}", LABELS[i % 3], f"u{i}.wav") for i in range(len(lengths))]

    def __len__(self) -> int:
        return len(self.trials)

    def waveform(self, position: int) -> np.ndarray:
        return (100 * position + np.arange(self.num_samples[position])).astype(np.int16)


CACHE = FakeCache([3, 8, 20, 5, 1, 8, 13, 9, 2, 30, 8])  # 11 clips
SETTINGS = {"batch_size": 4, "num_samples": 8, "shuffle": True, "seed": 5, "num_epochs": 3}


def source(**changes) -> BatchSource:
    return BatchSource(CACHE, **(SETTINGS | changes))


def assert_same(batch, other):
    assert batch.keys() == other.keys()
    for name in batch:
        assert batch[name].dtype == other[name].dtype
        np.testing.assert_array_equal(batch[name], other[name], err_msg=name)


@pytest.mark.parametrize(
    ("length", "start", "pad", "expected"),
    [
        (6, 0, "zero", [1, 2, 3, 4, 5, 6]),
        (9, 0, "zero", [1, 2, 3, 4, 5, 6]),
        (9, 3, "repeat", [4, 5, 6, 7, 8, 9]),
        (4, 0, "zero", [1, 2, 3, 4, 0, 0]),
        (4, 0, "repeat", [1, 2, 3, 4, 1, 2]),
        (3, 0, "repeat", [1, 2, 3, 1, 2, 3]),
        (1, 0, "repeat", [1] * 6),
    ],
)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_crop_or_pad(length, start, pad, expected, dtype):
    result = crop_or_pad(np.arange(1, length + 1).astype(dtype), 6, start, pad)
    assert result.dtype == dtype
    assert result.tolist() == expected


@pytest.mark.parametrize("pad", ["zero", "repeat"])
@pytest.mark.parametrize("crop", ["first", "random"])
def test_every_row_is_its_clip(pad, crop):
    batches = source(pad=pad, crop=crop)
    for step in range(len(batches)):
        batch = batches[step]
        assert batch["waveform"].shape == (4, 8)
        assert [batch[name].dtype for name in ("waveform", "num_samples", "label", "index")] == [
            np.float32,
            np.int32,
            np.int32,
            np.int64,
        ]
        for row, index in enumerate(batch["index"]):
            if index < 0:
                continue
            clip = CACHE.waveform(index)
            label = CACHE.trials[index].label
            length = min(len(clip), 8)
            assert batch["label"][row] == (-1 if label is None else label)
            assert batch["num_samples"][row] == (8 if pad == "repeat" else length)
            samples = (batch["waveform"][row] * 32768).astype(int)
            start = samples[0] - clip[0]
            assert 0 <= start <= max(len(clip) - 8, 0)
            assert start == 0 or crop == "random"
            expected = crop_or_pad(clip, 8, start, pad)
            np.testing.assert_array_equal(samples, expected)


def test_filler_rows():
    batch = source()[2]  # 11 clips in batches of 4
    assert batch["index"][3] == batch["label"][3] == -1
    assert batch["num_samples"][3] == 0
    assert not batch["waveform"][3].any()
    assert (batch["num_samples"][:3] > 0).all()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 16])
def test_an_epoch_has_each_clip_once(shuffle, batch_size):
    batches = source(shuffle=shuffle, batch_size=batch_size)
    orders = []
    for epoch in range(3):
        steps = range(epoch * batches.batches_per_epoch, (epoch + 1) * batches.batches_per_epoch)
        index = np.concatenate([batches[step]["index"] for step in steps])
        orders.append(index[index >= 0].tolist())
        assert sorted(orders[-1]) == list(range(11))
    if shuffle:
        assert orders[0] != orders[1] != orders[2] != orders[0]
    else:
        assert orders == [list(range(11))] * 3


def test_a_short_last_batch_can_be_dropped():
    batches = source(shuffle=True, batch_size=4, drop_last=True)
    assert batches.batches_per_epoch == 2
    left_out = []
    for epoch in range(2):
        index = np.concatenate([batches[2 * epoch + step]["index"] for step in range(2)])
        assert len(set(index[index >= 0].tolist())) == 8
        left_out.append(set(range(11)) - set(index.tolist()))
    assert left_out[0] != left_out[1]


def test_random_crops_depend_on_seed_epoch_and_clip_alone():
    def starts(**changes):
        """First sample of clip 9 (30 samples long) in each epoch."""
        batches = source(crop="random", **changes)
        return [
            batch["waveform"][batch["index"] == 9][0, 0]
            for batch in map(batches.__getitem__, range(len(batches)))
            if 9 in batch["index"]
        ]

    assert starts() == starts(batch_size=3) == starts(shuffle=False)
    assert len(set(starts(num_epochs=20))) > 5
    assert starts(num_epochs=20) != starts(num_epochs=20, seed=6)


def test_random_crops_reach_both_ends():
    batches = source(crop="random", num_epochs=200, batch_size=11)
    seen = set()
    for step in range(200):
        batch = batches[step]
        samples = batch["waveform"][batch["index"] == 7] * 32768  # 9 samples: 2 places
        seen.add(int(samples[0, 0]) - 700)
    assert seen == {0, 1}


@pytest.mark.parametrize("process_count", [2, 4])
def test_processes_together_see_what_one_sees(process_count):
    whole = source(crop="random")
    shards = [
        source(crop="random", process_index=i, process_count=process_count)
        for i in range(process_count)
    ]
    for step in range(len(whole)):
        rows = [shard[step] for shard in shards]
        joined = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        assert_same(joined, whole[step])


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 4, "process_count": 3},
        {"batch_size": 0},
        {"num_samples": 0},
        {"crop": "middle"},
        {"pad": "reflect"},
        {"seed": -1},
        {"drop_last": True, "batch_size": 12},
    ],
)
def test_impossible_settings(changes):
    with pytest.raises(ConfigError):
        source(**changes)


@pytest.mark.parametrize("step", [-1, 9])
def test_no_such_batch(step):
    with pytest.raises(IndexError, match="of 9"):
        source()[step]


@pytest.mark.parametrize(("num_threads", "prefetch"), [(0, 0), (1, 1), (1, 8), (4, 16)])
def test_threads_do_not_change_batches(num_threads, prefetch):
    batches = source(crop="random")
    fresh = source(crop="random")
    with BatchIterator(fresh, num_threads=num_threads, prefetch_batches=prefetch) as iterator:
        seen = list(iterator)
        assert list(iterator) == []
    assert len(seen) == len(batches) == 9
    for step, batch in enumerate(seen):
        assert_same(batch, batches[step])


def test_position_is_exact_wherever_it_is_saved():
    batches = source(crop="random")
    with BatchIterator(batches, num_threads=2, prefetch_batches=4) as iterator:
        for step in range(len(batches) + 1):
            state = json.loads(json.dumps(iterator.get_state()))
            with BatchIterator(source(crop="random"), num_threads=1) as restored:
                restored.set_state(state)
                assert restored.get_state() == state
                rest = list(restored)
            assert len(rest) == len(batches) - step
            for position, batch in enumerate(rest, step):
                assert_same(batch, batches[position])
            if step < len(batches):
                next(iterator)


def test_position_can_be_moved_back_and_given_at_the_start():
    batches = source()
    with BatchIterator(batches, step=4) as iterator:
        assert_same(next(iterator), batches[4])
        iterator.set_state({"step": 1})
        assert_same(next(iterator), batches[1])
        assert iterator.get_state() == {"step": 2}


@pytest.mark.parametrize("state", [{}, {"step": -1}, {"step": 10}, {"step": "3"}])
def test_impossible_position(state):
    with pytest.raises(CheckpointError, match="0 to 9"):
        BatchIterator(source()).set_state(state)


def test_reading_ahead_is_bounded():
    asked = []

    class Recorder(BatchSource):
        def __getitem__(self, step):
            asked.append(step)
            return super().__getitem__(step)

    batches = Recorder(CACHE, batch_size=4, num_samples=8, num_epochs=100)
    with BatchIterator(batches, num_threads=2, prefetch_batches=4) as iterator:
        for _ in range(10):
            next(iterator)
    assert max(asked) < 10 + 4 + 2


def grain_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("grain")]


def test_close_ends_the_threads():
    iterator = BatchIterator(source(num_epochs=50), num_threads=3)
    next(iterator)
    assert grain_threads()
    iterator.close()
    iterator.close()
    deadline = time.monotonic() + 10
    while grain_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not grain_threads()
    assert_same(next(iterator), source(num_epochs=50)[1])
    iterator.close()


def test_an_error_in_a_batch_reaches_the_caller():
    class Broken(FakeCache):
        def waveform(self, position):
            raise OSError("the disk is gone")

    with (
        BatchIterator(BatchSource(Broken([8]), batch_size=1, num_samples=8)) as iterator,
        pytest.raises(OSError, match="the disk is gone"),
    ):
        next(iterator)


def test_the_module_needs_no_jax():
    program = (
        "import sys, rawnet_jax.data.loader, rawnet_jax.data.cache;"
        " assert not {'jax', 'grain', 'flax'} & set(sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
