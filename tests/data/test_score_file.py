"""Score files: what is written is read again to the last bit, and bad lines are named."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.data.score_file import SCORE_FILE_FORMS, ScoreTable, read_scores, write_scores
from rawnet_jax.errors import DataError

AWKWARD = [0.1, -0.0, 1e-300, 1.7976931348623157e308, 5e-324, 1 / 3, -123456.789]


def table_of(scores: np.ndarray | list[float]) -> ScoreTable:
    names = [f"LA_E_{i}" for i in range(len(scores))]
    labels = np.arange(len(scores)) % 2
    attacks = [None if label else "A07" for label in labels]
    return ScoreTable(names, np.asarray(scores), labels, attacks)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("form", SCORE_FILE_FORMS)
def test_every_form_keeps_scores_to_the_last_bit(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(0)
    for scores in (np.array(AWKWARD), rng.normal(size=50).astype(np.float32)):
        table = table_of(scores)
        write_scores(tmp_path / "scores.txt", table, form)
        read = read_scores(tmp_path / "scores.txt")
        assert list(read.utterance_ids) == list(table.utterance_ids)
        assert read.scores.dtype == np.float64
        assert read.scores.tobytes() == table.scores.tobytes()
        assert read.scores.astype(scores.dtype).tobytes() == scores.tobytes()


def test_2019_form_keeps_keys_and_attacks(tmp_path: Path) -> None:
    table = ScoreTable(
        ["a", "b", "c"], np.array([1, -2, -3.5]), np.array([1, 0, 0]), [None, "A01", None]
    )
    path = tmp_path / "scores.txt"
    write_scores(path, table)
    assert path.read_text() == "a - bonafide 1.0\nb A01 spoof -2.0\nc - spoof -3.5\n"
    read = read_scores(path)
    assert read.labels is not None
    assert read.labels.tolist() == [1, 0, 0]
    assert read.attack_ids == [None, "A01", None]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("asvspoof2019", "a - - 1.5\nb - - -2.0\n"),
        ("asvspoof2021", "a 1.5\nb -2.0\n"),
        ("asvspoof5", "filename\tcm-score\na\t1.5\nb\t-2.0\n"),
    ],
)
def test_tables_without_keys(tmp_path: Path, form: str, text: str) -> None:
    path = tmp_path / "scores.txt"
    write_scores(path, ScoreTable(["a", "b"], np.array([1.5, -2.0])), form)
    assert path.read_text() == text
    read = read_scores(path)
    assert read.labels is None
    assert read.scores.tolist() == [1.5, -2.0]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_any_finite_number_survives(tmp_path_factory, scores: list[float]) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.txt"
    write_scores(path, table_of(scores))
    assert read_scores(path).scores.tobytes() == np.array(scores).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "a A01 spoof -2\r\nb - bonafide 3e0\r\n",  # Windows
        "\ufeffa A01 spoof -2\nb - bonafide 3\n",  # with a byte order mark
        "\n  a\tA01   spoof  -2 \n\nb - genuine +3.0\n\n",  # tabs, blanks, the key of 2017
        "a A01 SPOOF -2\nb - Bonafide 3",  # no line end, capitals
    ],
)
def test_2019_files_as_they_are_found(tmp_path: Path, text: str) -> None:
    read = read_scores(write(tmp_path / "s.txt", text))
    assert read.utterance_ids == ["a", "b"]
    assert read.scores.tolist() == [-2, 3]
    assert read.labels is not None
    assert read.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    "text",
    [
        "filename\tcm-score\na\t-2\nb\t3\n",
        "filename cm-score\na -2\nb 3\n",
        "FileName\tasv-score\tCM-Score\n a \t9\t-2\nb\t9\t3\n",  # columns by name, others ignored
    ],
)
def test_tables_with_a_header(tmp_path: Path, text: str) -> None:
    read = read_scores(write(tmp_path / "s.tsv", text))
    assert (read.utterance_ids, read.scores.tolist()) == (["a", "b"], [-2, 3])


@pytest.mark.parametrize(
    "text",
    [
        "filename\tcm_score\na\t-2\nb\t3\n",
        "filename,score\na,-2\nb,3\n",
        'ID ; Score\n"a";-2\nb; 3\n\n',
        ",Path,cm-score,duration\n0,a,-2,1.5\n1,b,3,\n",  # pandas, with its index
        "utt score\na -2\nb 3\n",
        "score|file_name\n-2|a\n3|b\n",
        "a,-2\nb,3\n",
        "a; -2\nb; 3\n",
        "a\t-2\nb\t3\n",
        '{"path": "a", "score": -2}\n\n{"path": "b", "score": 3.0, "verdict": "spoof"}\n',
    ],
)
def test_tables_as_people_write_them(tmp_path: Path, text: str) -> None:
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        (tmp_path / "s").write_bytes(data)
        read = read_scores(tmp_path / "s")
        assert (read.utterance_ids, read.scores.tolist()) == (["a", "b"], [-2, 3])
        assert read.labels is None


@pytest.mark.parametrize(
    "text",
    [
        "a spoof -2\nb bonafide 3\n",
        "-2 a fake\n3 b real\n",
        "spoof,-2,a\nhuman,3,b\n",
        "deepfake\ta\t-2\nGENUINE\tb\t3\n",
        "a -2 spoof\nb 3 bona-fide\n",
        "a 1 spoof\n",
        "key;file;score\nfake;a;-2\nreal;b;3\n",
        "utterance attack label score\na A01 spoof -2\nb - bonafide 3\n",
    ],
)
def test_keys_in_any_order(tmp_path: Path, text: str) -> None:
    read = read_scores(write(tmp_path / "s", text))
    count = len(read)
    assert read.utterance_ids[1:] == ["b"][: count - 1]
    assert read.scores.tolist() in ([-2, 3], [1])
    assert read.labels is not None
    assert read.labels.tolist() == [0, 1][:count]


def test_names_in_quotes_and_of_two_words(tmp_path: Path) -> None:
    text = 'file,score\n"a ""b"", c.wav",1\n"d\ne.wav",2\nf g,3\n'
    read = read_scores(write(tmp_path / "s.csv", text))
    assert read.utterance_ids == ['a "b", c.wav', "d\ne.wav", "f g"]
    read = read_scores(write(tmp_path / "s.tsv", 'my "a" file.wav\t1\n'))
    assert read.utterance_ids == ['my "a" file.wav']
    with pytest.raises(DataError, match=r"s\.csv:4: score 'x'"):
        read_scores(write(tmp_path / "s.csv", 'file,score\n"d\ne",2\nf,x\n'))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a A01 spoof 1\nb - bonafide\n", 2, "3 columns; there must be 4 as above"),
        ("a 1\nb 2 3\n", 2, "3 columns; there must be 2"),
        ("a target 1\n", 1, "3 columns; they must be 'utterance attack key score'"),
        ("a\n", 1, "1 columns; they must be"),
        ("speaker\tscore\na\t1\n", 1, "columns speaker, score; there must be a header naming"),
        ("file,p_spoof\na,1\n", 1, "columns file, p_spoof; there must be a header naming"),
        ("file,score,cm-score\na,1,1\n", 1, "columns score and cm-score are both a score"),
        ("path;utt;score\na;b;1\n", 1, "columns path and utt are both a name"),
        ("file,label,score\na,1,1\n", 2, "key '1', whose meaning differs between files"),
        ("file,label,score\na,target,1\n", 2, "key 'target'; it must be 'bonafide' or"),
        ('file,score\n"a,1\nb,2\n', 2, "a quoted value is not closed"),
        ("a,spoof,1\nb,2,spoof\n", 2, "score 'spoof'; it must be a finite number"),
        ("a,spoof,1\nb,no,2\n", 2, "key 'no'; it must be"),
        ("17 spoof NA\n18 spoof 0.5\n", 2, "3 columns; they must be"),
        ("17 spoof nan\n18 spoof 0.5\n", 1, "3 columns; they must be"),
        ("a spoof NA\n", 1, "3 columns; they must be"),
        ("1 spoof 0.5\n2 bonafide 1\n", 1, "3 columns; they must be"),
        ("a 1 0.5\nb 0 0.25\n", 1, "say what 1 is with --one-means"),
        ("a A01 1 0.5\nb - 0 0.25\n", 1, "key '1', whose meaning differs between files"),
        ("a 1 0\nb 0 1\n", 1, "3 columns; they must be"),
        ("7 1 0.5\n8 0 0.25\n", 1, "3 columns; they must be"),
        ("a;0,5\n", 1, "1 columns; they must be"),
        ('{"path": "a", "verdict": "spoof"}\n', 1, "columns path, verdict; there must be"),
        ('{"path": "a", "score": 1}\n[1]\n', 2, "no JSON object; there must be one per line"),
        ('{"path": "a", "score": null, "verdict": "unreadable"}\n', 1, "no scores below"),
        ('{"path": "a", "score": null}\n', 1, "score ''; it must be a finite number"),
        ("a 1\nb high\n", 2, "score 'high'; it must be a finite number"),
        ("a 1\nb nan\n", 2, "score 'nan'"),
        ("a 1\nb -inf\n", 2, "score '-inf'"),
        ("a 1\nb 1_000\n", 2, "score '1_000'"),
        ("a 1\n\nb 1,5\n", 3, "score '1,5'"),
        ("a - yes 1\n", 1, "key 'yes'; it must be 'bonafide' or 'spoof'"),
        ("a - spoof 1\nb - - 1\n", 2, "key '-'"),
        ("a 1\nb 1\n\na 2\n", 4, "'a' was scored in line 1 already"),
        ("filename\tcm-score\na\t1\na\t2\n", 3, "'a' was scored in line 2"),
        ("filename\tcm-score\na\n", 2, "1 columns; there must be 2"),
        ("filename\tcm-score\n\t1\n", 2, "no name"),
        ("filename\tcm-score\n", 1, "no scores below"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = write(tmp_path / "s.txt", text)
    with pytest.raises(DataError) as caught:
        read_scores(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("delimiter", [" ", "\t", ",", ";", "|"])
def test_number_keys_mean_what_the_caller_says(tmp_path: Path, order, delimiter) -> None:
    rows = [("a", "1", "0.5"), ("b", "0", "1.0"), ("c", "1.0", "-2")]
    text = "\n".join(delimiter.join(row[at] for at in order) for row in rows)
    path = write(tmp_path / "s.txt", text + "\n")
    with pytest.raises(DataError, match=r"s\.txt:1: key '1', whose meaning differs"):
        read_scores(path)
    for one_means, labels in (("bonafide", [1, 0, 1]), ("spoof", [0, 1, 0])):
        table = read_scores(path, one_means)
        assert list(table.utterance_ids) == ["a", "b", "c"]
        assert table.scores.tolist() == [0.5, 1.0, -2.0]
        assert table.labels is not None
        assert table.labels.tolist() == labels


@pytest.mark.parametrize("text", ["file,label,score\na,1,2\nb,0,1\n", "a - 1 2\nb A01 0 1\n"])
def test_number_keys_under_a_header_and_of_four_columns(tmp_path: Path, text: str) -> None:
    table = read_scores(write(tmp_path / "s.txt", text), "spoof")
    assert table.labels is not None
    assert table.labels.tolist() == [0, 1]


@pytest.mark.parametrize("one_means", ["bonafide", "spoof"])
@pytest.mark.parametrize("text", ["a 1 0\nb 0 1\n", "7 1 0.5\n8 0 0.25\n"])
def test_columns_of_two_readings_stay_refused(tmp_path: Path, text: str, one_means: str) -> None:
    with pytest.raises(DataError, match="3 columns; they must be"):
        read_scores(write(tmp_path / "s.txt", text), one_means)


@pytest.mark.parametrize("data", [b"", b" \n\n", b"a \xff\xfe 1\n", b"a\x00 1\n"])
def test_files_that_are_no_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s.txt").write_bytes(data)
    with pytest.raises(DataError, match=r"s\.txt"):
        read_scores(tmp_path / "s.txt")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt"):
        read_scores(tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("names", "scores", "labels", "attacks", "message"),
    [
        (["a", "b"], [1.0], None, None, "2 utterances, but scores"),
        (["a"], [[1.0]], None, None, "1 utterances, but scores"),
        (["a"], [1.0], [1, 0], None, "but labels"),
        (["a"], [1.0], None, [None, None], "but attack_ids"),
        (["a"], [1.0], [-1], None, "a label is neither 0"),
        (["a", "b"], [1.0, np.nan], None, None, "score of 'b' is nan"),
        (["a", "b", "a"], [1.0, 2.0, 3.0], None, None, "'a' is scored twice"),
    ],
)
def test_tables_that_do_not_fit_together(names, scores, labels, attacks, message) -> None:
    with pytest.raises(DataError, match=message):
        ScoreTable(names, scores, labels, attacks)


@pytest.mark.parametrize(
    ("name", "form", "fits"),
    [
        ("two words", "asvspoof2019", False),
        ("two words", "asvspoof2021", False),
        ("two words", "asvspoof5", True),
        ("a\tb", "asvspoof5", False),
        ("a\nb", "asvspoof5", False),
        ("", "asvspoof5", False),
        ("", "asvspoof2021", False),
        (" a", "asvspoof2021", False),
    ],
)
def test_names_that_would_not_be_read_again_are_refused(tmp_path, name, form, fits) -> None:
    path = tmp_path / "s.txt"
    table = ScoreTable([name], np.array([1.0]))
    if fits:
        write_scores(path, table, form)
        assert read_scores(path).utterance_ids == [name]
    else:
        with pytest.raises(DataError, match="cannot stand in one column"):
            write_scores(path, table, form)
        assert list(tmp_path.iterdir()) == []


def test_an_attack_of_two_words_is_refused(tmp_path: Path) -> None:
    table = ScoreTable(["a"], np.array([1.0]), np.array([0]), ["A 01"])
    with pytest.raises(DataError, match="'A 01' cannot stand"):
        write_scores(tmp_path / "s.txt", table)
    write_scores(tmp_path / "s.txt", table, "asvspoof2021")  # which names no attacks


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="form 'csv' is unknown; known: asvspoof2019"):
        write_scores(tmp_path / "s.txt", table_of([1.0]), "csv")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "s.txt"
    write_scores(path, table_of([1.0]))
    before = path.read_bytes()

    def full_disk(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rawnet_jax.atomic_file.os.replace", full_disk)
    with pytest.raises(DataError, match=r"s\.txt: cannot be written: No space left"):
        write_scores(path, table_of([2.0]))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written: No such file"):
        write_scores(tmp_path / "absent" / "s.txt", table_of([1.0]))


def test_published_scores_are_read_fast_and_written_as_they_were(
    shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "scores" / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt"
    start = time.process_time()
    table = read_scores(path)
    assert time.process_time() - start < 1.0  # 0.16 s alone; the machine may be busy
    assert len(table) == 71_237
    assert table.labels is not None
    assert table.labels.sum() == 7_355
    write_scores(tmp_path / "again.txt", table)
    assert (tmp_path / "again.txt").read_bytes() == path.read_bytes()
