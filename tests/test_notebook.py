"""The notebook runs from top to bottom, and is what its source says."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"


def cells_of_source() -> list[tuple[str, str]]:
    """Kind and text of each cell of the percent script, as jupytext reads it."""
    _, *parts = re.split(r"^# %%(.*)$", (EXAMPLES / "notebook.py").read_text(), flags=re.MULTILINE)
    found = []
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        is_text = "[markdown]" in mark
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE) if is_text else text
        found.append(("markdown" if is_text else "code", text.strip()))
    return found


def test_the_notebook_is_what_its_source_says():
    notebook = nbformat.read(EXAMPLES / "rawnet_jax.ipynb", as_version=4)
    assert [(c.cell_type, c.source) for c in notebook.cells] == cells_of_source()
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("RAWNET_JAX_NOTEBOOK", "quick")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    notebook = nbformat.read(EXAMPLES / "rawnet_jax.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    done = NotebookClient(
        notebook, timeout=500, kernel_name="python3", resources=resources
    ).execute()
    outputs = [cell["outputs"] for cell in done.cells if cell.cell_type == "code"]
    shown = [one["data"] for cell in outputs for one in cell if "data" in one]
    assert any("image/png" in one for one in shown)
    assert any("iframe" in one.get("text/html", "") for one in shown)
    assert sum("<svg" in one.get("text/html", "") for one in shown) == 2
    said = "".join(one.get("text", "") for cell in outputs for one in cell)
    assert "notebook on eval: 8 trials" in said
    assert re.search(r"off by \d", said)
