"""Forms of results, and files of them that are resumed."""

import csv
import io
import json
import os

import numpy as np
import pytest

from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.score_forms import form_of
from rawnet_jax.scoring.score_output import ScoreOutput, settings_path
from rawnet_jax.scoring.verdict import FIELDS, DecisionRule, OperatingPoint, record_of
from rawnet_jax.scoring.windows import WindowScores

JUDGE = DecisionRule(OperatingPoint(0.0, "given"))
SETTINGS = {"aggregate": "mean", "sizes": (1, 2), "prior": 0.5}
FORMS = ("jsonl", "csv", "asvspoof2017", "asvspoof2019", "asvspoof2021", "asvspoof5")


def result(path, score=None, reason="", windows=(0.5, -0.25, np.nan, -1.0, 0.125)):
    outcome = Outcome.SCORED
    if score is None:
        outcome = Outcome.UNREADABLE if reason.startswith("not") else Outcome.CANNOT_JUDGE
    start = np.arange(len(windows)) / 2
    scores = np.array(windows, np.float32)
    found = WindowScores(start, start + 1, scores, ~np.isnan(scores))
    return FileScore(path, outcome, score, reason, 3.0, 3.0, 4, found)


def records(time_line=False):
    found = [
        result("a/x.flac", 0.1),
        result("a/bad.wav", reason="not audio: no"),
        result("a/still.wav", reason="digital silence: every sample is 0"),
        result("b/y.wav", -1.5),
    ]
    return [record_of(one, JUDGE, time_line=time_line) for one in found]


def written(path, form, given, settings=SETTINGS, overwrite=False):
    with ScoreOutput(path, form, settings, overwrite=overwrite) as output:
        done = set(output.done)
        for record in given:
            output.write(record)
    return done


def test_time_line_of_a_record():
    record = records(time_line=True)[0]
    assert set(record) == {*FIELDS, "spoof_s", "windows"}
    assert record["spoof_s"] == [[0.5, 2.5]]
    assert [w["verdict"] for w in record["windows"]] == [
        *("bonafide", "spoof", "cannot judge", "spoof", "bonafide")
    ]
    assert record["windows"][1] == {
        **{"start_s": 0.5, "end_s": 1.5, "verdict": "spoof", "score": -0.25},
        **{"llr": None, "p_spoof": None},
    }


def test_json_lines_hold_all():
    form = form_of("jsonl", time_line=True)
    lines = [json.loads(form.text(record)) for record in records(time_line=True)]
    assert lines == records(time_line=True)
    assert [line["verdict"] for line in lines] == [
        *("bonafide", "unreadable", "cannot judge", "spoof")
    ]


def test_csv_has_the_file_below_its_windows():
    form = form_of("csv", time_line=True)
    text = form.header + form.text(records(time_line=True)[0])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["part"] for row in rows] == ["window"] * 5 + ["file"]
    assert float(rows[1]["score"]) == -0.25
    assert rows[2]["score"] == ""
    assert (rows[5]["start_s"], rows[5]["end_s"], rows[5]["score"]) == ("0.0", "3.0", "0.1")


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("asvspoof2017", ["x.flac", "y.wav"]),
        *((form, ["x", "y"]) for form in ("asvspoof2019", "asvspoof2021", "asvspoof5")),
    ],
)
def test_score_files_are_read_back(tmp_path, form, names):
    written(tmp_path / "s.txt", form_of(form), records())
    table = read_scores(tmp_path / "s.txt")
    assert list(table.utterance_ids) == names
    assert table.scores.tolist() == [0.1, -1.5]


@pytest.mark.parametrize("time_line", [False, True])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_tables_of_verdicts_are_read_back_without_what_has_no_score(tmp_path, form, time_line):
    path = tmp_path / "s.out"
    name = os.fsdecode(b"a/caf\xe9, 1.wav")
    odd = record_of(result(name, 0.25), JUDGE, time_line=time_line)
    written(path, form_of(form, time_line=time_line), [*records(time_line), odd])
    table = read_scores(path)
    assert list(table.utterance_ids) == ["a/x.flac", "b/y.wav", "a/caf\\udce9, 1.wav"]
    assert table.scores.tolist() == [0.1, -1.5, 0.25]
    assert table.labels is None


@pytest.mark.parametrize(
    ("name", "time_line"), [*((form, False) for form in FORMS), ("jsonl", True), ("csv", True)]
)
def test_gone_on_with_from_any_byte(tmp_path, name, time_line):
    """A job that was cut off anywhere ends as one that was not, but for the order."""
    form, given = form_of(name, time_line=time_line), records(time_line)
    whole = tmp_path / "whole"
    written(whole, form, given)
    text = whole.read_bytes()
    for cut in range(len(form.header), len(text), 1 + len(text) // 40):
        path = tmp_path / "cut"
        written(path, form, [], overwrite=True)
        path.write_bytes(text[:cut])
        with ScoreOutput(path, form, SETTINGS) as output:
            missing = [r for r in given if form.name(r["path"]) not in output.done]
            for record in missing:
                output.write(record)
        assert sorted(path.read_bytes().splitlines()) == sorted(text.splitlines()), cut
    assert written(whole, form, []) == {
        *(form.name(r["path"]) for r in given if form.text(r) and r["verdict"] != "unreadable")
    }


def test_other_settings_are_refused_in_one_line(tmp_path):
    path = tmp_path / "s.jsonl"
    written(path, form_of("jsonl"), records())
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"aggregate was 'mean' and is 'trimmed'") as error:
        written(path, form_of("jsonl"), [], SETTINGS | {"aggregate": "trimmed"})
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    other = SETTINGS | {"aggregate": "trimmed"}
    assert written(path, form_of("jsonl"), [], other, overwrite=True) == set()
    assert path.read_bytes() == b""


def test_a_file_of_somebody_else_stays(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text("mine\n")
    with pytest.raises(DataError, match="was not made by this command"):
        written(path, form_of("jsonl"), [])
    assert path.read_text() == "mine\n"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("jsonl", "{}\n"),
        ("csv", "a,b\n"),
        ("asvspoof2019", "x 1\n"),
        ("asvspoof5", "name\tscore\n"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, form, text):
    path = tmp_path / "s.out"
    written(path, form_of(form), [])
    path.write_text(text)
    with pytest.raises(DataError, match=r"s\.out:1: "):
        written(path, form_of(form), [])


def test_two_writers(tmp_path):
    path = tmp_path / "s.jsonl"
    with (
        ScoreOutput(path, form_of("jsonl"), SETTINGS),
        pytest.raises(DataError, match="another process is writing it"),
    ):
        ScoreOutput(path, form_of("jsonl"), SETTINGS)
    written(path, form_of("jsonl"), [])


def test_an_output_that_is_being_written_is_not_removed(tmp_path):
    path = tmp_path / "s.jsonl"
    with ScoreOutput(path, form_of("jsonl"), SETTINGS) as output:
        output.write(records()[0])
        with pytest.raises(DataError, match="another process is writing it"):
            ScoreOutput(path, form_of("jsonl"), SETTINGS, overwrite=True)
        assert settings_path(path).exists()
        output.write(records()[3])
    assert len(path.read_text().splitlines()) == 2


def test_names_of_all_kinds(tmp_path):
    """Quotes, line ends, other scripts, bytes that are not text."""
    for name in ('a "b", c.wav', "a\nb.wav", "a\u2028b.wav", "речь.wav", os.fsdecode(b"\xff.wav")):
        for form in ("jsonl", "csv"):
            path = tmp_path / "s.out"
            given = [record_of(result(name, 1.0), JUDGE)]
            written(path, form_of(form), given, overwrite=True)
            assert written(path, form_of(form), []) == {form_of(form).name(name)}
    assert json.loads(form_of("jsonl").text(record_of(result("речь.wav"), JUDGE)))
    assert "речь" in form_of("jsonl").text(record_of(result("речь.wav"), JUDGE))


@pytest.mark.parametrize("form", FORMS)
def test_names_that_are_no_text_are_valid_text_in_every_form(tmp_path, form):
    name, path = os.fsdecode(b"a/caf\xe9.wav"), tmp_path / "s.out"
    written(path, form_of(form), [record_of(result(name, 1.5), JUDGE)])
    text = path.read_bytes().decode("utf-8")
    assert "caf\\udce9" in text
    form_of(form).check([name, "a/ok.wav"])
    assert form_of(form).name(name) in written(path, form_of(form), [])
    assert path.read_bytes().decode("utf-8") == text
    if form == "jsonl":
        assert os.fsencode(json.loads(text)["path"]) == b"a/caf\xe9.wav"
    elif form != "csv":
        assert read_scores(path).utterance_ids == [form_of(form).name(name)]


def test_names_that_a_form_cannot_hold():
    with pytest.raises(ConfigError, match="would both be called 'x'"):
        form_of("asvspoof2019").check(["a/x.wav", "b/x.wav"])
    form_of("asvspoof2019", "path").check(["a/x.wav", "b/x.wav"])
    with pytest.raises(ConfigError, match="'a b' cannot stand in one column"):
        form_of("asvspoof2019").check(["a b.wav"])
    form_of("asvspoof5").check(["a b.wav"])


def test_no_folder_to_write_to(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="it must be a folder"):
        written(tmp_path / "file" / "s.jsonl", form_of("jsonl"), [])
