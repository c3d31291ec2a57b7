"""``stream`` as a user types it."""

import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import EXIT_KEYBOARD, EXIT_USER_ERROR, main
from rawnet_jax.data.live_audio import LiveAudio
from rawnet_jax.jobs import stream as stream_job
from rawnet_jax.run import Run
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    THRESHOLD_JSON,
    OperatingPoint,
    save_operating_point,
)
from tests.conftest import REPO
from tests.docs_examples import DOCS, blocks, run_python, run_shell, typed
from tests.small_run import STEP, write_run

WINDOW = 3_200
NOISE = (0.1 * np.random.default_rng(0).standard_normal(3 * WINDOW)).astype(np.float32)
NOISE[2 * WINDOW :] = 0  # the last two windows: half silent, and silent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What docs/streaming.md says is there: a run and a recording."""
    folder = tmp_path_factory.mktemp("stream")
    write_run(folder / "runs" / "x", num_samples=WINDOW)
    soundfile.write(folder / "talk.wav", NOISE, 16_000)
    return folder


@pytest.fixture
def typed_in(monkeypatch):
    """Let standard input hold bytes."""

    def put(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


def stream(folder, *more):
    return main(["stream", f"--workdir={folder / 'runs' / 'x'}", *more])


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def test_every_way_in_gives_the_same(folder, typed_in, capsys):
    assert stream(folder, "--jsonl", str(folder / "talk.wav")) == 0
    of_file = capsys.readouterr()
    typed_in((folder / "talk.wav").read_bytes())
    assert stream(folder, "--jsonl") == 0
    assert capsys.readouterr().out == of_file.out
    samples, _ = soundfile.read(folder / "talk.wav", dtype="int16")
    typed_in(np.stack([samples, 0 * samples], axis=1).tobytes())
    raw = ["--format=s16le", "--rate=16000", "--channels=2", "--channel=1"]
    assert stream(folder, "--jsonl", *raw, "-") == 0
    assert capsys.readouterr().out == of_file.out
    found = records(of_file.out)
    assert [row["end_s"] for row in found] == [0.2, 0.3, 0.4, 0.5, 0.6]
    assert [row["start_s"] for row in found] == [0.0, 0.1, 0.2, 0.3, 0.4]
    scorer = Run.open(folder / "runs" / "x").stream()
    scores = [score for _, score in scorer.push(samples)]
    for row, score in zip(found[:4], scores, strict=False):
        assert row["score"] == pytest.approx(score, abs=1e-4)
        assert row["llr"] == pytest.approx(2 * row["score"] + 0.5)
        assert row["p_spoof"] == pytest.approx(1 / (1 + np.exp(row["llr"])))
        assert row["verdict"] == ("bonafide" if row["score"] >= 0.1 else "spoof")
    nothing = {"verdict": "cannot judge", "score": None, "llr": None, "p_spoof": None}
    assert found[4].items() >= nothing.items()
    assert found[4]["reason"].startswith("digital silence")
    assert "0.60 s, 5 windows: 1 cannot judge" in of_file.err
    assert f"lowest {min(scores[:4]):+.3f}" in of_file.err


def test_lines_for_people(folder, capsys):
    assert stream(folder, str(folder / "talk.wav"), "--threshold=-99", "--p-spoof=0.9") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].split()[:3] == ["0.20", "s", "bonafide"]
    assert " LLR " in lines[0]
    assert "cannot judge  digital silence: every sample is 0" in lines[-1]


def test_on_a_terminal_one_line_stays(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert stream(folder, str(folder / "talk.wav")) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.endswith("every sample is 0\n")
    assert printed.count("\r\x1b[K") == 5


def test_a_run_that_was_never_evaluated(folder, capsys, tmp_path):
    run = Path(shutil.copytree(folder / "runs" / "x", tmp_path / "runs" / "x"))
    (run / CALIBRATION_JSON).unlink()
    (run / THRESHOLD_JSON).unlink()
    assert stream(tmp_path, "--jsonl", str(folder / "talk.wav")) == 0
    first = records(capsys.readouterr().out)[0]
    assert first["llr"] is None
    assert first["verdict"] in ("bonafide", "spoof")


def test_hop_and_settings_of_the_config(folder, capsys):
    more = ["--jsonl", "--hop=0.04", "--config.gate.enabled=False"]
    assert stream(folder, str(folder / "talk.wav"), *more) == 0
    found = records(capsys.readouterr().out)
    assert [row["end_s"] for row in found[:2]] == [0.2, 0.24]
    assert len(found) == 11
    assert all(row["score"] is not None for row in found)


def test_windows_are_those_of_the_evaluation(folder, capsys, tmp_path):
    run = Path(shutil.copytree(folder / "runs" / "x", tmp_path / "runs" / "x"))
    how = {"aggregate": "mean", "window_samples": 4_800, "window_hop": 1.0}
    save_operating_point(run, OperatingPoint(0.1, "given", False, STEP, how))
    assert stream(tmp_path, "--jsonl", str(folder / "talk.wav")) == 0
    assert [row["end_s"] for row in records(capsys.readouterr().out)] == [0.3, 0.6]
    more = ["--jsonl", "--config.eval.window_hop=1.0"]
    assert stream(tmp_path, *more, str(folder / "talk.wav")) == 0
    printed = capsys.readouterr()
    assert [row["end_s"] for row in records(printed.out)] == [0.2, 0.4, 0.6]
    assert "note: calibration and threshold were found on scores of another kind" in printed.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--format=s16le"], "give --rate too"),
        (["--rate=8000"], "give --format too"),
        (["nothing.wav"], "nothing.wav: missing"),
        (["--microphone", "--format=u8"], "takes no FILE and no --format"),
        (["--format=u8", "--rate=8000", "--channels=0"], "--channels 0: it must be 1 or more"),
        (["--format=u8", "--rate=8000", "--channels=99999"], "99999; it must be 1 to"),
        (["--microphone", "--channels=-1"], "--channels -1: it must be 1 or more"),
        (["--format=mulaw", "--rate=0"], "--rate 0: it must be 1 or more"),
        (["--format=mulaw", "--rate=7"], "7 Hz; it must be"),
        (["--microphone", "--rate=-8000"], "--rate -8000: it must be 1 or more"),
        (["talk.wav", "--hop=nan"], "--hop nan: it must be above 0"),
        (["talk.wav", "--hop=-1"], "--hop -1: it must be above 0"),
        (["talk.wav", "--channel=2"], "the audio has 1"),
        (["talk.wav", "--hop=0.5"], "at most a window, 0.2 s"),
        (["talk.wav", "--p-spoof=1"], "--p-spoof 1: it must be above 0"),
        (["talk.wav", "--checkpoint=latest"], "no latest checkpoint"),
        (["talk.wav", "--config.train.seed=1"], "belongs to the training"),
        (["runs"], "not a file"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(folder, arguments, named, monkeypatch, typed_in, capsys):
    monkeypatch.chdir(folder)
    typed_in(b"abc")
    assert main(["stream", "--workdir=runs/x", *arguments]) == EXIT_USER_ERROR
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert named in errors[0]


def test_a_terminal_is_no_audio(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert stream(folder) == EXIT_USER_ERROR
    assert "standard input is a terminal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "opened", "status"),
    [([], "open_live", EXIT_KEYBOARD), (["--microphone"], "listen", 0)],
)
def test_control_c_ends_it_cleanly(folder, arguments, opened, status, monkeypatch, capsys):
    def blocks():
        yield NOISE[:WINDOW]
        raise KeyboardInterrupt

    class Opened:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return LiveAudio(16_000, 1, blocks())

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(stream_job, opened, Opened)
    assert stream(folder, *arguments, "--jsonl") == status
    printed = capsys.readouterr()
    assert len(records(printed.out)) == 1
    assert "0.20 s, 1 windows" in printed.err


@pytest.mark.parametrize(
    ("form", "subtype", "encoding"),
    [("WAV", "ALAW", "alaw"), ("AU", "ALAW", "alaw"), ("raw", "ULAW", "mulaw")],
)
def test_telephony_from_a_pipe_scores_as_the_file_does(
    form, subtype, encoding, folder, typed_in, capsys
):
    call = folder / f"call_{encoding}.wav"
    soundfile.write(call, NOISE[: 2 * WINDOW], 8_000, subtype=subtype)
    assert stream(folder, "--jsonl", str(call)) == 0
    of_file = capsys.readouterr().out
    codes = call.read_bytes().partition(b"data")[2][4:]
    assert len(codes) == 2 * WINDOW
    more = []
    if form == "raw":
        more = [f"--format={encoding}", "--rate=8000"]
        typed_in(codes)
    elif form == "AU":
        typed_in(b".snd" + struct.pack(">5I", 24, 2**32 - 1, 27, 8_000, 1) + codes)
    else:
        typed_in(call.read_bytes())
    assert stream(folder, "--jsonl", *more) == 0
    assert capsys.readouterr().out == of_file
    assert len(records(of_file)) > 5


@pytest.mark.parametrize("more", [[], ["--format=mulaw", "--rate=8000"]])
def test_a_pipe_without_a_byte_is_empty(more, folder, typed_in, capsys):
    typed_in(b"")
    assert stream(folder, *more) == EXIT_USER_ERROR
    assert "error: standard input: empty: there are no bytes" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGINT, EXIT_KEYBOARD, "interrupted"),
        (signal.SIGTERM, 128 + signal.SIGTERM, "terminated"),
    ],
)
def test_a_pipe_that_stays_open(number, status, said, folder):
    """Scores come while the writer goes on, and a signal ends it."""
    raw = ["--format=f32le", "--rate=16000", "--jsonl"]
    command = [sys.executable, "-m", "rawnet_jax", "stream", f"--workdir={folder / 'runs/x'}"]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "RAWNET_JAX_HUGE_PAGES": "0"}
    with subprocess.Popen(
        [*command, *raw],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(NOISE[: WINDOW + 5].tobytes())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["end_s"] == 0.2
        process.send_signal(number)
        output, errors = process.communicate()
    assert process.returncode == status
    assert output == b""
    summary, last = errors.decode().splitlines()[-2:]
    assert summary.startswith("0.20 s, 1 windows:")
    assert last == said
    assert b"Traceback" not in errors


def test_the_python_examples_of_the_page(folder):
    space = run_python(DOCS / "streaming.md", folder)
    assert len(space["lines"]) == 5


@pytest.mark.slow
def test_the_commands_of_the_page(folder):
    """The second one's reader goes away: that is not an error."""
    console = [typed(block) for block in blocks(DOCS / "streaming.md", "console")]
    ran = [run_shell(one.command, folder).stdout for block in console for one in block]
    assert [len(output.splitlines()) for output in ran] == [5, 2]
    assert records(ran[1])[1]["end_s"] == 0.22
