"""Text files: one sentence per line, with or without ids."""

import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.simulate.sentences import read_sentences


def read(tmp_path, text: str, **settings) -> list[tuple[str, str]]:
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    return [(one.name, one.text) for one in read_sentences(path, **settings)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One.\n\n  Two. \n", [("1", "One."), ("3", "Two.")]),
        ("a\tOne | two.\nb\tTwo.\n", [("a", "One | two."), ("b", "Two.")]),
        ("LJ1|One 2.|One two.\nLJ2|Three.|\n", [("LJ1", "One two."), ("LJ2", "Three.")]),
        ("\ufeffx|Grüße.\r\n", [("x", "Grüße.")]),
    ],
)
def test_forms(tmp_path, text, found):
    assert read(tmp_path, text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tOne.\nTwo.\n", r":2: 1 columns; it must be an id, a tab and the text"),
        ("One.\na|Two.\n", r":2: contains \|, but the first line has no id"),
        ("One.\na\tTwo.\n", r":2: contains a tab, but the first line has no id"),
        ("a|One.\na|Two.\n", r":2: id 'a' was on line 1 already"),
        ("a b|One.\n", r":1: the id is 'a b'; it must be one word"),
        ("|One.\n", r":1: the id is ''; it must be one word"),
        ("a|b|c|d\n", r":1: 4 columns"),
        ("One.\n...\n", r":2: holds no letter and no digit"),
        ("One \x07.\n", r":1: holds the control character U\+0007"),
        ("One.\n" + "x" * 301 + "\n", r":2: 301 characters; it must be at most 300"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_the_bound_must_be_possible(tmp_path):
    with pytest.raises(DataError, match="--max-characters is 9; it must be at least 10"):
        read(tmp_path, "One.\n", max_characters=9)


def test_long_lines_are_divided_at_the_best_place(tmp_path):
    text = (
        "a|Short. The first is this, and it has a comma in it. End! One two three four five\nb|x\n"
    )
    found = read(tmp_path, text, max_characters=30, split_long=True)
    assert found == [
        ("a.1", "Short."),
        ("a.2", "The first is this,"),
        ("a.3", "and it has a comma in it."),
        ("a.4", "End! One two three four five"),
        ("b", "x"),
    ]
    assert read(tmp_path, text, max_characters=100) == [
        ("a", text.splitlines()[0].removeprefix("a|")),
        ("b", "x"),
    ]


def test_no_word_is_lost_or_too_long(tmp_path):
    words = [
        f"w{number}{',' * (number % 7 == 0)}{'.' * (number % 11 == 0)}" for number in range(99)
    ]
    pieces = read(tmp_path, " ".join(words), max_characters=20, split_long=True)
    assert " ".join(text for _, text in pieces).split() == words
    assert all(len(text) <= 20 for _, text in pieces)


def test_a_word_that_is_too_long_cannot_be_divided(tmp_path):
    with pytest.raises(DataError, match=r":1: a word of 40 characters cannot be divided"):
        read(tmp_path, "a " + "x" * 40, max_characters=30, split_long=True)
