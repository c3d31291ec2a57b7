"""``adapt`` from end to end on a small network, as a user types it and from Python."""

import json
import re

import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.evaluation.adaptation_fit import Goal
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.presets.files import read_preset
from rawnet_jax.run import Run
from rawnet_jax.scoring.enrolled import load_voices
from rawnet_jax.scoring.reference import load_reference
from rawnet_jax.scoring.verdict import (
    OperatingPoint,
    load_calibration,
    load_operating_point,
    save_calibration,
    save_operating_point,
)
from tests.small_run import STEP, write_run

NUM_SAMPLES = 1600
NUM = 24


def write_clips(folder, kinds, num=NUM, seed=0):
    """Noise that pulses, `num` clips in a sub-folder per kind, the rate of its pulses in Hz."""
    rng = np.random.default_rng(seed)
    for kind in kinds:
        (folder / f"of{kind}").mkdir(parents=True)
        for i in range(num // len(kinds)):
            pulses = np.sin(2 * np.pi * kind * np.arange(2400) / 16_000) >= 0
            waveform = (0.01 + 0.1 * pulses) * rng.standard_normal(2400)
            soundfile.write(folder / f"of{kind}" / f"{i}.wav", waveform, 16_000)
    return folder


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run, genuine speech of two speakers, and fakes, such that the run prefers the speech."""
    place = tmp_path_factory.mktemp("adapt")
    run = write_run(place / "run", "spectral_resnet", num_samples=NUM_SAMPLES)
    first = write_clips(place / "slow", (0, 1))
    second = write_clips(place / "fast", (40, 41))
    detector = rawnet_jax.load(run)
    scores = [
        np.array([r.score for r in detector.score(sorted(folder.rglob("*.wav")), progress=False)])
        for folder in (first, second)
    ]
    higher = int(scores[1].mean() > scores[0].mean())
    (first, second)[higher].rename(place / "ours")
    (first, second)[1 - higher].rename(place / "fakes")
    # A threshold that wrongs two thirds of the speech.
    threshold = float(np.quantile(scores[higher], 0.66))
    save_operating_point(run, OperatingPoint(threshold, "of a test", False, STEP))
    spread = float(np.ptp(np.concatenate(scores)))
    save_calibration(run / "calibration.json", AffineCalibration(1 / spread, 0.0, 0.5, 9, 9))
    return place


def adapt(place, *words, output, bonafide="ours"):
    return main(
        [
            *("adapt", f"--workdir={place / 'run'}", f"--bonafide={place / bonafide}"),
            *("--no-progress", f"--output={output}", *map(str, words)),
        ]
    )


def test_a_last_layer_is_fitted_and_the_old_run_stays(place, tmp_path, capsys):
    before = snapshot(place / "run")
    new = tmp_path / "new"
    assert adapt(place, f"--spoof={place / 'fakes'}", "--last-layer", output=new) == 0
    shown = capsys.readouterr()
    assert "genuine speech called spoof   16 of 24 (66.7 %, 44.7 to 84.4)" in shown.out
    assert f"undo it:     use --workdir {place / 'run'}" in shown.out
    assert snapshot(place / "run") == before

    record = json.loads((new / "adapted.json").read_text())
    assert record["misses_after"]["num"] < record["misses_before"]["num"] == 16
    assert record["accepted_fitted"]["num"] <= record["accepted_before"]["num"]
    assert record["num_speakers"] == 2
    assert record["made_from"]["fingerprint"] == Run.open(place / "run").fingerprint
    # Every command opens the new folder, and what it says is what was fitted.
    clips = sorted((place / "ours").rglob("*.wav")) + sorted((place / "fakes").rglob("*.wav"))
    results = rawnet_jax.load(new).score(clips, progress=False)
    scores = np.array([r.score for r in results])
    assert scores[NUM:] == pytest.approx(record["known_fakes"], abs=1e-4)
    called = [r.verdict == "spoof" for r in results]
    assert sum(called[:NUM]) < 16
    assert NUM - sum(called[NUM:]) == record["accepted_fitted"]["num"]
    assert read_preset(new).fingerprint == Run.open(new).fingerprint
    assert Run.open(new).fingerprint != Run.open(place / "run").fingerprint


def test_threshold_and_calibration_alone_leave_the_scores(place, tmp_path, capsys):
    new = tmp_path / "new"
    spoof = f"--spoof={place / 'fakes'}"
    assert adapt(place, spoof, "--accept=0.5", "--miss=0.1", output=new) == 0
    capsys.readouterr()
    assert Run.open(new).fingerprint == Run.open(place / "run").fingerprint
    old, point = (Run.open(folder).decision().point for folder in (place / "run", new))
    assert point.threshold < old.threshold
    assert point.rule == "adapted to 24 genuine recordings"
    assert load_calibration(new / "calibration.json").to_dict()["num_bonafide"] == NUM
    # The new one keeps the fakes' scores: adapting it again takes no --spoof.
    words = [f"--workdir={new}", f"--bonafide={place / 'ours'}", "--no-progress", "--miss=0.2"]
    assert main(["adapt", *words, f"--output={tmp_path / 'again'}"]) == 0
    assert f"{NUM} known fakes are those that {new} keeps" in capsys.readouterr().err


def test_dev_scores_stand_for_fakes(place, tmp_path, capsys):
    scores = Run.open(place / "run").decision().point.threshold + np.linspace(-3, -0.1, 30)
    lines = [f"D_{i} A01 spoof {score}\n" for i, score in enumerate(scores)]
    lines += ["D_98 - bonafide 3.0\n", "D_99 - bonafide 2.5\n"]
    (tmp_path / "dev.txt").write_text("".join(lines))
    found = adapt(place, f"--dev-scores={tmp_path / 'dev.txt'}", output=tmp_path / "new")
    assert found == 0
    assert "30 known fakes are the dev scores in" in capsys.readouterr().err
    assert (
        json.loads((tmp_path / "new" / "adapted.json").read_text())["accepted_fitted"]["num"] == 0
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing says how many fakes that would let in"),
        (("--last-layer",), "give --spoof"),
        (("--spoof=fakes", "--others=ours"), "is in both --bonafide and --others"),
        (("--miss=0.01", "--spoof=fakes"), "adapt needs 100 or more"),
        (("--spoof=ours",), "is in both --bonafide and --spoof"),
        (("--spoof=nowhere",), "must be a folder of recordings"),
        (("--miss=1.5",), "--miss 1.5: it must be above 0 and below 1"),
        (("--folds=1",), "--folds 1: it must be 2 or more"),
    ],
)
def test_what_is_refused_is_one_line_and_writes_nothing(place, tmp_path, capsys, words, said):
    words = [re.sub("^--(spoof|others)=", rf"--\1={place}/", w) for w in words]
    assert adapt(place, *words, output=tmp_path / "new") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "note:" not in line]
    assert len(errors) == 1
    assert said in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_others_are_held_on_to_measured_and_kept(place, tmp_path, capsys):
    others = write_clips(tmp_path / "others", (7, 9), seed=5)
    words = [f"--spoof={place / 'fakes'}", f"--others={others}", "--last-layer"]
    assert adapt(place, *words, output=tmp_path / "new") == 0
    assert "others called spoof" in capsys.readouterr().out
    record = json.loads((tmp_path / "new" / "adapted.json").read_text())
    assert record["others_before"]["of"] == record["others_after"]["of"] == NUM
    new = rawnet_jax.load(tmp_path / "new")
    kept = load_reference(tmp_path / "new", STEP)
    assert kept is not None
    assert list(np.bincount(kept.labels)) == [NUM, NUM]
    paths = sorted(others.rglob("*.wav"))
    scores = [r.score or 0.0 for r in new.score(paths, progress=False)]
    assert sorted(kept.scores[kept.labels == 1]) == pytest.approx(sorted(scores), abs=1e-4)
    # They are known when the new one is adapted in its turn, which takes no --spoof then.
    again = [f"--workdir={tmp_path / 'new'}", f"--bonafide={place / 'ours'}", "--last-layer"]
    assert main(["adapt", *again, "--no-progress", f"--output={tmp_path / 'again'}"]) == 0
    record = json.loads((tmp_path / "again" / "adapted.json").read_text())
    assert record["others_before"]["of"] == record["accepted_before"]["of"] == NUM


def test_a_network_whose_score_is_no_sum_of_its_embedding_is_refused(place, tmp_path, capsys):
    run = write_run(tmp_path / "run", "conv1d", num_samples=NUM_SAMPLES)
    words = [f"--spoof={place / 'fakes'}", "--last-layer", f"--workdir={run}"]
    assert adapt(place, *words, output=tmp_path / "new") == 2
    assert "is not a weighted sum of its embedding" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_same_from_python(place, tmp_path):
    ours = {f.name: sorted(f.iterdir()) for f in sorted((place / "ours").iterdir())}
    fakes = {f.name: sorted(f.iterdir()) for f in sorted((place / "fakes").iterdir())}
    old = rawnet_jax.load(place / "run")
    goal = Goal(miss=0.1, accept=0.5)
    new, found = old.adapt(ours, tmp_path / "new", spoof=fakes, goal=goal, progress=False)
    assert found.misses_before.num == 16
    assert found.num_speakers == 2
    assert new.decision.point.threshold == found.fitted.threshold
    assert (
        adapt(
            place,
            f"--spoof={place / 'fakes'}",
            "--accept=0.5",
            "--miss=0.1",
            output=tmp_path / "cli",
        )
        == 0
    )
    by_command = load_operating_point(tmp_path / "cli")
    assert by_command == load_operating_point(tmp_path / "new") == new.decision.point


def test_a_person_is_enrolled_and_scored_by_that(place, tmp_path, capsys):
    others = write_clips(tmp_path / "others", (7, 9), seed=5)
    words = ["--speaker=ana", f"--others={others}", f"--spoof={place / 'fakes'}"]
    assert adapt(place, *words, output=tmp_path / "new") == 0
    shown = capsys.readouterr()
    assert "ana called spoof              16 of 24" in shown.out
    assert (
        f"use it:      python -m rawnet_jax score --workdir {tmp_path / 'new'} --speaker ana"
        in (shown.out)
    )
    voice = load_voices(tmp_path / "new")["ana"]
    clip = str(next((place / "ours").rglob("*.wav")))
    plain = rawnet_jax.load(place / "run").score(clip).score
    assert plain is not None
    assert rawnet_jax.load(tmp_path / "new").score(clip).score == plain
    raised = rawnet_jax.load(tmp_path / "new", speaker="ana").score(clip, windows=True)
    assert raised.score == pytest.approx(plain + voice.shift)
    assert raised.windows[0].score == pytest.approx(plain + voice.shift, abs=1e-5)
    assert raised.notes == (f"score {voice.shift:+.3f} for ana, by 24 recordings",)
    # The command says the same; whoever is enrolled stays when somebody else is.
    score = ["score", f"--workdir={tmp_path / 'new'}", "--no-progress", "--format=jsonl", clip]
    assert main([*score, "--speaker=ana"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(raised.score)
    assert main([*score, "--speaker=ben"]) == 2
    assert "--speaker ben: is not enrolled" in capsys.readouterr().err
    given = {"a": sorted(others.rglob("*.wav"))[:12], "b": sorted(others.rglob("*.wav"))[12:]}
    both, found = rawnet_jax.load(tmp_path / "new").enrol(
        *("ben", sorted((place / "ours").rglob("*.wav"))[:3], tmp_path / "both"),
        others=given,
        progress=False,
    )
    assert set(load_voices(tmp_path / "both")) == {"ana", "ben"}
    assert abs(found.voice.shift) < abs(voice.shift)  # of three clips less is known
    assert both.score(clip).score == pytest.approx(plain + found.voice.shift)
    assert adapt(place, "--speaker=ana", "--miss=0.1", output=tmp_path / "x") == 2
    assert adapt(place, "--speaker=ana", output=tmp_path / "x") == 2
    assert "give some, with a sub-folder per speaker (--others)" in capsys.readouterr().err
