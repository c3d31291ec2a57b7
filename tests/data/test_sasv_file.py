"""Score files that name a claimed speaker: every form is read, everything else is one line."""

import numpy as np
import pytest

from rawnet_jax.data.sasv_file import is_sasv_file, read_sasv, with_keys
from rawnet_jax.errors import DataError

TRACK_2 = (
    "spk\tfilename\tcm-score\tasv-score\tsasv-score\n"
    "E_0101\tE_0000000001\t4.76\t-1.02\t1.87\n"
    "E_0101\tE_0000000002\t-\t0.5\t0.25\n"
    "E_0102\tE_0000000001\t-3\t2e-1\t-1\n"
)
KEYS = (
    "spk\tfilename\tcm-label\tasv-label\tattack\n"
    "E_0101\tE_0000000001\tbonafide\ttarget\tbonafide\n"
    "E_0101\tE_0000000002\tspoof\tspoof\tA17\n"
    "E_0102\tE_0000000001\tbonafide\tnontarget\tbonafide\n"
)
SASVC = "LA_0015 LA_E_1 bonafide target 6.9\nLA_0007 LA_E_2 A07 spoof -2\n"
SASVC_LIST = "LA_0015 LA_E_1 bonafide target\nLA_0007 LA_E_2 A07 spoof\n"
PACKAGE = "LA_0015 LA_E_1 6.9 target\nLA_0007 LA_E_2 6.1 nontarget\nLA_0007 LA_E_3 -2 spoof\n"


def write(folder, text):
    path = folder / "scores.txt"
    path.write_text(text)
    return path


def test_track_2_of_asvspoof_5(tmp_path):
    table = read_sasv(write(tmp_path, TRACK_2))
    assert list(table.names)[1] == ("E_0101", "E_0000000002")
    assert table.keys is None
    np.testing.assert_array_equal(table.scores["cm"], [4.76, np.nan, -3])
    np.testing.assert_array_equal(table.scores["asv"], [-1.02, 0.5, 0.2])
    keys = tmp_path / "keys.tsv"
    keys.write_text(KEYS)
    joined = with_keys(table, read_sasv(keys, keys_only=True), "scores.txt")
    assert list(joined.keys or ()) == ["target", "spoof", "nontarget"]
    assert list(joined.attacks or ()) == [None, "A17", None]
    np.testing.assert_array_equal(joined.scores["sasv"], [1.87, 0.25, -1])


def test_a_column_of_dashes_is_no_score(tmp_path):
    text = TRACK_2.replace("4.76", "-").replace("\t-3\t", "\t-\t")
    assert set(read_sasv(write(tmp_path, text)).scores) == {"asv", "sasv"}


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", " "])
def test_separators(tmp_path, delimiter):
    table = read_sasv(write(tmp_path, TRACK_2.replace("\t", delimiter)))
    np.testing.assert_array_equal(table.scores["sasv"], [1.87, 0.25, -1])


@pytest.mark.parametrize(
    ("text", "keys", "attacks"),
    [
        (SASVC, ["target", "spoof"], [None, "A07"]),
        (PACKAGE, ["target", "nontarget", "spoof"], None),
        ("a b 1.5\na c 2\n", None, None),
    ],
)
def test_forms_without_a_header(tmp_path, text, keys, attacks):
    table = read_sasv(write(tmp_path, text))
    assert table.keys == keys
    assert table.attacks == attacks
    assert set(table.scores) == {"sasv"}
    assert len(table) == len(text.splitlines())


def test_a_list_has_keys_alone(tmp_path):
    table = read_sasv(write(tmp_path, SASVC_LIST), keys_only=True)
    assert (table.keys, table.attacks) == (["target", "spoof"], [None, "A07"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRACK_2, True),
        (KEYS, True),
        (SASVC, True),
        (SASVC_LIST, True),
        (PACKAGE, True),
        ("filename\tcm-score\na\t1\n", False),
        ("LA_E_1 A07 spoof -2\nLA_E_2 - bonafide 3\n", False),
        ("LA_0079 LA_E_1 - A07 spoof\nLA_0079 LA_E_2 - - bonafide\n", False),
        ("bonafide target 7.98\nA07 spoof 1\n", False),
        ("a 1.5\nb 2\n", False),
    ],
)
def test_which_files_are_of_verification(tmp_path, text, expected):
    assert is_sasv_file(write(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SASVC.replace("6.9", "high"), r"scores.txt:1: sasv score 'high'"),
        (SASVC.replace("6.9", "nan"), "finite number"),
        (SASVC.replace(" spoof", " bonafide"), r"scores.txt:2: key 'bonafide'"),
        (SASVC + "x y\n", r"scores.txt:3: 2 columns; there must be 5"),
        (SASVC + SASVC, "stands in line 1 already"),
        ("a b\nc d\n", "columns; they must be"),
        (TRACK_2.splitlines()[0] + "\n", "no trials below it"),
        (TRACK_2.replace("spk", "who"), "no column is the speaker"),
        (TRACK_2.replace("cm-score", "asv_score"), "several columns are a asv"),
        ("spk\tfilename\tcm-score\na\tb\t-\n", "no scores"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_sasv(write(tmp_path, text))


def test_keys_that_contradict_each_other(tmp_path):
    path = write(tmp_path, KEYS.replace("bonafide\ttarget", "spoof\ttarget"))
    with pytest.raises(DataError, match="contradict"):
        read_sasv(path, keys_only=True)
    with pytest.raises(DataError, match="no keys"):
        read_sasv(write(tmp_path, TRACK_2), keys_only=True)


def test_every_trial_of_a_list_needs_its_scores(tmp_path):
    table = read_sasv(write(tmp_path, TRACK_2))
    trials = read_sasv(write(tmp_path, SASVC_LIST), keys_only=True)
    with pytest.raises(DataError, match="2 of 2 trials have no line, such as LA_0015 LA_E_1"):
        with_keys(table, trials, "scores.txt")
