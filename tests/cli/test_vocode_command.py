"""The command ``vocode``, as a user types it, and what other commands make of its corpus."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.copy_synthesis.onnx_description import OnnxDescription, described
from rawnet_jax.copy_synthesis.table import VOCODERS
from rawnet_jax.jobs import vocode as job
from rawnet_jax.jobs.vocode import vocoder_list
from tests.docs_examples import DOCS, blocks, run_python

QUIET = ["--no-progress", "--processes=1"]


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> Path:
    """Four speakers, six recordings each."""
    root = tmp_path_factory.mktemp("vocode") / "voices"
    rng = np.random.default_rng(0)
    for speaker in ("ann", "bob", "cy", "dee"):
        (root / speaker).mkdir(parents=True)
        for take in range(6):
            noise = 0.05 * rng.standard_normal(1_600)
            soundfile.write(root / speaker / f"{take}.flac", noise, 16_000)
    return root


@pytest.fixture(scope="module")
def copies(voices) -> Path:
    """A corpus of them."""
    output = voices.parent / "copies"
    words = [f"--input={voices}", f"--output={output}", "--vocoder=lpc,phase-random"]
    assert main(["vocode", *words, "--copies=2", *QUIET]) == 0
    return output


def test_check_and_train_read_what_it_writes(copies, tiny_config, tmp_path, capsys):
    settings = [
        f"--config={tiny_config}",
        "--config.data.corpus=manifest",
        f"--config.data.root={copies}",
        "--config.data.audio_dir=",
        *(f"--config.data.{name}_protocol=" for name in ("train", "dev", "eval")),
        f"--config.data.cache_dir={tmp_path / 'cache'}",
        "--config.train.num_epochs=1",
    ]
    assert main(["check", *settings, "--decode", "--no-progress"]) == 0
    printed = capsys.readouterr().out
    assert "lpc" in printed
    assert "phase-random" in printed
    workdir = tmp_path / "run"
    assert main(["train", *settings, f"--workdir={workdir}", "--no-progress"]) == 0
    assert (workdir / "log.jsonl").is_file()


def test_it_says_what_it_did_and_that_it_is_there(voices, copies, capsys):
    words = [f"--input={voices}", f"--output={copies}", "--vocoder=lpc,phase-random"]
    assert main(["vocode", *words, "--copies=2", *QUIET]) == 0
    printed = capsys.readouterr().out
    assert "24 bona fide, read as recordings" in printed
    assert "there already, nothing to do: train 12 bona fide + 24 spoof" in printed
    assert "copies: lpc 24, phase-random 24" in printed


def test_list_names_every_vocoder(capsys):
    assert main(["vocode", "--list"]) == 0
    printed = capsys.readouterr().out
    for row in VOCODERS.values():
        assert f"\n{row.name} " in f"\n{printed}"
        for setting in row.settings:
            assert str(setting) in printed
    assert "soundstream_encoder.tflite" in printed
    assert ".onnx" in printed


def test_the_list_says_what_is_not_installed(monkeypatch):
    monkeypatch.setattr("rawnet_jax.copy_synthesis.vocoder._is_installed", lambda package: False)
    lines = vocoder_list().splitlines()
    assert any(line.startswith("world ") and "not installed" in line for line in lines)
    assert any(line.startswith("lpc ") and "usable" in line for line in lines)


def test_what_cannot_be_read_gives_status_1_and_a_line(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for speaker in "abc":
        (tmp_path / "in" / speaker).mkdir(parents=True)
        for take in range(6):
            path = tmp_path / "in" / speaker / f"{take}.wav"
            soundfile.write(path, 0.1 * rng.standard_normal(800), 16_000)
            if speaker == "a":
                path.write_bytes(b"no audio")
    words = [f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}", "--vocoder=lpc"]
    assert main(["vocode", *words, *QUIET]) == 1
    said = capsys.readouterr()
    assert said.err.count("left out: ") == 6
    assert "left out: 6 in all, see" in said.err
    assert (tmp_path / "out" / "manifest.csv").is_file()


def test_ctrl_c_says_how_to_go_on(voices, tmp_path, monkeypatch, capsys):
    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "write_vocoded_corpus", interrupted)
    words = [f"--input={voices}", f"--output={tmp_path / 'out'}", *QUIET]
    assert main(["vocode", *words]) == 130
    assert "the same command resumes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs --input and --output"),
        (["--input={voices}"], "needs --input and --output"),
        (["--input=nowhere", "--output=x"], "is not a folder"),
        (["--input={voices}", "--output={voices}/x"], "lies in the source folder"),
        (["--input={voices}", "--output=x", "--vocoder=wrld"], "'wrld' is not known; did you mean"),
        (["--input={voices}", "--output=x", "--model=none.onnx"], "no such file or folder"),
        (["--input={voices}", "--output=x", "--copies=0"], "--copies is 0"),
        (["--input={voices}", "--output=x", "--corpus=asvspof5"], "did you mean 'asvspoof5'"),
        (["--input={voices}", "--output=x", "--corpus=asvspoof5"], "no list of asvspoof5"),
        (["--input={voices}", "--output=x", "--speaker-pattern=("], "not a regular expression"),
        (["--input={voices}", "--output=x", "--partition-shares=1,1,0"], "sum 1"),
        (["--input={voices}", "--output=x", "--processes=-1"], "num_workers is -1"),
    ],
)
def test_bad_input_is_one_line(words, message, voices, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["vocode", *(word.format(voices=voices) for word in words)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_page_names_every_vocoder_and_its_descriptions_are_right():
    page = DOCS / "vocode.md"
    text = page.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in VOCODERS)
    shown = [json.loads(block) for block in blocks(page, "json")]
    assert {described(fields, "page").kind for fields in shown} == {"codec", "vocoder"}
    defaults = OnnxDescription(kind="vocoder", sample_rate_hz=22_050)
    assert defaults == described(next(f for f in shown if f["kind"] == "vocoder"), "page")


def test_the_page_runs_in_python(tmp_path):
    run_python(DOCS / "vocode.md", tmp_path)


def test_help_explains_itself(capsys):
    with pytest.raises(SystemExit):
        main(["vocode", "--help"])
    printed = capsys.readouterr().out
    for flag in ("--list", "--vocoder", "--model", "--copies", "--processes", "--max-clips"):
        assert flag in printed
