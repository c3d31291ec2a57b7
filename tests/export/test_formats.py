"""A format that a model does not go into is refused before any work."""

from dataclasses import replace

import pytest

import rawnet_jax
from rawnet_jax.cli.main import EXIT_USER_ERROR, main
from rawnet_jax.export import program
from rawnet_jax.export.formats import WRITERS
from rawnet_jax.export_formats import FORMATS
from rawnet_jax.jobs import export as export_job
from rawnet_jax.models.registry import MODELS
from tests.export.export_cases import exported_as
from tests.models.small_models import CASES
from tests.small_run import write_run

ONE = "model toy does not go into it; must be one of its formats: stablehlo"
NONE = "model toy does not go into it; it has no format"
REFUSED = [
    (("stablehlo",), "onnx", ONE),
    (("stablehlo",), "tflite", ONE),
    ((), "onnx", NONE),
    ((), "stablehlo", NONE),
]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of a toy model, which is in the registry while a test runs."""
    with pytest.MonkeyPatch.context() as patch:
        register(patch, FORMATS)
        return write_run(tmp_path_factory.mktemp("formats") / "run", "toy")


def register(patch, formats):
    patch.setitem(MODELS, "toy", replace(MODELS["conv1d"], formats=formats))
    patch.setitem(CASES, "toy", CASES["conv1d"])


def no_program(*_, **__):
    raise AssertionError("work was done")


def test_every_format_has_a_writer():
    assert tuple(WRITERS) == FORMATS


@pytest.mark.parametrize("name", MODELS)
def test_formats_of_a_model_are_known(name):
    assert set(MODELS[name].formats) <= set(FORMATS)


@pytest.mark.parametrize(("formats", "kind", "said"), REFUSED)
@pytest.mark.parametrize("output", [False, True])
def test_the_command_refuses(workdir, tmp_path, monkeypatch, capsys, formats, kind, said, output):
    register(monkeypatch, formats)
    monkeypatch.setattr(export_job, "program_of", no_program)
    before = sorted(workdir.rglob("*"))
    more = [f"--output={tmp_path / 'file'}"] if output else []
    assert main(["export", f"--workdir={workdir}", f"--format={kind}", *more]) == EXIT_USER_ERROR
    printed = capsys.readouterr()
    assert printed.err == f"error: export format '{kind}': {said}\n"
    assert printed.out == ""
    assert sorted(workdir.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_the_command_refuses_eight_bits_too(workdir, monkeypatch, capsys):
    register(monkeypatch, ("stablehlo",))
    monkeypatch.setattr(export_job, "program_of", no_program)
    flags = ["--format=tflite", "--quantize=int8"]
    assert main(["export", f"--workdir={workdir}", *flags]) == EXIT_USER_ERROR
    assert capsys.readouterr().err == f"error: export format 'tflite': {ONE}\n"
    assert not list(workdir.glob("*.tflite"))


@pytest.mark.parametrize(("formats", "kind", "said"), REFUSED)
def test_the_detector_refuses(workdir, tmp_path, monkeypatch, formats, kind, said):
    register(monkeypatch, formats)
    monkeypatch.setattr(program, "program_of", no_program)
    detector = rawnet_jax.load(workdir)
    with pytest.raises(rawnet_jax.ConfigError, match=r"^export format ") as caught:
        detector.export(tmp_path / f"model.{kind}")
    assert str(caught.value) == f"export format '{kind}': {said}"
    assert not list(tmp_path.iterdir())


def test_the_detector_refuses_an_unknown_format(workdir, tmp_path, monkeypatch):
    register(monkeypatch, FORMATS)
    detector = rawnet_jax.load(workdir)
    with pytest.raises(rawnet_jax.ConfigError, match=r"'pt': must be one of stablehlo, onnx, tfl"):
        detector.export(tmp_path / "model.pt")


@pytest.mark.slow
def test_a_listed_format_is_written(workdir, tmp_path, monkeypatch):
    register(monkeypatch, ("stablehlo",))
    assert rawnet_jax.load(workdir).export(tmp_path / "model.stablehlo") < 1e-4


def test_tests_of_all_models_leave_out_what_is_not_listed(monkeypatch):
    only = replace(MODELS["lfcc_resnet18"], formats=("stablehlo",))
    monkeypatch.setitem(MODELS, "lfcc_resnet18", only)
    assert "lfcc_resnet18" in exported_as("stablehlo")
    assert "lfcc_resnet18" not in exported_as("onnx")
