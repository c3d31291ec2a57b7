"""An exported file is tried before it gets its name."""

import hashlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import jax
import numpy as np
import pytest

from rawnet_jax.config import AudioConfig
from rawnet_jax.errors import ConfigError, ExportError
from rawnet_jax.export import run_exported as runner
from rawnet_jax.export.metadata_strings import as_strings, from_strings
from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.program import calibrated, flax_scores
from rawnet_jax.export.stablehlo import export_stablehlo
from rawnet_jax.export.stamp import FIELD
from rawnet_jax.export.verify import NUM_RANDOM, compare, make_check_clips, write_verified
from rawnet_jax.metrics.calibration import AffineCalibration, IsotonicCalibration
from rawnet_jax.scoring.verdict import OperatingPoint
from tests.export.export_cases import clips, exported_as, run_onnx, small_program

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

AFFINE = AffineCalibration(2.0, 0.5, 0.5, 10, 10)


@pytest.fixture(scope="module")
def program():
    return small_program(calibration=AFFINE)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "make"), [("onnx", export_onnx), ("stablehlo", export_stablehlo)])
def test_a_right_file_gets_its_name(program, tmp_path, kind, make):
    path = tmp_path / "model"
    found = write_verified(
        path, make(program), kind, program, make_check_clips(program, [], AudioConfig())
    )
    assert found.largest < 1e-6
    assert (found.num_clips, found.num_real) == (NUM_RANDOM, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_a_wrong_file_leaves_nothing_behind(program, tmp_path):
    other = export_onnx(small_program(seed=1, calibration=AFFINE))
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the one before")
    with pytest.raises(ExportError, match=r"model\.onnx: not written: .* differ from Flax's by up"):
        write_verified(path, other, "onnx", program, make_check_clips(program, [], AudioConfig()))
    assert path.read_bytes() == b"the one before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_wrong_calibration_is_seen(program, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(
        export_onnx(program.with_decision(AffineCalibration(2.0, 0.51, 0.5, 10, 10), None))
    )
    found = compare(path, "onnx", program, make_check_clips(program, [], AudioConfig()))
    assert found.score < 1e-6
    assert found.llr is not None
    assert 0.003 < found.llr < 0.0101  # as a share of ratios above 1


@pytest.mark.slow
def test_parameters_in_another_file_are_refused(program, tmp_path):
    path = tmp_path / "model.onnx"
    model = onnx.load_from_string(export_onnx(program))
    kept = [entry for entry in model.metadata_props if entry.key != FIELD]  # as older files
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save_model(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(ExportError, match=r"does not run: .* in another file"):
        compare(path, "onnx", program, make_check_clips(program, [], AudioConfig()))


def test_the_runtime_is_told_to_send_nothing_home_before_it_is_imported():
    script = (
        "import os, runpy, sys\n"
        "os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        f"runpy.run_path({runner.__file__!r}, run_name='runner')['stand_alone']()\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "import rawnet_jax\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert done.stderr.strip().endswith("import of rawnet_jax halted; None in sys.modules")


@pytest.mark.parametrize("name", exported_as("stablehlo"))
def test_every_network_is_written_as_stablehlo(name, tmp_path):
    program = small_program(name)
    path = tmp_path / "model.stablehlo"
    path.write_bytes(export_stablehlo(program))
    with zipfile.ZipFile(path) as archive:
        metadata, content = json.loads(archive.read("metadata.json")), archive.read("program.bin")
    assert metadata.pop("program_sha256") == hashlib.sha256(content).hexdigest()
    assert metadata == program.metadata
    exported = jax.export.deserialize(bytearray(content))
    assert exported.in_avals[0].shape[1:] == (program.num_samples,)
    assert len(exported.in_avals) == len(program.inputs)
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    assert all(jax.export.is_symbolic_dim(aval.shape[0]) for aval in exported.in_avals)


def test_calibrations_are_what_they_are():
    scores = np.sort(np.random.default_rng(0).normal(size=40))
    llrs = np.repeat(np.linspace(-3, 3, 20), 2)
    isotonic = IsotonicCalibration(scores, llrs, 20, 20)
    single = IsotonicCalibration(scores[:1], llrs[:1], 1, 1)
    tried = np.concatenate([scores, np.linspace(-5, 5, 101)]).astype(np.float32)
    bounded = [replace(one, bounds=(-0.5, 1.5)) for one in (AFFINE, isotonic)]
    for calibration in (AFFINE, isotonic, single, *bounded):
        found = calibrated(jax.numpy.asarray(tried), calibration)
        np.testing.assert_allclose(found, calibration.apply(tried), rtol=1e-4, atol=1e-4)


def test_isotonic_calibration_is_in_the_file():
    calibration = IsotonicCalibration(np.linspace(-1, 1, 9), np.linspace(-2, 2, 9) ** 3, 5, 5)
    program = small_program(calibration=calibration)
    waveform, num_samples = clips(program)
    found = run_onnx(export_onnx(program), waveform)
    np.testing.assert_allclose(found["llr"], calibration.apply(found["score"]), atol=1e-5)
    np.testing.assert_allclose(
        found["score"], flax_scores(program, waveform, num_samples), atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "settings", "inputs"),
    [
        ("conv1d", {}, 1),
        ("conv1d", {"variable_length": True}, 2),
        ("lfcc_resnet18", {}, 2),  # repeats a clip's own frames
        ("lfcc_resnet18", {"pad": "repeat"}, 1),
    ],
)
def test_num_samples_is_an_input_where_the_score_depends_on_it(name, settings, inputs):
    program = small_program(name, **settings)
    assert len(program.inputs) == inputs
    assert list(program.metadata["inputs"]) == list(program.inputs)


def test_a_length_that_the_network_cannot_take_is_one_line():
    with pytest.raises(ConfigError, match="model aasist, 20 samples: the network needs at least"):
        small_program("aasist", num_samples=20)


def test_many_clips_are_scored_in_batches_of_one_shape(program):
    waveform, num_samples = clips(program, 35)
    found = flax_scores(program, waveform, num_samples)
    np.testing.assert_allclose(
        found[30:], flax_scores(program, waveform[30:], num_samples[30:]), atol=1e-6
    )
    assert np.unique(found).size == 35


def test_check_clips_are_cut_filled_and_short_as_the_run_has_it(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", 0.1 * np.ones(500), 16_000)
    program = small_program("conv1d", variable_length=True)
    found = make_check_clips(program, [tmp_path / "a.wav"], AudioConfig())
    assert found.waveform.shape == (1 + NUM_RANDOM, program.num_samples)
    assert found.num_real == 1
    assert found.num_samples[0] == 500
    assert not found.waveform[0, 500:].any()
    assert (found.num_samples < program.num_samples).sum() > 2
    fixed = make_check_clips(small_program("conv1d"), [], AudioConfig())
    assert set(fixed.num_samples.tolist()) == {program.num_samples}


def test_metadata_survives_formats_of_strings_alone(program):
    point = OperatingPoint(0.25, "equal error rate", step=7)
    metadata = program.with_decision(AFFINE, point, "CC0").metadata
    assert from_strings(as_strings(metadata)) == metadata
    assert metadata["threshold"]["value"] == 0.25
    assert metadata["license"] == "CC0"
    assert program.metadata["license"].startswith("not stated")
