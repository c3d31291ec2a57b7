"""Bad input ends in one readable line and a non-zero exit: a table of ways to get it wrong.

Each row damages one thing of a working set-up (a tiny corpus, its config, a trained run) and says
what the line must name.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.config_file import load_config
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.scoring.verdict import load_operating_point
from rawnet_jax.training.loop import Trainer
from tests.conftest import REPO, TINY_CONFIG, write_tiny_corpus

CLIP = "flac/T_003.flac"


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("trained") / "run"
    overrides = ["--config.train.num_epochs=1"]
    Trainer(load_config(str(tiny_config), overrides), workdir, progress=False).run()
    return workdir


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("pristine") / "corpus")


@pytest.fixture
def place(pristine, trained, tmp_path) -> SimpleNamespace:
    """A copy of everything, to be damaged."""
    corpus = Path(shutil.copytree(pristine, tmp_path / "corpus"))
    config = tmp_path / "config.py"
    text = TINY_CONFIG.format(root=str(corpus), cache=str(tmp_path / "cache"))
    config.write_text(text, encoding="utf-8")
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    return SimpleNamespace(corpus=corpus, config=config, run=run, new=tmp_path / "new")


def train(place: SimpleNamespace, *overrides: str) -> list[str]:
    return ["train", f"--config={place.config}", f"--workdir={place.new}", *overrides]


def evaluate(place: SimpleNamespace, *more: str) -> list[str]:
    return ["evaluate", f"--workdir={place.run}", *more]


def edit(name: str, change: Callable[[str], str]) -> Callable[[SimpleNamespace], list[str]]:
    """Change a protocol's text, then train."""

    def damage(place):
        path = place.corpus / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        return train(place)

    return damage


def audio(write: Callable[[Path], object]) -> Callable[[SimpleNamespace], list[str]]:
    """Replace one training clip, then train."""

    def damage(place):
        path = place.corpus / CLIP
        path.unlink()
        write(path)
        return train(place)

    return damage


def write_wav(samples: np.ndarray, rate: int = 16_000) -> Callable[[Path], object]:
    return lambda path: soundfile.write(path, samples, rate, format="WAV", subtype="FLOAT")


def override(*overrides: str) -> Callable[[SimpleNamespace], list[str]]:
    return lambda place: train(place, *overrides)


def config_text(text: str) -> Callable[[SimpleNamespace], list[str]]:
    def damage(place):
        place.config.write_text(text, encoding="utf-8")
        return train(place)

    return damage


def in_run(change: Callable[[Path], object]) -> Callable[[SimpleNamespace], list[str]]:
    def damage(place):
        change(place.run)
        return evaluate(place)

    return damage


def ruin_checkpoints(run: Path) -> None:
    for path in (run / "checkpoints").rglob("*"):
        if path.is_file() and (path.parent.name == "d" or "manifest" in path.name):
            path.write_bytes(b"ruined")


def no_training_protocol(place: SimpleNamespace) -> list[str]:
    (place.corpus / "train.txt").unlink()
    return train(place)


def cut_in_half(place: SimpleNamespace) -> list[str]:
    path = place.corpus / CLIP
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return train(place)


def workdir_is_a_file(place: SimpleNamespace) -> list[str]:
    place.new.write_text("", encoding="utf-8")
    return train(place)


NOISE = 0.1 * np.random.default_rng(0).standard_normal(4000)

ROWS: dict[str, tuple[Callable[[SimpleNamespace], list[str]], str]] = {
    # protocol
    "protocol missing": (no_training_protocol, r"train\.txt"),
    "protocol empty": (edit("train.txt", lambda _: ""), r"train\.txt.*(empty|no trial)"),
    "line too short": (edit("train.txt", lambda t: "A B C\n" + t), r"train\.txt:1: .*5"),
    "unknown key": (
        edit("train.txt", lambda t: t.replace(" bonafide", " real", 1)),
        r"train\.txt:1: .*'real'",
    ),
    "duplicate utterance": (
        edit("train.txt", lambda t: t + t.splitlines()[0] + "\n"),
        r"train\.txt:45: .*T_000",
    ),
    "audio missing": (
        edit("train.txt", lambda t: t.replace("T_003", "T_999")),
        r"train\.txt:4: .*T_999",
    ),
    "one class only": (
        edit("dev.txt", lambda t: "".join(x + "\n" for x in t.splitlines() if "spoof" in x)),
        r"dev.*(bona ?fide|class)",
    ),
    "binary protocol": (edit("train.txt", lambda t: "\x00\x01" + t), r"train\.txt:1"),
    # audio
    "audio empty": (audio(lambda path: path.write_bytes(b"")), r"T_003\.flac: empty"),
    "audio is text": (audio(lambda path: path.write_text("hello")), r"T_003\.flac: not audio"),
    "audio silent": (audio(write_wav(np.zeros(4000))), r"T_003\.flac: silent"),
    "audio not a number": (
        audio(write_wav(np.where(np.arange(4000) == 77, np.nan, NOISE))),
        r"T_003\.flac: .*(not finite|NaN|not a number)",
    ),
    "audio too long": (audio(write_wav(np.tile(NOISE, 2500))), r"T_003\.flac: too long"),
    "audio too short": (audio(write_wav(NOISE[:20])), r"T_003\.flac: too short"),
    "audio of 64 channels": (
        audio(write_wav(np.tile(NOISE[:, None], (1, 64)))),
        r"T_003\.flac: .*channels",
    ),
    "audio of 1 Hz": (audio(write_wav(NOISE, rate=1)), r"T_003\.flac: .*rate"),
    "audio truncated": (cut_in_half, r"T_003\.flac: (truncated|damaged)"),
    # config
    "no config file": (lambda p: train(SimpleNamespace(config="x.py", new=p.new)), r"x\.py: no su"),
    "config without function": (
        config_text("x = 1"),
        r"config\.py: it must have a function get_config",
    ),
    "config with an error": (config_text("def f(:"), r"config\.py: SyntaxError"),
    "config with a misspelt field": (
        config_text(
            "from rawnet_jax.config import Config\n"
            "def get_config():\n"
            "    config = Config()\n"
            "    config.train.batchsize = 3\n"
            "    return config\n"
        ),
        r"'batchsize'; did you mean 'batch_size'",
    ),
    "unknown override": (override("--config.train.epochs=3"), r"'epochs'; did you mean 'num_epo"),
    "override of wrong type": (override("--config.train.batch_size=many"), r"batch_size=many"),
    "override out of bounds": (override("--config.train.num_epochs=0"), r"must be at least 1"),
    "unknown choice": (override("--config.data.pad=mirror"), r"must be one of zero, repeat"),
    "unknown corpus": (override("--config.data.corpus=asvspoof2018"), r"asvspoof2018.*asvspoof201"),
    "unknown model": (override("--config.model.name=rawnet9"), r"rawnet9.*one of conv1d"),
    "unknown loss": (override("--config.loss.name=mse"), r"mse.*one of bce"),
    "no such folder": (override("--config.data.root=/nowhere"), r"/nowhere.*config\.data\.root"),
    "model that does not fit": (
        override("--config.model.fields.channels=(3,4,5)"),
        r"config\.model\.fields do not make",
    ),
    "batch that does not divide": (override("--config.train.batch_size=9"), r"use 8 or 16"),
    "workdir is a file": (workdir_is_a_file, r"--workdir .*new"),
    # run and checkpoint
    "no run there": (lambda p: ["evaluate", f"--workdir={p.new}"], r"no run here"),
    "run without checkpoint": (
        in_run(lambda run: shutil.rmtree(run / "checkpoints")),
        r"no best checkpoint",
    ),
    "checkpoint damaged": (in_run(ruin_checkpoints), r"checkpoints/best/6: cannot be restored"),
    "no such checkpoint": (lambda p: evaluate(p, "--checkpoint=77"), r"no 77 checkpoint"),
    "senseless checkpoint": (lambda p: evaluate(p, "--checkpoint=last"), r"best, latest, swa or"),
    "saved config damaged": (
        in_run(lambda run: (run / "config.json").write_text("{")),
        r"config\.json: damaged",
    ),
    "saved config of another version": (
        in_run(lambda run: (run / "config.json").write_text(json.dumps({"data": {"old": 1}}))),
        r"config\.json: unknown config field 'old'",
    ),
    "training setting at evaluation": (
        lambda p: evaluate(p, "--config.train.seed=3"),
        r"belongs to the training",
    ),
    "checkpoint of another model": (
        in_run(
            lambda run: (run / "config.json").write_text(
                (run / "config.json")
                .read_text()
                .replace('"hidden_features": 5', '"hidden_features": 9')
            )
        ),
        r"made by another model: params/head/kernel is \(5, 1\), the config's is \(9, 1\)",
    ),
}


# A restore that fails leaves orbax's coroutines to the garbage collector, which complains of them
# in whichever test it runs. What a user sees of it is part of this test.
IN_A_PROCESS_OF_ITS_OWN = ("checkpoint damaged", "checkpoint of another model")


def test_the_table_is_long_enough():
    assert len(ROWS) >= 20


@pytest.mark.parametrize("name", ROWS)
def test_one_line_and_a_non_zero_exit(place, capfd, name):
    damage, named = ROWS[name]
    arguments = damage(place)
    if name in IN_A_PROCESS_OF_ITS_OWN:
        done = subprocess.run(
            [sys.executable, "-m", "rawnet_jax", *arguments, "--no-progress"],
            env={**os.environ, "PYTHONPATH": str(REPO)},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        status, printed = done.returncode, done.stderr
    else:
        capfd.readouterr()
        status, printed = main([*arguments, "--no-progress"]), capfd.readouterr().err
    lines = [line for line in printed.splitlines() if not line.startswith("WARNING:")]
    assert status == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert re.search(named, lines[0], re.DOTALL), lines[0]
    assert len(lines[0]) < 700


def test_unknown_flag_names_itself(place, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*train(place), "--epochs=3"])
    assert stop.value.code == 2
    assert "unknown argument '--epochs=3'" in capsys.readouterr().err


def test_counting_instead_of_stopping(place, capsys):
    """With the policy on warn, the bad clip is left out and named, and training goes on."""
    (place.corpus / CLIP).write_bytes(b"")
    overrides = ["--config.data.problems.bad_audio=warn", "--config.train.num_epochs=1"]
    assert main([*train(place, *overrides), "--no-progress"]) == 0
    assert (place.new / "checkpoints" / "latest" / "6").is_dir()


def test_evaluation_leaves_the_range_of_dev_scores(place, capsys):
    assert main([*evaluate(place, "--no-bootstrap"), "--no-progress"]) == 0
    dev = read_scores(place.run / "eval" / "dev_scores.txt").scores
    point = load_operating_point(place.run)
    assert point is not None
    assert point.lowest == pytest.approx(2 * dev.min() - dev.max(), abs=1e-5)
    assert point.highest == pytest.approx(2 * dev.max() - dev.min(), abs=1e-5)
