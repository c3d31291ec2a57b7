"""``speaker-encoder``, ``enrol`` and ``verify`` as a user types them."""

import json

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from rawnet_jax.data.sasv_file import read_sasv
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF
from rawnet_jax.metrics.sasv import bayes_rule, fused_llr
from rawnet_jax.scoring.verdict import load_calibration
from rawnet_jax.speaker.encoder_folder import load_encoder
from rawnet_jax.speaker.network import mean_voice
from tests.small_run import write_run
from tests.speaker.small_onnx import write_model
from tests.speaker.toy_voices import RATE, tone

pytest.importorskip("onnxruntime")
pytest.importorskip("cryptography")
SPEAKERS = {"ana": 300, "bea": 700, "carl": 1_500, "dora": 3_100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of four speakers, an encoder that was brought in, a key, a calibrated run."""
    folder = tmp_path_factory.mktemp("voices")
    for name, hz in SPEAKERS.items():
        (folder / "clips" / name).mkdir(parents=True)
        for i in range(3):
            waveform = tone(hz * (1 + 0.02 * i), 1.0, seed=i)
            soundfile.write(folder / "clips" / name / f"{i}.wav", waveform, RATE)
    write_model(folder / "tones.onnx")
    words = ["--import", str(folder / "tones.onnx"), "--output", str(folder / "encoder")]
    assert main(["speaker-encoder", *words]) == 0
    (folder / "key").write_bytes(b"k" * 32)
    (folder / "key").chmod(0o600)
    write_run(folder / "run", num_samples=3_200)
    return folder


def measure(folder, *words):
    common = ["--encoder", str(folder / "encoder"), "--speech=off", "--no-progress"]
    return main(["speaker-encoder", *common, *words])


@pytest.fixture(scope="module")
def calibrated(folder):
    assert measure(folder, "--folder", str(folder / "clips"), "--calibrate") == 0
    return folder


def words_of(folder, *more):
    return [
        *(f"--workdir={folder / 'run'}", f"--encoder={folder / 'encoder'}", "--speech=off"),
        *(f"--key={folder / 'key'}", *more),
    ]


def enrol(folder, *more, speaker="ana", threshold="-9"):
    words = words_of(folder, f"--threshold={threshold}", "--no-progress", *more)
    return main(["enrol", *words, str(folder / "clips" / speaker)])


def test_measuring_says_the_eer_and_its_interval(calibrated, capsys):
    assert measure(calibrated, "--folder", str(calibrated / "clips")) == 0
    out = capsys.readouterr().out
    assert "4 speakers, 12 clips of 1.0 s" in out
    assert "12 target and 54 nontarget trials" in out
    assert "EER 0.00 %, 95 % interval by speaker 0.00 to" in out
    assert measure(calibrated, "--folder", str(calibrated / "clips"), "--enrol-clips=2") == 0
    assert "4 target and 12 nontarget trials" in capsys.readouterr().out
    calibration = load_calibration(calibrated / "encoder" / "calibration.json")
    assert calibration.apply(1.0) > 0 > calibration.apply(0.0)


def test_a_protocol_names_the_speakers(calibrated, tmp_path, capsys):
    lines = []
    for name in SPEAKERS:
        for i in range(3):
            content = (calibrated / "clips" / name / f"{i}.wav").read_bytes()
            (tmp_path / f"{name}_{i}.wav").write_bytes(content)
            lines.append(f"{name} {name}_{i} - - bonafide\n")
    lines.append("dora dora_0x - A01 spoof\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    words = ["--protocol", str(tmp_path / "list.txt"), "--corpus=asvspoof2019_la"]
    assert measure(calibrated, *words, f"--audio-dir={tmp_path}", "--speakers=[ab]*") == 0
    assert "2 speakers, 6 clips" in capsys.readouterr().out
    assert measure(calibrated, *words) == 2
    assert "--audio-dir" in capsys.readouterr().err


def test_enrol_and_verify(calibrated, tmp_path, capsys):
    voice = tmp_path / "ana.voice"
    assert enrol(calibrated, f"--output={voice}", "--min-speech=3") == 0
    assert "enrolled: 3 clips, 3.0 s of speech" in capsys.readouterr().out
    assert voice.stat().st_mode & 0o777 == 0o600
    words = words_of(calibrated, f"--speaker={voice}", "--min-speech=1", "--band=0")
    # Priors by which the network's own view, which is noise, does not matter.
    priors = ["--prior=0.5,0.000001"]
    ana, dora = (str(calibrated / "clips" / name) for name in ("ana", "dora"))
    assert main(["verify", *words, *priors, ana]) == 0
    capsys.readouterr()
    assert main(["verify", *words, *priors, "--format=jsonl", ana, dora]) == 3
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["decision"] for record in records] == ["accept"] * 3 + ["reject"] * 3
    assert records[0]["llr_asv"] > 0 > records[-1]["llr_asv"]
    assert main(["verify", *words, "--min-speech=2", ana]) == 3
    assert "not_enough_speech" in capsys.readouterr().out


def test_nothing_is_written_where_nobody_is_enrolled(calibrated, tmp_path, capsys):
    voice = tmp_path / "ana.voice"
    assert enrol(calibrated, f"--output={voice}") == 3
    assert "3.0 s of speech; there must be 30 s" in capsys.readouterr().err
    assert enrol(calibrated, f"--output={voice}", "--min-speech=3", threshold="1e9") == 3
    said = capsys.readouterr()
    assert "(not bona fide)" in said.out
    assert "not enrolled: 3 of 3 clips refused" in said.err
    assert not voice.exists()


def test_a_list_of_trials_is_scored_and_evaluated(calibrated, tmp_path, capsys):
    """Each line of the score file says what single recordings say, and evaluate reads it."""
    trials, names = [], list(SPEAKERS)
    for speaker in names[:2]:
        trials += [f"{speaker} {speaker}_2 bonafide target"]
        trials += [f"{speaker} {name}_2 bonafide nontarget" for name in names if name != speaker]
        trials += [f"{speaker} {speaker}_1 A07 spoof"]
    for name in names:
        for i in range(3):
            content = (calibrated / "clips" / name / f"{i}.wav").read_bytes()
            (tmp_path / f"{name}_{i}.wav").write_bytes(content)
    (tmp_path / "trials.txt").write_text("\n".join(trials) + "\n")
    (tmp_path / "enrol.txt").write_text("ana ana_0,ana_1\nbea bea_0\nbea bea_1\n")
    scores = tmp_path / "scores.tsv"
    words = [
        *words_of(calibrated)[:3],
        *(f"--trials={tmp_path / 'trials.txt'}", f"--enrolment={tmp_path / 'enrol.txt'}"),
        *(f"--audio-dir={tmp_path}", f"--output={scores}", "--no-progress"),
    ]
    assert main(["verify-trials", *words]) == 0
    assert "10 trials of 2 speakers" in capsys.readouterr().out
    table = read_sasv(scores)
    assert len(table) == 10
    encoder = load_encoder(calibrated / "encoder", speech="off")
    clips = [
        encoder.voice(soundfile.read(tmp_path / f"ana_{i}.wav", dtype="float32")[0]).vector
        for i in range(3)
    ]
    expected = mean_voice(np.stack(clips[:2])) @ clips[2]
    row = table.names.index(("ana", "ana_2"))
    assert table.scores["asv"][row] == pytest.approx(expected, abs=1e-6)
    assert encoder.calibration is not None
    asv, cm = encoder.calibration.apply(table.scores["asv"]), table.scores["cm"]
    share = bayes_rule(ASVSPOOF5_ADCF).spoof_share
    np.testing.assert_allclose(table.scores["sasv"], fused_llr(asv, cm, share))
    more = [f"--protocol={tmp_path / 'trials.txt'}", f"--output={tmp_path / 'out'}"]
    assert main(["evaluate", "--scores", str(scores), *more, "--no-bootstrap"]) == 0
    out = capsys.readouterr().out
    assert "2 target, 6 nontarget, 2 spoof trials" in out
    (tmp_path / "enrol.txt").write_text("ana ana_0,ana_0\n")
    assert main(["verify-trials", *words]) == 2
    assert "enrol.txt:1: ana is enrolled by ana_0 already" in capsys.readouterr().err
    (tmp_path / "enrol.txt").write_text("ana ana_0\n")
    assert main(["verify-trials", *words]) == 2
    assert "1 speakers of the trials are not in it, such as bea" in capsys.readouterr().err
    (tmp_path / "enrol.txt").write_text("ana ana_0,lost_1\nbea bea_0\n")
    assert main(["verify-trials", *words]) == 2
    assert "recordings are missing, such as lost_1" in capsys.readouterr().err


def test_wrong_input_is_one_line(calibrated, tmp_path, capsys):
    voice = tmp_path / "ana.voice"
    assert enrol(calibrated, f"--output={voice}", "--min-speech=3") == 0
    capsys.readouterr()
    (tmp_path / "other").write_bytes(b"x" * 32)
    (tmp_path / "other").chmod(0o600)
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    clip = str(calibrated / "clips" / "ana" / "0.wav")
    at = [f"--speaker={voice}", clip]
    for words, message, status in (
        (["enrol", *words_of(calibrated), f"--output={voice}", clip], "--overwrite", 2),
        (["verify", *words_of(calibrated)[:3], *at], "--key must name", 2),
        (["verify", *words_of(calibrated, f"--key={tmp_path / 'other'}"), *at], "another key", 2),
        (["verify", *words_of(calibrated, "--band=-1"), *at], "band is -1", 2),
        (["verify", *words_of(calibrated, f"--encoder={tmp_path}"), *at], "not an encoder", 2),
        (["verify", *words_of(calibrated), at[0], "-"], "standard input", 2),
        (["verify", *words_of(calibrated), at[0], str(tmp_path / "bad.wav")], "not audio", 1),
        (["speaker-encoder", "--import", clip, "--output", str(tmp_path / "e")], "PyTorch", 2),
        (["speaker-encoder", "--import", "installed"], "--output", 2),
        (["speaker-encoder", "--encoder", str(calibrated), "--name=x"], "--import only", 2),
    ):
        assert main(words) == status, words
        err = capsys.readouterr().err
        assert message in err
        assert "Traceback" not in err


def test_an_encoder_must_be_calibrated_to_verify(folder, tmp_path, capsys):
    voice = tmp_path / "v"
    bare = tmp_path / "bare"
    source = str(folder / "tones.onnx")
    assert main(["speaker-encoder", "--import", source, "--output", str(bare)]) == 0
    more = [f"--encoder={bare}", f"--output={voice}", "--min-speech=3"]
    assert enrol(folder, *more) == 0
    words = words_of(folder, f"--encoder={bare}", f"--speaker={voice}")
    assert main(["verify", *words, str(folder / "clips" / "ana")]) == 2
    assert "--calibrate" in capsys.readouterr().err
