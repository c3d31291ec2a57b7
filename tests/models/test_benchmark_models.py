"""The benchmark of the models runs; its figures are not looked at here."""

from benchmarks import models


def test_every_column_is_measured():
    row = models.measure("conv1d", batch_size=2, num_samples=800, repeats=1)
    assert set(row) == set(models.COLUMNS)
    assert row["num_params"] == "13,217"
    assert float(row["train_step_s"]) >= 0
    assert models.registered()[0] == "conv1d"
