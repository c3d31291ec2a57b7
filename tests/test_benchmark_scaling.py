"""The benchmark of scaling runs; its figures are not looked at here."""

from benchmarks import scaling

SIZE = scaling.Size(batch_size=8, num_samples=800, num_clips=32, steps=2, rounds=1)


def test_every_part_but_the_slow_ones():
    found = scaling.report(("feeds", "data", "recordings"), SIZE, tiny=True)
    assert [name for name, _ in found["feeds"]] == [
        "clips from host, 1 steps a dispatch",
        "clips from host, 8 steps a dispatch",
        "clips from device memory, 1 steps a dispatch",
        "clips from device memory, 8 steps a dispatch",
    ]
    assert [name for name, _ in found["data"]] == ["10,000 clips"]
    assert [name for name, _ in found["recordings"]] == ["1,000 recordings"]
    for rows in found.values():
        assert all(any(character.isdigit() for character in value) for _, value in rows)


def test_processes_time_their_steps():
    [(name, value)] = scaling.processes(SIZE, (2,))
    assert name == "2 processes"
    assert value.endswith("ms a clip")
