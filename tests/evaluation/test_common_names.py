"""Columns of any corpus under common names: in breakdowns, in fairness, on the command line."""

import numpy as np

from rawnet_jax.data.trial import Trial
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.columns import columns_of, default_breakdowns, filtered, parse_breakdowns
from rawnet_jax.evaluation.decision import ThresholdRule
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem
from rawnet_jax.labels import Label

WORDS = (
    {"gender": "F", "locale": "English", "speaker_age": "17", "asv_microphone": "M1"},
    {"gender": "male", "locale": "de", "speaker_age": "64", "transmission": "pstn"},
    {"gender": "Female", "locale": "zh-CN", "speaker_age": "thirties", "dialect": "Scots"},
)


def trials() -> list[Trial]:
    return [
        Trial(f"u{i}", Label(i % 2), f"u{i}", metadata=WORDS[i % 3], speaker_id=f"s{i % 4}")
        for i in range(24)
    ]


def test_names_and_words_are_common_ones():
    columns = columns_of(trials())
    assert columns["sex"][:3] == ["female", "male", "female"]
    assert columns["language"][:3] == ["en", "de", "zh"]
    assert columns["age"][:3] == ["under 18", "60 or more", "thirties"]
    assert columns["device"][:3] == ["M1", None, None]
    assert columns["channel"][:3] == [None, "pstn", None]
    assert columns["accent"][:3] == [None, None, "Scots"]
    assert not {"gender", "locale", "speaker_age"} & set(columns)


def test_two_columns_of_one_meaning_keep_their_names():
    both = [Trial("a", Label.SPOOF, "a", metadata={"gender": "F", "sex": "F", "mic": "a"})]
    assert set(columns_of(both)) == {"gender", "sex", "device"}
    two = [Trial("a", Label.SPOOF, "a", metadata={"mic": "x", "microphone": "y"})]
    assert set(columns_of(two)) == {"mic", "microphone"}


def test_a_corpus_s_own_names_and_words_still_choose():
    columns = columns_of(trials())
    assert parse_breakdowns(["gender", "locale×sex"], columns) == [("sex",), ("language", "sex")]
    assert len(filtered(trials(), ["gender=F"])) == 8
    assert len(filtered(trials(), ["sex=female"])) == 16


def test_the_fairness_table_goes_by_them():
    columns = columns_of(trials())
    labels = np.array([int(trial.label or 0) for trial in trials()])
    scores = np.where(labels == 1, 1.0, -1.0)
    scores[(labels == 1) & (np.array(columns["sex"]) == "male")] = -2.0
    system = ScoredSystem("x", scores, labels, columns=columns)
    options = AssessOptions(
        rule=ThresholdRule("value", 0.0), resampling=Resampling(num_replicates=0)
    )
    (summary,) = assess([system], options)
    assert {"sex", "language", "age"} <= set(summary.fairness)
    table = summary.fairness["sex"]
    assert table.worst is not None
    assert (table.worst.group, table.worst.p_miss) == ("male", 1.0)
    assert ("sex",) in default_breakdowns(columns)
