"""``probe`` as a user types it, with a tiny encoder."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.config_file import load_config, read_config
from rawnet_jax.data.partitions import load_scoring_cache
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.interop.encoder_files import read_encoder_weights, write_encoder_weights
from rawnet_jax.probe import features
from rawnet_jax.probe.feature_store import FeatureStore
from rawnet_jax.run import Run
from rawnet_jax.scoring.clips import clip_windows
from tests.conftest import TINY_SIZES
from tests.probe.tiny_encoder import command, write_encoder

NUM_CLIPS = TINY_SIZES["train"] + TINY_SIZES["dev"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def run(encoder, tiny_config, tmp_path_factory) -> Path:
    """A run, and beside it the features."""
    workdir = tmp_path_factory.mktemp("probe") / "run"
    assert main(command(encoder, tiny_config, workdir)) == 0
    return workdir


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many clips go through the encoder, one number per call."""
    found: list[int] = []
    real = clip_windows

    def counted(clips, positions, *args, **options):
        found.append(len(positions))
        return real(clips, positions, *args, **options)

    monkeypatch.setattr(features, "clip_windows", counted)
    return found


def dev_scores(workdir: Path) -> np.ndarray:
    return np.asarray(read_scores(workdir / "probe" / "dev_scores.txt").scores)


def test_the_run_scores_as_the_probe_did(run, tiny_config):
    record = json.loads((run / "probe" / "probe.json").read_text())
    best = min(record["fits"], key=lambda fit: (fit["dev_eer"], fit["dev_loss"]))
    assert record["chosen"] == best
    config = read_config(run)
    fields = config.model.fields
    assert (config.model.name, fields.layer, fields.pooling) == (
        "ssl_probe",
        best["layer"],
        best["pooling"],
    )
    assert fields.encoder.first_layers in (0, max(best["layer"], 1))
    assert config.data.crop == "first"  # that of a training is not the probe's
    dev = load_scoring_cache(load_config(str(tiny_config)).data, "dev", False)
    found = Run.open(run).score(dev, False).score
    assert np.ptp(found) > 0.05
    np.testing.assert_allclose(found, dev_scores(run), atol=2e-5)
    page = (run / "probe" / "probe.html").read_text()
    assert "Lowest dev EER of each layer" in page
    assert len((run / "probe" / "probe.csv").read_text().splitlines()) == 1 + len(record["fits"])


def test_a_lower_layer_has_none_above_it(run, encoder, tiny_config, computed, capsys):
    """Its features are those of the first run; and the run is evaluated like any other."""
    workdir = run.parent / "lower"
    assert main(command(encoder, tiny_config, workdir, "--layers", "1", "--strengths=0.5")) == 0
    assert computed == []
    printed = capsys.readouterr().out
    assert re.search(r"\n +1 +mean\S* +0\.5 .* <- the run\n", printed)
    variables = Run.open(workdir).variables["params"]["encoder"]
    kept = variables["network"]["layers"]["layer"]["attention"]["k_proj"]["kernel"].shape
    assert kept[0] == read_config(workdir).model.fields.encoder.first_layers == 1
    assert main(["evaluate", f"--workdir={workdir}", "--no-bootstrap", "--no-progress"]) == 0
    found = np.asarray(read_scores(workdir / "eval" / "dev_scores.txt").scores)
    np.testing.assert_allclose(found, dev_scores(workdir), atol=2e-5)
    assert (workdir / "threshold.json").exists()


def test_a_run_that_is_killed_resumes(run, encoder, tiny_config, tmp_path, computed, monkeypatch):
    """And takes no feature twice; a damaged file of them is computed again."""
    monkeypatch.setattr(features, "_FILE_CLIPS", 20)
    real = FeatureStore.add
    added: list[int] = []

    def add(self, clips, rows):
        if len(added) == 1:
            raise KeyboardInterrupt
        added.append(len(clips))
        real(self, clips, rows)

    workdir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "add", add)
        assert main(command(encoder, tiny_config, workdir)) == 130
    assert added == [20]
    assert not workdir.exists()
    assert main(command(encoder, tiny_config, workdir)) == 0
    assert computed == [TINY_SIZES["train"], TINY_SIZES["train"] - 20, TINY_SIZES["dev"]]
    np.testing.assert_allclose(dev_scores(workdir), dev_scores(run), atol=1e-5)
    (folder,) = (tmp_path / "features").iterdir()
    path = max(folder.iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    computed.clear()
    assert main(command(encoder, tiny_config, tmp_path / "again")) == 0
    assert 0 < sum(computed) <= 24
    np.testing.assert_allclose(dev_scores(tmp_path / "again"), dev_scores(run), atol=1e-5)


def test_other_weights_and_windows_have_features_of_their_own(
    run, encoder, tiny_config, tmp_path, computed
):
    weights = read_encoder_weights(encoder)
    kernel = weights.variables["params"]["network"]["feature_projection"]["projection"]["kernel"]
    kernel += 0.01
    write_encoder_weights(tmp_path / "other", weights.variables, weights.config)
    words = ["--layers", "0", "--poolings", "mean", "--strengths", "1"]
    for number, (path, setting) in enumerate(
        [(tmp_path / "other", "eval.aggregate="), (encoder, "eval.aggregate=mean")]
    ):
        workdir = run.parent / f"other_{number}"
        assert main(command(path, tiny_config, workdir, *words, f"--config.{setting}")) == 0
    assert sum(computed) == 2 * NUM_CLIPS
    # Of several windows the score is the mean, as that of a linear classifier of the mean is.
    dev = load_scoring_cache(load_config(str(tiny_config)).data, "dev", False)
    assert max(dev.num_samples) > 2 * 800
    found = Run.open(run.parent / "other_1").score(dev, False).score
    np.testing.assert_allclose(found, dev_scores(run.parent / "other_1"), atol=2e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--encoder-weights=NOWHERE"], r"--encoder-weights NOWHERE: does not exist; must be"),
        (["--layers", "1-3"], r"--layers: 1 to 3; the encoder has 0 .* to 2"),
        (["--layers", "5-4"], r"--layers: none; "),
        (["--strengths", "0"], r"--strengths 0: it must be above 0 and finite"),
        (["--batch-size=0"], r"--batch-size 0: it must be 1 or more"),
        (["--encoder=nobody"], r"there is no encoder 'nobody'; there are wav2vec2_base"),
        (["--encoder=wav2vec2_base"], r"tiny: not the weights of this encoder; "),
        (["--config.eval.aggregate=trimmed"], r"config.eval.aggregate is 'trimmed'; a probe is"),
        (["--config.data.dev_protocol=spoof.txt"], r"the dev partition has no bonafide trial"),
        (["--config.data.train_protocol=spoof.txt"], r"the train partition has no bonafide trial"),
    ],
)
def test_bad_input_is_one_line(words, message, encoder, tiny_config, tiny_corpus, tmp_path, capsys):
    lines = [line for line in (tiny_corpus / "dev.txt").read_text().splitlines() if "spoof" in line]
    (tiny_corpus / "spoof.txt").write_text("\n".join(lines[:2]) + "\n")
    assert main(command(encoder, tiny_config, tmp_path / "run", *words)) == 2
    said = capsys.readouterr().err.strip()
    assert re.search(message, said)
    assert said.startswith("error: ")
    assert "\n" not in said
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused_before_anything(run, encoder, tiny_config, computed, capsys):
    assert main(command(encoder, tiny_config, run)) == 2
    assert "--workdir" in capsys.readouterr().err
    assert computed == []


def test_states_that_are_not_finite_are_refused(
    encoder, tiny_config, tmp_path, monkeypatch, capsys
):
    real = features.Features._computed
    monkeypatch.setattr(
        features.Features, "_computed", lambda *args: (row * np.nan for row in real(*args))
    )
    words = ["--layers", "0", "--poolings", "mean", "--strengths", "1"]
    assert main(command(encoder, tiny_config, tmp_path / "run", *words)) == 2
    assert "states are not finite" in capsys.readouterr().err
