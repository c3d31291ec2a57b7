"""The table of whom a detector wrongs, from an evaluation to the card."""

import numpy as np
import pytest

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.columns import columns_of
from rawnet_jax.evaluation.decision import ThresholdRule
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem
from rawnet_jax.jobs.card_fairness import fairness_section
from rawnet_jax.labels import Label
from rawnet_jax.reports.csv_tables import write_tables


def tables(folder, names=("x",), **columns):
    """Write the tables of an evaluation where genuine speech of women over a phone is rejected."""
    trials, scores = [], []
    for i in range(480):
        metadata = {"gender": "FM"[i % 2], "mic": ("phone", "studio|a")[i // 2 % 2], **columns}
        label = Label(int(i % 3 > 0))
        trials.append(Trial(f"u{i}", label, f"u{i}", metadata=metadata, speaker_id=f"s{i % 40}"))
        scores.append(-1.0 if i % 4 == 0 or not label else 1.0)
    options = AssessOptions(
        rule=ThresholdRule("value", 0.0),
        resampling=Resampling(num_replicates=0),
        breakdowns=(("sex",), ("device",), ("length",), ("speaker",)),
    )
    labels = np.array([trial.label for trial in trials])
    found = columns_of(trials, np.linspace(0.5, 20, 480))
    systems = [ScoredSystem(name, np.array(scores), labels, columns=found) for name in names]
    write_tables(folder, assess(systems, options))
    return folder / "fairness.csv"


def test_the_worst_group_of_each_column_is_named_and_first(tmp_path):
    said = fairness_section(tables(tmp_path))
    rows = [line for line in said.splitlines() if line.startswith("| ")][1:]
    assert rows[0].startswith("| sex | **female** | 160 | **50.0 %** |")
    assert rows[1].startswith("| sex | male | 160 | 0.0 % | 0.0 to ")
    assert rows[2].startswith("| device | **phone** |")
    assert rows[3].startswith("| device | studio\\|a |")
    assert "| length | " in said
    assert "under 1 s (few)" in said
    assert "Worst by sex: female, 50.0 %, of all 25.0 %, clearly above that of all." in said
    assert "Not measured by language, accent, age, codec, channel." in said
    assert "s12" not in said  # single people are for the report


def test_lengths_of_a_list_go_before_those_of_its_recordings():
    trials = [Trial("a", Label.BONAFIDE, "a", metadata={"duration_s": "3.5"})] * 2
    assert columns_of(trials, [9.0, 9.0])["length"] == ["2 to 4 s"] * 2
    assert columns_of([Trial("a", Label.BONAFIDE, "a")] * 3, [0.2, 9.0, 60.0])["length"] == [
        *("under 1 s", "8 to 16 s", "16 s or more")
    ]


def test_what_is_no_such_table_is_one_line(tmp_path):
    path = tables(tmp_path)
    with pytest.raises(DataError, match=r"must be the fairness\.csv"):
        fairness_section(tmp_path / "breakdowns.csv")
    with pytest.raises(DataError, match="cannot be read"):
        fairness_section(tmp_path / "none.csv")
    only = [line for line in path.read_text().splitlines() if ",speaker," in line or "syst" in line]
    path.write_text("\n".join(only))
    with pytest.raises(DataError, match="it has speaker; a card shows language"):
        fairness_section(path)
    with pytest.raises(DataError, match="2 systems; it must be of one"):
        fairness_section(tables(tmp_path, ("x", "y")))
