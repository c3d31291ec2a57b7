"""Labels of crops by the segments that a list states, and label files that are not programs."""

import pickle

import numpy as np
import pytest

from rawnet_jax.config import DataConfig, EvalConfig, TrainConfig
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.label_arrays import read_label_arrays
from rawnet_jax.data.manifests import parse_manifest
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.data.segments import read_seglab
from rawnet_jax.data.sources import scoring_source, training_source
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.data.window_labels import WindowLabels
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label
from tests.data.made_corpora import MADE


class Clips:
    """Waveforms of a second, whose samples say which are fake."""

    owner = None

    def __init__(self) -> None:
        self.trials = [
            Trial("a", Label.BONAFIDE, "a"),
            Trial("b", Label.SPOOF, "b", metadata={"segments": "0.25-0.5-spoof"}),
            Trial("c", Label.SPOOF, "c"),
        ]
        self.num_samples = np.full(3, 16_000)

    def __len__(self) -> int:
        return 3

    def waveform(self, position: int) -> np.ndarray:
        waveform = np.full(16_000, 100 * position, np.int16)
        if position == 1:
            waveform[4_000:8_000] = 1_000
        return waveform


@pytest.mark.parametrize("min_fake_s", [0.0, 0.05])
def test_a_crop_is_fake_where_it_holds_fake(min_fake_s) -> None:
    data = DataConfig(num_samples=2_000, crop="random", window_labels=True, min_fake_s=min_fake_s)
    source = training_source(Clips(), data, TrainConfig(batch_size=3, num_epochs=60))
    seen = set()
    for step in range(len(source)):
        batch = source[step]
        for row, label in zip(range(3), batch["label"].tolist(), strict=True):
            position = int(batch["index"][row])
            fake = int((batch["waveform"][row] * 32_768 > 900).sum())
            least = max(1, round(min_fake_s * 16_000))
            wanted = (1, int(fake < least), 0)[position]
            assert label == wanted
            seen.add((position, label))
    assert seen == {(0, 1), (1, 0), (1, 1), (2, 0)}
    assert source.plan.rows(0).label.tolist() == source[0]["label"].tolist()


def test_what_is_scored_of_a_clip_has_the_label_of_that() -> None:
    data = DataConfig(num_samples=2_000, window_labels=True)
    seen = set()
    for seed in range(30):
        data.split_seed = seed
        source = scoring_source(Clips(), data, EvalConfig(batch_size=4))
        batch = source[0]
        is_fake = bool((batch["waveform"][1] * 32_768 > 900).any())
        seen.add(is_fake)
        assert batch["label"].tolist() == [1, int(not is_fake), 0, -1]
        assert source.plan.labels_by_clip().tolist() == batch["label"].tolist()[:3]
    assert seen == {False, True}
    data.window_labels = False
    source = scoring_source(Clips(), data, EvalConfig(batch_size=4))
    assert source[0]["waveform"][1].max() * 32_768 < 900
    assert source.plan.labels_by_clip().tolist() == [1, 0, 0]


def test_without_segments_there_is_nothing_to_go_by() -> None:
    with pytest.raises(ConfigError, match="states no segments of its spoof clips"):
        WindowLabels([Trial("a", Label.SPOOF, "a")])


def test_a_list_of_ones_own_may_state_segments() -> None:
    ledger = ProblemLedger.counting()
    rows = ["path,label,segments", "a.wav,spoof,0-1-bonafide 1-2-spoof", "b.wav,spoof,1-spoof"]
    (trial,) = parse_manifest(rows, "own.csv", ledger)
    assert trial.metadata["segments"] == "0-1-bonafide 1-2-spoof"
    assert ledger.counts == {"bad_line": 1}
    assert "own.csv:3: segment '1-spoof'" in ledger.examples["bad_line"][0]


def test_a_protocol_of_partialspoof_by_itself_has_its_segments(tmp_path) -> None:
    MADE["partialspoof"].write(tmp_path)
    folder = tmp_path / "database/protocols/PartialSpoof_LA_cm_protocols"
    trials = read_protocol(folder / "PartialSpoof.LA.cm.dev.trl.txt")
    assert {trial.metadata.get("segments") for trial in trials} == {
        "0-0.1-bonafide",
        "0-0.04-bonafide 0.04-0.08-spoof 0.08-0.1-bonafide",
    }
    config = DataConfig(corpus="partialspoof", root=str(tmp_path))
    clips = load_partition(config, "dev", ProblemLedger(config.problems))
    assert [clip.trial.metadata for clip in clips] == [trial.metadata for trial in trials]


class Harmful:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"a": Harmful()}, "it asks for builtins.print"),
        ({"a": np.array(["1", "2"])}, "labels of 'a' are not all 0 or 1"),
        ({"a": np.array([[1, 0]])}, "labels of 'a' are not all 0 or 1"),
        ({}, "holds no dictionary of labels"),
        ([1], "no dictionary of labels"),
    ],
)
def test_label_files_that_are_none(tmp_path, capsys, held, words) -> None:
    path = tmp_path / "dev_seglab_0.02.npy"
    array = np.empty((), object)
    array[()] = held
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataError, match=words) as caught:
        read_seglab(path, 0.02)
    assert str(caught.value).startswith(str(path))
    assert capsys.readouterr().out == ""


def test_label_files_of_any_age_are_read(tmp_path) -> None:
    path = tmp_path / "x.npy"
    labels = {"a": np.array(["1", "0"]), "b": np.array([1, 1, 0], np.int8)}
    array = np.array(labels, dtype=object)
    np.save(path, array, allow_pickle=True)
    read = read_label_arrays(path)
    assert read["a"].tolist() == ["1", "0"]
    # as Python 2 and NumPy 1 wrote it
    data = path.read_bytes()
    header = data[: data.index(b"\n") + 1]
    old = pickle.dumps(array, protocol=2).replace(b"numpy._core", b"numpy.core")
    path.write_bytes(header + old)
    assert read_label_arrays(path)["b"].tolist() == [1, 1, 0]
    path.write_bytes(data[:-20])
    with pytest.raises(DataError, match="no dictionary of labels"):
        read_label_arrays(path)
