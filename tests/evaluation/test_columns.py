"""Columns of trials, what to break down by, and conditions on trials."""

import pytest

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation import columns as module
from rawnet_jax.evaluation.columns import (
    columns_of,
    default_breakdowns,
    filtered,
    parse_breakdowns,
)
from rawnet_jax.labels import Label

TRIALS = [
    Trial("a", Label.BONAFIDE, "a", "s1", None, {"codec": "none", "vocoder_type": "bonafide"}),
    Trial("b", Label.SPOOF, "b", "s2", "A07", {"codec": "alaw", "vocoder_type": "neural"}),
    Trial("c", Label.SPOOF, "c", "s1", "A08", {"vocoder_type": "neural", "subset": "eval"}),
    Trial("d", Label.SPOOF, "d", "s1", "A08", {"codec": "alaw", "subset": "progress"}),
]


def test_columns_hold_what_is_stated():
    assert columns_of(TRIALS) == {
        "attack": [None, "A07", "A08", "A08"],
        "speaker": ["s1", "s2", "s1", "s1"],
        "codec": ["none", "alaw", None, "alaw"],
        "vocoder_type": [None, "neural", "neural", None],
        "subset": [None, None, "eval", "progress"],
    }
    assert columns_of([Trial("a", Label.SPOOF, "a")]) == {}


def test_defaults_are_columns_that_group_and_the_pair(monkeypatch):
    columns = columns_of(TRIALS)
    assert default_breakdowns(columns) == [
        ("attack",),
        ("speaker",),
        ("codec",),
        ("attack", "codec"),
    ]
    monkeypatch.setattr(module, "MAX_GROUPS", 1)
    assert default_breakdowns(columns) == [("speaker",)]


@pytest.mark.parametrize("word", ["attack×codec", "attack:codec", "attack*codec", "attack × codec"])
def test_pairs_are_read(word):
    columns = columns_of(TRIALS)
    assert parse_breakdowns(["speaker", word, word], columns) == [("speaker",), ("attack", "codec")]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("accent", "--by accent: no column 'accent'; the trials have attack, speaker, codec"),
        ("attack×codec×speaker", "one column, or two different ones"),
        ("codec×codec", "two different ones"),
    ],
)
def test_bad_breakdowns_are_refused(word, words):
    with pytest.raises(DataError, match=words):
        parse_breakdowns([word], columns_of(TRIALS))


def test_conditions_keep_trials():
    def names(*conditions):
        return "".join(trial.utterance_id for trial in filtered(TRIALS, conditions))

    assert names() == "abcd"
    assert names("speaker=s1") == "acd"
    assert names("attack=A07", "attack=A08") == "bcd"
    assert names("attack=A08", "subset=eval") == "c"


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (["codec"], "it must be COLUMN=VALUE"),
        (["accent=Scots"], "--where accent: no such column"),
        (["codec=opus"], "--where codec=opus: no trial has it; there are alaw, none"),
        (["attack=A07", "speaker=s1"], "no trial fulfils all of this"),
    ],
)
def test_bad_conditions_are_refused(conditions, words):
    with pytest.raises(DataError, match=words):
        filtered(TRIALS, conditions)
