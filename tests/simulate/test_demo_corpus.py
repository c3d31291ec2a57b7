"""The demo corpus: its layout, that it can be made again bit for bit, and how hard it is."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import stft
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rawnet_jax.config import ProblemPolicy
from rawnet_jax.data.protocols import parse_asvspoof2017
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.simulate.demo_corpus import write_demo_corpus
from rawnet_jax.simulate.devices import device_rows

PROTOCOLS = {
    "train": "protocol_V2/ASVspoof2017_V2_train.trn.txt",
    "dev": "protocol_V2/ASVspoof2017_V2_dev.trl.txt",
    "eval": "protocol_V2/ASVspoof2017_V2_eval.trl.txt",
}
NUM_CLIPS = 200


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "corpus"
    write_demo_corpus(output, num_clips=NUM_CLIPS, seed=0, num_workers=0, progress=False)
    return output


def lines(corpus: Path, partition: str) -> list[str]:
    return (corpus / PROTOCOLS[partition]).read_text().splitlines()


def trials(corpus: Path, partition: str) -> list[Trial]:
    ledger = ProblemLedger(ProblemPolicy())
    return parse_asvspoof2017(lines(corpus, partition), partition, ledger)


def clips(corpus: Path, partition: str) -> tuple[list[np.ndarray], np.ndarray]:
    folder = corpus / f"ASVspoof2017_V2_{partition}"
    waveforms, is_genuine = [], []
    for trial in trials(corpus, partition):
        waveforms.append(soundfile.read(folder / trial.audio_name)[0])
        is_genuine.append(trial.label == 1)
    return waveforms, np.array(is_genuine)


def digest(corpus: Path) -> dict[str, str]:
    return {
        str(path.relative_to(corpus)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(corpus.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("partition", "letter", "number"), [("train", "T", 120), ("dev", "D", 40), ("eval", "E", 40)]
)
def test_layout_is_that_of_2017_version_2(corpus, partition, letter, number):
    found = lines(corpus, partition)
    spoken = r"[MF]\d{4} S\d\d"
    form = rf"\w+\.wav (genuine {spoken} - - -|spoof {spoken} E\d\d P\d\d R\d\d)"
    assert [line for line in found if not re.fullmatch(form, line)] == []
    names = [line.split()[0] for line in found]
    assert names == [f"{letter}_{1_000_001 + index}.wav" for index in range(number)]
    assert [line.split()[1] for line in found] == ["genuine"] * (number // 2) + ["spoof"] * (
        number // 2
    )
    folder = corpus / f"ASVspoof2017_V2_{partition}"
    assert sorted(path.name for path in folder.iterdir()) == names


@pytest.mark.slow
def test_speakers_are_disjoint_and_have_both_classes(corpus):
    speakers = {partition: trials(corpus, partition) for partition in PROTOCOLS}
    sets = {p: {trial.speaker_id for trial in found} for p, found in speakers.items()}
    assert {p: len(found) for p, found in sets.items()} == {"train": 12, "dev": 6, "eval": 6}
    assert len(set.union(*sets.values())) == 24
    for found in speakers.values():
        classes = {(trial.speaker_id, trial.label) for trial in found}
        assert len(classes) == 2 * len({trial.speaker_id for trial in found})


@pytest.mark.slow
def test_eval_meets_devices_that_train_has_not_seen(corpus):
    def ids(partition: str) -> set[str]:
        return {column for line in lines(corpus, partition) for column in line.split()[4:]} - {"-"}

    held_out = {row_id for row_id, _, use in device_rows() if use == "eval"}
    assert ids("train") & held_out == set()
    assert ids("dev") & held_out == set()
    assert ids("eval") & held_out == held_out


@pytest.mark.slow
def test_clips_are_16_khz_16_bit_and_of_speech_length(corpus):
    for path in corpus.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.subtype, info.channels) == (16_000, "PCM_16", 1)
        assert 1.2 < info.duration < 4.0


@pytest.mark.slow
def test_a_readme_says_what_this_is(corpus):
    readme = (corpus / "README.txt").read_text()
    assert "synthetic" in readme
    assert "nothing about detecting real attacks" in readme


def simple_features(waveform: np.ndarray) -> list[float]:
    """Level, peak, length, offset, silence at both ends."""
    peak = np.max(np.abs(waveform))
    loud = np.flatnonzero(np.abs(waveform) > 0.1 * peak)
    rms = np.sqrt(np.mean(waveform**2))
    return [np.log(rms), np.log(peak), len(waveform), np.mean(waveform), loud[0]]


def band_features(waveform: np.ndarray) -> np.ndarray:
    """Mean, deviation and tenth percentile over time of 24 log band energies."""
    _, _, spectrum = stft(waveform, 16_000, nperseg=512)
    bands = np.array_split(np.abs(spectrum) ** 2, 24, axis=0)
    energy = np.log(np.stack([band.mean(axis=0) for band in bands]) + 1e-10)
    return np.concatenate([energy.mean(1), energy.std(1), np.percentile(energy, 10, axis=1)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("features", "low", "high"), [(simple_features, 0.35, 0.65), (band_features, 0.85, 0.995)]
)
def test_classes_differ_in_their_spectrum_and_not_in_trivial_things(corpus, features, low, high):
    def table(*partitions: str) -> tuple[np.ndarray, np.ndarray]:
        found = [clips(corpus, partition) for partition in partitions]
        rows = [features(waveform) for waveforms, _ in found for waveform in waveforms]
        return np.array(rows), np.concatenate([is_genuine for _, is_genuine in found])

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    classifier.fit(*table("train"))
    inputs, is_genuine = table("dev", "eval")
    auc = roc_auc_score(is_genuine, classifier.decision_function(inputs))
    assert low < auc < high


@pytest.mark.slow
def test_samples_do_not_depend_on_the_number_of_workers(tmp_path):
    for num_workers in (1, 2):
        write_demo_corpus(
            tmp_path / str(num_workers), num_clips=20, num_workers=num_workers, progress=False
        )
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_the_seed_decides_every_sample_and_a_second_call_does_nothing(tmp_path):
    def write(name: str, seed: int) -> dict[str, str]:
        summary = write_demo_corpus(
            tmp_path / name, num_clips=20, seed=seed, num_workers=1, progress=False
        )
        assert summary.was_written
        assert sum(summary.counts.values()) == 20
        return digest(tmp_path / name)

    first, other = write("first", 1), write("other", 2)
    assert first.keys() == other.keys()
    same = {name for name in first if first[name] == other[name]}
    assert same == {"devices.tsv"}

    again = write_demo_corpus(
        tmp_path / "first", num_clips=20, seed=1, num_workers=1, progress=False
    )
    assert not again.was_written
    assert "nothing to do" in str(again)
    assert digest(tmp_path / "first") == first

    with pytest.raises(DataError, match="exists and is not empty"):
        write_demo_corpus(tmp_path / "first", num_clips=20, seed=2, num_workers=1, progress=False)
    next((tmp_path / "first").rglob("*.wav")).unlink()
    with pytest.raises(DataError, match="exists and is not empty"):
        write_demo_corpus(tmp_path / "first", num_clips=20, seed=1, num_workers=1, progress=False)
    write_demo_corpus(
        tmp_path / "first", num_clips=20, seed=1, num_workers=1, progress=False, overwrite=True
    )
    assert digest(tmp_path / "first") == first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clips": 18}, "from 20 to 1000000"),
        ({"num_clips": 10**14}, "from 20 to 1000000"),
        ({"num_clips": 31}, "even number"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_parameters_out_of_range(tmp_path, settings, message):
    with pytest.raises(DataError, match=message):
        write_demo_corpus(tmp_path / "x", progress=False, **settings)
    assert list(tmp_path.iterdir()) == []
