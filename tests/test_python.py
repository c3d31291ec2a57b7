"""The Python interface: the same scores as the command, results, errors that say the cure."""

import io
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from nbclient import NotebookClient

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.config import thawed
from rawnet_jax.config_check import checked
from rawnet_jax.config_file import read_config, save_config
from rawnet_jax.scoring.verdict import OperatingPoint, save_operating_point
from tests.docs_examples import DOCS, run_python
from tests.models.small_models import DISTINCT, unlike
from tests.small_run import STEP, write_run

RATE = 16_000
RNG = np.random.default_rng(0)


def noise(num_samples, *channels):
    return (0.1 * RNG.standard_normal((num_samples, *channels))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    write_run(folder / "runs" / "x", num_samples=3_200)
    soundfile.write(folder / "call.wav", noise(9_000), RATE, subtype="FLOAT")
    soundfile.write(folder / "short.flac", noise(1_000), RATE)
    soundfile.write(folder / "stereo.ogg", noise(20_000, 2), 44_100)
    soundfile.write(folder / "still.wav", np.zeros(8_000), RATE)
    (folder / "text.wav").write_text("no audio")
    return folder


@pytest.fixture(scope="module")
def detector(folder):
    return rawnet_jax.load(folder / "runs" / "x")


def of_command(capsys, run, *words):
    status = main(
        ["score", f"--workdir={run}", "--no-progress", "--format=jsonl", *map(str, words)]
    )
    assert status in (0, 1, 3)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("name", ["call.wav", "short.flac", "stereo.ogg", "still.wav"])
def test_a_file_gets_the_record_of_the_command(folder, detector, capsys, name):
    [record] = of_command(capsys, folder / "runs" / "x", folder / name)
    result = detector.score(folder / name)
    assert result.to_dict() == record
    assert list(result.to_dict()) == list(record)
    [record] = of_command(capsys, folder / "runs" / "x", folder / name, "--windows")
    assert detector.score(folder / name, windows=True).to_dict(windows=True) == record


def test_a_list_gets_the_records_of_the_command(folder, detector, capsys):
    names = [str(folder / name) for name in ("call.wav", "text.wav", "still.wav", "short.flac")]
    records = of_command(capsys, folder / "runs" / "x", *names)
    results = detector.score(names, progress=False)
    assert [result.to_dict() for result in results] == records
    assert [result.verdict for result in results][1:3] == ["unreadable", "cannot judge"]


@pytest.mark.parametrize("model", unlike(sorted(DISTINCT.values())))
def test_every_model_scores_as_the_command_does(folder, tmp_path, capsys, model):
    run = write_run(tmp_path / "run", model)
    [record] = of_command(capsys, run, folder / "call.wav")
    assert rawnet_jax.load(run).score(folder / "call.wav").to_dict() == record


@pytest.mark.parametrize(
    ("data", "how"),
    [
        ({"pad": "repeat", "num_samples": 3_200}, {"aggregate": ""}),
        ({"pad": "repeat", "num_samples": 3_200, "bucket_samples": (1_600, 3_200)}, {}),
        ({"num_samples": 3_200}, {"aggregate": "max_spoof", "window_samples": 1_600}),
        ({"num_samples": 3_200}, {"aggregate": "trimmed", "window_hop": 0.25}),
    ],
    ids=["repeat", "buckets", "windows", "hop"],
)
def test_the_settings_of_the_run_count(folder, tmp_path, capsys, data, how):
    run = write_run(tmp_path / "run", **data)
    save_operating_point(run, OperatingPoint(-0.2, "a rule", False, STEP, how))
    for name in ("call.wav", "short.flac"):
        [record] = of_command(capsys, run, folder / name)
        result = rawnet_jax.load(run).score(folder / name)
        assert result.to_dict() == record
        assert result.model.threshold == -0.2


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run of two seeds, as training leaves it."""
    run = tmp_path_factory.mktemp("several") / "run"
    for seed in (0, 1):
        write_run(run / f"seed_{seed}", num_samples=3_200, seed=seed)
    config = thawed(read_config(run / "seed_0"))
    config.train.num_seeds = 2
    save_config(checked(config), run)
    return run


def test_several_seeds(folder, several, capsys):
    with pytest.raises(rawnet_jax.ConfigError, match="2 models, one per seed; name a seed"):
        rawnet_jax.load(several)
    scores = {}
    for seed in (0, 1, "averaged"):
        [record] = of_command(capsys, several, folder / "call.wav", f"--seed={seed}")
        result = rawnet_jax.load(several, seed=seed).score(folder / "call.wav")
        assert result.to_dict() == record
        scores[seed] = result.score
    assert scores[0] != scores[1]
    assert scores["averaged"] == pytest.approx((scores[0] + scores[1]) / 2, abs=1e-6)
    with pytest.raises(rawnet_jax.ConfigError, match="no seed 7"):
        rawnet_jax.load(several, seed=7)
    samples, _ = soundfile.read(folder / "call.wav", dtype="float32")
    first = {}
    for seed in (0, 1, "averaged"):
        first[seed] = rawnet_jax.load(several, seed=seed).stream().push(samples)[0].score
    assert first["averaged"] == pytest.approx((first[0] + first[1]) / 2, abs=1e-6)


def test_every_form_of_a_recording_gets_the_same_score(folder, detector):
    samples, rate = soundfile.read(folder / "call.wav", dtype="float32")
    content = (folder / "call.wav").read_bytes()
    with (folder / "call.wav").open("rb") as file:
        forms = [(samples, rate), (samples[:, None], rate), content, io.BytesIO(content), file]
        found = [detector.score(form).score for form in forms]
    assert set(found) == {detector.score(folder / "call.wav").score}


def test_an_array_is_resampled_and_mixed_as_a_file_is(folder, detector):
    samples, rate = soundfile.read(folder / "stereo.ogg", dtype="float32")
    of_file = detector.score(folder / "stereo.ogg")
    assert detector.score((samples, rate)).score == of_file.score
    second = rawnet_jax.load(folder / "runs" / "x", channel=2)
    assert second.score((samples, rate)).score == second.score(folder / "stereo.ogg").score
    assert second.score((samples, rate)).score != of_file.score


@pytest.mark.parametrize(
    ("recording", "error", "cure"),
    [
        (noise(100), TypeError, r"needs its sample rate: score\(\(samples, 16_000\)\)"),
        ((np.zeros(100, np.int16), RATE), rawnet_jax.AudioError, r"astype\(np.float32\) / 32768"),
        ((20_000 * noise(100), RATE), rawnet_jax.AudioError, "divide 16-bit values by 32768"),
        ((np.full(100, np.nan), RATE), rawnet_jax.AudioError, "np.nan_to_num"),
        ((noise(2, 100), RATE), rawnet_jax.AudioError, r"transpose it \(array.T\)"),
        ((noise(2, 2, 2), RATE), rawnet_jax.AudioError, r"must be \[n\] or \[n, channels\]"),
        ((noise(0), RATE), rawnet_jax.AudioError, "n >= 1"),
        ((noise(4_000), 100), rawnet_jax.AudioError, "sample rate out of bounds"),
        (io.StringIO("text"), TypeError, r"open\(path, 'rb'\)"),
        (3, TypeError, "must be a path"),
        ("missing.wav", rawnet_jax.AudioError, "missing"),
        (b"no audio", rawnet_jax.AudioError, "not audio"),
    ],
)
def test_errors_say_the_cure(detector, recording, error, cure):
    with pytest.raises(error, match=cure):
        detector.score(recording)


def test_a_result_for_people(folder, detector):
    result = detector.score(folder / "call.wav")
    line = str(result)
    assert "\n" not in line
    assert line.startswith(f"{folder / 'call.wav'}: {result.verdict}, score ")
    assert "P(spoof)" in line
    assert "0.2 of 0.6 s judged" in line
    with pytest.raises(TypeError, match="not a yes or no"):
        bool(result)
    with pytest.raises(AttributeError):
        result.score = 1.0
    assert result.model.name == "small conv1d"
    assert len(result.model.digest) == 64
    assert [window.start_s for window in detector.score(folder / "call.wav", windows=True).windows]


def test_a_result_draws_itself(folder, detector, tmp_path):
    result = detector.score(folder / "call.wav", windows=True)
    page = result._repr_html_()
    assert "<svg" in page
    assert not [word for word in ("<script", "http-equiv", "src=", "url(http") if word in page]
    assert len(result.plot(tmp_path / "call.png").axes) == 2
    assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")
    [unread] = detector.score([str(folder / "text.wav")], progress=False)
    assert "<svg" not in unread._repr_html_()
    with pytest.raises(ValueError, match="nothing to draw"):
        unread.plot()


def test_an_exported_file_loads(folder, detector, tmp_path):
    pytest.importorskip("onnxruntime")
    assert detector.export(tmp_path / "model.onnx") < 1e-4
    exported = rawnet_jax.load(tmp_path / "model.onnx")
    for name in ("call.wav", "short.flac", "still.wav"):
        ours, theirs = detector.score(folder / name), exported.score(folder / name)
        assert theirs.verdict == ours.verdict
        assert theirs.reason == ours.reason
        if ours.score is not None:
            assert theirs.score == pytest.approx(ours.score, abs=1e-4)
            assert theirs.llr == pytest.approx(ours.llr, abs=1e-3)
    assert exported.info.threshold == detector.info.threshold
    with pytest.raises(rawnet_jax.ConfigError, match="needs a trained run"):
        exported.stream()
    content = bytearray((tmp_path / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 2  # among the parameters: still a network, another one
    (tmp_path / "flipped.onnx").write_bytes(content)
    with pytest.raises(rawnet_jax.DataError, match="must be"):
        rawnet_jax.load(tmp_path / "flipped.onnx")
    (tmp_path / "other.onnx").write_bytes(b"no model")
    with pytest.raises(rawnet_jax.DataError, match="that this package exported"):
        rawnet_jax.load(tmp_path / "other.onnx")


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(rawnet_jax.ConfigError, match="no such work directory"):
        rawnet_jax.load(tmp_path / "nothing")


def test_importing_is_light():
    code = (
        "import sys, time; begun = time.perf_counter(); import rawnet_jax; "
        "took = time.perf_counter() - begun; "
        "print(took, sorted({'jax', 'numpy', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took, _, loaded = found.stdout.strip().partition(" ")
    assert loaded == "[]"
    assert float(took) < 0.05
    assert rawnet_jax.__version__
    assert (Path(rawnet_jax.__file__).parent / "py.typed").exists()
    assert set(rawnet_jax.__all__) <= set(dir(rawnet_jax))
    assert all(getattr(rawnet_jax, name) for name in rawnet_jax.__all__)


@pytest.mark.slow
def test_the_page_on_python(folder, tmp_path):
    write_run(tmp_path / "runs" / "x", num_samples=3_200)
    soundfile.write(tmp_path / "call.wav", noise(9_000), RATE, subtype="FLOAT")
    run_python(DOCS / "python.md", tmp_path)


@pytest.mark.slow
def test_in_a_notebook(folder):
    """The five lines, as cells, with no display."""
    lines = [
        "import rawnet_jax",
        "detector = rawnet_jax.load('runs/x')",
        "result = detector.score('call.wav')",
        "print(result)",
        "result",
        "result.plot()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in lines])
    done = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [cell["outputs"] for cell in done.cells]
    assert outputs[3][0]["text"].startswith("call.wav: ")
    assert "<svg" in outputs[4][0]["data"]["text/html"]
    assert "image/png" in outputs[5][0]["data"]
