"""The command ``synthesise``, as a user types it, and the blocks of its page."""

import re

import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.jobs import synthesise as job
from rawnet_jax.text_to_speech.table import ENGINES
from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.text_to_speech.fake_engines import put_on_path

QUIET = ["--no-progress", "--processes=1"]
PAGE = DOCS / "synthesise.md"
SENTENCES = "The boy was there.\nRice is often served.\nKick the ball.\n"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("a|One sentence.\nb|Another one.\nc|The last.\n")
    return path


def test_it_says_what_it_did_and_that_it_is_there(text, tmp_path, monkeypatch, capsys):
    put_on_path(tmp_path / "bin", monkeypatch)
    words = ["synthesise", f"--text={text}", f"--output={tmp_path / 'out'}", *QUIET]
    words += ["--engine=flite"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "3 sentences; engines (voices): flite (1)" in printed
    assert "written: 3 spoof: flite 3" in printed
    assert main(words) == 0
    assert "there already, nothing to do: 3 spoof: flite 3" in capsys.readouterr().out


def test_what_was_left_out_gives_status_1_and_a_line(text, tmp_path, monkeypatch, capsys):
    put_on_path(tmp_path / "bin", monkeypatch, "rms slt")
    words = ["synthesise", f"--text={text}", f"--output={tmp_path / 'out'}", "--copies=4", *QUIET]
    assert main([*words, "--engine=flite"]) == 1
    said = capsys.readouterr().err
    assert said.count("left out: flite:rms, sentence ") == 5
    assert "left out: 6 in all, see" in said


def test_list_has_every_engine_its_voices_and_what_is_missing(tmp_path, monkeypatch, capsys):
    put_on_path(tmp_path / "bin", monkeypatch)
    assert main(["synthesise", "--list"]) == 0
    printed = capsys.readouterr().out
    for engine in ENGINES.values():
        assert f"\n{engine.name} " in f"\n{printed}"
        assert engine.licence in printed
    assert "not installed: apt-get install espeak-ng\n" in printed
    assert re.search(r"flite:slt +en-us +permissive", printed)
    assert "usable 9.1" in printed
    assert main(["synthesise", "--list", "--engine=flite", "--language=de"]) == 0
    assert "no voice of it fits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "synthesise needs --text and --output; with --list neither"),
        (["--text={text}"], "synthesise needs --text and --output"),
        (["--text=none.txt", "--output=x"], "none.txt: cannot be read"),
        (["--text={text}", "--output=x", "--language=de"], "no engine can speak this language"),
        (["--text={text}", "--output=x", "--engine=pico"], "--engine pico: not installed"),
        (["--text={text}", "--output=x", "--voices=bdl"], "--voices bdl: no installed voice fits"),
        (["--text={text}", "--output=x", "--max-characters=12"], "txt:1: 13 characters"),
    ],
)
def test_what_is_wrong_is_one_line(text, tmp_path, monkeypatch, capsys, words, message):
    put_on_path(tmp_path / "bin", monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["synthesise", *(word.format(text=text) for word in words), *QUIET]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_ctrl_c_says_how_to_go_on(text, tmp_path, monkeypatch, capsys):
    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    put_on_path(tmp_path / "bin", monkeypatch)
    monkeypatch.setattr(job, "write_synthesis_corpus", interrupted)
    words = [f"--text={text}", f"--output={tmp_path / 'out'}", *QUIET]
    assert main(["synthesise", *words]) == 130
    assert "the same command resumes" in capsys.readouterr().err


def test_the_page_names_every_engine():
    page = PAGE.read_text(encoding="utf-8")
    for engine in ENGINES.values():
        assert f"| `{engine.name}` |" in page
        for name in engine.settings:
            assert f"`{name}`" in page


def test_the_commands_of_the_page_run(tmp_path, monkeypatch):
    put_on_path(tmp_path / "bin", monkeypatch, pico=True)
    (tmp_path / "sentences.txt").write_text(SENTENCES)
    found = [pair for block in blocks(PAGE, "console") for pair in run_console(block, tmp_path)]
    assert len(found) == 3
    for one, done in found:
        for line in one.output.splitlines():
            assert line in done.stdout


def test_the_python_of_the_page_runs(tmp_path, monkeypatch):
    put_on_path(tmp_path / "bin", monkeypatch)
    (tmp_path / "sentences.txt").write_text(SENTENCES)
    assert run_python(PAGE, tmp_path)["summary"].by_engine == {"flite": 3}
    assert (tmp_path / "by_python" / "manifest.csv").is_file()
