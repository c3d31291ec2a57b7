"""Holding out a part of the training data."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from rawnet_jax.config import DataConfig
from rawnet_jax.data.protocols import parse_asvspoof2017, parse_asvspoof2019
from rawnet_jax.data.splits import load_train_and_dev, split_train
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label

BONAFIDE, SPOOF = Label.BONAFIDE, Label.SPOOF


def trials_of(rows):
    """Make trials of (speaker, label) rows."""
    return [
        Trial(f"u{i}", label, f"u{i}", speaker, source=f"list:{i + 1}")
        for i, (speaker, label) in enumerate(rows)
    ]


def labels_of(trials, rows):
    return [trials[i].label for i in rows]


def speakers_of(trials, rows):
    return {trials[i].speaker_id for i in rows}


MIXED = trials_of((f"s{i % 11}", BONAFIDE if i % 3 else SPOOF) for i in range(330))


@pytest.mark.parametrize("how", ["speaker_disjoint", "stratified", "notebook"])
def test_every_trial_is_in_one_part_and_the_seed_decides(how):
    train, dev = split_train(MIXED, how, 0.2, 7)
    assert sorted([*train, *dev]) == list(range(330))
    assert (np.diff(train) > 0).all()
    assert (np.diff(dev) > 0).all()
    again = split_train(MIXED, how, 0.2, 7)
    assert [list(part) for part in again] == [list(train), list(dev)]
    others = [split_train(MIXED, how, 0.2, seed)[1] for seed in range(8, 12)]
    assert any(list(other) != list(dev) for other in others)
    assert abs(len(dev) / 330 - 0.2) < 0.03


def test_speakers_are_kept_apart_and_both_classes_are_near_the_fraction():
    rng = np.random.default_rng(0)
    rows = [(f"b{rng.integers(40)}", BONAFIDE) for _ in range(600)]
    rows += [(f"v{min(int(rng.exponential(4)), 12)}", SPOOF) for _ in range(900)]
    rows += [(f"both{rng.integers(9)}", Label(int(rng.integers(2)))) for _ in range(300)]
    trials = trials_of(rows)
    labels = np.array([trial.label for trial in trials])
    for fraction in (0.1, 0.25, 0.5):
        train, dev = split_train(trials, "speaker_disjoint", fraction, 0)
        assert not speakers_of(trials, train) & speakers_of(trials, dev)
        shares = np.bincount(labels[dev], minlength=2) / np.bincount(labels)
        assert np.abs(shares - fraction).max() < 0.01


def test_two_large_speakers_still_give_two_parts():
    rows = [("a", BONAFIDE), ("a", SPOOF), ("b", BONAFIDE), ("b", SPOOF)] * 50
    train, dev = split_train(trials_of(rows), "speaker_disjoint", 0.1, 0)
    assert (len(train), len(dev)) == (100, 100)


def test_a_few_unknown_speakers_are_trained_on():
    rows = [(f"s{i % 10}" if i % 40 else None, Label(i % 2)) for i in range(400)]
    trials = trials_of(rows)
    train, dev = split_train(trials, "speaker_disjoint", 0.2, 0)
    assert None not in speakers_of(trials, dev)
    assert None in speakers_of(trials, train)
    assert len(train) + len(dev) == 400


def test_stratified_keeps_the_share_of_the_classes():
    train, dev = split_train(MIXED, "stratified", 0.2, 0)
    assert labels_of(MIXED, dev).count(SPOOF) == 22
    assert labels_of(MIXED, dev).count(BONAFIDE) == 44
    assert speakers_of(MIXED, train) & speakers_of(MIXED, dev)


def test_the_notebook_split_of_the_real_protocol(shared_data):
    path = shared_data / "protocols" / "ASVspoof2017_V2_train.trn.txt"
    trials = parse_asvspoof2017(read_lines(path), str(path), ProblemLedger.counting())
    defaults = DataConfig()
    train, dev = split_train(trials, "notebook", defaults.dev_fraction, defaults.split_seed)
    assert (len(train), len(dev)) == (2_411, 603)
    # What the notebook itself held out, 311 and 292, followed the order of files on its disk.
    held_out = labels_of(trials, dev)
    assert (held_out.count(BONAFIDE), held_out.count(SPOOF)) == (321, 282)
    lines = path.read_text().splitlines()
    expected_train, expected_dev = train_test_split(lines, test_size=0.2, random_state=42)
    assert {lines[i] for i in dev} == set(expected_dev)
    assert {lines[i] for i in train} == set(expected_train)


def test_speaker_disjoint_on_real_protocols(shared_data):
    folder = shared_data / "protocols"
    for name, parser in (
        ("ASVspoof2017_V2_train.trn.txt", parse_asvspoof2017),
        ("ASVspoof2019.LA.cm.train.trn.txt", parse_asvspoof2019),
    ):
        trials = parser(read_lines(folder / name), name, ProblemLedger.counting())
        labels = np.array([trial.label for trial in trials])
        train, dev = split_train(trials, "speaker_disjoint", 0.2, 42)
        assert not speakers_of(trials, train) & speakers_of(trials, dev)
        shares = np.bincount(labels[dev]) / np.bincount(labels)
        assert np.abs(shares - 0.2).max() < 0.005


@pytest.mark.parametrize(
    ("rows", "how", "fraction", "error", "message"),
    [
        ([("a", SPOOF)] * 9, "stratified", 0.2, DataError, "has no bonafide trial among its 9"),
        ([("a", None)] * 9, "stratified", 0.2, DataError, "list:1: no label, but the train"),
        (
            [("a", SPOOF), ("a", BONAFIDE)] * 9,
            "speaker_disjoint",
            0.2,
            DataError,
            "1 of 1 train speakers have spoof trials; .*dev_source=stratified",
        ),
        (
            [("a", SPOOF), ("b", SPOOF), ("b", BONAFIDE)] * 9,
            "speaker_disjoint",
            0.2,
            DataError,
            "1 of 2 train speakers have bonafide trials",
        ),
        (
            [("a", SPOOF), (None, BONAFIDE)] * 9,
            "speaker_disjoint",
            0.2,
            DataError,
            "only 50% of the train trials name a speaker",
        ),
        (
            [("a", SPOOF), ("b", SPOOF), ("c", BONAFIDE)],
            "stratified",
            0.2,
            DataError,
            "3 train trials cannot be split",
        ),
        (
            [("a", SPOOF)] * 50 + [("b", BONAFIDE)],
            "notebook",
            0.2,
            DataError,
            "leaves no bonafide trial to be",
        ),
        ([("a", SPOOF), ("b", BONAFIDE)], "random", 0.2, ConfigError, "dev_source is 'random'"),
        ([("a", SPOOF), ("b", BONAFIDE)], "notebook", 1.0, ConfigError, "dev_fraction is 1.0"),
    ],
)
def test_what_cannot_be_split_is_said(rows, how, fraction, error, message):
    with pytest.raises(error, match=message):
        split_train(trials_of(rows), how, fraction, 0)


# From a config


def write_corpus(root, partitions, speaker="s{0}"):
    """Write manifests whose bona fide and spoofed trials have the same 10 speakers."""
    for partition in partitions:
        rows = ["path,label,speaker"]
        for i in range(40):
            name = f"{partition}{i}.wav"
            (root / name).touch()
            rows.append(f"{name},{('spoof', 'bonafide')[i % 2]},{speaker.format(i // 4)}")
        (root / f"{partition}.csv").write_text("\n".join(rows))
    return DataConfig(corpus="manifest", root=str(root))


def parts(config):
    train, dev = load_train_and_dev(config, ProblemLedger(config.problems))
    return [[clip.trial for clip in part] for part in (train, dev)]


def test_auto_takes_the_official_dev_partition_where_there_is_one(tmp_path):
    config = write_corpus(tmp_path, ["train", "dev"])
    train, dev = parts(config)
    assert (len(train), len(dev)) == (40, 40)
    assert dev[0].utterance_id == "dev0"


def test_auto_keeps_speakers_apart_where_they_are_known(tmp_path):
    train, dev = parts(write_corpus(tmp_path, ["train"]))
    assert (len(train), len(dev)) == (32, 8)
    assert not {trial.speaker_id for trial in train} & {trial.speaker_id for trial in dev}


def test_auto_is_stratified_where_speakers_are_unknown(tmp_path):
    train, dev = parts(write_corpus(tmp_path, ["train"], speaker="-"))
    assert (len(train), len(dev)) == (32, 8)
    assert [trial.label for trial in dev].count(SPOOF) == 4


def test_an_official_dev_that_is_not_on_disk_is_an_error_not_a_split(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "train.txt").write_text("S1 a - - bonafide\nS2 b - A01 spoof\n")
    for name in "ab":
        (tmp_path / f"audio/{name}.wav").touch()
    config = DataConfig(
        corpus="asvspoof2019_la", root=str(tmp_path), train_protocol="train.txt", audio_dir="audio"
    )
    with pytest.raises(DataError, match="no dev list of asvspoof2019_la"):
        parts(config)
    config.dev_source = "speaker_disjoint"
    with pytest.raises(DataError, match="1 of 2 train speakers"):
        parts(config)


def test_a_dev_partition_of_one_class_is_an_error(tmp_path):
    config = write_corpus(tmp_path, ["train"])
    (tmp_path / "dev.csv").write_text("path,label\ntrain0.wav,spoof")
    with pytest.raises(DataError, match="the dev partition has no bonafide trial among its 1"):
        parts(config)
    config.dev_source = "stratified"
    assert len(parts(config)[1]) == 8


def test_real_speech_is_split_officially(shared_data):
    config = DataConfig(
        corpus="asvspoof2019_la",
        root=str(shared_data / "speech"),
        train_protocol="train.trl.txt",
        dev_protocol="dev.trl.txt",
        audio_dir="flac",
    )
    train, dev = parts(config)
    assert (len(train), len(dev)) == (1_418, 318)
