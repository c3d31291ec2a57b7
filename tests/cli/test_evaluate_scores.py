"""``evaluate`` of score files from end to end, as a user types it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.data.score_file import ScoreTable, read_scores, write_scores
from rawnet_jax.scoring.verdict import load_calibration

FAST = ["--no-bootstrap", "--no-progress"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Write a 2021-LA-like list, two systems in two forms, and their dev scores with keys."""
    folder = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(3)
    lines, dev = [], []
    labels = rng.integers(0, 2, 400)
    for i, label in enumerate(labels):
        attack, key = ("bonafide", "bonafide") if label else (f"A{7 + i % 3:02d}", "spoof")
        codec, subset = ("none", "alaw", "opus")[i % 3], ("eval", "progress")[i % 5 == 0]
        lines.append(f"S{i % 7} U{i} {codec} loc_tx {attack} {key} notrim {subset}")
        dev.append((f"D{i}", "A07" if not label else None))
    (folder / "trials.txt").write_text("\n".join(lines) + "\n")
    names = [f"U{i}" for i in range(400)]
    for name, gain, form in (("weak", 1.0, "asvspoof2021"), ("strong", 3.0, "asvspoof5")):
        score = rng.normal(size=400) + gain * labels
        write_scores(folder / f"{name}.txt", ScoreTable(names, score), form)
        table = ScoreTable([d for d, _ in dev], rng.normal(size=400) + gain * labels, labels,
                           [a for _, a in dev])  # fmt: skip
        write_scores(folder / f"{name}_dev.txt", table)
    asv = [("bonafide target", 3), ("bonafide nontarget", -3), ("A07 spoof", 2)]
    (folder / "asv.txt").write_text(
        "".join(f"{kind} {mean + rng.normal():.4f}\n" for kind, mean in asv for _ in range(60))
    )
    return folder


def evaluate(place: Path, *more: str) -> list[str]:
    return ["evaluate", "--scores", str(place / "weak.txt"), str(place / "strong.txt"), *more]


def test_the_whole_report_with_one_command(place, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = evaluate(place, f"--protocol={place / 'trials.txt'}", f"--output={output}")
    arguments += [f"--asv-scores={place / 'asv.txt'}", "--replicates=20", "--no-progress"]
    arguments += ["--dev-scores", str(place / "weak_dev.txt"), str(place / "strong_dev.txt")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    record = json.loads((output / "metrics.json").read_text())
    weak, strong = record["systems"]
    assert (weak["name"], strong["name"]) == ("weak", "strong")
    assert strong["eer"] < weak["eer"]
    assert weak["intervals"]["min_tdcf_revised"]["low"] < weak["min_tdcf_revised"]
    assert {tuple(b["by"]) for b in weak["breakdowns"]} >= {("attack",), ("attack", "codec")}
    assert strong["threshold"]["rule"] == "equal error rate"
    assert f"{100 * weak['eer']:.2f} % [" in printed
    assert re.search(r"strong − weak +EER +-", printed)
    report = (output / "report.html").read_text()
    assert "http" not in report.replace("http://www.w3.org", "")
    assert {path.name for path in output.iterdir()} == {
        *("metrics.json", "report.html", "figures.csv", "attacks.csv", "breakdowns.csv"),
        *("fairness.csv", "calibration_1_weak.json", "calibration_2_strong.json"),
    }


def test_only_what_was_asked_for(place, tmp_path):
    arguments = evaluate(place, f"--protocol={place / 'trials.txt'}", f"--output={tmp_path}")
    arguments += [*FAST, "--names", "a", "b", "--by", "codec", "--where", "subset=eval"]
    assert main([*arguments, "--threshold-rule", "value=0.5"]) == 0
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert [s["name"] for s in record["systems"]] == ["a", "b"]
    assert record["systems"][0]["num_trials"] == 320
    assert [b["by"] for b in record["systems"][0]["breakdowns"]] == [["codec"]]
    assert record["systems"][0]["threshold"]["value"] == 0.5
    assert "intervals" not in record["systems"][0]


def test_a_file_with_keys_needs_nothing_else(place, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--scores", str(place / "weak_dev.txt"), *FAST]) == 0
    assert (tmp_path / "evaluation" / "report.html").is_file()
    assert "weak_dev: 400 trials" in capsys.readouterr().out


def test_reversed_scores_are_warned_about_and_not_flipped(place, tmp_path, capsys):
    table = read_scores(place / "strong_dev.txt")
    flipped = ScoreTable(table.utterance_ids, -table.scores, table.labels)
    write_scores(tmp_path / "flipped.txt", flipped)
    arguments = ["evaluate", "--scores", str(tmp_path / "flipped.txt"), f"--output={tmp_path}"]
    assert main([*arguments, *FAST]) == 0
    assert "WARNING: The scores would do better with their sign" in capsys.readouterr().out
    (system,) = json.loads((tmp_path / "metrics.json").read_text())["systems"]
    assert system["eer"] > 0.5
    assert any("sign reversed" in warning for warning in system["warnings"])
    assert "would do better with their sign" in (tmp_path / "report.html").read_text()


def test_equal_names_of_files_are_told_apart(place, tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.txt").write_text((place / "weak_dev.txt").read_text())
    files = [str(tmp_path / name / "s.txt") for name in ("x", "y")]
    assert main(["evaluate", "--scores", *files, f"--output={tmp_path}", *FAST]) == 0
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert [s["name"] for s in record["systems"]] == ["x/s", "y/s"]


ROWS = {
    "no protocol": (["--by"], r"weak.txt: holds no keys"),
    "lost protocol": (["--protocol=nowhere.txt"], r"nowhere.txt: cannot be read"),
    "another corpus": (["--corpus=asvspoof2019_la"], r"trials.txt:1: 8 columns; there must be 5"),
    "names": (["--names", "a"], r"1 names for 2 score files"),
    "same names": (["--names", "a", "a"], r"a name is given twice"),
    "dev files": (["--dev-scores", "{place}/weak_dev.txt"], r"1 files for 2 systems"),
    "dev is eval": (
        ["--dev-scores", "{place}/weak.txt", "{place}/strong.txt"],
        r"weak.txt: is among --scores too",
    ),
    "dev list alone": (["--dev-protocol=x"], r"goes with --dev-scores only"),
    "rule without dev": (["--threshold-rule=eer"], r"on dev scores and there are none"),
    "unknown rule": (["--threshold-rule=best"], r"--threshold-rule best: it must be one of eer"),
    "unknown column": (["--by", "accent"], r"--by accent: no column 'accent'"),
    "unknown value": (["--where", "codec=mp3"], r"codec=mp3: no trial has it"),
    "one class": (["--where", "attack=A07"], r"no bona fide scores"),
    "bad prior": (["--p-spoof=2"], r"p_spoof is 2"),
    "bad replicates": (["--replicates=-1"], r"--replicates -1"),
    "bad level": (["--level=95"], r"--level 95"),
    "asv file": (["--asv-scores={place}/trials.txt"], r"trials.txt:1: 8 columns"),
    "a flag of runs": (["--no-dev"], r"--no-dev: goes with a trained run only"),
    "an override": (["--config.note=x"], r"belongs to a trained run"),
    "a flag of scores": (None, r"--names: goes with --scores only"),
}


@pytest.mark.parametrize("name", ROWS)
def test_one_line_and_a_non_zero_exit(place, tmp_path, capsys, name):
    more, words = ROWS[name]
    if more is None:
        arguments = ["evaluate", f"--workdir={tmp_path}", "--names", "a"]
    else:
        more = [word.format(place=place) for word in more]
        protocol = [] if name in ("no protocol", "lost protocol") else ["trials.txt"]
        arguments = evaluate(place, *(f"--protocol={place / p}" for p in protocol), *FAST, *more)
        arguments.append(f"--output={tmp_path / 'out'}")
    assert main(arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert re.search(words, line), line
    assert not (tmp_path / "out").exists()


def test_run_or_scores_but_not_both(place, capsys):
    with pytest.raises(SystemExit) as stop:
        main(evaluate(place, "--workdir=x"))
    assert stop.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


def test_reference_numbers_on_the_published_file(shared_data, tmp_path):
    scores = shared_data / "scores"
    arguments = [
        *("evaluate", "--scores"),
        str(scores / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt"),
        f"--protocol={shared_data / 'protocols' / 'ASVspoof2019.LA.cm.eval.trl.txt'}",
        f"--asv-scores={scores / 'ASVspoof2019.LA.asv.eval.gi.trl.scores.txt'}",
        f"--output={tmp_path}",
    ]
    assert main([*arguments, *FAST]) == 0
    (system,) = json.loads((tmp_path / "metrics.json").read_text())["systems"]
    assert 100 * system["eer_official"] == pytest.approx(5.05777329, abs=1e-6)
    assert system["min_tdcf_legacy"] == pytest.approx(0.120836818, abs=1e-6)
    assert system["min_tdcf_revised"] == pytest.approx(0.175989256, abs=1e-6)
    assert system["min_dcf"] == pytest.approx(0.114349047, abs=1e-6)
    assert system["act_dcf"] == pytest.approx(1.0, abs=1e-6)
    assert system["cllr"] == pytest.approx(0.792191460, abs=1e-6)
    assert system["asv"]["threshold"] == pytest.approx(-5.680051, abs=1e-6)
    assert len(system["attacks"]) == 13


@pytest.mark.slow
def test_a_run_is_calibrated_on_its_dev_clips(tiny_config, tmp_path, capsys):
    """The same analysis as of score files, which its two score files give again."""
    run, again = tmp_path / "run", tmp_path / "again"
    train = ["train", f"--config={tiny_config}", f"--workdir={run}", "--no-progress"]
    assert main([*train, "--config.train.num_epochs=1"]) == 0
    assert main(["evaluate", f"--workdir={run}", *FAST, "--by", "attack", "speaker"]) == 0
    out = run / "eval"
    (system,) = json.loads((out / "metrics.json").read_text())["systems"]
    assert system["threshold"]["from_dev"] is True
    assert load_calibration(run / "calibration.json") == load_calibration(out / "calibration.json")
    files = ["--scores", str(out / "scores.txt"), "--dev-scores", str(out / "dev_scores.txt")]
    assert main(["evaluate", *files, f"--output={again}", *FAST, "--by", "attack"]) == 0
    (same,) = json.loads((again / "metrics.json").read_text())["systems"]
    for name in ("eer", "min_dcf", "cllr", "threshold", "calibrated"):
        assert same[name] == system[name]
    # Scores of other folds beside its own, in place of its own alone.
    other = tmp_path / "fold2.txt"
    other.write_text("".join(f"X{n} A09 spoof {20 + n}\nY{n} - bonafide {n}\n" for n in range(30)))
    pooled = ["--dev-scores", str(out / "dev_scores.txt"), str(other)]
    assert main(["evaluate", f"--workdir={run}", *FAST, *pooled]) == 0
    found = load_calibration(run / "calibration.json")
    assert found != load_calibration(again / "calibration.json")
    assert main(["evaluate", *files, str(other), f"--output={again}", *FAST]) == 2  # one a system
    other.write_text("X1 1.5\n")
    capsys.readouterr()
    assert main(["evaluate", f"--workdir={run}", *FAST, *pooled]) == 2
    assert "fold2.txt: it must have keys" in capsys.readouterr().err
    assert load_calibration(run / "calibration.json") == found
    assert main(["evaluate", f"--workdir={run}", *FAST, "--no-dev"]) == 0
    (plain,) = json.loads((out / "metrics.json").read_text())["systems"]
    assert "calibrated" not in plain
    assert "chosen on dev" not in capsys.readouterr().out.split("Threshold")[-1]


@pytest.mark.parametrize("has_spoof", [True, False])
def test_a_one_class_threshold_needs_bona_fide_dev_scores_alone(place, tmp_path, capsys, has_spoof):
    dev = read_scores(place / "strong_dev.txt")
    assert dev.labels is not None
    kept = np.flatnonzero(dev.labels | has_spoof).tolist()
    table = ScoreTable([dev.utterance_ids[i] for i in kept], dev.scores[kept], dev.labels[kept])
    write_scores(tmp_path / "dev.txt", table)
    arguments = ["evaluate", f"--scores={place / 'strong.txt'}", f"--output={tmp_path / 'out'}"]
    arguments += [f"--protocol={place / 'trials.txt'}", f"--dev-scores={tmp_path / 'dev.txt'}"]
    assert main([*arguments, *FAST, "--threshold-rule=one-class=0.05"]) == 0
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "metrics.json").read_text())["systems"][0]
    threshold = record["threshold"]
    genuine = np.sort(dev.scores[dev.labels == 1])
    assert threshold["value"] == genuine[int(0.05 * len(genuine))]
    assert threshold["dev"]["num_bonafide_rejected"] == int(0.05 * len(genuine))
    interval = threshold["expected_p_miss"]
    assert 0 < interval["low"] < threshold["dev"]["p_miss"] < interval["high"] < 0.12
    line = f"{100 * interval['low']:.2f} to {100 * interval['high']:.2f} % (95 % interval, Clopper"
    assert line in printed
    assert line in (tmp_path / "out" / "report.html").read_text()
    assert ("calibrated" in record) == has_spoof
    assert (tmp_path / "out" / "calibration.json").exists() == has_spoof
    assert ("Dev has no spoof trials: nothing is calibrated" in printed) == (not has_spoof)
    assert (threshold["dev"]["p_fa"] is None) == (not has_spoof)
    if not has_spoof:
        assert main([*arguments, *FAST, "--threshold-rule=eer"]) == 2
        assert "use one-class=RATE" in capsys.readouterr().err


@pytest.mark.parametrize("score", [-1e30, 1e30])
def test_the_largest_scores_are_measured_without_a_warning(score, tmp_path):
    """Those of NumPy and matplotlib would be errors here."""
    for name in ("a", "dev"):
        lines = [
            f"U{i} - {('spoof', 'bonafide')[i % 2]} {score * (i % 3) / 2}\n" for i in range(12)
        ]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    words = ["--scores", str(tmp_path / "a.txt"), "--dev-scores", str(tmp_path / "dev.txt")]
    words += ["--output", str(tmp_path / "out"), "--replicates", "10", "--no-progress"]
    assert main(["evaluate", *words]) == 0


@pytest.mark.parametrize("command", ["evaluate", "fuse", "seeds"])
def test_scores_beyond_what_can_be_computed_with_are_refused(command, tmp_path, capsys):
    for name in ("a", "b"):
        lines = [f"U{i} - {('spoof', 'bonafide')[i % 2]} {1e300 * i}\n" for i in range(12)]
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    files = [str(tmp_path / f"{name}.txt") for name in "ab"]
    words = {"evaluate": ["--scores"], "fuse": ["--dev"], "seeds": []}[command]
    assert main([command, *words, *files, "--output", str(tmp_path / "out")]) == 2
    assert "must be between -1e+30 and 1e+30" in capsys.readouterr().err
