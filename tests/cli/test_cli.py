"""The commands from end to end on small data, as a user types them."""

import json
import logging
import subprocess
import sys

import pytest

from rawnet_jax.cli.main import COMMANDS, main
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.jobs.console import OneLine
from tests.conftest import REPO, TINY_SIZES


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("cli") / "run"
    arguments = ["--config", str(tiny_config), "--workdir", str(workdir), "--no-progress"]
    assert main(["train", *arguments]) == 0
    return workdir


def test_train_again_does_nothing(trained, tiny_config, capsys):
    before = (trained / "log.jsonl").read_text()
    assert main(["train", f"--config={tiny_config}", f"--workdir={trained}"]) == 0
    assert "all 4 epochs are trained already" in capsys.readouterr().out
    assert (trained / "log.jsonl").read_text() == before


def test_evaluate_writes_scores_figures_and_report(trained, capsys):
    assert main(["evaluate", f"--workdir={trained}", "--config.note=Only a <test>"]) == 0
    printed = capsys.readouterr().out
    table = read_scores(trained / "eval" / "scores.txt")
    assert len(table) == TINY_SIZES["eval"]
    assert table.utterance_ids[0] == "E_000"
    assert list(table.attack_ids or ())[:2] == [None, "A02"]
    [figures] = json.loads((trained / "eval" / "metrics.json").read_text())["systems"]
    assert figures["num_trials"] == TINY_SIZES["eval"]
    assert f"{100 * figures['eer']:.2f} %" in printed
    assert str(trained / "eval" / "report.html") in printed
    report = (trained / "eval" / "report.html").read_text()
    assert "Only a &lt;test&gt;" in report
    assert "http" not in report.replace("http://www.w3.org", "")


def test_evaluate_twice_gives_the_same_scores(trained, tmp_path):
    for name in ("a", "b"):
        assert main(["evaluate", f"--workdir={trained}", f"--output={tmp_path / name}"]) == 0
    first, second = (tmp_path / name / "scores.txt" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_evaluate_dev_and_latest(trained, tmp_path):
    arguments = [f"--workdir={trained}", "--partition=dev", "--checkpoint=latest"]
    assert main(["evaluate", *arguments, f"--output={tmp_path}"]) == 0
    context = json.loads((tmp_path / "metrics.json").read_text())["context"]
    assert context["checkpoint"] == "latest, step 24"
    assert len(read_scores(tmp_path / "scores.txt")) == TINY_SIZES["dev"]


def test_list_without_keys_is_scored(trained, tiny_corpus, tmp_path, capsys):
    """ASVspoof 2021 trial lists have no keys: there are scores, and no metrics."""
    listing = tiny_corpus / "trials.txt"
    listing.write_text("E_000\nE_001\nE_005\n")
    overrides = [
        "--config.data.corpus=asvspoof2021_la",
        "--config.data.eval_protocol=trials.txt",
    ]
    assert main(["evaluate", f"--workdir={trained}", f"--output={tmp_path}", *overrides]) == 0
    listing.unlink()
    assert "no keys, so no metrics" in capsys.readouterr().out
    assert read_scores(tmp_path / "scores.txt").utterance_ids == ["E_000", "E_001", "E_005"]
    assert not (tmp_path / "metrics.json").exists()


def test_check(tiny_config, tiny_corpus, capsys):
    assert main(["check", f"--config={tiny_config}", "--no-progress"]) == 0
    assert "22 bona fide, 22 spoof" in capsys.readouterr().out
    extra = tiny_corpus / "bad.txt"
    extra.write_text("SPK T_000 - - bonafide\nSPK T_999 - - bonafide\n")
    broken = ["--config.data.train_protocol=bad.txt", "--no-progress"]
    assert main(["check", f"--config={tiny_config}", *broken]) == 1
    extra.unlink()
    assert "missing_audio" in capsys.readouterr().out


def test_print_config(tiny_config, capsys):
    assert main(["train", f"--config={tiny_config}", "--print-config"]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["batch_size"] == 8


def test_demo_corpus_and_replay(tmp_path, capsys):
    demo, replayed = tmp_path / "demo", tmp_path / "replayed"
    arguments = ["--num-workers=1", "--no-progress"]
    assert main(["demo-corpus", f"--output={demo}", "--num-clips=20", *arguments]) == 0
    assert main(["demo-corpus", f"--output={demo}", "--num-clips=20", *arguments]) == 0
    assert "nothing to do" in capsys.readouterr().out
    source = [f"--input={demo / 'ASVspoof2017_V2_train'}", f"--output={replayed}"]
    pattern = r"--speaker-pattern=T_\d{4}(?P<speaker>\d+)\.wav"
    assert main(["replay", *source, pattern, *arguments]) == 0
    assert (replayed / "protocol_V2" / "ASVspoof2017_V2_train.trn.txt").is_file()


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "evaluate",
        "check",
        "demo-corpus",
        "replay",
        "cross-corpus",
        "robustness-table",
        "score",
        "stream",
    ],
)
def test_help_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) >= 10


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert set(COMMANDS) <= set(shown.split())


HEAVY = {
    "jax",
    "soundfile",
    "soxr",
    "flax",
    "orbax",
    "scipy",
    "sklearn",
    "matplotlib",
    "numpy",
    "optuna",
}

EVALUATE_HELP = """
import sys, rawnet_jax.cli.main as cli
try:
    cli.main(["evaluate", "--help"])
except SystemExit:
    pass
"""


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        # Judging a score file, listing commands, writing corpora.
        (EVALUATE_HELP.replace('"evaluate", ', ""), HEAVY),
        *((EVALUATE_HELP.replace("evaluate", name), HEAVY - {"numpy"}) for name in COMMANDS),
        ("import sys, rawnet_jax.jobs.score", {"scipy", "sklearn", "matplotlib"}),
        ("import sys, rawnet_jax.training.loop", {"sklearn", "scipy.signal"}),
    ],
)
def test_commands_do_not_wait_for_what_they_do_not_need(program, unwanted):
    """Each of these takes a second or more to import."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nprint('found', *({unwanted!r} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        cwd=REPO,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "found"


def test_a_warning_is_one_line_without_control_characters():
    said = {"levelname": "WARNING", "msg": "%s: cut", "args": ("a\nb\x1b[31m\u202egpj.wav",)}
    line = OneLine("%(levelname)s: %(message)s").format(logging.makeLogRecord(said))
    assert line == "WARNING: a\\nb\\x1b[31m\\u202egpj.wav: cut"
