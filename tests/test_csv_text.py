"""CSV: what a spreadsheet would run is escaped, and reading back gives the original."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.csv_text import csv_rows, csv_text

RUN = ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("start", RUN)
def test_text_that_would_be_run_is_escaped(start):
    name = f"{start}cmd|' -C calc'!A0.wav"
    [[cell]] = csv.reader(io.StringIO(csv_text([[name]]), newline=""))
    assert cell == f"'{name}"
    assert csv_rows(csv_text([[name]])) == [[name]]


def test_numbers_stay():
    assert (
        csv_text([[-1.5, "-1.5", "+2e-3", None, 7, "'quoted'"]]) == "-1.5,-1.5,+2e-3,,7,'quoted'\n"
    )


def test_a_carriage_return_is_quoted():
    assert csv_text([["a\rb", 1]]) == '"a\rb",1\n'


@given(st.lists(st.lists(st.text(st.sampled_from("='+-@\t\r\n\",a1. ")), min_size=2), min_size=1))
def test_reading_back_gives_the_original(rows):
    assert csv_rows(csv_text(rows)) == rows
    for row in csv.reader(io.StringIO(csv_text(rows), newline="")):
        for cell in row:
            assert not cell.startswith(RUN) or float(cell) is not None


def test_no_csv():
    with pytest.raises(ValueError, match="field larger"):
        csv_rows("x" * 200_000)
