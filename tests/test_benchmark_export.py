"""The table of exported files is made; its figures are not looked at here."""

import sys

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("litert_converter")

from benchmarks import export
from rawnet_jax.errors import ExportError


@pytest.mark.slow
def test_tiny_form_has_a_row_of_each_format(monkeypatch, capsys):
    real = export.exported

    def refuse_onnx(network, kind, clips):
        if kind == "onnx":
            raise ExportError("not this one")
        return real(network, kind, clips)

    monkeypatch.setattr(export, "exported", refuse_onnx)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["export", "--tiny", "--threads=1"])
    assert export.main() == 0
    printed = capsys.readouterr().out
    for kind in export.FORMATS:
        assert f"| conv1d | {kind} | " in printed
    assert "| conv1d | onnx | not this one |" in printed
    assert "not compared with PyTorch: torch, onnxscript is not installed" in printed
