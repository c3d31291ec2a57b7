"""``evaluate`` of a run on clips that cannot be judged, by windows, with bona fide dev alone."""

import csv
import json

import jax
import numpy as np
import pytest
import soundfile

from rawnet_jax.checkpoint import save_variables
from rawnet_jax.cli.main import main
from rawnet_jax.config import AudioConfig, Config
from rawnet_jax.config_file import read_config, save_config
from rawnet_jax.data.audio import waveform_blocks
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.run import Run
from tests.scoring.slow_windows import score_windows

FAST = ["--no-bootstrap", "--no-progress"]
BAD = {3: "digital silence", 6: "near silence", 9: "heavy clipping"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was never trained, and a corpus of 0.3 s noises with three bad eval clips."""
    root = tmp_path_factory.mktemp("gate")
    (root / "flac").mkdir()
    rng = np.random.default_rng(2)
    for partition in ("train", "dev", "eval"):
        lines = []
        for i in range(12):
            waveform = 0.1 * rng.standard_normal(4_800)
            name = f"{partition}_{i}"
            if partition == "eval" and i in BAD:
                waveform[:1_600] *= {3: 0, 6: 1e-4, 9: 1e6}[i]
            if partition == "eval" and i == 9:
                waveform = np.sign(waveform) * 0.5
            soundfile.write(root / "flac" / f"{name}.flac", waveform, 16_000)
            key = "bonafide" if i % 2 else "spoof"
            lines.append(f"S{i % 3} {name} - {'-' if i % 2 else 'A01'} {key}\n")
        (root / f"{partition}.txt").write_text("".join(lines))
        (root / f"{partition}_bonafide.txt").write_text("".join(lines[1::2]))
    config = Config(name="untrained", model=model_config("conv1d", channels=(3, 4)))
    config.gate.speech = "off"  # its clips are noise
    config.data.corpus, config.data.root = "asvspoof2019_la", str(root)
    for partition in ("train", "dev", "eval"):
        setattr(config.data, f"{partition}_protocol", f"{partition}.txt")
    config.data.audio_dir, config.data.cache_dir = "flac", str(root / "cache")
    config.data.num_samples, config.data.num_workers, config.eval.batch_size = 1_600, 1, 8
    workdir = root / "run"
    workdir.mkdir()
    save_config(config, workdir)
    model = build_model(config.model)
    shapes = variable_shapes(model, 1_600)
    variables = jax.tree.map(lambda leaf: 1 + 0.5 * rng.standard_normal(leaf.shape), shapes)
    variables = jax.tree.map(lambda leaf: np.abs(leaf).astype(np.float32), variables)
    save_variables(workdir, "best", 0, variables, {})
    return workdir


def evaluate(run, output, *more):
    assert main(["evaluate", f"--workdir={run}", f"--output={output}", *FAST, *more]) == 0
    record = json.loads((output / "metrics.json").read_text())
    return record, read_scores(output / "scores.txt")


def test_what_cannot_be_judged_is_counted_or_left_out(run, tmp_path, capsys):
    names = [f"eval_{i}" for i in range(12)]
    record, plain = evaluate(run, tmp_path, "--no-dev")
    printed = capsys.readouterr().out
    assert plain.utterance_ids == names
    assert record["cannot_judge"]["action"] == "report"
    [counts] = record["cannot_judge"]["partitions"].values()
    assert counts["reasons"] == dict.fromkeys(BAD.values(), 1)
    assert counts["num_bonafide"] == 2
    assert "eval 3 of 12 trials" in printed
    assert "still scored" in (tmp_path / "report.html").read_text()
    rows = list(csv.DictReader((tmp_path / "cannot_judge.csv").read_text().splitlines()))
    assert {row["utterance"]: row["reason"] for row in rows} == {
        f"eval_{i}": reason for i, reason in BAD.items()
    }

    record, kept = evaluate(run, tmp_path, "--config.gate.action=refuse")
    assert kept.utterance_ids == [n for i, n in enumerate(names) if i not in BAD]
    np.testing.assert_array_equal(
        kept.scores, [s for i, s in enumerate(plain.scores) if i not in BAD]
    )
    [system] = record["systems"]
    assert (system["num_bonafide"], system["num_spoof"]) == (4, 5)
    assert record["cannot_judge"]["partitions"]["dev"]["num_cannot_judge"] == 0
    worst = record["cannot_judge"]["worst_case_eer"]
    assert worst > system["eer"]
    assert f"the EER would be {100 * worst:.2f} %" in capsys.readouterr().out


def test_windows_over_whole_clips(run, tmp_path):
    """The three clips are only bad in their first window, but for the one clipped throughout."""
    flags = ["--no-dev", "--config.gate.enabled=False"]
    record, plain = evaluate(run, tmp_path, *flags)
    assert record["context"]["cannot be judged"] == "not looked for"
    assert not (tmp_path / "cannot_judge.csv").exists()
    flags = ["--no-dev", "--config.eval.aggregate=max_spoof", "--config.eval.window_hop=1"]
    record, windows = evaluate(run, tmp_path, *flags)
    judged = [i for i in range(12) if i not in BAD]
    assert (windows.scores <= plain.scores)[judged].all()
    assert (windows.scores < plain.scores)[judged].any()
    reasons = record["cannot_judge"]["partitions"]["eval"]["reasons"]
    assert reasons == {"heavy clipping": 1}
    assert "windows of 1600 samples, 1600 from one to the next" in record["context"]["clip length"]

    config = read_config(run)
    found = score_windows(
        waveform_blocks(run.parent / "flac" / "eval_6.flac", AudioConfig()),
        Run.load(config, run).score_batch,
        window=1_600,
        hop=1_600,
        batch_size=8,
        gate=config.gate,
    )
    assert found.counted.tolist() == [False, True, True]
    assert found.aggregate("max_spoof") == pytest.approx(windows.scores[6], abs=1e-5)


def test_bona_fide_dev_alone_gives_a_one_class_threshold(run, tmp_path, capsys):
    flags = ["--config.data.dev_protocol=dev_bonafide.txt", "--threshold-rule=one-class=0.2"]
    record, _ = evaluate(run, tmp_path, *flags)
    dev = read_scores(tmp_path / "dev_scores.txt")
    assert len(dev) == 6
    threshold = record["systems"][0]["threshold"]
    assert threshold["value"] == np.float64(np.sort(dev.scores)[1])
    assert threshold["dev"]["num_spoof"] == 0
    assert "nothing is calibrated" in capsys.readouterr().out
    assert not (tmp_path / "calibration.json").exists()


def test_training_with_bona_fide_dev_alone_is_refused(run, tmp_path, capsys):
    config = tmp_path / "config.py"
    config.write_text(
        "from pathlib import Path\nfrom rawnet_jax.config_file import read_config\n"
        "from rawnet_jax.config_file import thawed\n"
        f"def get_config():\n    return thawed(read_config(Path({str(run)!r})))\n"
    )
    flags = ["--config.data.dev_protocol=dev_bonafide.txt", "--no-progress"]
    assert main(["train", f"--config={config}", f"--workdir={tmp_path / 'new'}", *flags]) == 2
    message = capsys.readouterr().err
    assert "partition dev has 6 bona fide and 0 spoof clips; training needs at least one" in message
