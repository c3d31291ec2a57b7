"""The benchmark of the service runs; its figures are not looked at here."""

import argparse

from benchmarks import serve
from benchmarks.serve import STUB


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
