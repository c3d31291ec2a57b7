"""Score files meet their trials; what has no partner is named."""

from pathlib import Path

import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.score_set import TrialSource, load_score_set

PROTOCOL = """\
S1 a none loc_tx bonafide bonafide notrim eval
S1 b alaw loc_tx A07 spoof notrim eval
S2 c alaw ita_tx bonafide bonafide notrim progress
S2 d none ita_tx A08 spoof notrim eval
"""


@pytest.fixture
def place(tmp_path) -> Path:
    (tmp_path / "protocol.txt").write_text(PROTOCOL)
    (tmp_path / "one.txt").write_text("d 4\nc 3\nb 2\na 1\n")
    (tmp_path / "two.txt").write_text("filename\tcm-score\na\t10\nb\t20\nc\t30\nd\t40\n")
    (tmp_path / "keyed.txt").write_text("a - bonafide 1\nb A07 spoof 2\nc - bonafide 3\n")
    return tmp_path


def load(place: Path, *names: str, **source):
    files = {name: place / name for name in names}
    source = {"protocol": place / "protocol.txt"} | source
    return load_score_set(files, TrialSource(**source))


def test_files_of_all_forms_are_joined_by_utterance(place):
    found = load(place, "one.txt", "two.txt")
    assert [trial.utterance_id for trial in found.trials] == ["a", "b", "c", "d"]
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.scores["one.txt"].tolist() == [1, 2, 3, 4]
    assert found.scores["two.txt"].tolist() == [10, 20, 30, 40]
    assert found.trials[1].metadata["codec"] == "alaw"
    assert not found.warnings
    assert not found.unmatched


def test_folders_and_extensions_of_names_may_differ_and_a_warning_counts_them(place):
    (place / "scores.csv").write_text(
        "path,verdict,score,llr\n/x/a.wav,spoof,1,\n/x/b.wav,spoof,2,\nc,spoof,3,\n"
        "/x/d.flac,spoof,4,\n/x/e.flac,unreadable,,\n"
    )
    found = load(place, "scores.csv", "one.txt")
    assert found.scores["scores.csv"].tolist() == [1, 2, 3, 4]
    assert found.unmatched == ()
    assert found.warnings == (
        "scores.csv: scores whose names differ from the trials' in folders or extension: 3; "
        "they were matched by the rest of the name.",
    )


def test_keys_in_the_score_file_do_without_a_protocol(place):
    found = load(place, "keyed.txt", protocol=None)
    assert found.labels.tolist() == [1, 0, 1]
    assert [trial.attack_id for trial in found.trials] == [None, "A07", None]
    found = load(place, "keyed.txt", "one.txt", protocol=None)
    assert found.scores["one.txt"].tolist() == [1, 2, 3]
    assert found.unmatched == (("one.txt", "extra", "d"),)


def test_a_missing_score_stops_or_is_listed(place):
    (place / "two.txt").write_text("a 10\nd 40\nx 1\n")
    with pytest.raises(DataError, match=r"two.txt: no score for 2 of 4 trials: b, c \(--allow-mis"):
        load(place, "one.txt", "two.txt")
    found = load(place, "one.txt", "two.txt", allow_missing=True)
    assert found.scores["one.txt"].tolist() == [1, 4]
    assert found.scores["two.txt"].tolist() == [10, 40]
    assert found.labels.tolist() == [1, 0]
    assert found.unmatched == (
        ("two.txt", "missing", "b"),
        ("two.txt", "missing", "c"),
        ("two.txt", "extra", "x"),
    )
    assert "trials without a score: 2 of 4, scores without a trial: 1;" in found.warnings[0]
    assert "Measured on the 2 of 4 trials" in found.warnings[1]


def test_an_extra_score_is_named_and_left_out(place):
    (place / "one.txt").write_text("d 4\nc 3\nb 2\na 1\nx 7\n")
    found = load(place, "one.txt")
    assert found.unmatched == (("one.txt", "extra", "x"),)
    assert "scores without a trial: 1" in found.warnings[0]
    assert len(found.trials) == 4


def test_conditions_apply_after_the_join(place):
    found = load(place, "one.txt", where=["subset=eval"])
    assert found.scores["one.txt"].tolist() == [1, 2, 4]
    assert not found.unmatched


def test_a_list_of_several_partitions_gives_the_one_asked_for(place):
    (place / "protocol.txt").write_text(
        "path,label,partition\na.wav,bonafide,eval\nb.wav,spoof,eval\nc.wav,spoof,dev\n"
    )
    (place / "one.txt").write_text("a 1\nb 2\n")
    assert load(place, "one.txt").scores["one.txt"].tolist() == [1, 2]
    with pytest.raises(DataError, match="no trial of it is of partition train"):
        load(place, "one.txt", partition="train")


def test_trials_without_a_key_are_left_out(place):
    (place / "protocol.txt").write_text("path,label\na,bonafide\nb,spoof\nc,\n")
    (place / "one.txt").write_text("a 1\nb 2\n")
    found = load(place, "one.txt")
    assert "trials without a key: 1" in found.warnings[0]
    assert len(found.trials) == 2


@pytest.mark.parametrize(
    ("damage", "names", "source", "words"),
    [
        ({}, ["one.txt"], {"protocol": None}, "one.txt: holds no keys, so --protocol must"),
        ({"keyed.txt": "a - spoof 1\nb - spoof 1\nc - bonafide 1\nd - spoof 1\n"},
         ["keyed.txt"], {}, "keyed.txt: the key of a is spoof, in the protocol it is bonafide"),
        ({"one.txt": "x 1\ny 2\n"}, ["one.txt"], {}, "no score for 4 of the 4 trials"),
        ({"one.txt": "a 1\na 2\n"}, ["one.txt"], {}, "one.txt:2: 'a' was scored in line 1"),
        ({"protocol.txt": PROTOCOL + PROTOCOL[:48]}, ["one.txt"], {}, "'a' was named before"),
        ({"protocol.txt": "a\nb\n"}, ["one.txt"], {}, "has no key"),
        ({"one.txt": "a 1\nb 2\n", "two.txt": "c 1\nd 2\n"}, ["one.txt", "two.txt"],
         {"allow_missing": True}, "no trial has a score in every file: one.txt, two.txt"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(place, damage, names, source, words):
    for name, text in damage.items():
        (place / name).write_text(text)
    with pytest.raises(DataError, match=words):
        load(place, *names, **source)
