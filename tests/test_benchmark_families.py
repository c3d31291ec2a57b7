"""Which rows of a training list each run of the families bench keeps, and its table."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.families import (
    COPIES,
    Plan,
    chosen_rows,
    epochs_for,
    families_list,
    picture,
    plans_of,
    rates,
    recording_of,
    table,
)
from rawnet_jax.data.score_file import ScoreTable

ENGINES = ("vits", "nsf")


def row(name, label, family="-", source=""):
    return {"utterance_id": name, "label": label, "family": family, "source": source}


def training_rows():
    rows = []
    for number in range(64):
        for piece in range(2):
            own = f"P_{number:03d}_{piece}"
            rows.append(row(own, "bonafide", source=own))
            rows += [row(f"{own}_{family}", "spoof", family, own) for family in COPIES]
    rows += [row(f"E_{n}_{family}", "spoof", family) for n in range(9) for family in ENGINES]
    return rows


ROWS = training_rows()
WHOLE = (*COPIES, *ENGINES)


def names(plan, label="bonafide"):
    return {one["utterance_id"] for one in chosen_rows(ROWS, plan) if one["label"] == label}


def test_without_a_family_only_its_fakes_go():
    lost = {one["utterance_id"] for one in ROWS if one["family"] == COPIES[1]}
    plan = Plan("x", tuple(name for name in WHOLE if name != COPIES[1]))
    kept = {one["utterance_id"] for one in chosen_rows(ROWS, plan)}
    assert kept == {one["utterance_id"] for one in ROWS} - lost


def test_shares_of_genuine_speech_are_nested_whole_recordings_with_their_copies():
    half, quarter = Plan("h", WHOLE, 1 / 2), Plan("q", WHOLE, 1 / 4)
    assert names(quarter) < names(half) < names(Plan("all", WHOLE))
    assert 8 <= len(names(quarter)) / 2 <= 24
    assert len({recording_of(name) for name in names(quarter)}) == len(names(quarter)) / 2
    fakes = [one for one in chosen_rows(ROWS, quarter) if one["label"] == "spoof"]
    assert {one["source"] for one in fakes if one["family"] in COPIES} == names(quarter)
    assert sum(one["family"] in ENGINES for one in fakes) == 18


def test_small_families_are_left_out_together_and_large_ones_alone():
    counts = {COPIES[0]: 900, COPIES[1]: 900, "vits": 800, "nsf": 20, "other": 10}
    found = {plan.name: plan for plan in plans_of(counts)}
    assert found["all"].families == (*COPIES, "vits", "nsf", "other")
    assert found["without_small"].families == (*COPIES, "vits")
    assert found["without_vits"].families == (*COPIES, "nsf", "other")
    assert "without_nsf" not in found
    assert not found["families_2"].has_engines
    assert found["all"].has_engines


def test_a_list_of_families_has_equal_numbers_and_the_genuine_speech_of_dev():
    dev = [row("D_0", "bonafide"), row("D_1", "spoof", "tortoise")]
    found = families_list(ROWS, dev, most=5)
    assert [one["utterance_id"] for one in found if one["label"] == "bonafide"] == ["D_0"]
    assert all(sum(one["family"] == name for one in found) == 5 for name in WHOLE)


def test_runs_have_about_the_same_steps():
    assert epochs_for(3607, 340) == 3
    assert epochs_for(451, 340) == 23
    assert epochs_for(10**6, 340) == 1


def test_rates_are_those_of_each_family_and_of_chosen_clips():
    scores = ScoreTable(
        ["a", "b", "c", "d"], np.array([1.0, 2.0, 0.0, 3.0]), np.array([1, 1, 0, 0])
    )
    families = {"a": "-", "b": "-", "c": "vits", "d": "nsf"}
    found = rates(scores, families)
    assert (found["vits"], found["nsf"]) == (0.0, 100.0)
    assert rates(scores, families, {"a", "b", "c"})[""] == 0.0


def test_the_table_marks_families_that_a_run_lacked_and_the_picture_is_drawn():
    counts = {COPIES[0]: 900, COPIES[1]: 900, "vits": 800}
    plans = plans_of(counts)
    bench: Any = SimpleNamespace(plans=plans, size=lambda plan: (int(100 * plan.share), 7))
    rate = {"dev": 30.0, "clear": 20.0, COPIES[0]: 5.0, COPIES[1]: 6.0, "vits": 7.0}
    found = {plan.name: rate for plan in plans}
    lines = table(bench, found)
    assert lines[2] == "| all | 100 | 7 | 30.0 | 20.0 | 5.0 | 6.0 | 7.0 |"
    assert "| without vits | 100 | 7 | 30.0 | 20.0 | 5.0 | 6.0 | **7.0** |" in lines
    assert picture(bench, found).startswith(b"\x89PNG")
