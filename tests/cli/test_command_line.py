"""What every command does with its words, and with a machine that JAX cannot start on."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from tests.conftest import REPO
from tests.small_run import write_run

CUDA_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, and recordings that the shell's * would give as flags."""
    folder = tmp_path_factory.mktemp("words")
    write_run(folder / "run", num_samples=3_200)
    samples = 0.1 * np.random.default_rng(0).standard_normal(4_000)
    for name in ("-dash.wav", "--dash.wav", "-h.wav", "plain.wav"):
        soundfile.write(folder / name, samples, 16_000)
    return folder


@pytest.fixture(autouse=True)
def _here(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("command", ["score", "stream", "explain"])
@pytest.mark.parametrize("name", ["-dash.wav", "--dash.wav", "-h.wav"])
def test_a_file_that_looks_like_a_flag_is_told_how_to_be_given(command, name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--workdir=run", name])
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"write ./{name}, or put -- before" in said


@pytest.mark.parametrize(
    "words",
    [
        ["--", "-dash.wav", "--dash.wav", "-h.wav", "plain.wav"],
        ["plain.wav", "--format=jsonl", "--", "-dash.wav", "--dash.wav", "-h.wav"],
        ["--config.eval.batch_size=8", "--", "-dash.wav", "--dash.wav", "-h.wav", "plain.wav"],
        ["plain.wav", "--config.eval.batch_size=8", "./-dash.wav", "--", "--dash.wav", "-h.wav"],
    ],
    ids=str,
)
def test_names_behind_two_dashes_are_names(words, capsys):
    assert main(["score", "--workdir=run", "--no-progress", *words]) == 0
    assert "4 scored" in capsys.readouterr().err


def test_two_dashes_go_with_every_command_that_takes_files(capsys):
    more = ["--config.eval.batch_size=8", "--", "-dash.wav"]
    assert main(["stream", "--workdir=run", "--jsonl", *more]) == 0
    assert main(["explain", "--workdir=run", "--no-grid", "--gradient=none", *more]) == 0
    capsys.readouterr()
    for command, flags in (
        ("seeds", []),
        ("import-torch", ["--model=aasist", "--workdir=w"]),
    ):
        assert main([command, *flags, "--", "-nothing.x"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert "-nothing.x" in line


def test_what_is_unknown_stays_an_error(capsys):
    for words in (["plain.wav", "--bogus"], ["--bogus", "plain.wav"], ["-nothing.wav"]):
        with pytest.raises(SystemExit):
            main(["score", "--workdir=run", *words])
        assert "unknown argument '-" in capsys.readouterr().err.splitlines()[-1]
    with pytest.raises(SystemExit):
        main(["stream", "--workdir=run", "plain.wav", "--jsonl", "more.wav"])
    assert "unknown argument 'more.wav'" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("cuda", ["score", "--workdir=run", "plain.wav"]),
        ("cuda", ["train", f"--config={REPO}/configs/conv1d_demo.py", "--workdir=new"]),
        ("nonsense", ["export", "--workdir=run", "--format=onnx", "--output=x.onnx"]),
    ],
    ids=["score", "train", "export"],
)
def test_a_platform_that_jax_has_not_is_one_line(platform, words, folder):
    if platform == "cuda" and any(importlib.util.find_spec(name) for name in CUDA_PLUGINS):
        pytest.skip("JAX has CUDA here")
    environment = {**os.environ, "PYTHONPATH": str(REPO), "JAX_PLATFORMS": platform}
    command = [sys.executable, "-m", "rawnet_jax", *words]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    [line] = ran.stderr.splitlines()
    assert line.startswith(f"error: JAX_PLATFORMS={platform}: JAX cannot start so")
    assert not (folder / "new").exists()
