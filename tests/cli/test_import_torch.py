"""``import-torch`` and ``export-torch`` as a user types them, with a small family of our own."""

import errno
import hashlib
import json
import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from rawnet_jax.checkpoint import restore_variables
from rawnet_jax.cli.main import main
from rawnet_jax.config import Config
from rawnet_jax.config_file import load_config, read_config, save_config
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_weights import variables_to_torch
from rawnet_jax.interop.torch_writer import write_state_dict
from rawnet_jax.mesh import make_mesh, replicated
from rawnet_jax.models.registry import MODELS, build_model, model_config
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.variables import variable_shapes
from tests.conftest import TINY_SIZES

NAMES = TorchNames(
    rules=((r"^conv_(\d+)/", r"features/\1/conv/"), (r"^norm_(\d+)/", r"features/\1/bn/")),
    aliases={"head.b": "head.bias"},
)
SPEC = replace(
    MODELS["conv1d"],
    num_samples=800,
    source="a paper of nobody",
    variant={"channels": (3, 4), "hidden_features": 5},
    torch_names=NAMES,
)


@pytest.fixture(autouse=True)
def family(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", SPEC)
    monkeypatch.setitem(
        MODELS, "tiny_center", replace(SPEC, torch_names=replace(NAMES, in_loss=(r"head\.bias",)))
    )
    optional = replace(NAMES, optional=(r"head\.weight",))
    monkeypatch.setitem(MODELS, "tiny_optional", replace(SPEC, torch_names=optional))


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    """A state dict without two equal values in it."""
    model = build_model(model_config("conv1d", **SPEC.variant))
    shapes = variable_shapes(model, 800)
    rng = np.random.default_rng(3)
    draw = {
        name: np.abs(rng.standard_normal(array.shape, np.float32)) + 0.1
        for name, array in variables_to_torch(
            jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes), NAMES
        ).items()
    }
    return draw | {n: np.array(9) for n in draw if n.endswith("num_batches_tracked")}


@pytest.fixture
def weights(state, tmp_path) -> Path:
    write_state_dict(tmp_path / "published.pth", state)
    return tmp_path / "published.pth"


def imported(weights, workdir, *more) -> list[str]:
    return ["import-torch", str(weights), "--model=tiny", f"--workdir={workdir}", *more]


def restored(workdir, template):
    return jax.device_get(restore_variables(workdir, "best", template, replicated(make_mesh()))[0])


def template():
    model = build_model(model_config("tiny"))
    return variable_shapes(model, 800)


def test_import_and_evaluate(weights, state, tiny_corpus, tmp_path, capsys):
    run = tmp_path / "runs" / "a"
    assert main(imported(weights, run, "--licence=MIT")) == 0
    printed = capsys.readouterr().out
    assert f"published.pth: {len(state)} tensors, all of tiny: " in printed
    assert f"python evaluate.py --workdir {run}" in printed
    found = variables_to_torch(restored(run, template()), NAMES)
    for name in found:
        if not name.endswith("num_batches_tracked"):
            assert found[name].tobytes() == state[name].tobytes(), name
    config = read_config(run)
    assert (config.model.name, config.loss.name) == ("tiny", "bce")
    assert (config.data.num_samples, config.data.pad) == (800, "repeat")
    assert "not trained here" in config.note
    source = json.loads((run / "source.json").read_text())
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    size = weights.stat().st_size
    assert source["files"] == [{"name": "published.pth", "bytes": size, "sha256": digest}]
    assert (source["model"], source["published"]) == ("tiny", "a paper of nobody")
    assert source["licence"] == "MIT"
    assert {"imported", "rawnet_jax"} <= source.keys()
    corpus = ["corpus=asvspoof2019_la", f"root={tiny_corpus}", "audio_dir=flac", "num_workers=1"]
    corpus += [f"cache_dir={tmp_path / 'cache'}"]
    corpus += [f"{part}_protocol={part}.txt" for part in TINY_SIZES]
    overrides = [f"--config.data.{setting}" for setting in corpus]
    assert main(["evaluate", f"--workdir={run}", *overrides, "--no-dev", "--no-progress"]) == 0
    score = np.asarray(read_scores(run / "eval" / "scores.txt").scores)
    assert score.shape == (TINY_SIZES["eval"],)
    assert np.isfinite(score).all()
    assert len(set(score.tolist())) > 10
    assert "Imported weights" in (run / "eval" / "report.html").read_text()


def test_export_is_the_way_back(weights, state, tmp_path, capsys):
    run, output = tmp_path / "a", tmp_path / "back.pth"
    assert main(imported(weights, run)) == 0
    capsys.readouterr()
    assert main(["export-torch", f"--workdir={run}", f"--output={output}"]) == 0
    assert "load_state_dict(torch.load('back.pth', weights_only=True))" in capsys.readouterr().out
    found = read_state_dict(output)
    assert found.keys() == state.keys()
    for name in state:
        if not name.endswith("num_batches_tracked"):
            assert found[name].tobytes() == state[name].tobytes(), name


def test_what_the_published_code_keeps_in_its_loss_has_a_file_of_its_own(weights, state, tmp_path):
    run = tmp_path / "a"
    arguments = ["import-torch", str(weights), "--model=tiny_center", f"--workdir={run}"]
    assert main(arguments) == 0
    assert main(["export-torch", f"--workdir={run}", f"--output={tmp_path / 'b.pth'}"]) == 0
    network, loss = (read_state_dict(tmp_path / name) for name in ("b.pth", "b_loss.pth"))
    assert network.keys() == state.keys() - {"head.bias"}
    np.testing.assert_array_equal(loss.pop("head.b"), state["head.bias"])
    assert not loss
    again = tmp_path / "again"
    both = [str(tmp_path / "b.pth"), str(tmp_path / "b_loss.pth")]
    assert main(["import-torch", *both, "--model=tiny_center", f"--workdir={again}"]) == 0
    jax.tree.map(
        np.testing.assert_array_equal, restored(again, template()), restored(run, template())
    )
    assert len(json.loads((again / "source.json").read_text())["files"]) == 2


def test_what_may_be_lacking_is_drawn_and_named(state, tmp_path, capsys):
    write_state_dict(tmp_path / "a.pth", {n: a for n, a in state.items() if n != "head.weight"})
    run = tmp_path / "a"
    arguments = ["import-torch", str(tmp_path / "a.pth"), f"--workdir={run}"]
    assert main([*arguments, "--model=tiny_optional"]) == 0
    assert "set at random (only training uses them): head.weight" in capsys.readouterr().out
    assert json.loads((run / "source.json").read_text())["drawn_anew"] == ["head.weight"]
    found = variables_to_torch(restored(run, template()), NAMES)
    assert (found["head.weight"] != 0).all()
    np.testing.assert_array_equal(found["hidden.weight"], state["hidden.weight"])


def test_settings_of_a_config_file(weights, tiny_config, tmp_path):
    config = tmp_path / "mine.py"
    text = tiny_config.read_text().replace('model_config("conv1d"', 'model_config("tiny"')
    config.write_text(text.replace('name="tiny"', 'name="mine"'))
    run = tmp_path / "a"
    more = (f"--config={config}", "--config.eval.batch_size=3")
    assert main(imported(weights, run, *more)) == 0
    saved = read_config(run)
    assert saved == load_config(str(config), ["--config.eval.batch_size=3"])
    assert saved.name == "mine"


def test_training_leaves_imported_weights_alone(weights, tiny_config, tmp_path, capsys):
    run = tmp_path / "a"
    assert main(imported(weights, run)) == 0
    before = sorted(run.rglob("*"))
    assert main(["train", f"--config={tiny_config}", f"--workdir={run}", "--no-progress"]) == 2
    assert f"--config.train.init_from={run}" in capsys.readouterr().err
    assert sorted(run.rglob("*")) == before


# --- bad input: one line, exit 2, and no work directory


def changed(change):
    def make(place, state):
        state = dict(state)
        change(state)
        write_state_dict(place / "a.pth", state)
        return imported(place / "a.pth", place / "run")

    return make


def with_content(content: bytes):
    def make(place, _):
        (place / "a.pth").write_bytes(content)
        return imported(place / "a.pth", place / "run")

    return make


def with_arguments(*more: str, model: str = "tiny", workdir: str = "run"):
    def make(place, state):
        write_state_dict(place / "a.pth", state)
        weights = str(place / "a.pth")
        return ["import-torch", weights, f"--model={model}", f"--workdir={place / workdir}", *more]

    return make


def in_two_files(place, state):
    write_state_dict(place / "a.pth", state)
    write_state_dict(place / "b.pth", {"head.bias": state["head.bias"]})
    command, *rest = imported(place / "a.pth", place / "run")
    return [command, str(place / "b.pth"), *rest]


def used_workdir(place, state):
    (place / "used").mkdir()
    (place / "used" / "config.json").write_text("{}")
    return with_arguments(workdir="used")(place, state)


def workdir_is_a_file(place, state):
    (place / "file").write_text("")
    return with_arguments(workdir="file")(place, state)


def other_config(place, state):
    (place / "c.py").write_text(
        "from rawnet_jax.config import Config\ndef get_config():\n    return Config()\n"
    )
    return with_arguments(f"--config={place / 'c.py'}")(place, state)


class Network:
    """Pickled whole."""


IMPORTS = {
    "no such file": (lambda p, _: imported(p / "no.pth", p / "run"), r"no\.pth: No such file"),
    "not a checkpoint": (with_content(b"hello"), r"a\.pth: not a PyTorch checkpoint"),
    "empty file": (with_content(b""), r"a\.pth: empty file"),
    "whole module": (
        with_content(pickle.dumps(Network(), 2)),
        r"a\.pth: .*Network.*state_dict\(\)",
    ),
    "attack": (with_content(b"\x80\x02cos\nsystem\nX\4\0\0\0true\x85R."), r"call os\.system"),
    "tensor missing": (changed(lambda s: s.pop("head.bias")), r"a\.pth: .*missing: head\.bias"),
    "tensor left over": (
        changed(lambda s: s.update(x=np.ones(2, np.float32))),
        r"this tiny; left over: x",
    ),
    "other shape": (
        changed(lambda s: s.update({"head.bias": np.ones(2, np.float32)})),
        r"wrong: head\.bias is \(2,\), must be \(1,\).*--config\.model\.fields",
    ),
    "not finite": (
        changed(lambda s: s.update({"head.bias": np.full(1, np.nan, np.float32)})),
        r"head\.bias is not finite",
    ),
    "in two files": (in_two_files, r"head\.bias is in .*b\.pth and in .*a\.pth"),
    "unknown model": (with_arguments(model="rawnet9"), r"rawnet9.*one of .*aasist"),
    "model without names": (with_arguments(model="conv1d"), r"conv1d was not published in PyTorch"),
    "workdir in use": (used_workdir, r"--workdir .*used: something is there already"),
    "workdir is a file": (workdir_is_a_file, r"--workdir .*file: something is there already"),
    "workdir below a file": (
        lambda p, s: with_arguments(workdir="a.pth/run")(p, s),
        r"--workdir .*a\.pth/run: cannot be written: Not a directory",
    ),
    "config of another model": (other_config, r"--model is tiny, the config's is conv1d"),
    "model in an override": (
        with_arguments("--config.model.name=conv1d"),
        r"--model is tiny, the config's is conv1d",
    ),
    "no such config": (with_arguments("--config=no.py"), r"no\.py: no such config file"),
    "unknown setting": (with_arguments("--config.data.pads=zero"), r"'pads'; did you mean 'pad'"),
    "unknown model field": (with_arguments("--config.model.fields.chanels=3"), r"'channels'"),
    "other model fields": (
        with_arguments("--config.model.fields.hidden_features=6"),
        r"hidden\.weight is \(5, 4\), must be \(6, 4\)",
    ),
    "loss of another output": (
        with_arguments("--config.loss.name=cross_entropy"),
        r"'cross_entropy', which does not take what this tiny gives.*published: bce",
    ),
    "unknown loss": (with_arguments("--config.loss.name=mse"), r"mse.*one of bce"),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_import_of_bad_input(state, tmp_path, capfd, name):
    make, expected = IMPORTS[name]
    arguments = make(tmp_path, state)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert_one_line(arguments, expected, capfd)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_full_disk_leaves_nothing_behind(weights, tmp_path, capfd, monkeypatch):
    from rawnet_jax.jobs import made_run

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(made_run, "save_config", full)
    assert_one_line(imported(weights, tmp_path / "a"), r"a: cannot be written: No space", capfd)
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]


def assert_one_line(arguments, expected, capfd):
    capfd.readouterr()
    assert main(arguments) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert re.search(expected, line), line
    assert len(line) < 700


def run_of(name):
    """A run of that model, without checkpoints."""

    def make(run, place):
        shutil.rmtree(run)
        run.mkdir()
        save_config(Config(model=model_config(name)), run)
        return run, place / "x.pth"

    return make


def output_is_a_folder(run, place):
    (place / "x.pth").mkdir()
    return run, place / "x.pth"


EXPORTS = {
    "no run": (lambda run, p: (p / "no", p / "x.pth"), r"no: no run here"),
    "model without names": (run_of("conv1d"), r"conv1d was not published in PyTorch"),
    "no checkpoint": (run_of("tiny"), r"no best checkpoint here"),
    "no such folder": (lambda run, p: (run, p / "no" / "x.pth"), r"its folder does not exist"),
    "output is a folder": (output_is_a_folder, r"x\.pth: cannot be written"),
    "senseless checkpoint": (lambda run, p: (run, p / "x.pth", "--checkpoint=last"), r"'last'"),
    "no such step": (lambda run, p: (run, p / "x.pth", "--checkpoint=7"), r"no 7 checkpoint"),
}


@pytest.fixture(scope="module")
def run_to_export(state, tmp_path_factory):
    place = tmp_path_factory.mktemp("export")
    write_state_dict(place / "a.pth", state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", SPEC)
        assert main(imported(place / "a.pth", place / "run")) == 0
    return place / "run"


@pytest.mark.parametrize("name", EXPORTS)
def test_export_of_bad_input(run_to_export, tmp_path, capfd, name):
    make, expected = EXPORTS[name]
    run = Path(shutil.copytree(run_to_export, tmp_path / "run"))
    run, output, *more = make(run, tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert_one_line(
        ["export-torch", f"--workdir={run}", f"--output={output}", *more], expected, capfd
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_that_reads_back_otherwise_is_an_error(run_to_export, tmp_path, capfd, monkeypatch):
    from rawnet_jax.jobs import export_torch

    def wrong(path):
        return {n: a + 1 for n, a in read_state_dict(path).items()}

    monkeypatch.setattr(export_torch, "read_state_dict", wrong)
    arguments = ["export-torch", f"--workdir={run_to_export}", f"--output={tmp_path / 'x.pth'}"]
    assert_one_line(arguments, r"x\.pth: .* is not what was written", capfd)
