"""``export`` as a user types it, and docs/export.md."""

import re
import sys

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import EXIT_USER_ERROR, main
from rawnet_jax.export import formats
from rawnet_jax.export.onnx import export_onnx
from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.export.export_cases import small_program
from tests.small_run import write_run

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("flatbuffers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What docs/export.md says is there: a run and a recording."""
    folder = tmp_path_factory.mktemp("export")
    write_run(folder / "runs" / "x")
    noise = 0.1 * np.random.default_rng(0).standard_normal(3_000)
    soundfile.write(folder / "talk.wav", noise, 16_000)
    return folder


def export(folder, *more, form="onnx"):
    return main(["export", f"--workdir={folder / 'runs' / 'x'}", f"--format={form}", *more])


@pytest.mark.slow
def test_page(folder, capsys):
    page = DOCS / "export.md"
    shown = [run_console(block, folder) for block in blocks(page, "console")]
    for (typed, done), *_ in shown:
        assert _without_numbers(typed.output) in _without_numbers(done.stdout)
    space = run_python(page, folder)
    assert capsys.readouterr().out.count("LLR") == 1
    assert space["metadata"]["model"] == "conv1d"


def _without_numbers(text):
    return re.sub(r"\d[\d.e-]*", "0", text.strip())


@pytest.mark.slow
def test_a_file_that_computes_something_else_is_not_written(folder, tmp_path, monkeypatch, capsys):
    other = small_program(seed=1)
    monkeypatch.setitem(
        formats.WRITERS,
        "onnx",
        lambda program: export_onnx(other.with_decision(program.calibration, None)),
    )
    assert export(folder, f"--output={tmp_path / 'model.onnx'}") == EXIT_USER_ERROR
    assert "not written: the file's scores differ" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--output=nowhere/model.onnx"],
            "--output nowhere/model.onnx: must be a file in a folder",
        ),
        (["--quantize=int8"], "--quantize int8: is for --format tflite"),
        (["--num-samples=0"], "--num-samples 0: it must be 1 or more"),
        (["--clips=nothing.wav"], "nothing.wav: missing"),
        (["--checkpoint=9"], "no 9 checkpoint here"),
    ],
)
def test_what_is_wrong_is_one_line(folder, flags, said, capsys):
    assert export(folder, *flags) == EXIT_USER_ERROR
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_missing_package_is_one_line(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert export(folder) == EXIT_USER_ERROR
    assert (
        "onnx: onnx is not installed; pip install 'rawnet_jax[export]'" in capsys.readouterr().err
    )
