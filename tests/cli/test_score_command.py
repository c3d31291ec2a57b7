"""``score`` from end to end on small files, as a user types it."""

import csv
import io
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.data.score_file import read_scores
from tests.cli.score_command import NUM_SAMPLES, json_lines, score, write_clips
from tests.conftest import REPO
from tests.data.media_samples import encoded, tone
from tests.small_run import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("score") / "run", num_samples=NUM_SAMPLES)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def bad_clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad_clips")
    soundfile.write(folder / "still.wav", np.zeros(8000), 16_000)
    (folder / "text.wav").write_text("no audio")
    return folder


def test_a_folder_in_json(run, clips, capsys):
    assert score(run, clips, "--format=jsonl", "--p-spoof=0.05") == 0
    found = capsys.readouterr()
    records = json_lines(found.out)
    assert [record["path"] for record in records] == [str(clips / f"clip{i}.wav") for i in range(5)]
    for record in records:
        assert record["llr"] == pytest.approx(2 * record["score"] + 0.5)
        odds = np.exp(record["llr"]) * 0.95 / 0.05
        assert record["p_spoof"] == pytest.approx(1 / (1 + odds))
        assert record["verdict"] == ("bonafide" if record["score"] >= 0.1 else "spoof")
        assert record["prior"] == 0.05
    assert "5 scored" in found.err
    assert "of 3 files only 0.2 s count, the first that can be judged" in found.err


def test_the_whole_of_files_and_its_time_line(run, clips, capsys):
    assert score(run, clips, "--format=jsonl", "--aggregate=mean", "--windows") == 0
    captured = capsys.readouterr()
    assert "found on scores of another kind" not in captured.err  # the run does not say of which
    for record in json_lines(captured.out):
        windows = [window["score"] for window in record["windows"]]
        assert record["score"] == pytest.approx(np.mean(windows))
        assert record["scored_s"] == record["duration_s"] == record["windows"][-1]["end_s"]
        assert record["num_windows"] == len(windows)


def test_a_folder_with_recordings_that_cannot_be_read(run, clips, tmp_path, capsys):
    (tmp_path / "a.W64").symlink_to(clips / "clip0.wav")
    for name in ("b.avi", "c.avi", "d.flv"):
        (tmp_path / name).write_bytes(b"\0\0\0 ftyp")
    (tmp_path / "notes.txt").write_text("x")
    assert score(run, tmp_path, "--format=jsonl") == 1
    found = capsys.readouterr()
    assert len(json_lines(found.out)) == 1
    assert "error: passed over: 2 .avi, 1 .flv: not audio that can be read" in found.err
    assert "note: passed over: 1 .txt: not recordings" in found.err
    assert "3 unreadable" in found.err
    (tmp_path / "a.W64").unlink()
    assert score(run, tmp_path) == 2
    assert "no audio file in this folder; passed over: 2 .avi" in capsys.readouterr().err


def test_recordings_of_phones_in_a_folder(run, clips, tmp_path, capsys, monkeypatch):
    tones = {"a.m4a": ("m4a", 48_000), "b.webm": ("webm", 48_000), "c.wav": ("amr", 8_000)}
    for name, (form, rate) in tones.items():
        (tmp_path / name).write_bytes(encoded(form, tone(0.5, rate)))
    shutil.copy(clips / "clip0.wav", tmp_path / "d.m4a")
    assert score(run, tmp_path, "--format=jsonl", "--aggregate=mean") == 0
    records = json_lines(capsys.readouterr().out)
    assert [round(record["duration_s"], 1) for record in records] == [0.5, 0.5, 0.5, 0.2]
    monkeypatch.setitem(sys.modules, "av", None)
    assert score(run, tmp_path, "--format=jsonl") == 1
    found = capsys.readouterr()
    assert "1 scored" in found.err
    assert "3 unreadable" in found.err
    for name, what in (
        ("a.m4a", "MPEG-4 audio (m4a)"),
        ("b.webm", "WebM"),
        ("c.wav", "AMR narrow-band speech (amr)"),
    ):
        line = f"error: {tmp_path / name}: not audio this install can read: it is {what}; install"
        assert line in found.err


def test_problems_are_told_and_the_rest_goes_on(run, clips, bad_clips, capsys):
    assert score(run, clips, bad_clips) == 1
    found = capsys.readouterr()
    assert found.err.count("error: ") == 1
    assert f"error: {bad_clips / 'text.wav'}: not audio" in found.err
    assert "5 scored" in found.err
    assert "1 cannot judge; 1 unreadable" in found.err
    assert "(digital silence: every sample is 0)" in found.out
    assert score(run, bad_clips / "still.wav") == 3
    assert score(run, bad_clips / "still.wav", clips, bad_clips / "*.ogg") == 1
    assert "no file matches" in capsys.readouterr().err
    still = [bad_clips / "still.wav", "--format=jsonl", "--config.gate.enabled=False"]
    assert score(run, *still) == 0


def test_an_output_is_gone_on_with(run, clips, bad_clips, tmp_path, capsys):
    output = tmp_path / "new" / "scores.jsonl"
    assert score(run, clips, "--output", output) == 0
    whole = output.read_bytes()
    assert score(run, clips, "--output", output) == 0
    assert "0 scored: 0 bona fide, 0 spoof; 5 before" in capsys.readouterr().err
    output.write_bytes(whole[: len(whole) // 2])
    assert score(run, clips, "--output", output) == 0
    assert output.read_bytes() == whole
    assert score(run, clips, bad_clips, "--output", output) == 1
    assert score(run, clips, bad_clips, "--output", output) == 1  # tried again
    assert len(output.read_text().splitlines()) == 7
    assert score(run, clips, "--output", output, "--aggregate=mean") == 2
    assert "aggregate was 'first' and is 'mean'" in capsys.readouterr().err
    assert score(run, clips, "--output", output, "--aggregate=mean", "--overwrite") == 0


def test_score_files(run, clips, tmp_path):
    output = tmp_path / "scores.txt"
    assert score(run, clips, "--output", output) == 0
    assert list(read_scores(output).utterance_ids) == [f"clip{i}" for i in range(5)]
    assert score(run, clips, "--format=asvspoof2017", "--output", tmp_path / "2017.txt") == 0
    assert read_scores(tmp_path / "2017.txt").utterance_ids[0] == "clip0.wav"


def test_csv_table_and_list(run, clips, tmp_path, capsys):
    names = tmp_path / "list.txt"
    names.write_text("".join(f"{clips}/clip{i}.wav\n" for i in (3, 0)))
    assert score(run, "--list", names, "--format=csv", "--names=stem") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["path"] for row in rows] == ["clip3", "clip0"]
    assert score(run, "--list", names, "--windows", "--threshold=1000") == 0
    printed = capsys.readouterr().out
    assert "bona fide at a score of 1000 or more (given by the user)" in printed
    assert "  spoof: 0.00 to 0.45 s" in printed


def test_standard_input(run, clips, capsys, monkeypatch):
    content = (clips / "clip1.wav").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert score(run, "-", clips / "clip1.wav", "--format=jsonl") == 0
    first, second = json_lines(capsys.readouterr().out)
    assert first.pop("path") == "-"
    assert second.pop("path") == str(clips / "clip1.wav")
    assert first == second


def test_standard_input_has_one_result_in_an_output(run, clips, tmp_path, capsys, monkeypatch):
    output = tmp_path / "scores.csv"
    for status in (0, 2):
        content = (clips / "clip1.wav").read_bytes()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert score(run, "-", "--output", output) == status
    assert "has a result of standard input (-)" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "0.0001"])
def test_standard_input_has_a_bound(run, capsys, monkeypatch, size):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(2**17))))
    assert score(run, "-", f"--max-stdin={size}") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--max-stdin" in line


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_leaves_no_copy_of_standard_input(run, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-m", "rawnet_jax", "score", f"--workdir={run}", "-"],
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(bytes(2**21))
        process.stdin.flush()
        while not list(tmp_path.glob("*/stdin")):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert errors.endswith(b"terminated\n")
    assert not list(tmp_path.iterdir())


def test_help_tells_the_exit_status(capsys):
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    assert "Exit status: 0 every file has a score; 1 a file could not be read" in (
        capsys.readouterr().out
    )


def test_pictures(run, clips, bad_clips, tmp_path, capsys):
    folder = tmp_path / "pictures"
    assert score(run, clips / "clip1.wav", bad_clips, f"--plot={folder}", "--format=jsonl") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["clip1.png", "still.png"]
    record = json_lines(capsys.readouterr().out)[0]
    assert (record["num_windows"], record["scored_s"]) == (1, 0.2)  # as without pictures


def test_notes_on_a_file_are_in_its_record(run, clips, tmp_path, capsys):
    clip = tmp_path / "a.wav"
    clip.write_bytes((clips / "clip1.wav").read_bytes() + b"\1\2junk!!")
    said = "8 bytes behind its end are not audio and are not read"
    files = (clip, clips / "clip1.wav")
    assert score(run, *files, "--format=jsonl") == 0
    printed = capsys.readouterr()
    records = json_lines(printed.out)
    assert [record["notes"] for record in records] == [[said], []]
    assert records[0]["score"] == records[1]["score"]
    assert score(run, *files, "--format=csv", "--windows") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["notes"] for row in rows if row["part"] == "window"} == {""}
    assert [row["notes"] for row in rows if row["part"] == "file"] == [said, ""]
    detector = rawnet_jax.load(run)
    results = detector.score([*files], progress=False)
    assert [result.notes for result in results] == [(said,), ()]
    assert [result.to_dict() for result in results] == records


def test_channels(run, clips, capsys):
    scores = []
    for channel in (1, 2):
        assert score(run, clips / "clip2.wav", "--format=jsonl", f"--channel={channel}") == 0
        scores.append(json_lines(capsys.readouterr().out)[0]["score"])
    assert scores[0] != scores[1]
    assert score(run, clips / "clip2.wav", "--channel=3") == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give a file, a folder, - or --list"),
        (("x.wav", "--p-spoof=1"), "--p-spoof 1: it must be above 0 and below 1"),
        (("x.wav", "--channel=0"), "--channel 0"),
        (("x.wav", "--output=scores.doc"), "its extension names no format"),
        (("x.wav", "--output=scores.txt", "--format=table"), "is for people"),
        (("x.wav", "--windows", "--format=asvspoof5"), "has one line per file"),
        (("x.wav", "--output=scores.txt", "--windows"), "has one line per file"),
        (("x.wav", "--overwrite"), "goes with --output only"),
        (("x.wav", "--checkpoint=9"), "no 9 checkpoint here"),
        (("x.wav", "--max-duration=0"), "--max-duration 0"),
        (("x.wav", "--config.train.seed=3"), "belongs to the training"),
        (("/nowhere/*.wav",), "no file matches"),
        (("--list=gone.txt",), "gone.txt: cannot be read"),
    ],
)
def test_what_is_wrong_is_one_line(run, capsys, flags, message):
    assert score(run, *flags) == 2
    found = capsys.readouterr()
    assert message in found.err
    assert found.err.count("\n") == 1
    assert not found.out


def test_no_run_and_several(tmp_path, clips, capsys):
    assert score(tmp_path, clips) == 2
    assert "no run here" in capsys.readouterr().err
    several = write_run(tmp_path / "seeds")
    values = (several / "config.json").read_text()
    assert '"num_seeds": 1' in values
    (several / "config.json").write_text(values.replace('"num_seeds": 1', '"num_seeds": 3'))
    assert score(several, clips) == 2
    assert (
        "holds 3 models, one per seed; name a seed (0, 1, 2), or averaged, or give the "
        "--workdir of one" in capsys.readouterr().err
    )


@pytest.mark.parametrize("model", ["lfcc_resnet18"])
def test_networks_of_other_kinds(model, clips, tmp_path, capsys):
    run = write_run(tmp_path / "run", model, calibrated=False)
    assert score(run, clips / "clip0.wav", clips / "clip2.wav", "--format=jsonl") == 0
    found = capsys.readouterr()
    assert all(np.isfinite(record["score"]) for record in json_lines(found.out))
    assert "no threshold was chosen on dev trials" in found.err


@pytest.mark.parametrize("flag", ["--max-duration=inf", "--max-duration=1e308"])
def test_an_impossible_length(run, clips, capsys, flag):
    assert score(run, clips, flag) == 2
    assert "must be above 0 and at most 31,622,400 s" in capsys.readouterr().err


NASTY = ("a\rb.wav", "=cmd|' -C calc'!A0.wav", "\x1b[31mred.wav", "\x9b2J.wav", "\u202egnp.wav")


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_names_with_control_characters_survive_a_resume(run, clips, tmp_path, capsys, extension):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in NASTY:
        shutil.copy(clips / "clip1.wav", folder / name)
    output = tmp_path / f"o.{extension}"
    for _ in range(2):
        assert score(run, folder, f"--output={output}") == 0
    assert "; 5 before" in capsys.readouterr().err


def test_control_characters_do_not_reach_a_terminal(run, clips, tmp_path, capsys):
    for name in NASTY:
        shutil.copy(clips / "clip1.wav", tmp_path / name)
        (tmp_path / f"bad{name}").write_text("no audio")
    assert score(run, tmp_path) == 1
    assert score(run, tmp_path / "\x1b[2Jmissing") == 2
    found = capsys.readouterr()
    shown = found.out + found.err
    assert not set("\r\x1b\x9b\u202e") & set(shown)
    assert r"\x1b[31mred.wav" in found.out
    assert r"bad\x1b[31mred.wav: not audio" in found.err


def test_a_path_longer_than_libsndfile_takes(run, clips, tmp_path, capsys):
    folder = tmp_path
    for name in [letter * 200 for letter in "abcdef"]:
        folder = folder / name
    folder.mkdir(parents=True)
    for name in ("clip.wav", "clip.flac"):
        samples, rate_hz = soundfile.read(clips / "clip1.wav")
        with (folder / name).open("wb") as file:
            soundfile.write(file, samples, rate_hz, format=name[5:])
    assert len(str(folder)) > 1_200
    assert score(run, clips / "clip1.wav", tmp_path / ("a" * 200), "--format=jsonl") == 0
    scores = [record["score"] for record in json_lines(capsys.readouterr().out)]
    assert len(scores) == 3
    assert len(set(scores)) == 1


@pytest.mark.parametrize("number", [10**30, 10**6])
def test_a_number_of_threads_that_cannot_be_is_refused_at_once(number, tmp_path, capsys):
    words = ["score", f"--workdir={tmp_path}", "a.wav", f"--num-workers={number}"]
    assert main(words) == 2
    assert "--num-workers 1000000" in (said := capsys.readouterr().err)
    assert "it must be at most 1,024" in said
    assert len(said) < 100
