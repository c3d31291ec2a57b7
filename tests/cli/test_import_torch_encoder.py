"""`import-torch` and `export-torch` of a detector with an encoder: one file, both of its parts."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from rawnet_jax.cli.main import main
from rawnet_jax.config_file import read_config
from rawnet_jax.interop.model_weights import variables_to_published
from rawnet_jax.interop.torch_file import read_state_dict
from rawnet_jax.interop.torch_writer import write_state_dict
from rawnet_jax.models.registry import MODELS, build_model, default_fields, model_config
from tests.models.small_models import ON_TINY, TINY
from tests.models.test_variable_length import drawn

NAME = "ssl_linear"
SIZES = [
    f"--config.model.fields.encoder.{name}={value}"
    for name, value in TINY.items()
    if value != default_fields(NAME)["encoder"][name]
]


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    """What the published code would save of a very small network."""
    model = build_model(model_config(NAME, **ON_TINY))
    names = MODELS[NAME].torch_names
    assert names is not None
    return variables_to_published(drawn(model, 300), model, names)


def imported(file, run) -> list[str]:
    more = ["--config.data.num_samples=300", "--config.data.root=/corpus", *SIZES]
    return ["import-torch", str(file), f"--model={NAME}", f"--workdir={run}", *more]


def test_out_is_what_went_in(state, tmp_path, capsys):
    parts = {"m_ssl.model.mask_emb": np.zeros(8, np.float32)}
    wrapped = {f"module.{name}": array for name, array in (state | parts).items()}
    write_state_dict(tmp_path / "a.pth", wrapped)
    assert main(imported(tmp_path / "a.pth", tmp_path / "run")) == 0
    printed = capsys.readouterr().out
    assert f"a.pth: {len(state)} tensors, all of ssl_linear: " in printed
    assert "1 tensors, not used: m_ssl.model.mask_emb" in printed
    assert read_config(tmp_path / "run").model.fields.encoder.width == 8
    arguments = [f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'b.pth'}"]
    assert main(["export-torch", *arguments]) == 0
    assert "weights_only=True), strict=False)" in capsys.readouterr().out
    found = read_state_dict(tmp_path / "b.pth")
    assert found.keys() == state.keys()
    for name, array in state.items():
        assert found[name].tobytes() == array.tobytes(), name


def test_safetensors_is_read_and_what_is_wrong_is_one_line(state, tmp_path, capsys):
    file = tmp_path / "a.safetensors"
    save_file(state, file)
    assert main(imported(file, tmp_path / "run")) == 0
    damaged = {name: array for name, array in state.items() if name != "proj_fc.bias"}
    damaged["m_ssl.model.post_extract_proj.bias"] = np.zeros(7, np.float32)
    save_file(damaged, file)
    capsys.readouterr()
    assert main(imported(file, tmp_path / "other")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.safetensors: not the weights of this ssl_linear; encoder: wrong: " in line
    assert "head: missing: proj_fc.bias" in line
    assert not (tmp_path / "other").exists()


def test_a_folder_is_not_a_file(tmp_path, capsys):
    assert main(imported(tmp_path, tmp_path / "run")) == 2
    assert "must be one file of weights" in capsys.readouterr().err
