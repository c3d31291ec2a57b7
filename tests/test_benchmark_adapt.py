"""What the bench of `adapt` draws for a speaker, and what a channel does to fakes."""

import numpy as np
import pytest

from benchmarks.adapt import Speaker, accepting, at_equal_acceptance, read_lists, through, worst_of
from rawnet_jax.evaluation.adaptation_fit import Recordings


def speaker(num_spoof=0, seconds=4.0, num=30):
    names = tuple(f"r{number // 2}" for number in range(num))
    called = np.arange(num) < num_spoof
    pieces = Recordings(np.zeros(num), np.zeros((num, 2)), names, called)
    return Speaker(pieces, dict.fromkeys(names, seconds))


def test_whole_recordings_are_drawn_up_to_the_seconds():
    one = speaker()
    ours = one.drawn(20.0, seed=1)
    assert ours.sum() == 2 * 5
    names = np.array(one.pieces.groups)
    assert not set(names[ours]) & set(names[~ours])
    assert (one.drawn(20.0, seed=2) != ours).any()


def test_the_worst_are_those_called_spoof_most_who_have_enough_speech():
    speakers = {"a": speaker(3), "b": speaker(9), "c": speaker(30, seconds=1.0), "d": speaker(6)}
    assert worst_of(speakers, 2, seconds=20.0) == ["b", "d"]


def test_at_the_threshold_so_many_fakes_are_accepted():
    fakes = np.array([0.0, 4.0, 1.0, 3.0])
    assert (fakes >= accepting(fakes, 2)).sum() == 2
    assert at_equal_acceptance(np.array([2.0, 2.5, 3.0, 3.5]), fakes, 2) == 2


@pytest.mark.parametrize(("codec", "rate"), [("PCM_16", 8000), ("GSM610", 8000), ("VORBIS", 22050)])
def test_a_channel_keeps_what_is_below_its_band_alone(codec, rate):
    time = np.arange(16_000) / 16_000
    tones = (0.3 * np.sin(2 * np.pi * 1000 * time) + 0.3 * np.sin(2 * np.pi * 6000 * time)).astype(
        np.float32
    )
    found = through(tones, 16_000, (codec, rate))
    assert found.sample_rate_hz == rate
    samples = np.asarray(found.samples).reshape(-1)
    plain = np.asarray(through(tones, 16_000, ("PCM_16", rate)).samples).reshape(-1)
    assert np.array_equal(samples, plain) == (codec == "PCM_16")
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    low, high = power[np.abs(frequency - 1000) < 50].sum(), power[frequency > 3900].sum()
    assert (high > 0.1 * low) == (rate > 12_000)


def test_lists_are_read(tmp_path):
    for part in ("train", "dev", "eval"):
        (tmp_path / f"{part}.trl.txt").write_text(f"ana {part}_1 - - bonafide\n")
    assert read_lists(tmp_path)[1] == ("dev", "ana", "dev_1", "-", True)
