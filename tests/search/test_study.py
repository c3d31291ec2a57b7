"""Studies with objectives that train nothing: what is drawn, pruned, retried and refused."""

import math
import subprocess
import sys
import threading

import pytest

from rawnet_jax.config import Config
from rawnet_jax.config_file import with_overrides
from rawnet_jax.errors import ConfigError, Interrupted, TrainingError
from rawnet_jax.reports.search_plots import history_png, importance_png, importances, slices_png
from rawnet_jax.reports.search_tables import (
    finished_rows,
    format_results,
    outcome_line,
    short_names,
    train_command,
    write_table,
)
from rawnet_jax.search.space import parse_space
from rawnet_jax.search.study import MAX_ATTEMPTS, Plan, open_study, reopen_study
from rawnet_jax.search.worker import MAX_FAILURES_IN_A_ROW, work

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

RATE = "config.optimizer.learning_rate"
SIZE = "config.train.batch_size"
DECLARED = [f"{RATE}=log:1e-4..1e-2", f"{SIZE}=16,32,64"]
PNG = b"\x89PNG\r\n\x1a\n"


def study_in(folder, num_trials=8, declared=DECLARED, overrides=(), **plan):
    config = with_overrides(Config(), overrides)
    return open_study(folder, Plan(num_trials, **plan), config, parse_space(declared, config))


def never():
    return False


def eer_of(config):
    return 0.1 + 0.1 * abs(math.log10(config.optimizer.learning_rate / 3e-3))


def objective(run):
    run.workdir.mkdir(parents=True)
    for epoch in (1, 2, 3):
        run.report(epoch, eer_of(run.config) + 0.1 / epoch)
    return eer_of(run.config) + 0.1 / 3


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Eight trials, of which those with batches of 64 clips fail."""

    def fails_at_64(run):
        if run.config.train.batch_size == 64:
            raise ValueError("a batch\nof 64 does not fit")
        return objective(run)

    study = study_in(tmp_path_factory.mktemp("finished"))
    work(study, fails_at_64, never)
    return study


def test_trials_are_drawn_run_and_written_down(finished):
    rows = finished_rows(finished)
    assert sorted(row.number for row in rows) == list(range(8))
    complete = [row for row in rows if row.state == "complete"]
    assert [row.dev_eer for row in complete] == sorted(row.dev_eer for row in complete)
    assert all(row.num_epochs == 3 for row in complete)
    [first] = [row for row in rows if row.number == 0]
    assert first.values == {RATE: 1e-3, SIZE: "32"}, "the config as it is comes first"
    assert len({row.values[RATE] for row in rows}) == 8


def test_a_failed_trial_is_recorded_and_the_study_goes_on(finished):
    failed = [row for row in finished_rows(finished) if row.values[SIZE] == "64"]
    assert failed
    assert all(row.state == "failed" for row in failed)
    assert failed[0].reason == "ValueError: a batch of 64 does not fit"
    assert "failed: ValueError" in outcome_line(failed[0])


def test_table_and_csv_have_the_best_first(finished):
    rows = finished_rows(finished)
    best, lines = rows[0], format_results(finished, rows).splitlines()
    assert lines[3].split()[:3] == [str(best.number), f"{100 * best.dev_eer:.2f}", "%"]
    written = write_table(finished, rows).read_text().splitlines()
    assert written[0] == f"trial,state,dev_eer,epochs,seconds,reason,{RATE},{SIZE}"
    assert written[1].startswith(f"{best.number},complete,{best.dev_eer},3,")
    assert len(written) == 9


def test_pictures_are_drawn(finished):
    rows = finished_rows(finished)
    shares = importances(finished)
    assert max(shares, key=lambda name: shares[name]) == RATE
    assert sum(shares.values()) == pytest.approx(1)
    scored = [row for row in rows if row.state == "complete"]
    for picture in (
        importance_png(shares, len(scored)),
        history_png(rows),
        slices_png(scored, finished.space),
    ):
        assert picture.startswith(PNG)


def test_the_best_trial_as_a_command(finished):
    overrides = finished.overrides({RATE: 0.5, SIZE: "16"})
    command = train_command("configs/x.py", ["--config.note=a b", *overrides], finished.folder)
    assert command.startswith("python train.py --config configs/x.py --workdir ")
    assert command.endswith(f" '--config.note=a b' --{RATE}=0.5 --{SIZE}=16")


def test_more_trials_are_those_of_an_uninterrupted_study(finished, tmp_path):
    work(study_in(tmp_path, num_trials=3), objective, never)
    assert study_in(tmp_path, num_trials=3).next_trial() is None
    _, lock = study_in(tmp_path, num_trials=4).next_trial()
    lock.release()  # as if the process were killed
    work(study_in(tmp_path, num_trials=5), objective, never)
    drawn = [trial.params for trial in study_in(tmp_path).trials()]
    assert drawn == [trial.params for trial in finished.trials()][:5]


def test_another_config_or_space_is_refused(finished):
    folder = finished.folder
    study_in(folder, overrides=["--config.data.root=elsewhere"])
    for changed, said in (
        ({"overrides": ["--config.train.num_epochs=99"]}, "config.train.num_epochs was 10 and is"),
        ({"declared": DECLARED[:1]}, f"--search {SIZE}=16|32|64 is gone"),
        ({"declared": [*DECLARED, "config.train.seed=0..9"]}, "config.train.seed=0..9 is new"),
    ):
        with pytest.raises(ConfigError) as caught:
            study_in(folder, **changed)
        assert said in str(caught.value)
        assert "use another --study" in str(caught.value)
    study_in(folder)


def test_a_worker_opens_what_the_command_began(finished, tmp_path):
    again = reopen_study(finished.folder, finished.plan)
    assert again.config == finished.config
    assert again.space.declarations() == finished.space.declarations()
    with pytest.raises(ConfigError, match="no study here"):
        reopen_study(tmp_path, Plan(1))


def test_a_damaged_database_is_named(tmp_path):
    (tmp_path / "study.db").write_text("not a database, but long enough to look like one\n" * 9)
    with pytest.raises(ConfigError, match=r"study\.db: cannot be read as a study"):
        study_in(tmp_path)


def test_hopeless_trials_are_pruned(tmp_path):
    def worse_and_worse(run):
        for epoch in (1, 2, 3):
            run.report(epoch, run.config.train.seed / 100)
        return run.config.train.seed / 100

    declared = ["config.train.seed=1,2,3,4,5,0,99"]
    study = study_in(tmp_path, declared=declared, num_trials=20, warmup_epochs=2)
    work(study, worse_and_worse, never)
    assert study.num_wanted == 7, "no combination is tried twice"
    *complete, last = finished_rows(study)
    assert [row.state for row in complete] == ["complete"] * 6
    assert (last.state, last.num_epochs, last.dev_eer) == ("pruned", 2, 0.99)
    assert "pruned after 2 epochs" in outcome_line(last)


def test_a_stopped_trial_goes_on_in_its_folder(tmp_path):
    def stopped(run):
        run.workdir.mkdir(parents=True)
        (run.workdir / "left").write_text("of before")
        raise Interrupted("stop", 15)

    with pytest.raises(Interrupted):
        work(study_in(tmp_path, num_trials=1), stopped, never)
    seen = []

    def goes_on(run):
        seen.append((run.workdir / "left").read_text())
        run.report(1, 0.4)
        run.report(2, 0.3)
        return 0.3

    study = study_in(tmp_path, num_trials=1)
    study.retry_dead()
    assert study.num_finished() == 0
    assert [trial.user_attrs["attempt"] for trial in study.trials()] == [1], "nobody killed it"
    work(study, goes_on, never)
    [row] = finished_rows(study)
    assert (seen, row.number, row.num_epochs, row.dev_eer) == (["of before"], 1, 2, 0.3)
    assert not study.workdir(0).exists()


def test_a_trial_that_is_killed_again_and_again_has_failed(tmp_path):
    study = study_in(tmp_path, num_trials=1)
    for _ in range(MAX_ATTEMPTS):
        _, lock = study.next_trial()
        study.retry_dead()
        assert study.num_finished() == 0, "whoever holds the lock is at work"
        lock.release()
    study.retry_dead()
    [row] = finished_rows(study)
    assert (row.state, row.values) == ("failed", {RATE: 1e-3, SIZE: "32"})
    assert "killed 3 times" in row.reason


def test_a_trial_that_ends_while_it_is_looked_at_is_not_dead(tmp_path, monkeypatch):
    study, other = study_in(tmp_path, num_trials=1), study_in(tmp_path, num_trials=1)
    trial, lock = study.next_trial()
    lock_of = type(other)._lock_of

    def ends_meanwhile(self, number):
        study.study.tell(trial, 0.25)
        lock.release()
        return lock_of(self, number)

    monkeypatch.setattr(type(other), "_lock_of", ends_meanwhile)
    other.retry_dead()
    [row] = finished_rows(other)
    assert (row.number, row.state, row.dev_eer) == (0, "complete", 0.25)


def test_two_at_work_on_one_study_share_the_trials(tmp_path):
    study_in(tmp_path, num_trials=6)
    met = threading.Barrier(2, timeout=60)

    def together(run):
        met.wait()  # passes only if both are in a trial
        return objective(run)

    threads = [
        threading.Thread(target=work, args=(study_in(tmp_path, num_trials=6), together, never))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = finished_rows(study_in(tmp_path, num_trials=6))
    assert sorted(row.number for row in rows) == list(range(6))
    assert len({str(row.values) for row in rows}) == 6


def test_trials_that_all_fail_stop_the_search(tmp_path):
    def fails(run):
        raise OSError("disk full")

    study = study_in(tmp_path, num_trials=20)
    with pytest.raises(TrainingError, match=r"5 trials in a row failed, .*OSError: disk full"):
        work(study, fails, never)
    assert study.num_finished() == MAX_FAILURES_IN_A_ROW
    assert importances(study) == {}
    assert "5 failed" in format_results(study, finished_rows(study))


def test_a_worker_without_a_search_leaves_its_trial(tmp_path):
    study = study_in(tmp_path)
    answers = iter([False, False, True])
    with pytest.raises(Interrupted, match="is gone"):
        work(study, objective, lambda: next(answers))
    study.retry_dead()
    assert study.num_finished() == 0


def test_short_names_are_unique():
    names = ["config.a.b.channels.0", "config.a.b.channels.1", "config.x.name", "config.y.name"]
    assert list(short_names(names).values()) == ["channels.0", "channels.1", "x.name", "y.name"]


def test_without_optuna_the_extra_is_named():
    program = (
        "import sys; sys.modules['optuna'] = None\n"
        "from rawnet_jax.search.optional import optuna_module\n"
        "from rawnet_jax.errors import ConfigError\n"
        "try: optuna_module()\n"
        "except ConfigError as error: print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'rawnet_jax[search]'" in told.stdout
