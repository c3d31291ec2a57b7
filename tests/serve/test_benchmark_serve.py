"""The benchmark of the service runs; its figures are not looked at here."""

import argparse
import asyncio

from benchmarks import serve, serve_streams
from benchmarks.serve import STUB
from tests.serve.running import running, stub_service


def test_every_row_is_measured(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(serve.__file__).rpartition("/benchmarks/")[0])
    args = argparse.Namespace(
        workdir=STUB, audio_s=0.5, requests=8, clients=2, seconds=0.5, overload=2.0
    )
    rows = serve.measure(args)
    assert [row.split("|")[1].strip().split(",")[0] for row in rows] == [
        *("overhead", "one client", "2 clients", "overload", "one client")
    ]
    columns = serve.HEADER.splitlines()[0].count("|")
    assert {row.count("|") for row in rows} == {columns}
    assert not [row for row in rows if "nan" in row]


def test_streams_of_real_time_are_timed():
    options = serve_streams.parsed(["--streams", "3", "--seconds", "0.6"])
    with running(stub_service()) as server:
        found = asyncio.run(serve_streams.all_clients(server.url, options))
    assert [(one.code, len(one.delays_ms)) for one in found] == [(1000, 3)] * 3
    assert min(min(one.delays_ms) for one in found) > 0
    assert "windows 9, warnings 0" in serve_streams.report(found, options, 0.1)
