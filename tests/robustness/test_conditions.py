"""The grid: names, chance that depends on the utterance alone, and the clips under it."""

import numpy as np
import pytest

from rawnet_jax.data.loader import BatchSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label
from rawnet_jax.robustness import conditions, degradations
from rawnet_jax.robustness.clips import DegradedClips, fingerprint_clips, stratified
from rawnet_jax.robustness.conditions import Condition, Recordings, build_grid

NOISE = Recordings("noise", [np.random.default_rng(i).standard_normal(30_000) for i in range(3)])
ROOMS = Recordings("rir", [np.array([0.0, 1.0, 0.5]), np.array([1.0, -0.5])])


class Clips:
    """Clips in memory."""

    def __init__(self, lengths: list[int], labels: list[Label] | None = None) -> None:
        rng = np.random.default_rng(3)
        labels = labels or [Label(i % 2) for i in range(len(lengths))]
        self.audio = [rng.integers(-9_000, 9_000, n).astype(np.int16) for n in lengths]
        self.trials = [Trial(f"U{i}", label, f"U{i}") for i, label in enumerate(labels)]
        self.num_samples = np.array(lengths)
        self.owner = None

    def __len__(self) -> int:
        return len(self.audio)

    def waveform(self, position: int) -> np.ndarray:
        return self.audio[position]


def by_name(rows: list[Condition]) -> dict[str, Condition]:
    return {row.name: row for row in rows}


def test_grid_has_what_was_promised():
    found, missing = build_grid(NOISE, ROOMS)
    names = {row.name for row in found} | {row.name for row in missing}
    assert found[0].name == "clean"
    assert {f"noise_recorded_{snr}db" for snr in (20, 10, 5, 0)} <= names
    assert {"reverb_recorded", "telephone_8khz", "mulaw", "mp3_64k", "clip_25"} <= names
    assert {"gain_up_20db", "first_0.5s", "first_1s", "first_2s", "first_4s"} <= names
    assert not any("white" in name for name in names)


def test_without_recordings_they_are_made():
    found, _ = build_grid(wanted=["noise*", "reverb*"])
    assert {"noise_white_0db", "noise_pink_20db"} <= set(by_name(found))
    rooms = [row for row in found if row.name.startswith("reverb")]
    clip = Clips([8_000]).audio[0] / np.float32(32_768)
    wet = [room.apply(clip, "U0") for room in rooms]
    assert len(wet) == 2
    assert all(w.shape == clip.shape and np.abs(w - clip).max() > 0.01 for w in wet)


def test_rooms_that_cannot_be_simulated_are_rows_with_a_reason(monkeypatch):
    def fail(*_args):
        raise DataError("simulated rooms need pyroomacoustics")

    monkeypatch.setattr(conditions, "room_impulse_response", fail)
    monkeypatch.setattr(degradations, "has_codec", lambda name: False)
    found, missing = build_grid(NOISE)
    assert {row.name for row in missing} == {"reverb_small", "reverb_large", "mp3_64k", "mp3_32k"}
    assert "pyroomacoustics" in missing[0].reason
    assert not {row.name for row in found} & {row.name for row in missing}


def test_unknown_condition_is_named():
    with pytest.raises(ConfigError, match=r"--conditions nosie\*: fits none of clean, noise_white"):
        build_grid(wanted=["nosie*"])


def test_chance_hangs_on_condition_and_utterance_alone():
    clip = Clips([4_000]).audio[0] / np.float32(32_768)
    first, again = (by_name(build_grid(NOISE, ROOMS)[0]) for _ in range(2))
    for name, condition in first.items():
        np.testing.assert_array_equal(condition.apply(clip, "A"), again[name].apply(clip, "A"))
    noise = {snr: first[f"noise_recorded_{snr}db"].apply(clip, "A") - clip for snr in (20, 0)}
    np.testing.assert_allclose(noise[0], 10 * noise[20], atol=1e-5)  # one noise, two levels
    other = first["noise_recorded_0db"].apply(clip, "B") - clip
    assert abs(np.corrcoef(noise[0], other)[0, 1]) < 0.5


def test_fingerprint_tells_recordings_apart():
    louder = Recordings("elsewhere", [2 * waveform for waveform in NOISE.waveforms])
    moved = Recordings("elsewhere", NOISE.waveforms)
    of = [by_name(build_grid(noise, ROOMS)[0]) for noise in (NOISE, moved, louder)]
    prints = [found["noise_recorded_0db"].fingerprint for found in of]
    assert prints[0] == prints[1] != prints[2]
    assert len({row.fingerprint for row in of[0].values()}) == len(of[0])
    assert of[0]["mulaw"].fingerprint == of[2]["mulaw"].fingerprint


def batch_of(clips, num_samples: int = 600):
    return BatchSource(clips, batch_size=4, num_samples=num_samples)[0]


def test_clean_clips_reach_the_model_bit_for_bit():
    clips = Clips([500, 900, 700])
    clean = build_grid(NOISE, ROOMS, ["mulaw"])[0][0]
    rows = np.array([2, 0])
    found, expected = batch_of(DegradedClips(clips, rows, clean)), batch_of(clips)
    np.testing.assert_array_equal(found["waveform"][:2], expected["waveform"][rows])
    np.testing.assert_array_equal(found["num_samples"][:2], expected["num_samples"][rows])


def test_gain_is_not_clipped_on_the_way_to_the_model():
    clips = Clips([600, 600])
    up = by_name(build_grid(NOISE, ROOMS)[0])["gain_up_20db"]
    found = batch_of(DegradedClips(clips, np.arange(2), up))["waveform"][:2]
    np.testing.assert_allclose(found, 10 * batch_of(clips)["waveform"][:2], rtol=1e-6)
    assert np.abs(found).max() > 2


def test_truncated_clips_are_as_long_as_they_say():
    clips = Clips([9_000, 5_000])
    half = by_name(build_grid(NOISE, ROOMS)[0])["first_0.5s"]
    degraded = DegradedClips(clips, np.arange(2), half)
    assert degraded.num_samples.tolist() == [8_000, 5_000]
    batch = batch_of(degraded, 10_000)
    assert batch["num_samples"].tolist() == [8_000, 5_000, 0, 0]
    assert not batch["waveform"][0, 8_000:].any()


def test_fingerprint_of_clips_sees_every_sample():
    clips = Clips([300, 400])
    before = fingerprint_clips(clips, np.arange(2))
    assert fingerprint_clips(clips, np.array([0])) != before
    clips.audio[1] = clips.audio[1].copy()
    clips.audio[1][17] += 1
    assert fingerprint_clips(clips, np.arange(2)) != before


def trials_of(counts: dict[str, int]) -> list[Trial]:
    return [
        Trial(
            f"{attack}{i}", Label(attack == "-"), "x", attack_id=None if attack == "-" else attack
        )
        for attack, count in counts.items()
        for i in range(count)
    ]


def test_a_choice_keeps_the_shares():
    trials = trials_of({"-": 400, "A01": 200, "A02": 100, "A03": 2})
    rows = stratified(trials, 70)
    chosen = [trials[i] for i in rows]
    counts = {a: sum(t.attack_id == a for t in chosen) for a in (None, "A01", "A02", "A03")}
    assert counts == {None: 40, "A01": 20, "A02": 10, "A03": 1}
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert set(rows) <= set(stratified(trials, 300))
    assert len(stratified(trials, 0)) == len(stratified(trials, 10_000)) == len(trials)
