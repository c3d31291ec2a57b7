"""The table of corpora in docs/datasets.md against the table in the code."""

import re

import pytest

from rawnet_jax.data.layouts import CORPORA
from tests.conftest import REPO

_LINES = (REPO / "docs/datasets.md").read_text(encoding="utf-8").splitlines()
ROWS = {
    match[1]: [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in _LINES
    if (match := re.match(r"\| `(\w+)`[^|]* \|", line)) and line.count("|") == 8
}


def test_every_corpus_has_a_row():
    assert sorted(ROWS) == sorted(CORPORA)


@pytest.mark.parametrize("name", CORPORA)
def test_counts_are_those_that_check_compares_with(name):
    counts = ROWS[name][1]
    for published in CORPORA[name].partitions.values():
        if published.num_trials is not None:
            assert "\\*" in counts
            assert " + ".join(f"{number:,}" for number in published.num_trials) in counts
        elif published.num_total is not None:
            assert f"{published.num_total:,}" in counts
