"""What ``score`` decides: as ``evaluate`` does, and nothing where it cannot."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.checkpoint import save_variables
from rawnet_jax.cli.main import main
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.run import Run
from rawnet_jax.scoring.verdict import load_operating_point, save_operating_point
from tests.cli.score_command import NUM_SAMPLES, json_lines, score, write_clips
from tests.conftest import write_tiny_corpus
from tests.small_run import STEP, write_run


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"))


def test_scores_and_threshold_are_those_of_evaluate(tiny_corpus, tmp_path, capsys):
    """What `evaluate` finds in a list of clips, `score` finds in their files."""
    run = write_run(
        tmp_path / "run",
        calibrated=False,
        num_samples=NUM_SAMPLES,
        corpus="asvspoof2019_la",
        root=str(tiny_corpus),
        train_protocol="train.txt",
        dev_protocol="dev.txt",
        eval_protocol="eval.txt",
        audio_dir="flac",
        cache_dir=str(tmp_path / "cache"),
        num_workers=1,
    )
    gate = ["--config.gate.min_duration_s=0", "--config.gate.min_active_s=0"]  # clips are short
    evaluate = ["evaluate", f"--workdir={run}", "--no-bootstrap", "--no-progress", *gate]
    assert main(evaluate) == 0
    capsys.readouterr()
    table = read_scores(run / "eval" / "scores.txt")
    wanted = dict(zip(table.utterance_ids, table.scores.tolist(), strict=True))
    files = [str(tiny_corpus / "flac" / f"{name}.flac") for name in wanted]
    assert score(run, *files, *gate, "--format=jsonl", "--names=stem") == 0
    records = json_lines(capsys.readouterr().out)
    assert {record["path"] for record in records} == set(wanted)
    for record in records:
        assert record["score"] == pytest.approx(wanted[record["path"]], abs=1e-6)
        assert record["llr"] is not None
    point = load_operating_point(run)
    assert point is not None
    assert point.rule == "equal error rate on dev"
    assert (point.step, point.how) == (7, {"aggregate": ""})
    assert all((r["verdict"] == "bonafide") == (r["score"] >= point.threshold) for r in records)
    odd = "--config.eval.batch_size=12"  # does not divide over the 8 devices
    assert main([*evaluate, odd]) == 0
    assert score(run, files[0], *gate, odd) == 0
    capsys.readouterr()
    assert score(run, files[0], *gate, "--aggregate=mean") == 0
    other = "found on scores of another kind (the first part of a clip; now mean)"
    assert other in capsys.readouterr().err
    # From now on a file is scored as the run was evaluated.
    assert main([*evaluate, "--config.eval.aggregate=max_spoof"]) == 0
    capsys.readouterr()
    assert score(run, files[0], *gate, f"--output={tmp_path / 'scores.jsonl'}") == 0
    assert "another kind" not in capsys.readouterr().err
    settings = json.loads((tmp_path / "scores.jsonl.settings.json").read_text())
    assert settings["aggregate"] == "max_spoof"


def test_a_file_beyond_full_scale_has_one_score(tmp_path, capsys, caplog):
    """What is beyond full scale is clipped in the cache of `evaluate`, and so for `score`."""
    root = write_tiny_corpus(tmp_path / "corpus")
    hot = sorted((root / "flac").glob("E_*.flac"))[:6]
    for path in hot:
        waveform, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".wav"), 4 * waveform, rate, "FLOAT")
        path.unlink()
    run = write_run(
        tmp_path / "run",
        num_samples=NUM_SAMPLES,
        corpus="asvspoof2019_la",
        root=str(root),
        eval_protocol="eval.txt",
        audio_dir="flac",
        cache_dir=str(tmp_path / "cache"),
        num_workers=1,
    )
    gate = ["--config.gate.min_duration_s=0", "--config.gate.min_active_s=0"]  # clips are short
    evaluate = ["evaluate", f"--workdir={run}", "--no-dev", "--no-bootstrap", "--no-progress"]
    assert main([*evaluate, *gate]) == 0
    table = read_scores(run / "eval" / "scores.txt")
    wanted = dict(zip(table.utterance_ids, table.scores.tolist(), strict=True))
    capsys.readouterr()
    files = [str(path.with_suffix(".wav")) for path in hot]
    assert score(run, *files, *gate, "--format=jsonl", "--names=stem") == 0
    records = json_lines(capsys.readouterr().out)
    scores = {record["path"]: record["score"] for record in records}
    assert len(scores) == 6
    # The cache rounds to 16 bit, which moves the scores of this network by less than 1e-5.
    assert scores == pytest.approx({name: wanted[name] for name in scores}, abs=1e-5)
    assert caplog.text.count("are beyond full scale and are clipped") == 6


@pytest.fixture
def overflowing(tmp_path):
    """A run of finite parameters whose every score overflows."""
    workdir = write_run(tmp_path / "overflowing", num_samples=NUM_SAMPLES)
    opened = Run.open(workdir)
    huge = jax.tree.map(lambda leaf: 3e38 * np.ones_like(leaf), jax.device_get(opened.variables))
    shutil.rmtree(workdir / "checkpoints")
    save_variables(workdir, "best", STEP, huge, {"dev_eer": 0.25})
    return workdir


def test_a_model_without_a_finite_score_is_blamed(overflowing, clips, capsys):
    assert score(overflowing, clips, "--format=jsonl") == 2
    found = capsys.readouterr()
    for record in json_lines(found.out):
        assert record["verdict"] == "cannot judge"
        assert record["reason"] == "the network's score is not a finite number"
    assert found.err.splitlines()[-1] == (
        f"error: {overflowing}: none of 5 scores is a finite number: the model is at fault, not "
        "the audio; use another --checkpoint, or train again"
    )
    detector = rawnet_jax.load(overflowing)
    for recordings in (clips / "clip1.wav", [clips / "clip1.wav", clips / "clip2.wav"]):
        with pytest.raises(rawnet_jax.CheckpointError, match=r"scores? is .*model is at fault"):
            detector.score(recordings, progress=False)
    assert main(["stream", f"--workdir={overflowing}", str(clips / "clip1.wav"), "--jsonl"]) == 2
    assert "the model is at fault" in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def bounded(tmp_path):
    """A run whose dev scores were all far above those of any clip."""
    workdir = write_run(tmp_path / "bounded", num_samples=NUM_SAMPLES)
    point = load_operating_point(workdir)
    assert point is not None
    save_operating_point(workdir, replace(point, lowest=1000.0, highest=2000.0))
    return workdir


def test_a_score_outside_the_range_of_dev_scores_is_no_verdict(bounded, clips, tmp_path, capsys):
    clip, begin = clips / "clip1.wav", "outside the range of dev scores: "
    assert score(bounded, clip, "--format=jsonl", "--windows", f"--plot={tmp_path / 'p'}") == 3
    [record] = json_lines(capsys.readouterr().out)
    assert record["verdict"] == "cannot judge"
    assert record["reason"].startswith(begin)
    assert (record["llr"], record["p_spoof"], record["spoof_s"]) == (None, None, [])
    assert np.isfinite(record["score"])
    assert {window["verdict"] for window in record["windows"]} == {"cannot judge"}
    assert score(bounded, clip) == 3
    assert begin in capsys.readouterr().out
    assert main(["stream", f"--workdir={bounded}", str(clip)]) == 0
    found = capsys.readouterr()
    assert begin in found.out
    assert " 0 spoof, 0 bonafide" in found.err
    result = rawnet_jax.load(bounded).score(clip)
    assert (result.verdict, result.reason) == ("cannot judge", record["reason"])
    assert begin in str(result)
    explained = ["explain", f"--workdir={bounded}", str(clip), f"--output={tmp_path}"]
    assert main([*explained, "--no-progress", "--spans=2"]) == 0
    assert f"cannot judge: {begin}" in capsys.readouterr().out
