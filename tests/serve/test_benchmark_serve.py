"""The benchmark of the service runs; its figures are not looked at here."""

import argparse
import asyncio

import pytest

from benchmarks import serve, serve_streams
from benchmarks.serve_load import Sent, Target, one_by_one
from benchmarks.serve_process import STUB
from tests.serve.running import running, stub_service


def options():
    known = {"workdir": STUB, "audio_s": 0.5, "requests": 8, "clients": 2, "seconds": 0.5}
    return argparse.Namespace(**known, overload=2.0, rate=None, anchor=False)


def test_every_row_is_measured(monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(serve.__file__).rpartition("/benchmarks/")[0])
    rows = list(serve.measure(options()))
    assert [row.split("|")[1].strip().split(",")[0] for row in rows] == [
        *("overhead", "one client", "2 clients", "overload", "one client")
    ]
    columns = serve.HEADER.splitlines()[0].count("|")
    assert {row.count("|") for row in rows} == {columns}
    assert not [row for row in rows if "nan" in row]
    said = capsys.readouterr().err
    assert "scored, refused" in said  # while it ran


def test_without_litserve_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(serve, "has_anchor", lambda: False)
    monkeypatch.setattr("sys.argv", ["serve", "--tiny", "--anchor"])
    with pytest.raises(SystemExit):
        serve.main()
    assert "LitServe is not installed; pip install litserve" in capsys.readouterr().err


def test_an_answer_that_does_not_come_is_counted():
    found = asyncio.run(one_by_one(Target("127.0.0.1", 1, b""), 2))
    assert found.statuses == {0: 2}


def test_memory_is_read_at_both_ends():
    assert Sent(1.0).memory == "-"
    assert Sent(1.0, memory_mb=[2, 2, 9, 5, 5]).memory == "2 → 5, 9"


def test_streams_of_real_time_are_timed():
    chosen = serve_streams.parsed(["--streams", "3", "--seconds", "0.6"])
    with running(stub_service()) as server:
        found = asyncio.run(serve_streams.all_clients(server.url, chosen))
    assert [(one.code, len(one.delays_ms)) for one in found] == [(1000, 3)] * 3
    assert min(min(one.delays_ms) for one in found) > 0
    assert "windows 9, warnings 0" in serve_streams.report(found, chosen, 0.1)
