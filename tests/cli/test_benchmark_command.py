"""Two systems on all corpora that lie in a folder, cut off and resumed."""

import csv
import json

import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.jobs import benchmark as job
from rawnet_jax.metrics.det import eer
from tests.data.made_corpora import MADE, audio, text
from tests.small_run import write_run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with two runs and a folder of four corpora, one of them damaged."""
    folder = tmp_path_factory.mktemp("benchmark")
    for seed, name in enumerate(("run", "packaged")):
        write_run(folder / name, seed=seed, cache_dir=str(folder / "cache"), num_workers=1)
    for name in ("sonar", "ctrsvdd", "spoofceleb"):
        (folder / "data" / name).mkdir(parents=True)
        MADE[name].write(folder / "data" / name)
    (folder / "data/ctrsvdd/test_set/CtrSVDD_0110_E_1.flac").unlink()
    rows = [f"LA_1 LA_E_{i} - {'A07 spoof' if i % 2 else '- bonafide'}\n" for i in range(12)]
    top = folder / "data/LA"
    text(top, "ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.eval.trl.txt", "".join(rows))
    audio(top, *(f"ASVspoof2019_LA_eval/flac/LA_E_{i}.flac" for i in range(12)))
    asv = [f"bonafide target {i / 10}\nbonafide nontarget {-i / 10 - 3}\n" for i in range(40)]
    asv += [f"A07 spoof {i / 10 - 2}\n" for i in range(40)]
    asv_name = "ASVspoof2019.LA.asv.eval.gi.trl.scores.txt"
    text(top, f"ASVspoof2019_LA_asv_scores/{asv_name}", "".join(asv))
    return folder


def test_all_corpora_of_a_folder(place, monkeypatch, capsys):
    monkeypatch.setattr(job, "preset_folder", lambda _name: place / "packaged")
    run, output = place / "run", place / "out"
    command = ["benchmark", "--workdir", str(run), "--data", str(place / "data")]
    command += ["--output", str(output), "--replicates", "20", "--no-progress"]
    assert main([*command, "--list"]) == 0
    said = capsys.readouterr().out
    assert "sonar recognised" not in said
    for name in ("asvspoof2019_la", "ctrsvdd", "sonar", "spoofceleb"):
        assert f"recognised as {name} because" in said
    assert not output.exists()
    assert main(command) == 1  # one corpus lacks a file
    captured = capsys.readouterr()
    assert captured.err.count("error: ctrsvdd:") == 2
    assert "conv1d" in captured.out
    record = json.loads((output / "benchmark.json").read_text())
    first, second = record["systems"]
    rows = {row["name"]: row for row in first["rows"]}
    assert set(rows) == {"asvspoof2019_la", "ctrsvdd", "sonar", "spoofceleb"}
    assert rows["ctrsvdd"]["failed"]
    assert "min_tdcf_legacy" in rows["asvspoof2019_la"]["figures"]
    assert "min_tdcf_legacy" not in rows["sonar"]["figures"]
    assert rows["sonar"]["figures"]["cllr"]["interval"] is not None
    assert (first["pooled"]["num_bonafide"], first["pooled"]["num_spoof"]) == (10, 10)
    assert first["pooled"]["figures"]["eer"] != second["pooled"]["figures"]["eer"] or (
        first["rows"] != second["rows"]
    )
    scores = {
        path.name.split("-")[1]: read_scores(path)
        for path in sorted((output / "scores").glob("small*.txt"))
    }
    table = scores["spoofceleb"]
    wanted = eer(table.scores[table.labels == 1], table.scores[table.labels == 0]).eer
    found = [
        r["figures"]["eer"]["value"]
        for s in (first, second)
        for r in s["rows"]
        if r["name"] == "spoofceleb"
    ]
    assert any(value == pytest.approx(wanted) for value in found)
    with (output / "benchmark.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert len(cells) == 10
    markdown = (output / "benchmark.md").read_text()
    assert "| pooled | 10 | 10 |" in markdown
    assert "no calibration" in markdown or "own calibration" in markdown


def test_what_was_scored_is_kept(place, monkeypatch, capsys):
    monkeypatch.setattr(job, "preset_folder", lambda _name: place / "packaged")
    output = place / "out"
    command = ["benchmark", "--workdir", str(place / "run"), "--data", str(place / "data")]
    command += ["--output", str(output), "--no-bootstrap", "--no-progress"]
    times = {p: p.stat().st_mtime_ns for p in (output / "scores").iterdir()}
    assert len(times) == 6
    monkeypatch.setattr("rawnet_jax.run.Run.score", None)
    assert main([*command, "--corpora", "sonar", "spoofceleb"]) == 0
    assert {p: p.stat().st_mtime_ns for p in (output / "scores").iterdir()} == times
    record = json.loads((output / "benchmark.json").read_text())
    assert [row["name"] for row in record["systems"][0]["rows"]] == ["sonar", "spoofceleb"]
    assert np.isfinite(record["systems"][0]["pooled"]["figures"]["eer"]["value"])
    assert capsys.readouterr().err == ""


def test_a_folder_without_corpora_and_a_name_that_is_not_there(place, tmp_path, capsys):
    command = ["benchmark", "--workdir", str(place / "run"), "--no-progress"]
    assert main([*command, "--data", str(tmp_path)]) == 2
    assert "no known corpus in it or two levels below" in capsys.readouterr().err
    assert main([*command, "--data", str(place / "data"), "--corpora", "mlaad"]) == 2
    assert "--corpora mlaad: is not in" in capsys.readouterr().err
    assert main([*command, "--data", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
