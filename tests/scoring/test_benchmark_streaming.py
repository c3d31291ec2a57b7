"""The benchmark of streams runs; its figures are not looked at here."""

from benchmarks import streaming


def test_every_column_is_measured():
    found = streaming.measure("conv1d", chunk_s=0.1, hop_s=0.1, seconds=1.0, rate=16_000)
    assert found["window_s"] == 1.0
    assert found["real_time_factor"] > 0
    assert streaming.row("conv1d", [found, found]).count("|") == 4 + len(streaming.COLUMNS)
