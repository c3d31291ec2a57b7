"""``sources`` from end to end on a small network, and what ``score`` then says."""

import json

import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.run import Run
from rawnet_jax.scoring.sources import NONE_OF_THESE, SOURCES_FILE, load_source_rule
from rawnet_jax.scoring.verdict import OperatingPoint, save_operating_point
from tests.small_run import STEP, write_run

NUM_SAMPLES = 1600


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run that calls everything spoof, and fakes of two families that are told apart at once."""
    place = tmp_path_factory.mktemp("sources")
    run = write_run(place / "run", "conv1d", num_samples=NUM_SAMPLES)
    save_operating_point(run, OperatingPoint(1e6, "of a test", False, STEP))
    rng = np.random.default_rng(0)
    time = np.arange(2400) / 16_000
    for family, rate in (("low", 200), ("high", 5000)):
        (place / "fakes" / family).mkdir(parents=True)
        for i in range(16):
            clip = np.sin(2 * np.pi * rate * (1 + rng.random() / 9) * time)
            clip += rng.normal(0, 0.05, 2400)
            soundfile.write(place / "fakes" / family / f"{i}.wav", 0.2 * clip, 16_000)
    return place


def test_a_rule_is_fitted_and_score_names_the_family(place, tmp_path, capsys):
    new = tmp_path / "new"
    words = ["sources", f"--workdir={place / 'run'}", f"--spoof={place / 'fakes'}", "--share=0.2"]
    assert main([*words, f"--output={new}", "--no-progress"]) == 0
    assert "named by a fit that did not see them" in capsys.readouterr().out
    paths = sorted((place / "fakes").rglob("*.wav"))
    plain = rawnet_jax.load(place / "run").score(paths, progress=False)
    found = rawnet_jax.load(new).score(paths, progress=False)
    assert [r.score for r in found] == pytest.approx([r.score for r in plain], abs=1e-4)
    assert {r.source for r in plain} == {None}
    assert {r.source for r in found} <= {"low", "high", NONE_OF_THESE}
    named = [(r.source, p.parent.name) for r, p in zip(found, paths, strict=True)]
    right = [source == family for source, family in named if source != NONE_OF_THESE]
    assert len(right) > 16
    assert np.mean(right) > 0.9
    score = ["score", f"--workdir={new}", "--no-progress", str(paths[0])]
    assert main([*score, "--format=jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == found[0].source
    assert main(score) == 0
    assert f"source: {found[0].source}" in capsys.readouterr().out
    # What is not called spoof has no source.
    assert main([*score, "--format=jsonl", "--threshold=-1e6"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] is None
    assert load_source_rule(new, STEP + 1) is None
    assert Run.open(new).fingerprint == Run.open(place / "run").fingerprint
    (new / SOURCES_FILE).write_bytes(b"?")
    assert main(score) == 2
    assert SOURCES_FILE in capsys.readouterr().err


def test_what_is_refused_is_one_line(place, tmp_path, capsys):
    words = ["sources", f"--workdir={place / 'run'}", f"--output={tmp_path / 'x'}", "--no-progress"]
    for more, said in (
        ([f"--spoof={place / 'fakes' / 'low'}"], "no fake has a family"),
        ([f"--spoof={place / 'nowhere'}"], "must be a folder of recordings"),
        ([f"--spoof={place / 'fakes'}", "--share=1"], "--share 1: it must be above 0"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
