"""Presets: made of a run, read like it, whole or refused, and the default where no run is named."""

import hashlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.config import thawed
from rawnet_jax.config_file import read_config, save_config
from rawnet_jax.jobs import chosen_run
from rawnet_jax.metrics.outlier import fit_distance
from rawnet_jax.metrics.source import SourceRule
from rawnet_jax.presets import catalog
from rawnet_jax.presets.files import read_preset
from rawnet_jax.run import Run
from rawnet_jax.scoring.enrolled import EnrolledVoice, save_voices
from rawnet_jax.scoring.fitted_files import FITTED_FILES
from rawnet_jax.scoring.outlier import OutlierBound, OutlierRule, save_outlier_rule
from rawnet_jax.scoring.reference import Reference, save_reference
from rawnet_jax.scoring.sources import save_source_rule
from tests.docs_examples import DOCS, blocks, run_console
from tests.small_run import STEP, write_run

PRESET_FILES = {"config.json", "weights.safetensors", "preset.json", "card.md", *FITTED_FILES}


def make(run, output, *words):
    return main(["presets", f"--make={run}", f"--output={output}", *words])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run and a preset of it, another preset of the same network, and a recording."""
    folder = tmp_path_factory.mktemp("presets")
    noise = 0.1 * np.random.default_rng(0).standard_normal(9_600)
    soundfile.write(folder / "a.wav", noise, 16_000)
    write_run(folder / "run", num_samples=3_200)
    config = thawed(read_config(folder / "run"))
    config.data.root = "/home/of/somebody"
    save_config(config, folder / "run")
    rows = np.random.default_rng(0).standard_normal((40, 5))
    bound = OutlierBound(0.01, 1e6, 1e6)  # nothing is refused
    rule = OutlierRule(fit_distance(rows, np.arange(40) % 2), bound, STEP)
    save_outlier_rule(folder / "run", rule)
    known = Reference(rows[:, 0], rows, np.arange(40) % 2, ("",) * 40, STEP)
    save_reference(folder / "run", known)
    save_voices(folder / "run", {"ana": EnrolledVoice("ana", 3, 0.0, 1.0)})
    width = rows.shape[1]
    sources = SourceRule(("a", "b"), np.eye(2, width), np.eye(width))
    save_source_rule(folder / "run", sources, STEP)
    card = folder / "own.md"
    card.write_text("# small\n\nFails on tones.\n", encoding="utf-8")
    words = ["--summary=A test", "--licence=CC0", f"--card={card}", "--figure=dev EER=25 %"]
    assert make(folder / "run", folder / "small", *words) == 0
    write_run(folder / "other_run", num_samples=3_200, seed=1)
    assert make(folder / "other_run", folder / "other") == 0
    return folder


@pytest.fixture
def packaged(made, monkeypatch, tmp_path):
    """The package as if it had the two presets and `small` were the default one."""
    monkeypatch.setattr(catalog, "FOLDER", made)
    monkeypatch.setattr(catalog, "DEFAULT", "small")
    monkeypatch.setattr(chosen_run, "_said", set())
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """The package without a preset."""
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    monkeypatch.setattr(catalog, "DEFAULT", "")


def one_error(capsys, *words):
    capsys.readouterr()
    status = main([str(word) for word in words])
    lines = capsys.readouterr().err.splitlines()
    assert (status, len(lines)) == (2, 1), lines
    return lines[0]


def scored(capsys, *words):
    capsys.readouterr()
    assert main(["score", "--format=jsonl", "--no-progress", *map(str, words)]) == 0
    found = capsys.readouterr()
    return json.loads(found.out), found.err


@pytest.mark.parametrize("model", ["conv1d", "lfcc_modulation"])
def test_it_scores_as_its_run_to_the_last_bit(tmp_path, model):
    run = write_run(tmp_path / "run", model, seed=3)
    assert make(run, tmp_path / "preset") == 0
    before, after = Run.open(run), Run.open(tmp_path / "preset")
    assert after.fingerprint == before.fingerprint == read_preset(tmp_path / "preset").fingerprint
    length = before.recipe.window
    rows = 0.1 * np.random.default_rng(1).standard_normal((8, length)).astype(np.float32)
    batch = (rows, np.full(8, length, np.int32))
    np.testing.assert_array_equal(after.score_batch(*batch), before.score_batch(*batch))
    assert after.decision().record == before.decision().record
    assert (after.step, after.checkpoint) == (STEP, "best")


def test_what_a_preset_holds(made):
    preset = read_preset(made / "small")
    assert {path.name for path in preset.folder.iterdir()} == PRESET_FILES
    assert (preset.name, preset.summary, preset.licence) == ("small", "A test", "CC0")
    assert preset.figures == {"dev EER": "25 %"}
    assert set(preset.made_with) == {"rawnet_jax", "jax", "flax"}
    assert "/home" not in (made / "small" / "config.json").read_text()
    assert preset.num_bytes < 200_000


def test_the_same_run_gives_the_same_bytes(made, tmp_path):
    for name in ("one", "two"):
        assert make(made / "run", tmp_path / name, "--name=x") == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_preset_of_a_preset_has_the_same_weights(made, tmp_path):
    assert make(made / "small", tmp_path / "again") == 0
    weights = [folder / "weights.safetensors" for folder in (made / "small", tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def flipped(folder, _other):
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)


def truncated(folder, _other):
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(content[: len(content) // 2])


def taken_from_another(name):
    return lambda folder, other: shutil.copy(other / name, folder / name)


def without(name):
    return lambda folder, _other: (folder / name).unlink()


def written(name, text):
    return lambda folder, _other: (folder / name).write_text(text)


def changed(**fields):
    def damage(folder, _other):
        path = folder / "preset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


DAMAGES = {
    "a bit": (flipped, "weights.safetensors: damaged"),
    "half": (truncated, "weights.safetensors: damaged"),
    "weights of another": (taken_from_another("weights.safetensors"), "or of another preset"),
    "no weights": (without("weights.safetensors"), "weights.safetensors: No such file"),
    "no config": (without("config.json"), "config.json: No such file"),
    "no threshold": (without("threshold.json"), "threshold.json: No such file"),
    "no calibration": (without("calibration.json"), "calibration.json: No such file"),
    "no preset.json": (without("preset.json"), "preset.json: cannot be read: No such file"),
    "another threshold": (written("threshold.json", "{}"), "threshold.json: damaged"),
    "one file more": (written("outlier.json", "{}"), "outlier.json: damaged, or of another"),
    "nested": (written("preset.json", "[" * 100_000), "preset.json: damaged"),
    "no step": (changed(step="7"), "preset.json: damaged: .*step must be int"),
    "no files": (changed(files={}), "files must have config.json"),
    "files elsewhere": (changed(files={"../a": "0"}), "files must be of this folder"),
    "a later version": (changed(schema_version=2), "schema_version 2"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_line(made, tmp_path, capsys, name):
    damage, said = DAMAGES[name]
    folder = shutil.copytree(made / "small", tmp_path / "small")
    damage(folder, made / "other")
    line = one_error(capsys, "score", "--workdir", folder, made / "a.wav", "--no-progress")
    assert re.search(said, line), line


def test_weights_that_do_not_fit_the_network_are_refused_though_the_digests_agree(
    made, tmp_path, capsys
):
    folder = shutil.copytree(made / "small", tmp_path / "small")
    config = thawed(read_config(folder))
    config.model.fields["hidden_features"] = 11
    save_config(config, folder)
    record = json.loads((folder / "preset.json").read_text())
    digest = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    changed(files=record["files"] | {"config.json": digest})(folder, None)
    line = one_error(capsys, "score", "--workdir", folder, made / "a.wav")
    assert "weights.safetensors: made by another model" in line


@pytest.mark.parametrize("which", ["latest", "swa", "8"])
def test_it_has_one_checkpoint(made, capsys, which):
    words = ["score", "--workdir", made / "small", made / "a.wav", "--checkpoint", which]
    assert f"no {which} checkpoint here: a preset has one, best" in one_error(capsys, *words)


def test_no_run_named_is_the_default_preset_and_said_once(packaged, capsys):
    of_run, _ = scored(capsys, "--workdir", packaged / "run", packaged / "a.wav")
    found, said = scored(capsys, packaged / "a.wav")
    assert found == of_run
    notes = [line for line in said.splitlines() if line.startswith("note: the detector is")]
    assert notes == [
        "note: the detector is small, the default preset, bona fide at a score of 0.1 or more "
        "(equal error rate on dev); where it fails: python -m rawnet_jax presets small"
    ]
    by_name, said = scored(capsys, "--workdir", "other", packaged / "a.wav")
    assert by_name["score"] != found["score"]
    assert "the detector is" not in said


def test_python_loads_by_name_and_by_default(packaged, capsys):
    detector = rawnet_jax.load()
    assert "note: the detector is small" in capsys.readouterr().err
    result = detector.score(str(packaged / "a.wav"))
    assert result.score == rawnet_jax.load(packaged / "run").score(str(packaged / "a.wav")).score
    assert rawnet_jax.load("other").info.digest != detector.info.digest
    assert capsys.readouterr().err == ""
    assert [preset.name for preset in rawnet_jax.list_presets()] == ["small", "other"]
    for name in ("neither", "n" * 5_000, "n\0"):
        with pytest.raises(rawnet_jax.ConfigError, match=r"presets: small, other"):
            rawnet_jax.load(name)


def test_a_folder_goes_before_a_preset_of_that_name(packaged, tmp_path):
    shutil.copytree(packaged / "other", tmp_path / "small")
    found = rawnet_jax.load("small").info.digest
    assert found == rawnet_jax.load(packaged / "other").info.digest


@pytest.mark.parametrize(
    "words",
    [
        *(["score", "a.wav"], ["stream", "a.wav"], ["explain", "a.wav"], ["evaluate"]),
        *(["export", "--format=onnx"], ["export-torch", "--output=a.pth"]),
        *(["cross-corpus", "--corpus=a=folders:b"], ["evaluate", "--robustness"]),
    ],
    ids=" ".join,
)
def test_without_a_preset_a_run_must_be_named(bare, capsys, words):
    line = one_error(capsys, *words)
    assert line == (
        "error: --workdir must be given, the folder of a trained run: this package has no default "
        "preset"
    )


def test_python_without_a_preset(bare):
    assert rawnet_jax.list_presets() == []
    with pytest.raises(rawnet_jax.ConfigError, match="no default preset"):
        rawnet_jax.load()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_preset_is_never_written_into(packaged, tiny_corpus, tmp_path, capsys):
    before = contents(packaged)
    corpus = [f"--config.data.{part}_protocol={part}.txt" for part in ("train", "dev", "eval")]
    corpus += ["--config.data.corpus=asvspoof2019_la", f"--config.data.root={tiny_corpus}"]
    corpus += ["--config.data.audio_dir=flac", f"--config.data.cache_dir={tmp_path / 'cache'}"]
    quiet = ["--no-progress", "--no-bootstrap"]
    sound = str(packaged / "a.wav")
    assert main(["explain", sound, "--spans=2", "--bands=2", "--no-progress"]) == 0
    assert main(["export", "--format=stablehlo", f"--clips={sound}"]) == 0
    assert "licence:     CC0" in capsys.readouterr().out
    assert main(["evaluate", *corpus, *quiet]) == 0
    assert "stays as it is; threshold and calibration are in" in capsys.readouterr().out
    only = ["--limit=8", "--conditions=clean"]
    assert main(["evaluate", "--robustness", *only, *corpus, *quiet]) == 0
    given = f"--corpus=a=asvspoof2019_la:{tiny_corpus},eval_protocol=eval.txt,audio_dir=flac"
    assert main(["cross-corpus", given, *quiet, "--workdir=small"]) == 0
    assert (
        "equal error rate on dev"
        in (tmp_path / "small_results" / "cross_corpus" / "cross_corpus.json").read_text()
    )
    assert contents(packaged) == before
    results = tmp_path / "small_results"
    assert {path.name for path in results.iterdir()} == {
        *("explain", "model.stablehlo", "eval", "robustness", "cross_corpus")
    }
    assert {"threshold.json", "calibration.json"} <= {p.name for p in (results / "eval").iterdir()}


def test_training_goes_elsewhere(made, tiny_config, capsys):
    folder = made / "small"
    line = one_error(capsys, "train", "--config", tiny_config, "--workdir", folder)
    assert "holds a preset: it stays as it is; to train from it, use another --workdir" in line


def test_the_list_and_the_card(packaged, capsys):
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out
    assert "small (default): A test\n  conv1d, " in listed
    assert "licence: CC0\n  dev EER 25 %\n" in listed
    assert "\nother\n  conv1d, " in listed
    assert main(["presets", "small"]) == 0
    assert capsys.readouterr().out == "# small\n\nFails on tones.\n"
    assert main(["presets", str(packaged / "other")]) == 0
    assert "Nobody has written down" in capsys.readouterr().out
    assert "is neither the name nor the folder of a preset" in one_error(
        capsys, "presets", packaged / "run"
    )


def test_a_list_of_nothing(bare, capsys):
    assert main(["presets"]) == 0
    assert capsys.readouterr().out == "this package has no preset\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--make=run"], "--make: needs --output"),
        (["--make=run", "--output=small"], "--output small: something is there already"),
        (["--make=none", "--output=new"], "none: no run here"),
        (["--make=run", "--output=new", "--card=none.md"], "--card none.md: No such file"),
        (["--make=run", "--output=new", "--name=a/b"], "--name 'a/b': it must be letters"),
        (["--make=run", "--output=new", "--summary=a\nb"], "--summary: it must be one line"),
        (["--make=run", "--output=a.wav/new"], "--output a.wav/new: cannot be written"),
        (["--make=seeds", "--output=new"], "holds 2 models, one per seed"),
        (["--output=new"], "--output: goes with --make only"),
        (["--figure=a=b"], "--figure: goes with --make only"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(made, tmp_path, monkeypatch, capsys, words, said):
    for name in ("run", "small", "a.wav"):
        (tmp_path / name).symlink_to(made / name)
    if "--make=seeds" in words:
        for seed in (0, 1):
            write_run(tmp_path / "seeds" / f"seed_{seed}", num_samples=3_200, seed=seed)
        config = thawed(read_config(made / "run"))
        config.train.num_seeds = 2
        save_config(config, tmp_path / "seeds")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert said in one_error(capsys, "presets", *words)
    assert contents(tmp_path) == before


def test_one_seed_of_several(made, tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"seed_{seed}", num_samples=3_200, seed=seed)
    config = thawed(read_config(made / "run"))
    config.train.num_seeds = 2
    save_config(config, tmp_path)
    assert make(tmp_path, tmp_path / "preset", "--seed=1") == 0
    assert Run.open(tmp_path / "preset").fingerprint == Run.open(tmp_path, seed=1).fingerprint


def test_scoring_with_a_preset_imports_no_orbax(made):
    code = (
        "import sys; from rawnet_jax.cli.main import main; status = main(sys.argv[1:]); "
        "print([name for name in ('orbax', 'grain', 'tensorstore', 'matplotlib') "
        "if name in sys.modules]); sys.exit(status)"
    )
    words = ["score", "--workdir", str(made / "small"), str(made / "a.wav"), "--no-progress"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(not catalog.list_presets(), reason="this package has no preset yet")
def test_the_presets_of_the_package():
    found = catalog.list_presets()
    assert found[0].name == catalog.DEFAULT
    for preset in found:
        preset.check()
        assert preset.name == preset.folder.name
        assert preset.summary
        assert "fail" in preset.card
        assert preset.num_bytes < 5_000_000
        Run.open(preset.folder)


def test_the_page(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "runs" / "x")
    shutil.copy(made / "a.wav", tmp_path / "call.wav")
    [block] = blocks(DOCS / "presets.md", "console")
    (_, (_, scores), (_, card)) = run_console(block, tmp_path)
    assert "call.wav" in scores.stdout
    assert card.stdout.startswith("# mine\n\nTelephone speech, Czech\n")
