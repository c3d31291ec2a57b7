"""``explain`` as a user types it: any file in, a picture and a JSON file out."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from tests.docs_examples import DOCS, blocks, run_console, run_python, typed
from tests.small_run import STEP, write_run

RNG = np.random.default_rng(1)
QUICK = ("--spans", "3", "--bands", "300,3400", "--max-gradients", "4", "--no-progress")
WINDOW = 3_200


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "x", num_samples=WINDOW)


@pytest.fixture
def files(tmp_path):
    """A long stereo file at another rate, a short one, a silent one, and one that is not audio."""
    noise = 0.1 * RNG.standard_normal((44_100, 2))
    noise[:22_050] *= 0.01
    soundfile.write(tmp_path / "long.wav", noise, 44_100)
    soundfile.write(tmp_path / "short.flac", noise[-1_200:, 0], 8_000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(8_000), 16_000)
    (tmp_path / "text.wav").write_text("no audio")
    return tmp_path


def explain(run, *words):
    return main(["explain", "--workdir", str(run), *QUICK, *map(str, words)])


def test_a_long_file_is_explained_where_it_is_most_spoofed(run, files, capsys):
    assert explain(run, files / "long.wav", "--output", files / "out") == 0
    assert sorted(path.name for path in (files / "out").iterdir()) == ["long.json", "long.png"]
    found = json.loads((files / "out" / "long.json").read_text())
    windows = found["window"]["all_windows"]
    assert len(windows) == 9
    lowest = min(windows, key=lambda one: one["score"])
    assert found["window"]["start_s"] == lowest["start_s"]
    assert found["window"]["end_s"] == pytest.approx(lowest["start_s"] + 0.2)
    assert found["score"] == pytest.approx(lowest["score"], abs=1e-5)
    assert found["clip_score"] == pytest.approx(windows[0]["score"])
    assert found["verdict"] == ("bonafide" if found["score"] >= 0.1 else "spoof")
    assert found["llr"] == pytest.approx(2 * found["score"] + 0.5)
    assert found["run"] == {
        "name": "small conv1d",
        "model": "conv1d",
        "checkpoint": "best",
        "step": STEP,
    }
    spans = found["occlusion"]["spans"]
    assert [spans[0]["start_s"], spans[-1]["end_s"]] == pytest.approx(
        [found["window"]["start_s"], found["window"]["end_s"]]
    )
    bands = [(row["low_hz"], row["high_hz"]) for row in found["gradient"]["bands"]]
    assert bands == [(0, 300), (300, 3400), (3400, 8000)]
    total = sum(sum(row) for row in found["gradient"]["grid"])
    assert total == pytest.approx(found["gradient"]["total"], abs=1e-6)
    assert found["gradient"]["score_difference"] == pytest.approx(
        found["score"] - found["baseline"]["score"], abs=1e-5
    )
    said = capsys.readouterr()
    assert "the most spoofed of 9 windows" in said.out
    assert "{" not in said.out  # the numbers are in the file alone
    assert "bands: " in said.out
    assert not said.err


def test_the_others_go_on(run, files, capsys):
    """A missing one is 1, one that cannot be judged 3; the worse of both is said."""
    output = ("--output", files / "out", "--gradient", "none", "--no-grid")
    assert (
        explain(run, files / "text.wav", files / "silent.wav", files / "short.flac", *output) == 1
    )
    assert sorted(path.name for path in (files / "out").iterdir()) == ["short.json", "short.png"]
    found = json.loads((files / "out" / "short.json").read_text())
    assert found["window"]["chosen"] == "the whole clip"
    assert found["window"]["end_s"] == pytest.approx(0.15)
    assert (found["occlusion"]["grid"], "gradient" in found) == (None, False)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "text.wav: not audio" in lines[0]
    assert "silent.wav: cannot judge: digital silence" in lines[1]
    assert explain(run, files / "silent.wav", *output) == 3
    assert explain(run, files / "nothing" / "*.wav", files / "short.flac", *output) == 1


def test_a_window_is_chosen_by_hand(run, files, capsys):
    output = ("--output", files / "out", "--gradient", "smooth")
    assert explain(run, files / "long.wav", "--window", "0.3", *output) == 0
    found = json.loads((files / "out" / "long.json").read_text())
    assert (found["window"]["start_s"], found["window"]["chosen"]) == (0.3, "chosen by its time")
    assert found["gradient"]["method"] == "smooth"
    assert explain(run, files / "long.wav", "--window", "9", *output) == 2
    assert capsys.readouterr().err.strip().endswith("between 0 and 0.800 s of this clip")


def test_without_the_gate_all_is_explained_but_a_channel_that_is_not_there(run, files, capsys):
    off = ("--config.gate.enabled=False", "--config.data.audio.min_peak=0")
    quick = ("--output", files / "out", "--gradient", "none", "--no-grid", *off)
    assert explain(run, files / "silent.wav", *quick) == 0
    assert explain(run, files / "silent.wav", "--channel", "2", *quick) == 3
    assert "there is no channel 2" in capsys.readouterr().err


def test_standard_input(run, files, monkeypatch):
    audio = io.BytesIO((files / "short.flac").read_bytes())
    stdin = SimpleNamespace(buffer=audio, isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    assert explain(run, "-", "--output", files / "out", "--gradient", "none", "--no-grid") == 0
    assert json.loads((files / "out" / "stdin.json").read_text())["path"] == "-"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--spans", "0"), "--spans 0"),
        (("--bands", "x"), "--bands x"),
        (("--bands", "100,50"), "must rise from 0 to 8000 Hz"),
        (("--max-gradients", "1"), "--max-gradients 1"),
        (("--seed", "-1"), "--seed -1"),
        (("--p-spoof", "1"), "--p-spoof 1"),
        (("--channel", "0"), "--channel 0"),
        (("--window", "loud"), "--window loud"),
        (("--config.model.name=aasist",), "belongs to the training"),
        (("--checkpoint", "latest"), "no latest checkpoint"),
    ],
)
def test_a_wrong_flag_is_one_line(run, files, words, said, capsys):
    assert explain(run, files / "short.flac", "--output", files / "out", *words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (files / "out").exists() or not list((files / "out").iterdir())


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path):
    """docs/explain.md: every command, every line of Python."""
    write_run(tmp_path / "runs" / "x", num_samples=WINDOW)
    soundfile.write(tmp_path / "call.wav", 0.1 * RNG.standard_normal(8_000), 16_000)
    page = DOCS / "explain.md"
    commands = [one.command for block in blocks(page, "console") for one in typed(block)]
    assert len(commands) >= 3
    for block in blocks(page, "console"):
        run_console(block, tmp_path)
    found = json.loads((tmp_path / "telephone" / "call.json").read_text())
    assert (found["baseline"]["what"], len(found["occlusion"]["bands"])) == ("silence", 3)
    names = run_python(page, tmp_path)
    assert names["found"].score == pytest.approx(names["numbers"]["score"], abs=1e-4)
