"""The run's log: what it keeps, drops and refuses."""

import json

import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.training.writer import LOG_NAME, RunLog, epoch_history, read_log


def write_events(workdir, steps, *, after=0, active=True):
    log = RunLog(workdir, after, active)
    for step in steps:
        log.write("step", step, {"train_step": {"loss": step / 10}})
    log.close()


def test_events_after_the_restored_step_are_dropped(tmp_path):
    write_events(tmp_path, range(1, 6))
    write_events(tmp_path, range(4, 8), after=3)
    assert [event["step"] for event in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6, 7]


def test_not_a_number_is_null(tmp_path):
    log = RunLog(tmp_path, 0, True)
    log.write("epoch", 1, {"dev": {"eer": float("nan")}, "epoch": 1})
    log.close()
    [event] = epoch_history(tmp_path)
    assert event == {"event": "epoch", "step": 1, "dev": {"eer": None}, "epoch": 1}


def test_a_half_written_last_line_is_left_out_and_gone_after_the_next_start(tmp_path):
    write_events(tmp_path, [1, 2])
    path = tmp_path / LOG_NAME
    path.write_text(path.read_text() + '{"event": "st')
    assert [event["step"] for event in read_log(tmp_path)] == [1, 2]
    write_events(tmp_path, [3], after=2)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    (tmp_path / LOG_NAME).write_text('{"event": "step", "step": 1}\nnonsense\n{"event": "step"}\n')
    with pytest.raises(CheckpointError, match=r"log\.jsonl:2: damaged"):
        read_log(tmp_path)


def test_other_processes_write_nothing(tmp_path):
    write_events(tmp_path, [1], active=False)
    assert list(tmp_path.iterdir()) == []
