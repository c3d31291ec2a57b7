"""Score files as other programs write them: all forms are read, or refused with the flag for it."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawnet_jax.data.matching import named_as
from rawnet_jax.data.score_choice import parse_choice
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import ConfigError, DataError

_NAME = st.text("abxyz0123456789_-", min_size=1, max_size=8).map(lambda name: f"u{name}")
_SCORES = st.dictionaries(
    _NAME, st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.booleans()), min_size=2
)
_HEADERS = ("filename", "File", "utt_id", "ID", "path", "audio-path", "Utterance ID")
_SCORE_HEADERS = ("score", "cm-score", "CM_Score", "Scores")
_KEYS = (("spoof", "bonafide"), ("fake", "real"), ("Spoof", "Bona-Fide"), ("deepfake", "genuine"))


def _text(rows, delimiter) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


@given(_SCORES, st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tables_of_every_form_are_read(tmp_path, given_scores, data) -> None:
    draw = data.draw
    with_keys, index = draw(st.booleans()), draw(st.sampled_from(["", "numbers", "names"]))
    with_header = bool(index) or draw(st.booleans())
    words = draw(st.sampled_from(_KEYS))
    named = {
        name: draw(st.sampled_from([name, f"{name}.wav", f"some/folder/{name}.flac"]))
        for name in given_scores
    }
    columns = [
        ("name", draw(st.sampled_from(_HEADERS))),
        ("score", draw(st.sampled_from(_SCORE_HEADERS))),
    ]
    columns += [("key", draw(st.sampled_from(["key", "Label"])))] if with_keys else []
    if with_keys or with_header:  # two columns alone are name and score
        columns = draw(st.permutations(columns))
    if index == "names":
        columns = [("name", ""), *(column for column in columns if column[0] != "name")]
    if index == "numbers":
        columns = [("index", ""), *columns]
    rows = [[title for _, title in columns]] if with_header else []
    for number, (name, (score, is_bonafide)) in enumerate(given_scores.items()):
        cells = {
            "index": str(number),
            "name": named[name],
            "score": repr(score),
            "key": words[is_bonafide],
        }
        rows.append([cells[role] for role, _ in columns])
    path = tmp_path / "scores"
    text = _text(rows, draw(st.sampled_from(",\t;|")))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    path.write_bytes(text.replace("\n", end).encode(draw(st.sampled_from(["utf-8", "utf-8-sig"]))))
    table, _ = named_as(read_scores(path), list(given_scores))
    found = dict(zip(table.utterance_ids, table.scores.tolist(), strict=True))
    assert found == {name: score for name, (score, _) in given_scores.items()}
    if with_keys:
        assert table.labels is not None
        assert table.labels.tolist() == [int(key) for _, key in given_scores.values()]
    else:
        assert table.labels is None


@pytest.mark.parametrize(
    "text",
    [
        ",score\na,-2\nb,3\n",  # a series of pandas
        "  filename  cm-score\n0  a  -2\n1  b  3\n",  # a table as pandas prints it
        '"file" "score"\n"1" "a" -2\n"2" "b" 3\n'.replace('"', ""),  # R, with its row names
        "\tfilename\tscore\n0\ta\t-2\n1\tb\t3\n",
    ],
)
def test_an_index_is_told_from_names(tmp_path, text) -> None:
    (tmp_path / "s").write_text(text)
    table = read_scores(tmp_path / "s")
    assert (list(table.utterance_ids), table.scores.tolist()) == (["a", "b"], [-2, 3])


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (",score\n0,-2\n1,3\n", "name=1,score=2"),
        ("file,score,cm-score\na,9,-2\nb,9,3\n", "name=file,score=cm-score"),
        ("path;utt;score\nx;a;-2\ny;b;3\n", "name=utt,score=score"),
        ("speaker\tlogit\na\t-2\nb\t3\n", "name=speaker,score=logit"),
        ("7 1 -2\n8 0 3\n", "name=1,score=3,key=2"),
        ("a,-2,x,y,z\nb,3,x,y,z\n", "name=1,score=2"),
        (
            "ID_audio,label,score_spoof,score_bonafide\na,0,2,-2\nb,1,-3,3\n",
            "name=ID_audio,key=label,score=score_bonafide",
        ),
        ("a A01 extra spoof -2\nb - extra bonafide 3\n", "name=1,attack=2,key=4,score=5"),
    ],
)
def test_what_is_ambiguous_names_the_flag_that_settles_it(tmp_path, text, flag) -> None:
    path = tmp_path / "s"
    path.write_text(text)
    if "score_bonafide" not in flag:
        with pytest.raises(DataError, match=r"--columns|--one-means"):
            read_scores(path)
    choice = parse_choice(flag)
    if choice.get("key") and "spoof" not in text.replace("score_spoof", ""):
        with pytest.raises(DataError, match="--one-means"):
            read_scores(path, choice=choice)
    table = read_scores(path, "bonafide", choice)
    assert table.scores.tolist() == [-2, 3]
    names = {"7 1 -2\n8 0 3\n": ["7", "8"], ",score\n0,-2\n1,3\n": ["0", "1"]}
    assert list(table.utterance_ids) == names.get(text, ["a", "b"])
    if "attack" in choice:
        assert table.attack_ids == ["A01", None]
        assert table.labels is not None
        assert table.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("name=1", "must be name=COLUMN,score=COLUMN"),
        ("name=1,score=1", "a column has two roles"),
        ("name=1,score=2,scores=3", "must be name="),
        ("name,score", "must be name="),
        ("name=1,score=", "must be name="),
    ],
)
def test_flags_of_another_form_are_refused(flag, words) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_choice(flag)


@pytest.mark.parametrize(
    ("text", "flag", "words"),
    [
        ("a,1\nb,2\n", "name=1,score=3", "s:1: no column 3; there are 2"),
        ("file,score\na,1\n", "name=file,score=logit", "s:1: --columns names 'logit'"),
        ("file,score\na,1\nb,2,3\n", "name=file,score=score", "s:3: 3 columns; there must be 2"),
        ("file,score\na,high\n", "name=file,score=score", "s:2: score 'high'"),
        ("file,score\n", "name=file,score=score", "a header, but no scores"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path, text, flag, words) -> None:
    (tmp_path / "s").write_text(text)
    with pytest.raises(DataError, match=words):
        read_scores(tmp_path / "s", choice=parse_choice(flag))
