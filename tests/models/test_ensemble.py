"""Several networks as one: the mean of their scores, everywhere that a network goes."""

import jax
import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.config_file import read_config, save_config
from rawnet_jax.detector import load
from rawnet_jax.run import Run
from tests.small_run import small_config, write_run

SAMPLES = 3_200


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("ensemble")
    members = [
        write_run(place / f"run{seed}", "spectral_resnet", num_samples=SAMPLES, seed=seed)
        for seed in range(2)
    ]
    assert main(["ensemble", *map(str, members), f"--workdir={place / 'both'}"]) == 0
    return [Run.open(path) for path in members], Run.open(place / "both")


def clips(count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    waveform = 0.1 * rng.standard_normal((count, SAMPLES)).astype(np.float32)
    return waveform, np.full(count, SAMPLES, np.int32)


def test_the_score_is_the_mean_and_the_embeddings_are_side_by_side(runs):
    members, both = runs
    alone = [member.embed_batch(*clips()) for member in members]
    together = both.embed_batch(*clips())
    np.testing.assert_allclose(
        together[:, 0], np.mean([found[:, 0] for found in alone], axis=0), atol=1e-5
    )
    np.testing.assert_allclose(
        together[:, 1:], np.concatenate([found[:, 1:] for found in alone], axis=1), atol=1e-5
    )
    assert abs(alone[0][0, 0] - alone[1][0, 0]) > 1e-3


def test_members_keep_their_parameters(runs):
    members, both = runs
    for number, member in enumerate(members):
        own = both.variables["params"][f"member_{number}"]
        jax.tree.map(np.testing.assert_array_equal, own, member.variables["params"])


def test_it_is_exported_and_streamed_as_any_run_is(runs, tmp_path):
    _, both = runs
    detector = load(both.workdir)
    assert detector.export(tmp_path / "both.onnx") < 1e-4
    scorer = both.stream()
    windows = list(scorer.push(clips()[0][0]))
    assert windows[0].score == pytest.approx(float(both.score_batch(*clips())[0]), abs=1e-5)


def test_half_of_the_size_as_a_preset_and_the_same_scores(runs, tmp_path):
    members, both = runs
    paths = [str(member.workdir) for member in members]
    assert main(["ensemble", *paths, f"--workdir={tmp_path / 'half'}", "--half"]) == 0
    assert main(["presets", f"--make={tmp_path / 'half'}", f"--output={tmp_path / 'small'}"]) == 0
    assert main(["presets", f"--make={both.workdir}", f"--output={tmp_path / 'large'}"]) == 0
    sizes = [(tmp_path / n / "weights.safetensors").stat().st_size for n in ("small", "large")]
    num_values = sum(leaf.size for leaf in jax.tree.leaves(both.variables["params"]))
    assert sizes[1] - sizes[0] == pytest.approx(2 * num_values, rel=0.1)
    rounded, preset = Run.open(tmp_path / "half"), Run.open(tmp_path / "small")
    np.testing.assert_array_equal(rounded.score_batch(*clips()), preset.score_batch(*clips()))
    np.testing.assert_allclose(rounded.score_batch(*clips()), both.score_batch(*clips()), atol=0.02)
    assert rounded.fingerprint == preset.fingerprint != both.fingerprint


def test_what_does_not_go_together_is_refused(runs, tmp_path, capsys):
    members, both = runs
    first = str(members[0].workdir)

    def said(*paths: str) -> str:
        assert main(["ensemble", *paths, f"--workdir={tmp_path / 'new'}"]) == 2
        assert not (tmp_path / "new").exists()
        return capsys.readouterr().err

    assert "must have two runs or more" in said(first)
    assert "is the same network as" in said(first, first)
    assert "is an ensemble; give its members" in said(first, str(both.workdir))
    other = write_run(tmp_path / "other", "spectral_resnet", num_samples=2 * SAMPLES)
    assert "config.data differs" in said(first, str(other))


def test_an_ensemble_is_not_trained(tmp_path, capsys):
    config = small_config("spectral_resnet", num_samples=SAMPLES)
    config.model.members = 2
    save_config(config, tmp_path)
    assert read_config(tmp_path).model.members == 2
    path = tmp_path / "config.py"
    path.write_text(
        "from rawnet_jax.config import Config\n\n\ndef get_config():\n    config = Config()\n"
        "    config.model.members = 2\n    return config\n"
    )
    assert main(["train", f"--config={path}", f"--workdir={tmp_path / 'run'}"]) == 2
    assert "config.model.members is 2; training takes 1" in capsys.readouterr().err
