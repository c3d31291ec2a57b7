"""Files to scores, with a network of one line."""

import threading

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import read_waveform, waveform_blocks
from rawnet_jax.scoring.file_scorer import Outcome, Rows, score_files
from rawnet_jax.scoring.file_windows import (
    End,
    Reading,
    decode_ahead,
    read_parts,
)
from rawnet_jax.scoring.windows import WindowCutter
from tests.scoring.slow_windows import score_windows

WINDOW, HOP = 1600, 800
GATE = GateConfig(min_duration_s=0.02, min_active_s=0.02, speech="off")  # it is noise
READING = Reading(WINDOW, HOP, gate=GATE)
LENGTHS = (1600, 5000, 700, 23_000, 1601, 8000)


def network(waveform, num_samples):
    """Mean square of what is speech; NaN where there is none."""
    power = np.square(waveform, dtype=np.float64).sum(axis=1)
    return np.where(num_samples > 0, power / np.maximum(num_samples, 1), np.nan)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(1)
    for number, length in enumerate(LENGTHS):
        waveform = 0.1 * (number + 1) * rng.standard_normal(length)
        soundfile.write(folder / f"{number}.wav", waveform.clip(-0.99, 0.99), 16_000)
    return [str(folder / f"{number}.wav") for number in range(len(LENGTHS))]


def scored(paths, rows, reading=READING, **keywords):
    named = [(path, path) for path in paths]
    return list(score_files(named, network, reading, rows, **keywords))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("num_threads", [1, 4])
def test_many_files_get_what_each_gets_alone(clips, batch_size, num_threads):
    rows = Rows((WINDOW,), batch_size, aggregation="mean")
    found = scored(clips, rows, num_threads=num_threads)
    assert [one.path for one in found] == clips
    for one, length in zip(found, LENGTHS, strict=True):
        blocks = waveform_blocks(one.path, AudioConfig())
        alone = score_windows(blocks, network, window=WINDOW, hop=HOP, batch_size=5, gate=GATE)
        np.testing.assert_array_equal(one.windows.score, alone.score)
        np.testing.assert_array_equal(one.windows.start_s, alone.start_s)
        np.testing.assert_array_equal(one.windows.end_s, alone.end_s)
        assert one.score == alone.aggregate("mean")
        assert one.duration_s == one.scored_s == length / 16_000
        assert one.num_windows == len(alone)


def test_the_first_part_alone(clips):
    first = Reading(WINDOW, HOP, whole=False, gate=GATE)
    found = scored(clips, Rows((WINDOW,), 4), first)
    whole = scored(clips, Rows((WINDOW,), 4))
    for one, other in zip(found, whole, strict=True):
        assert len(one.windows) == one.num_windows == 1
        assert one.score == other.score == float(other.windows.score[0])
        assert one.scored_s == other.scored_s == min(one.duration_s, WINDOW / 16_000)


def test_short_clips_are_filled_as_in_training(clips):
    waveform = read_waveform(clips[2], AudioConfig())
    for pad, buckets, filled in (("zero", (), 700), ("repeat", (), 1600), ("repeat", (900,), 900)):
        row = np.ones(WINDOW, np.float32)
        assert Rows((WINDOW,), 4, pad, buckets).fill(row, waveform) == filled
        np.testing.assert_array_equal(
            row[:filled], np.resize(waveform, filled)[:filled] if pad == "repeat" else waveform
        )
        assert not row[filled:].any()


def test_problems_are_results(clips, tmp_path):
    silent, bad = tmp_path / "silent.wav", tmp_path / "bad.wav"
    soundfile.write(silent, np.zeros(4000), 16_000)
    bad.write_bytes(b"no audio")
    gone, wrong = str(tmp_path / "gone.wav"), tmp_path / "nan.wav"
    soundfile.write(wrong, np.full(4000, np.nan), 16_000, subtype="FLOAT")
    paths = [str(bad), clips[0], str(silent), gone, clips[1], str(wrong)]
    found = scored(paths, Rows((WINDOW,), 4, aggregation="mean"))
    assert [one.outcome for one in found] == [
        *(Outcome.UNREADABLE, Outcome.SCORED, Outcome.CANNOT_JUDGE),
        *(Outcome.UNREADABLE, Outcome.SCORED, Outcome.CANNOT_JUDGE),
    ]
    assert found[0].reason.startswith("not audio: ")
    assert found[2].reason == "digital silence: every sample is 0"
    assert found[3].reason == "missing: there is no such file"
    assert found[5].reason.startswith("not finite")
    assert [one.score is None for one in found] == [True, False, True, True, False, True]


def test_silence_in_the_middle_has_no_say(tmp_path):
    speech = 0.1 * np.random.default_rng(2).standard_normal(WINDOW * 3)
    speech[WINDOW : 2 * WINDOW] = 0
    soundfile.write(tmp_path / "a.wav", speech, 16_000)
    [one] = scored([str(tmp_path / "a.wav")], Rows((WINDOW,), 4, aggregation="mean"))
    assert np.flatnonzero(~one.windows.counted).tolist() == [2]
    assert one.num_windows == 4
    # Where only the first part counts, later speech is not a help.
    soundfile.write(tmp_path / "b.wav", np.concatenate((np.zeros(WINDOW), speech)), 16_000)
    [one] = scored([str(tmp_path / "b.wav")], Rows((WINDOW,), 4))
    assert (one.outcome, one.num_windows) == (Outcome.CANNOT_JUDGE, 0)


def test_channels(tmp_path):
    left = 0.1 * np.random.default_rng(3).standard_normal(4000)
    soundfile.write(tmp_path / "a.wav", np.stack((left, 0 * left), axis=1), 16_000)
    path, rows = str(tmp_path / "a.wav"), Rows((WINDOW,), 4, aggregation="mean")
    [average] = scored([path], rows)
    assert average.reason.startswith("wrong channel: channel 2 of 2 is empty")
    [first] = scored([path], rows, Reading(WINDOW, HOP, gate=GATE, channel=1))
    assert first.score == pytest.approx(float(np.square(left).mean()), rel=0.1)
    off = Reading(WINDOW, HOP, gate=GateConfig(enabled=False), channel=3)
    assert scored([path], rows, off)[0].reason.startswith("wrong channel: there is no channel 3")


def test_watchers_see_each_file_whole(clips):
    class Watcher:
        def __init__(self):
            self.blocks: list[np.ndarray] = []
            self.add = self.blocks.append

    for one in scored(clips, Rows((WINDOW,), 4), num_threads=2, watcher=Watcher):
        waveform = read_waveform(one.path, AudioConfig())
        np.testing.assert_array_equal(np.concatenate(one.watched.blocks), waveform)


def test_what_waits_is_bounded(tmp_path):
    """A reader that is far ahead stops until somebody takes what it has."""
    soundfile.write(tmp_path / "long.wav", np.full(3_000_000, 0.1), 16_000)
    reading = Reading(WINDOW, WINDOW, gate=GateConfig(enabled=False))
    taken, most = 0, 0

    def counted():
        nonlocal taken
        for part in read_parts(str(tmp_path / "long.wav"), reading):
            taken += 0 if isinstance(part, End) else len(part)
            yield part

    seen = 0
    for parts in decode_ahead([counted], num_threads=1):
        for part in parts:
            threading.Event().wait(0.01)
            most = max(most, taken - seen)
            seen += 0 if isinstance(part, End) else len(part)
    assert seen == 1875
    assert most <= 4 * 2**18 // WINDOW + 4


def test_giving_up_ends_the_threads(clips):
    before = threading.active_count()
    results = score_files([(p, p) for p in clips * 50], network, READING, Rows((WINDOW,), 2))
    next(results)
    results.close()
    assert threading.active_count() == before


def test_a_defect_is_not_swallowed(clips):
    def broken(waveform, num_samples):
        raise ZeroDivisionError("defect")

    with pytest.raises(ZeroDivisionError):
        list(score_files([(clips[0], clips[0])], broken, READING, Rows((WINDOW,), 2)))

    def defect():
        yield [None]
        raise ZeroDivisionError("defect")

    with pytest.raises(ZeroDivisionError):
        [list(parts) for parts in decode_ahead([defect], 1)]


@pytest.mark.parametrize(
    ("count", "largest", "devices", "wanted"),
    [
        (0, 64, 4, []),
        (1, 64, 1, [1]),
        (1, 64, 8, [8]),
        (1, 63, 3, [3]),
        (2, 64, 1, [32]),
        (2, 8, 1, [8] * 4),
        (3, 64, 1, [64]),
        (3, 64, 0, [64]),
        (1, 64, 0, [64]),
        (3, 16, 1, [16] * 4),
    ],
)
def test_batches_are_no_larger_than_a_few_files_need(clips, count, largest, devices, wanted):
    # The first has 1 window, the fourth 28.
    chosen = [(path, path) for path in [clips[0], clips[3], clips[3]][:count]]
    sizes = []

    def counting(waveform, num_samples):
        sizes.append(len(waveform))
        assert len(num_samples) == len(waveform)
        return network(waveform, num_samples)

    rows = Rows((WINDOW,), largest, aggregation="mean", devices=devices)
    found = list(score_files(chosen, counting, READING, rows))
    assert sizes == wanted
    for one, (path, _) in zip(found, chosen, strict=True):
        np.testing.assert_array_equal(
            one.windows.score, scored([path], Rows((WINDOW,), 1))[0].windows.score
        )


def test_rows_of_all_lengths_are_as_many(clips):
    shapes = []

    def counting(waveform, num_samples):
        shapes.append(waveform.shape)
        return network(waveform, num_samples)

    rows = Rows((WINDOW // 2, WINDOW), 64, aggregation="mean", devices=1)
    chosen = [(path, path) for path in (clips[2], clips[0], clips[3])]
    assert [one.score for one in score_files(chosen, counting, READING, rows)]
    assert sorted(shapes) == [(32, WINDOW // 2), (32, WINDOW)]


def test_cut_windows_of_nothing():
    assert list(WindowCutter([np.zeros(0, np.float32)], WINDOW, HOP)) == []
