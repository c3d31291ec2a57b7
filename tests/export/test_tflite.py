"""Networks in LiteRT, against Flax."""

import sys

import jax
import numpy as np
import pytest

from rawnet_jax.errors import ExportError
from rawnet_jax.export.program import flax_scores, make_program
from rawnet_jax.export.stamp import FIELD, check_stamp
from rawnet_jax.export.tflite import METADATA_NAME, export_tflite, read_metadata
from rawnet_jax.export.verify import TOLERANCE, run_exported
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import init_variables
from tests.export.export_cases import SOURCE, clips, exported_as, small_program
from tests.small_run import small_config

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
pytest.importorskip("ai_edge_quantizer")
pytest.importorskip("litert_converter")

CALIBRATION = AffineCalibration(2.0, 0.5, 0.5, 10, 10)


@pytest.fixture(scope="module")
def conv1d():
    """The small form of Conv1D and its file."""
    program = small_program(calibration=CALIBRATION)
    return program, export_tflite(program)


@pytest.fixture(scope="module")
def published():
    """Conv1D at its published size."""
    config = small_config()
    config.model, config.data.num_samples = model_config("conv1d"), 16_000
    model = build_model(config.model)
    variables = init_variables(model, jax.random.key(0), 16_000)
    return make_program(config, jax.device_get(variables), SOURCE)


def run_tflite(content, program, waveform, num_samples):
    """Run a file in this process, clip by clip."""
    from ai_edge_litert.interpreter import Interpreter

    call = Interpreter(model_content=content, num_threads=1).get_signature_runner()
    rows = zip(waveform[:, None], num_samples[:, None], strict=True)
    found = [call(**dict(zip(program.inputs, row, strict=False))) for row in rows]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def operations(content):
    """Return (name, names of outputs, types of outputs) of each operation."""
    model = schema.ModelT.InitFromPackedBuf(content)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    (graph,) = model.subgraphs
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        tensors = [graph.tensors[number] for number in operator.outputs]
        yield (
            names[max(code.builtinCode, code.deprecatedBuiltinCode)],
            [tensor.name.decode() for tensor in tensors],
            {tensor.type for tensor in tensors},
        )


@pytest.mark.parametrize("name", exported_as("tflite"))
def test_every_network(name):
    program = small_program(name)
    content = export_tflite(program)
    assert not [op for op, *_ in operations(content) if op.startswith(("CUSTOM", "STABLEHLO"))]
    rows = clips(program)
    found = run_tflite(content, program, *rows)["score"]
    np.testing.assert_allclose(found, flax_scores(program, *rows), atol=TOLERANCE, rtol=0)


def test_what_the_file_says(conv1d):
    program, content = conv1d
    metadata = read_metadata(content)
    check_stamp(content, metadata.pop(FIELD), "model.tflite")
    assert metadata == program.metadata
    waveform, num_samples = clips(program)
    found = run_tflite(content, program, waveform, num_samples)
    assert list(found) == ["llr", "score"]
    np.testing.assert_allclose(found["llr"], CALIBRATION.apply(found["score"]), rtol=1e-6)


@pytest.mark.slow
def test_in_a_process_of_its_own(tmp_path):
    program = small_program("lfcc_resnet18")
    (path := tmp_path / "model.tflite").write_bytes(export_tflite(program))
    rows = clips(program, 3)
    found = run_exported(path, "tflite", program, *rows)["score"]
    np.testing.assert_allclose(found, flax_scores(program, *rows), atol=TOLERANCE, rtol=0)


def test_sizes_and_scores_of_int8(published):
    content = export_tflite(published)
    assert len(content) < 100_000
    rows = clips(published, 20)
    small = export_tflite(published, quantize="int8", representative=rows)
    assert len(small) < 40_000
    metadata = read_metadata(small)
    check_stamp(small, metadata.pop(FIELD), "model.tflite")
    assert metadata == published.metadata
    wanted = flax_scores(published, *rows)
    found = run_tflite(small, published, *rows)["score"]
    assert np.abs(found - wanted).max() < 0.1 * np.ptp(wanted)
    assert np.abs(found - wanted).max() > TOLERANCE  # or it would not be in 8 bits


def test_loud_clips_are_within_the_range_of_int8(conv1d):
    """One loud clip among many quiet ones, where a mean of ranges would cut it off."""
    program, _ = conv1d
    waveform = np.random.default_rng(0).standard_normal((12, program.num_samples)) * 0.01
    waveform[3] *= 50
    rows = (waveform.astype(np.float32), np.full(12, program.num_samples, np.int32))
    content = export_tflite(program, quantize="int8", representative=rows)
    wanted = flax_scores(program, *rows)
    found = run_tflite(content, program, *rows)["score"]
    assert abs(found[3] - wanted[3]) < 0.1 * np.ptp(wanted)


def test_a_front_end_stays_in_float():
    program = small_program("lfcc_resnet18")
    content = export_tflite(program, quantize="int8", representative=clips(program))
    kinds: dict[bool, set[int]] = {True: set(), False: set()}
    for op, names, types in operations(content):
        if op in ("CONV_2D", "FULLY_CONNECTED"):
            kinds["front_end" in names[0]] |= types
    assert kinds == {True: {schema.TensorType.FLOAT32}, False: {schema.TensorType.INT8}}


def test_int8_takes_clips(conv1d):
    for none in (None, (np.zeros((0, 640), np.float32), np.zeros(0, np.int32))):
        with pytest.raises(ExportError, match="int8 takes representative clips"):
            export_tflite(conv1d[0], quantize="int8", representative=none)


def test_without_the_extra(conv1d, monkeypatch):
    monkeypatch.setitem(sys.modules, "litert_converter", None)
    with pytest.raises(ExportError, match=r"pip install 'rawnet_jax\[tflite\]'"):
        export_tflite(conv1d[0])


def test_other_files_have_no_metadata(conv1d):
    with pytest.raises(ExportError, match="not a TFLite file"):
        read_metadata(b"RIFF____WAVE")
    named = conv1d[1].replace(METADATA_NAME.encode() + b"\0", b"another_na\0")
    with pytest.raises(ExportError, match="no metadata of the name 'rawnet_jax'"):
        read_metadata(named)
