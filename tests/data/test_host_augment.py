"""Augmentation on the host: the same whatever the threads, processes and restarts."""

from typing import Any

import numpy as np
import pytest
from ml_collections import ConfigDict

from rawnet_jax.config import DataConfig, EvalConfig, HostAugmentConfig, TrainConfig
from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.host_augment import (
    check_host_augment,
    host_augment_config,
    make_host_chain,
)
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.sources import scoring_source, training_source
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label


class Clips:
    """Noises of several lengths; even ones are bona fide, of three speakers in turn."""

    owner: np.ndarray | None = None

    def __init__(self, lengths: list[int]) -> None:
        self.num_samples = np.array(lengths, np.int64)
        self.trials = [
            Trial(f"u{i}", Label(1 - i % 2), "", speaker_id="xyz"[i % 3], attack_id="-A"[i % 2])
            for i in range(len(lengths))
        ]
        rng = np.random.default_rng(1)
        self._waveforms = [rng.integers(-3000, 3000, n).astype(np.int16) for n in lengths]

    def __len__(self) -> int:
        return len(self.trials)

    def waveform(self, position: int) -> np.ndarray:
        return self._waveforms[position]


CLIPS = Clips([300, 800, 2000, 450, 90, 800, 1300, 900, 200, 3000, 810])


def data_config() -> DataConfig:
    data = DataConfig(num_samples=800, bucket_samples=(300, 800), min_samples=200)
    data.balance = ("class", "speaker")
    data.host_augment = host_augment_config(
        {"second_speaker": {"probability": 0.7}, "vorbis": {"probability": 0.3}}
    )
    return data


def source(**where: int) -> BatchSource:
    return training_source(CLIPS, data_config(), TrainConfig(num_epochs=3, batch_size=4), **where)


def assert_same(batch, other):
    for name in batch:
        np.testing.assert_array_equal(batch[name], other[name], err_msg=name)


@pytest.fixture(scope="module")
def batches() -> list[dict[str, np.ndarray]]:
    whole = source()
    return [whole[step] for step in range(len(whole))]


def test_rows_are_as_the_plan_says(batches):
    whole = source()
    assert {batch["waveform"].shape for batch in batches} == {(4, 300), (4, 800)}
    changed = []
    for step, batch in enumerate(batches):
        rows = whole.plan.rows(step)
        assert batch["waveform"].shape[1] == whole.plan.length(step)
        np.testing.assert_array_equal(batch["num_samples"], rows.num_samples)
        for row, (index, start, taken) in enumerate(zip(*rows[:3], strict=True)):
            assert not batch["waveform"][row, taken:].any()
            if index >= 0:
                plain = from_int16(CLIPS.waveform(index)[start : start + taken])
                changed.append((batch["waveform"][row, :taken] != plain).any())
    assert 0.5 < np.mean(changed) < 1  # 0.79 expected


def test_threads_and_restarts_do_not_change_a_batch(batches):
    with BatchIterator(source(), num_threads=3, prefetch_batches=6) as iterator:
        for batch in batches[:7]:
            assert_same(next(iterator), batch)
        state = iterator.get_state()
    with BatchIterator(source(), num_threads=1) as restored:
        restored.set_state(state)
        for batch in batches[7:]:
            assert_same(next(restored), batch)


def test_processes_together_see_what_one_sees(batches):
    halves = [source(process_index=n, process_count=2) for n in (0, 1)]
    for step, batch in enumerate(batches):
        parts = [half[step] for half in halves]
        assert_same({name: np.concatenate([p[name] for p in parts]) for name in batch}, batch)


def test_what_is_scored_is_not_augmented():
    scored = scoring_source(CLIPS, data_config(), EvalConfig(batch_size=4))
    found = {}
    for step in range(len(scored)):
        batch = scored[step]
        for index, waveform, length in zip(
            batch["index"], batch["waveform"], batch["num_samples"], strict=True
        ):
            if index >= 0:
                found[int(index)] = waveform[:length]
    assert sorted(found) == list(range(len(CLIPS)))
    for index, waveform in found.items():
        np.testing.assert_array_equal(waveform, from_int16(CLIPS.waveform(index)[:800]))


def mixed(row_seed: int, position: int, clips: Clips = CLIPS, **fields) -> np.ndarray:
    """Return what a second speaker adds to a clip."""
    chain = make_host_chain(host_augment_config({"second_speaker": fields}), clips)
    assert chain is not None
    waveform = from_int16(clips.waveform(position))
    return chain(waveform, position, row_seed) - waveform


@pytest.mark.parametrize("row_seed", range(12))
def test_a_second_speaker_is_another_bonafide_one_at_the_ratio_drawn(row_seed):
    position = row_seed % 4
    added = mixed(row_seed, position, snr_db=(3.0, 3.0), overlap=(0.5, 0.5))
    where = np.flatnonzero(np.abs(added) > 1e-7)
    piece = added[where[0] : where[-1] + 1]
    own = from_int16(CLIPS.waveform(position))
    assert len(piece) <= len(own) // 2 + 1
    ratio_db = 10 * np.log10(np.mean(own**2) / np.mean(piece**2))
    assert ratio_db == pytest.approx(3, abs=0.05)
    sources = [
        other
        for other in range(len(CLIPS))
        if len(CLIPS.waveform(other)) >= len(piece)
        and np.abs(np.correlate(from_int16(CLIPS.waveform(other)), piece)).max()
        > 0.9
        * np.linalg.norm(piece)
        * np.linalg.norm(from_int16(CLIPS.waveform(other))[: len(piece)])
    ]
    assert len(sources) == 1
    assert CLIPS.trials[sources[0]].label is Label.BONAFIDE
    assert CLIPS.trials[sources[0]].speaker_id != CLIPS.trials[position].speaker_id


def test_second_speakers_come_from_the_process_s_own_clips():
    owned = Clips([400] * 8)
    owned.owner = np.arange(8) // 4
    for row_seed in range(20):
        piece = mixed(row_seed, 1, owned, overlap=(1.0, 1.0))
        likeness = [abs(np.corrcoef(piece, owned.waveform(n))[0, 1]) for n in range(8)]
        assert np.argmax(likeness) in (0, 2)


def test_without_another_speaker_a_clip_stays_as_it_is():
    assert not mixed(1, 0, Clips([400])).any()
    alone = Clips([400, 400])
    alone.trials = [Trial("a", Label.SPOOF, ""), Trial("b", Label.SPOOF, "")]
    assert not mixed(1, 0, alone).any()
    assert mixed(1, 0, alone, bonafide_only=False).any()  # of unknown speakers


def test_effects_draw_for_themselves():
    """Whether another effect comes before it does not change what this one draws."""
    waveform = from_int16(CLIPS.waveform(2))

    def after(probability: float) -> np.ndarray:
        steps: dict[str, dict[str, Any]] = {
            "vorbis": {"probability": probability, "quality": (10.0, 10.0)},
            "second_speaker": {"snr_db": (-10.0, -10.0)},
        }
        chain = make_host_chain(host_augment_config(steps), CLIPS)
        assert chain is not None
        return chain(waveform, 2, 99)

    difference = after(1.0) - after(0.0)
    assert 0 < np.mean(difference**2) < 0.2 * np.mean(waveform**2)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"mp4": {}}, "unknown config field 'mp4'; did you mean 'mp3'"),
        ({"mp3": {"kbit": (16, 32)}}, "did you mean 'kbps'"),
        ({"mp3": {"kbps": (4, 32)}}, r"kbps is \(4, 32\); it must be .* within 16 to 160"),
        ({"second_speaker": {"bonafide_only": 1}}, "bonafide_only is 1; it must be bool"),
        ({"opus": {"probability": 1.5}}, "probability is 1.5; it must be from 0 to 1"),
    ],
)
def test_mistakes_are_named(steps, message):
    with pytest.raises(ConfigError, match=message):
        host_augment_config(steps)
    with pytest.raises(ConfigError, match=message):
        check_host_augment(HostAugmentConfig(chain=tuple(steps), steps=ConfigDict(steps)))


def test_nothing_to_do_is_no_chain():
    assert make_host_chain(HostAugmentConfig(), CLIPS) is None
    assert host_augment_config({"mp3": {}}).steps.mp3.kbps == (16.0, 64.0)
