"""Text and bars on a terminal and in a log: whole lines, and nothing that moves a cursor."""

import io
import logging
import sys

from rawnet_jax import progress
from rawnet_jax.terminal import TerminalHandler, complain, emit, rewrite, show

NASTY = "a\x1b[2J\rb\x9bc\u202ed"
SHOWN = r"a\x1b[2J\rb\x9bc\u202ed"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch):
    """Put standard output and standard error on one terminal."""
    one = Terminal()
    monkeypatch.setattr(sys, "stdout", one)
    monkeypatch.setattr(sys, "stderr", one)
    return one


def lines_of(drawn):
    """Return what stands on each line of a terminal."""
    lines = []
    for line in drawn.split("\n"):
        cells: list[str] = []
        for part in line.replace("\x1b[K", "").split("\r"):
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


def test_text_begins_at_the_start_of_a_line_beside_a_bar(monkeypatch):
    terminal = on_terminal(monkeypatch)
    with progress.make_bar("scoring", 4, shown=True) as bar:
        bar.update()
        bar.refresh()
        complain("error: a.wav: empty")
        emit("spoof a.wav\n")
        logging.Handler.handle(TerminalHandler(), logging.makeLogRecord({"msg": "careful"}))
        bar.refresh()
    assert lines_of(terminal.getvalue()) == ["error: a.wav: empty", "spoof a.wav", "careful", ""]


def test_a_line_that_is_written_over_is_ended_first(monkeypatch):
    terminal = on_terminal(monkeypatch)
    rewrite("first")
    rewrite("second")
    complain("note: it ends")
    show("done")
    assert lines_of(terminal.getvalue()) == ["second", "note: it ends", "done", ""]


def test_a_log_gets_whole_lines(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_LOG_INTERVAL_S", 0.0)
    with progress.make_bar("scoring", 3, shown=True, stays=True) as bar:
        bar.update()
        bar.refresh()
        complain("error: a.wav: empty")
        bar.update(2)
    lines = capsys.readouterr().err
    assert not set("\r\x1b") & set(lines)
    assert lines.endswith("\n")
    said = lines.splitlines()
    assert "error: a.wav: empty" in said
    rest = [line for line in said if line != "error: a.wav: empty"]
    assert rest
    assert all(line.startswith("scoring: ") and " of 3 [" in line for line in rest)


def test_a_short_job_leaves_no_bar_in_a_log(capsys):
    with progress.make_bar("scoring", 3, shown=True) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_what_moves_a_cursor_is_shown_as_escapes(monkeypatch):
    terminal = on_terminal(monkeypatch)
    show(NASTY)
    complain(NASTY)
    emit(f"{NASTY}\n")
    rewrite(NASTY)
    show()
    record = logging.makeLogRecord({"msg": "%s\n", "args": (NASTY,)})
    TerminalHandler().emit(record)
    written = terminal.getvalue().replace("\r\x1b[K", "")
    assert written == f"{SHOWN}\n" * 4 + "\n" + f"{SHOWN}\\n\n"
