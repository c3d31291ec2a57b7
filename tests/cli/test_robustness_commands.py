"""``evaluate --robustness``, ``robustness-table`` and ``cross-corpus`` on a tiny run."""

import json
import shutil

import jax
import numpy as np
import pytest
import soundfile

from rawnet_jax.checkpoint import save_variables
from rawnet_jax.cli.main import main
from rawnet_jax.config_file import load_config, read_config, save_config, with_overrides
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.models.registry import build_model
from rawnet_jax.models.variables import init_variables
from rawnet_jax.run import Run
from tests.conftest import TINY_SIZES

FAST = ["--no-progress", "--replicates=20"]


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    """A run whose network has its first parameters: what it says is of no matter here."""
    workdir = tmp_path_factory.mktemp("robust") / "run"
    workdir.mkdir()
    config = load_config(str(tiny_config))
    save_config(config, workdir)
    key = jax.random.key(0)
    variables = init_variables(build_model(config.model), key, config.data.num_samples)
    save_variables(workdir, "best", 6, variables, {"dev_eer": 0.5})
    return workdir


@pytest.fixture
def lists_scored(monkeypatch):
    """Sizes of the lists that are really scored."""
    sizes: list[int] = []
    score = Run.score

    def noted(self, clips, *rest, **more):
        sizes.append(len(clips))
        return score(self, clips, *rest, **more)

    monkeypatch.setattr(Run, "score", noted)
    return sizes


def robustness(run, *more: str) -> int:
    return main(["evaluate", f"--workdir={run}", "--robustness", *FAST, *more])


def test_robustness_end_to_end_and_again(run, tmp_path, capsys, lists_scored):
    output = [f"--output={tmp_path / 'out'}", "--conditions", "mulaw", "first_0.5s"]
    assert robustness(run, *output) == 0
    assert lists_scored == [TINY_SIZES["dev"], TINY_SIZES["eval"], TINY_SIZES["eval"]]
    printed = capsys.readouterr().out
    assert "Not measured: first 0.5 s: no trial is longer than 0.5 s" in printed
    assert "µ-law, 8 bit" in printed
    figures = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert [row["name"] for row in figures["rows"]] == ["clean", "mulaw", "first_0.5s"]

    # Clean scores are those of evaluate, to the last bit.
    assert main(["evaluate", f"--workdir={run}", f"--output={tmp_path / 'plain'}", *FAST]) == 0
    [clean] = (tmp_path / "out" / "scores").glob("clean-*.txt")
    assert clean.read_bytes() == (tmp_path / "plain" / "scores.txt").read_bytes()

    # What is there is not scored again; what another setting asks for is.
    lists_scored.clear()
    assert robustness(run, *output, "gain_up_20db") == 0
    assert lists_scored == [TINY_SIZES["eval"]]
    lists_scored.clear()
    assert robustness(run, *output, "--limit=8") == 0
    assert lists_scored == [7, 7]


def test_recordings_from_folders_and_two_runs_side_by_side(run, tmp_path, capsys):
    noise = tmp_path / "noise"
    noise.mkdir()
    soundfile.write(noise / "n.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 9_000), 16_000)
    which = ["--conditions", "noise_recorded_0db", "gain_down*", f"--noise-dir={noise}"]
    for name in ("a", "b"):
        assert robustness(run, f"--output={tmp_path / name}", *which) == 0
    capsys.readouterr()
    arguments = ["robustness-table", str(tmp_path / "a"), str(tmp_path / "b" / "robustness.json")]
    assert main([*arguments, "--names", "plain", "new", f"--output={tmp_path / 'both'}"]) == 0
    printed = capsys.readouterr().out
    assert "recorded noise, 0 dB" in printed
    assert "new loses" in printed
    assert (tmp_path / "both" / "comparison.html").is_file()


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--conditions", "nose"], "--conditions nose: fits none of clean"),
        (["--limit=-1"], "--limit -1"),
        (["--noise-dir=nowhere"], "nowhere: no such folder"),
        (["--threshold-rule=bayes"], "calibrated"),
        (["--by", "attack"], "--by: does not go with --robustness"),
        (["--no-dev", "--threshold-rule=miss=0.1"], "there are none"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, capsys, more, complaint):
    fine = [] if "--conditions" in more else ["--conditions", "clean"]
    assert robustness(run, f"--output={tmp_path}", *fine, *more) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert complaint in line


def test_a_given_threshold_needs_no_dev(run, tmp_path, lists_scored):
    flags = ["--no-dev", "--threshold-rule=value=0.25", "--conditions", "clean"]
    assert robustness(run, f"--output={tmp_path}", *flags) == 0
    assert lists_scored == [TINY_SIZES["eval"]]
    figures = json.loads((tmp_path / "robustness.json").read_text())
    assert (figures["threshold"], figures["threshold_rule"]) == (0.25, "given by the user")


def test_fingerprint_is_of_all_that_decides_a_score(run):
    config = read_config(run)
    same = with_overrides(config, ["--config.eval.batch_size=16", "--config.data.num_threads=2"])
    other = with_overrides(config, ["--config.data.num_samples=400"])
    prints = [Run.load(c, run).fingerprint for c in (config, same, other)]
    assert prints[0] == prints[1] != prints[2]


def test_flags_of_robustness_need_it(run, capsys):
    assert main(["evaluate", f"--workdir={run}", "--limit=3"]) == 2
    assert "--limit: goes with --robustness only" in capsys.readouterr().err


def test_table_needs_reports(run, tmp_path, capsys):
    assert main(["robustness-table", str(tmp_path), str(tmp_path)]) == 2
    assert "no robustness.json here" in capsys.readouterr().err
    assert main(["robustness-table", str(tmp_path)]) == 2
    assert "two runs or more" in capsys.readouterr().err


def test_cross_corpus_goes_on_without_what_cannot_be_read(
    run, tiny_corpus, tmp_path, capsys, lists_scored
):
    bonafide = tmp_path / "folders" / "eval" / "bonafide"
    bonafide.mkdir(parents=True)
    shutil.copy(tiny_corpus / "flac" / "E_000.flac", bonafide)
    arguments = [
        *("cross-corpus", f"--workdir={run}", f"--output={tmp_path / 'out'}", *FAST),
        f"--corpus=voices=folders:{tmp_path / 'folders'}",
    ]
    gone = f"--corpus=gone=in_the_wild:{tmp_path / 'nothing'}"
    assert main([*arguments, gone]) == 1
    assert lists_scored == [TINY_SIZES["dev"], TINY_SIZES["eval"], 1]
    printed = capsys.readouterr()
    [line] = [line for line in printed.err.splitlines() if line.startswith("error:")]
    assert "gone" in line
    assert "no such folder" in line
    assert "voices: no spoof trials" in printed.out
    own, voices, missing = json.loads((tmp_path / "out" / "cross_corpus.json").read_text())["rows"]
    assert (own["num_bonafide"], own["num_seen"], own["num_unseen"]) == (10, 9, 0)
    assert (voices["num_bonafide"], voices["eer"], missing["failed"]) == (1, None, True)
    scores = read_scores(next((tmp_path / "out" / "scores").glob("own-eval-*.txt")))
    assert len(scores) == TINY_SIZES["eval"]

    lists_scored.clear()
    assert main(arguments) == 0
    assert not lists_scored


def test_cross_corpus_needs_a_list(run, capsys):
    assert main(["cross-corpus", f"--workdir={run}"]) == 2
    assert "give --corpus or --list" in capsys.readouterr().err
