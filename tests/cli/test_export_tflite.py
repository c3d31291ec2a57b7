"""``export --format tflite`` as a user types it, and docs/tflite.md."""

import re
from typing import Any

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import EXIT_USER_ERROR, main
from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.small_run import write_run

pytest.importorskip("ai_edge_quantizer")
pytest.importorskip("litert_converter")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_corpus):
    """What docs/tflite.md takes as given: a run whose corpus is at hand, and a recording."""
    folder = tmp_path_factory.mktemp("tflite")
    data: dict[str, Any] = {f"{part}_protocol": f"{part}.txt" for part in ("train", "dev", "eval")}
    data |= {"corpus": "asvspoof2019_la", "root": str(tiny_corpus), "audio_dir": "flac"}
    write_run(folder / "runs" / "x", cache_dir=str(folder / "cache"), **data)
    noise = 0.1 * np.random.default_rng(0).standard_normal(3_000)
    soundfile.write(folder / "talk.wav", noise, 16_000)
    return folder


@pytest.mark.slow
def test_page(folder, capsys):
    page = DOCS / "tflite.md"
    (_, plain), (_, small) = [run_console(block, folder)[0] for block in blocks(page, "console")]
    assert re.search(r"^written: +runs/x/model\.tflite, ", plain.stdout, re.M)
    assert re.search(r"^EER: .* points from the network's .* eval\)$", small.stdout, re.M)
    assert re.search(r"^written: +runs/x/model_int8\.tflite, ", small.stdout, re.M)
    assert plain.stderr == ""
    space = run_python(page, folder)
    assert space["metadata"]["model"] == "conv1d"
    assert re.match(r"\[-?[\d.e-]+\]\n640 zero \{", capsys.readouterr().out)


@pytest.mark.slow
def test_eight_bits_without_the_corpus(folder, capsys):
    """Recordings that are named choose the ranges; what it costs in errors is not known then."""
    export = ["export", f"--workdir={folder / 'runs' / 'x'}", "--format=tflite", "--quantize=int8"]
    gone = f"--config.data.root={folder / 'gone'}"
    output = folder / "small.tflite"
    assert main([*export, f"--output={output}", gone]) == EXIT_USER_ERROR
    assert capsys.readouterr().err.endswith("; or name recordings by --clips\n")
    assert not output.exists()
    clips = f"--clips={folder / 'talk.wav'}"
    assert main([*export, f"--output={output}", gone, clips]) == 0
    printed = capsys.readouterr().out
    assert "the corpus is not here: ranges of numbers are those of --clips" in printed
    assert re.search(r"^EER: +not measured: eval is not here$", printed, re.M)
    assert output.stat().st_size > 1_000
