"""``evaluate`` fits the rule on what is unlike training; every way of scoring goes by it."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.checkpoint import save_variables
from rawnet_jax.cli.main import main
from rawnet_jax.config import Config
from rawnet_jax.config_file import save_config
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import init_variables
from rawnet_jax.run import Run
from rawnet_jax.scoring.outlier import OUTLIER_FILE, load_outlier_rule
from rawnet_jax.scoring.reference import load_reference
from rawnet_jax.scoring.verdict import load_operating_point, save_operating_point

RATE, LENGTH = 16_000, 1_600
REASON = "unlike anything this model was trained on: distance"
FAST = ["--no-bootstrap", "--no-progress"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network with random weights that was evaluated on quiet noises, and files to score."""
    root = tmp_path_factory.mktemp("unlike")
    (root / "flac").mkdir()
    rng = np.random.default_rng(2)
    for partition, number in (("train", 40), ("dev", 30), ("eval", 12)):
        lines = []
        for i in range(number):
            name = f"{partition}_{i}"
            soundfile.write(root / "flac" / f"{name}.flac", noise(rng, i % 2), RATE)
            key = "bonafide" if i % 2 else "spoof"
            lines.append(f"S{i % 3} {name} - {'-' if i % 2 else 'A01'} {key}\n")
        (root / f"{partition}.txt").write_text("".join(lines))
    config = Config(name="untrained", model=model_config("conv1d", channels=(3, 4)))
    config.gate.speech = "off"
    config.data.corpus, config.data.root = "asvspoof2019_la", str(root)
    for partition in ("train", "dev", "eval"):
        setattr(config.data, f"{partition}_protocol", f"{partition}.txt")
    config.data.audio_dir, config.data.cache_dir = "flac", str(root / "cache")
    config.data.num_samples, config.data.num_workers, config.eval.batch_size = LENGTH, 1, 8
    config.eval.outlier_share, config.eval.outlier_clips = 0.1, 15
    workdir = root / "run"
    workdir.mkdir()
    save_config(config, workdir)
    model = build_model(config.model)
    variables = jax.device_get(init_variables(model, jax.random.key(0), LENGTH))
    save_variables(workdir, "best", 3, variables, {})
    lines = (root / "train.txt").read_text().splitlines(keepends=True)[:2]
    (root / "few.txt").write_text("".join(lines))
    files = root / "files"
    files.mkdir()
    soundfile.write(files / "like.wav", 0.05 * rng.standard_normal(4_800), RATE)
    soundfile.write(files / "unlike.wav", 0.9 * np.sin(np.arange(4_800) * 0.9), RATE)
    return root


def noise(rng, key):
    """Return white noise, or of genuine trials a bit more of high frequencies, of any level."""
    white = rng.standard_normal(4_801)
    return rng.uniform(0.03, 0.07) * (white[1:] - 0.2 * key * white[:-1])


@pytest.fixture(scope="module")
def run(made):
    workdir = made / "run"
    assert main(["evaluate", f"--workdir={workdir}", *FAST]) == 0
    # What is unlike training shall not be told by its score here.
    point = load_operating_point(workdir)
    assert point is not None
    save_operating_point(workdir, dataclasses.replace(point, lowest=None, highest=None))
    return workdir


def score(run, path, capsys, *more):
    status = main(["score", f"--workdir={run}", str(path), "--format=jsonl", *more])
    return status, json.loads(capsys.readouterr().out)


def test_evaluate_leaves_scores_and_embeddings_of_dev(run):
    known = load_reference(run, 3)
    assert known is not None
    assert list(np.bincount(known.labels)) == [15, 15]
    assert set(known.groups) == {"A01", "S0", "S1", "S2"}
    lines = (run / "eval" / "dev_scores.txt").read_text().splitlines()
    scores = sorted(float(line.split()[-1]) for line in lines)
    assert sorted(known.scores) == pytest.approx(scores, abs=1e-5)


def test_evaluate_leaves_the_rule_and_says_what_it_refuses(run):
    rule = load_outlier_rule(run)
    assert rule is not None
    assert (rule.step, rule.bound.share) == (3, 0.1)
    record = json.loads((run / "eval" / "metrics.json").read_text())
    found = record["cannot_judge"]["unlike_training"]
    assert found["highest_distance"] == rule.bound.clip
    assert found["num_fitted"] == 30  # 15 of each class
    dev, evaluated = (found["partitions"][name] for name in ("dev", "eval"))
    assert dev["bonafide"]["num_trials"] == 15
    assert dev["bonafide"]["num_refused"] == 1  # at most 10 % of 15
    assert evaluated["spoof"]["num_trials"] == 6
    [system] = record["systems"]
    assert (system["num_bonafide"], system["num_spoof"]) == (6, 6)  # no metric leaves any out
    assert "metrics are of all trials" in record["context"]["unlike training"]
    assert "unlike training" in (run / "eval" / "report.html").read_text()


def test_what_is_unlike_training_cannot_be_judged(run, made, capsys):
    status, like = score(run, made / "files" / "like.wav", capsys)
    assert (status, like["reason"]) == (0, None)
    assert like["verdict"] != "cannot judge"
    status, unlike = score(run, made / "files" / "unlike.wav", capsys)
    assert status == 3
    assert unlike["verdict"] == "cannot judge"
    assert REASON in unlike["reason"]
    assert None not in (unlike["score"], unlike["llr"])
    assert unlike["p_spoof"] is None


def test_python_and_streams_say_the_same(run, made, capsys):
    detector = rawnet_jax.load(run)
    for name in ("like", "unlike"):
        path = made / "files" / f"{name}.wav"
        _, said = score(run, path, capsys, "--windows")
        found = detector.score(path, windows=True)
        assert found.to_dict(windows=True) == said
        status = main(["stream", f"--workdir={run}", str(path), "--jsonl", "--hop=0.1"])
        assert status == 0
        [first, *_] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert first["verdict"] == said["windows"][0]["verdict"]
        assert (first["reason"] or "").startswith(REASON) == (name == "unlike")
        assert first["score"] == pytest.approx(said["windows"][0]["score"], abs=1e-5)


def test_an_explanation_says_so_too(run, made, tmp_path, capsys):
    files = [str(made / "files" / f"{name}.wav") for name in ("like", "unlike")]
    flags = [f"--output={tmp_path}", "--no-progress", "--max-gradients=2", "--spans=4"]
    assert main(["explain", f"--workdir={run}", *files, *flags]) == 0
    said = {
        name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("like", "unlike")
    }
    assert said["like"]["reason"] is None
    assert REASON in said["unlike"]["reason"]
    assert said["unlike"]["verdict"] == "cannot judge"
    capsys.readouterr()


def test_windows_come_together_as_their_scores_do(run, made, capsys):
    path = made / "files" / "unlike.wav"
    flags = ["--windows", "--aggregate=mean"]
    _, said = score(run, path, capsys, *flags)
    assert {window["verdict"] for window in said["windows"]} == {"cannot judge"}
    assert REASON in said["reason"]


def test_it_is_left_out_on_request_to_the_bit(run, made, capsys):
    path = made / "files" / "unlike.wav"
    status, off = score(run, path, capsys, "--config.eval.outlier_share=0")
    assert status == 0
    _, on = score(run, path, capsys)
    assert off["score"] == on["score"]
    assert (
        Run.open(run).fingerprint
        == Run.open(run, overrides=["--config.eval.outlier_share=0"]).fingerprint
    )


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def test_evaluate_takes_it_away_on_request(copied, made, capsys):
    assert main(["evaluate", f"--workdir={copied}", *FAST, "--config.eval.outlier_share=0"]) == 0
    assert not (copied / OUTLIER_FILE).exists()
    record = json.loads((copied / "eval" / "metrics.json").read_text())
    assert "unlike_training" not in record["cannot_judge"]
    capsys.readouterr()
    _, said = score(copied, made / "files" / "unlike.wav", capsys)
    assert REASON not in (said["reason"] or "")


def test_a_rule_of_another_checkpoint_is_not_used(copied, made, capsys):
    variables = jax.device_get(Run.open(copied).variables)
    shutil.rmtree(copied / "checkpoints")
    save_variables(copied, "best", 9, variables, {})
    status, said = score(copied, made / "files" / "unlike.wav", capsys)
    assert (status, said["reason"], said["llr"]) == (0, None, None)


def test_a_damaged_rule_is_one_line(copied, made, capsys):
    path = copied / OUTLIER_FILE
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["score", f"--workdir={copied}", str(made / "files" / "like.wav")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{OUTLIER_FILE}: damaged" in line


def test_where_it_cannot_be_fitted_there_is_a_warning_and_no_rule(copied, caplog):
    (copied / OUTLIER_FILE).unlink()
    flags = ["--config.data.train_protocol=few.txt"]
    assert main(["evaluate", f"--workdir={copied}", *FAST, *flags]) == 0
    assert "no rule on what is unlike training: " in caplog.text
    assert not (copied / OUTLIER_FILE).exists()


@pytest.mark.parametrize("share", ["1", "-0.1"])
def test_a_share_that_is_none_is_one_line(run, share, capsys):
    flags = [f"--config.eval.outlier_share={share}"]
    assert main(["evaluate", f"--workdir={run}", *FAST, *flags]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "outlier_share" in line


def test_an_onnx_file_refuses_the_same(run, made, capsys, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    output = tmp_path / "model.onnx"
    flags = ["--format=onnx", f"--output={output}", "--clips", str(made / "files" / "like.wav")]
    assert main(["export", f"--workdir={run}", *flags]) == 0
    capsys.readouterr()
    exported = rawnet_jax.load(output)
    for name in ("like", "unlike"):
        path = made / "files" / f"{name}.wav"
        _, said = score(run, path, capsys)
        found = exported.score(path)
        assert found.verdict == said["verdict"]
        assert (found.reason or "").startswith(REASON) == (name == "unlike")
        assert found.score == pytest.approx(said["score"], abs=1e-4)
