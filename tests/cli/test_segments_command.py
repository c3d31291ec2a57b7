"""A known fake span: a run trained on window labels finds it, and the command measures how well."""

import json

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main

RATE = 16_000
FAKE_S = (0.4, 0.7)

CONFIG = """
from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config():
    config = Config(name="spans")
    config.data.corpus = "manifest"
    config.data.root = {root!r}
    config.data.cache_dir = {cache!r}
    config.data.num_samples = 800
    config.data.num_workers = 1
    config.data.crop = "random"
    config.data.window_labels = True
    config.data.min_fake_s = 0.02
    config.train.batch_size = 16
    config.train.num_epochs = 8
    config.optimizer.learning_rate = 3e-3
    config.eval.batch_size = 16
    config.eval.window_hop = 0.5
    config.gate.enabled = False
    config.model = model_config("conv1d", channels=(8, 8), hidden_features=8)
    return config
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Return a corpus of noise, half of it with a loud tone as the fake part."""
    root = tmp_path_factory.mktemp("spans")
    rng = np.random.default_rng(4)
    start_s, end_s = FAKE_S
    rows = ["path,label,partition,segments"]
    for number in range(48):
        waveform = 0.05 * rng.standard_normal(RATE)
        is_fake = number % 2 == 1
        if is_fake:
            at = slice(int(start_s * RATE), int(end_s * RATE))
            time_s = np.arange(RATE)[at] / RATE
            waveform[at] += 0.4 * np.sin(2 * np.pi * rng.uniform(300, 900) * time_s)
        soundfile.write(root / f"clip{number}.wav", waveform, RATE)
        said = f"0-{start_s}-bonafide {start_s}-{end_s}-spoof {end_s}-1-bonafide"
        partition = ("train", "train", "dev", "eval")[number // 2 % 4]
        label = "spoof" if is_fake else "bonafide"
        rows.append(f"clip{number}.wav,{label},{partition},{said if is_fake else ''}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_known_fake_span_is_found(corpus, tmp_path_factory, form, capsys):
    run = corpus / "run"
    config = corpus / "spans.py"
    config.write_text(CONFIG.format(root=str(corpus), cache=str(corpus / "cache")))
    if not run.exists():
        assert main(["train", "--config", str(config), "--workdir", str(run), "--no-progress"]) == 0
    folder = tmp_path_factory.mktemp("lines")
    lines = folder / f"lines.{form}"
    files = [str(path) for path in sorted(corpus.glob("clip*.wav"))]
    how = ["--windows", "--output", str(lines), "--format", form, "--no-progress"]
    assert main(["score", "--workdir", str(run), *how, *files]) == 0
    protocol = corpus / "manifest.csv"
    command = ["segments", "--scores", str(lines), "--protocol", str(protocol)]
    assert main([*command, "--output", str(folder / "out")]) == 0
    said = capsys.readouterr().out
    assert "48 recordings" in said
    record = json.loads((folder / "out/segments.json").read_text())
    assert record["by_time"]["eer"] < 0.12
    assert record["at_threshold"]["precision"] > 0.5
    assert [frame["frame_ms"] for frame in record["frames"]] == [20, 40, 80, 160, 320, 640]
    assert record["frames"][2]["eer"]["eer"] < 0.25
    assert record["spoof_s"] == pytest.approx(24 * 0.3)
    assert main([*command, "--threshold", "1e9", "--resolutions", "50"]) == 0
    said = capsys.readouterr().out
    assert "Recall         100.00 %" in said
    assert "50 ms" in said


def test_what_cannot_be_measured_is_said_in_a_line(corpus, tmp_path, capsys):
    protocol = str(corpus / "manifest.csv")
    plain = tmp_path / "scores.txt"
    plain.write_text("clip0 1.0\n")
    other = tmp_path / "lines.jsonl"
    window = {"start_s": 0.0, "end_s": 1.0, "score": 1.0}
    other.write_text(json.dumps({"path": "x.wav", "duration_s": 1.0, "windows": [window]}))
    cut = tmp_path / "cut.csv"
    cut.write_text("path,part,start_s,end_s,score\nx.wav,window,0,1,0.5\n")
    for arguments, words in (
        (["--scores", str(cut), "--protocol", protocol], "ends with windows"),
        (["--scores", str(plain), "--protocol", protocol], "score --windows writes them"),
        (["--scores", str(other), "--protocol", protocol], "none of the 1 recordings, such as"),
        (["--scores", str(other)], "give --protocol"),
        (["--scores", str(other), "--protocol", protocol, "--resolutions", "0"], "1 to 60000 ms"),
    ):
        assert main(["segments", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
