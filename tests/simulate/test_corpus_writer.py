"""Writing corpora: one law for both classes, whole or not at all."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from filelock import FileLock

from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.simulate.corpus_writer import (
    LEVEL_DBFS,
    ProtocolEntry,
    new_corpus,
    read_manifest,
    write_clip,
    write_manifest,
)
from rawnet_jax.simulate.tasks import run_tasks


def speech_like(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal(8_000) * (1 + np.sin(np.arange(8_000) / 500))


def written(path: Path, waveform: np.ndarray, seed: int = 1, **settings) -> np.ndarray:
    write_clip(path, waveform, np.random.default_rng(seed), **settings)
    samples, _ = soundfile.read(path, dtype="float64")
    return samples


def test_a_clip_is_16_khz_16_bit_mono_wav(tmp_path):
    path = tmp_path / "a.wav"
    assert len(written(path, speech_like())) == 8_000
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.samplerate, info.channels) == (
        "WAV",
        "PCM_16",
        16_000,
        1,
    )


@pytest.mark.parametrize(("scale", "offset"), [(1e-4, 0.0), (30.0, 0.0), (1.0, 0.5)])
def test_level_and_offset_of_the_source_leave_no_trace(tmp_path, scale, offset):
    plain = written(tmp_path / "a.wav", speech_like())
    changed = written(tmp_path / "b.wav", scale * speech_like() + offset)
    np.testing.assert_allclose(changed, plain, atol=1.01 / 32_768)
    assert abs(np.mean(changed)) < 1e-5


def test_levels_fill_the_range(tmp_path):
    levels_db = [
        20 * np.log10(np.sqrt(np.mean(written(tmp_path / "a.wav", speech_like(), seed) ** 2)))
        for seed in range(40)
    ]
    low, high = LEVEL_DBFS
    assert low - 0.1 < min(levels_db) < low + 1.5
    assert high - 1.5 < max(levels_db) < high + 0.1


def test_a_peaky_clip_is_not_clipped(tmp_path):
    click = np.zeros(8_000)
    click[100] = 1.0
    assert np.max(np.abs(written(tmp_path / "a.wav", click))) == pytest.approx(0.9, abs=1e-3)


def test_nothing_is_written_above_the_source_s_band(tmp_path):
    samples = written(tmp_path / "a.wav", speech_like(), bandwidth_hz=3_840.0)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / 16_000)
    above = np.mean(power[frequencies > 3_900])
    assert above < 1e-5 * np.mean(power[frequencies < 3_500])
    assert above > 0  # dither is over the whole band


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(DataError, match=r"missing.a\.wav: cannot be written"):
        write_clip(tmp_path / "missing" / "a.wav", speech_like(), np.random.default_rng(0))


def test_a_protocol_line_has_the_seven_columns_of_2017():
    entry = ProtocolEntry("train", "T_1000001.wav", "genuine", "M0002", "S05")
    assert entry.line == "T_1000001.wav genuine M0002 S05 - - -"
    entry = ProtocolEntry("dev", "D_1000002.wav", "spoof", "M0002", "S05", ("E01", "P02", "R03"))
    assert entry.line == "D_1000002.wav spoof M0002 S05 E01 P02 R03"
    assert entry.path == Path("ASVspoof2017_V2_dev/D_1000002.wav")


def make(output: Path, content: str, *, overwrite: bool = False) -> None:
    with new_corpus(output, overwrite=overwrite) as folder:
        (folder / "clip").write_text(content)
        write_manifest(folder, {"content": content})


def test_a_corpus_appears_whole(tmp_path):
    output = tmp_path / "deep" / "corpus"
    with new_corpus(output, overwrite=False) as folder:
        (folder / "clip").write_text("x")
        assert not output.exists()
    assert (output / "clip").read_text() == "x"
    assert [path.name for path in output.parent.iterdir()] == ["corpus"]


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail() -> None:
        with new_corpus(tmp_path / "corpus", overwrite=False) as folder:
            (folder / "clip").write_text("x")
            raise AudioError("a.wav", "empty")

    with pytest.raises(AudioError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_cleared(tmp_path):
    leftover = tmp_path / ".corpus.partial" / "corpus"
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("x")
    make(tmp_path / "corpus", "new")
    assert not (tmp_path / "corpus" / "half").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "corpus").mkdir()
    make(tmp_path / "corpus", "new")
    assert read_manifest(tmp_path / "corpus") == {"content": "new"}


def test_a_corpus_is_replaced_only_when_asked(tmp_path):
    make(tmp_path / "corpus", "old")
    with pytest.raises(DataError, match=r"exists and is not empty.*--overwrite"):
        make(tmp_path / "corpus", "new")
    assert (tmp_path / "corpus" / "clip").read_text() == "old"
    make(tmp_path / "corpus", "new", overwrite=True)
    assert (tmp_path / "corpus" / "clip").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_that_is_not_ours_is_never_deleted(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match=r"holds no corpus\.json"):
        make(tmp_path / "home", "new", overwrite=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "corpus").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        make(tmp_path / "corpus", "new", overwrite=True)


def test_a_corpus_that_another_process_writes(tmp_path):
    (tmp_path / ".corpus.partial").mkdir()
    with (
        FileLock(tmp_path / ".corpus.partial" / ".lock"),
        pytest.raises(DataError, match="another process is writing it"),
    ):
        make(tmp_path / "corpus", "new")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_manifest_that_is_none(tmp_path, text):
    (tmp_path / "corpus.json").write_text(text)
    assert read_manifest(tmp_path) is None


def double(number: int) -> int:
    if number == 99:
        raise AudioError("a.wav", "empty")
    return 2 * number


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_tasks(num_workers):
    results = run_tasks(
        double, range(20), num_workers=num_workers, progress=False, description="test"
    )
    assert results == [2 * number for number in range(20)]


@pytest.mark.slow
def test_an_error_of_a_worker_comes_through():
    with pytest.raises(AudioError, match=r"a\.wav: empty"):
        run_tasks(double, range(90, 110), num_workers=2, progress=False, description="test")


def test_a_negative_number_of_workers():
    with pytest.raises(DataError, match="num_workers is -1"):
        run_tasks(double, [1], num_workers=-1, progress=False, description="test")
