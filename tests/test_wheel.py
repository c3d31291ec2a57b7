"""Each command from the built wheel, in an environment with nothing but its own extra.

Installing takes a network and minutes of a machine, so these run where RAWNET_JAX_TEST_WHEEL is
set: `make test-wheel`. Nothing of this checkout can be imported there; commands run in a folder of
their own, one after the other as a new user would.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from tests.conftest import REPO

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "RAWNET_JAX_TEST_WHEEL" not in os.environ,
        reason="installs the wheel anew for every extra; `make test-wheel` sets it",
    ),
    pytest.mark.xdist_group("wheel"),
]

# What pip and JAX read of the environment; PYTHONPATH and the like stay outside.
_KEPT = re.compile(r"PATH|HOME|TMPDIR|PIP_.*|SSL_.*|XLA_FLAGS|JAX_.*")
_CONSTRAINTS = ("-c", str(REPO / "constraints.txt"))


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel, and where to work with it.

    Attributes:
        python: its interpreter.
        folder: with a recording, a corpus and a run, once they are made.
    """

    python: Path
    folder: Path

    def run(self, *words: str, status: int = 0, **options) -> subprocess.CompletedProcess[str]:
        """Run ``rawnet-jax WORDS`` and hold its exit status against `status`."""
        done = outside([str(self.python.parent / "rawnet-jax"), *words], self.folder, **options)
        assert done.returncode == status, done.stderr
        return done

    def with_extra(self, name: str, folder: Path) -> "Installed":
        """Return an environment with one extra more, in a folder of its own."""
        python = new_environment(folder / name)
        packages = site_packages(python)
        (packages / "base.pth").write_text(str(site_packages(self.python)), encoding="utf-8")
        pip(python, "install", *_CONSTRAINTS, f"rawnet_jax[{name}]")
        script = python.parent / "rawnet-jax"
        code = "import sys; from rawnet_jax.cli.main import main; sys.exit(main())"
        script.write_text(f"#!{python}\n{code}\n", encoding="utf-8")
        script.chmod(0o755)
        return Installed(python, self.folder)


def outside(command: list[str], folder: Path, **options) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing of this checkout or its environment is found."""
    env = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    env["PATH"] = os.defpath
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, **options
    )


def new_environment(folder: Path) -> Path:
    """Make an empty environment; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def site_packages(python: Path) -> Path:
    (found,) = python.parent.parent.glob("lib/python*/site-packages")
    return found


def pip(python: Path, *words: str) -> None:
    done = outside(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *words], REPO
    )
    assert done.returncode == 0, done.stderr


def noise(length: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(length)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Installed:
    """The wheel without extras, a recording, the demo corpus in small, and a run of it."""
    folder = tmp_path_factory.mktemp("wheel")
    python = new_environment(folder / "base")
    pip(python, "wheel", "--no-deps", "--wheel-dir", str(folder), str(REPO))
    (wheel,) = folder.glob("rawnet_jax-*.whl")
    pip(python, "install", *_CONSTRAINTS, str(wheel))
    (folder / "work").mkdir()
    base = Installed(python, folder / "work")
    soundfile.write(base.folder / "talk.wav", noise(40_000), 16_000, subtype="PCM_16")
    (base.folder / "few.py").write_text(
        (REPO / "configs" / "conv1d_demo.py")
        .read_text(encoding="utf-8")
        .replace("num_epochs = 20", "num_epochs = 1"),
        encoding="utf-8",
    )
    # Its simulated rooms take an extra, so it is written by this environment.
    corpus = str(base.folder / "data" / "demo")
    assert main(["demo-corpus", "--output", corpus, "--num-clips", "60", "--no-progress"]) == 0
    base.run("train", "--config", "few.py", "--workdir", "runs/x", "--no-progress")
    return base


def test_it_is_the_wheel(base):
    code = "import rawnet_jax, sys; print(rawnet_jax.__file__)"
    found = outside([str(base.python), "-c", code], base.folder).stdout
    assert Path(found).is_relative_to(site_packages(base.python))


def test_every_command_has_help(base):
    listed = base.run("--help").stdout.split("options:")[0]
    commands = re.findall(r"^    ([a-z][a-z-]+)(?: |$)", listed, re.M)
    assert {"train", "evaluate", "score", "stream", "explain", "export"} <= set(commands)
    for command in commands:
        assert base.run(command, "--help").stdout.startswith(f"usage: rawnet-jax {command} ")


def test_evaluate(base):
    assert "EER" in base.run("evaluate", "--workdir", "runs/x", "--no-bootstrap").stdout
    assert (base.folder / "runs" / "x" / "eval" / "report.html").exists()


def test_score(base):
    done = base.run("score", "--workdir", "runs/x", "talk.wav", "data/demo", "--output", "all.csv")
    assert done.stderr.count("error") == 0
    rows = (base.folder / "all.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 1 + 60
    drawn = base.run("score", "--workdir", "runs/x", "talk.wav", "--windows", "--plot", "plots")
    assert "talk.wav" in drawn.stdout
    assert list((base.folder / "plots").glob("*.png"))


def test_stream(base):
    with (base.folder / "talk.wav").open("rb") as wav:
        done = base.run("stream", "--workdir", "runs/x", stdin=wav)
    assert re.search(r"spoof|bonafide", done.stdout)
    needs = base.run("stream", "--workdir", "runs/x", "--microphone", status=2).stderr
    assert "pip install 'rawnet_jax[microphone]'" in needs


def test_explain(base):
    base.run("explain", "--workdir", "runs/x", "talk.wav", "--output", "why")
    kinds = {path.suffix for path in (base.folder / "why").rglob("*.*")}
    assert {".png", ".json"} <= kinds


@pytest.mark.parametrize("kind", ["onnx", "stablehlo", "tflite"])
def test_export_says_which_extra_it_needs(base, kind):
    done = base.run("export", "--workdir", "runs/x", "--format", kind, status=2)
    extra = "tflite" if kind == "tflite" else "export"
    assert f"pip install 'rawnet_jax[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (base.folder / "runs" / "x" / f"model.{kind}").exists()


def test_export(base, tmp_path):
    installed = base.with_extra("export", tmp_path)
    for kind in ("onnx", "stablehlo"):
        done = installed.run("export", "--workdir", "runs/x", "--format", kind)
        assert re.search(rf"^written: +runs/x/model\.{kind}, ", done.stdout, re.M)
    example = [str(installed.python), str(REPO / "examples" / "score_wav.py")]
    said = outside([*example, "runs/x/model.onnx", "talk.wav"], base.folder)
    assert said.stdout.startswith("talk.wav: score "), said.stderr


def test_export_tflite(base, tmp_path):
    installed = base.with_extra("tflite", tmp_path)
    words = ("export", "--workdir", "runs/x", "--format", "tflite")
    installed.run(*words)
    assert "EER" in installed.run(*words, "--quantize", "int8").stdout
    sizes = [
        (base.folder / "runs" / "x" / f"model{name}.tflite").stat().st_size
        for name in ("", "_int8")
    ]
    assert sizes[0] < 100_000
    assert sizes[1] < 40_000


def test_search(base, tmp_path):
    installed = base.with_extra("search", tmp_path)
    installed.run("search", "--config", "few.py", "--study", "study", "--num-trials", "1")
    assert (base.folder / "study" / "trials.csv").exists()


def test_replay(base, tmp_path):
    installed = base.with_extra("simulate", tmp_path)
    for speaker in ("ann", "ben", "cas", "dee", "eli", "fay"):
        (base.folder / "voices" / speaker).mkdir(parents=True)
        soundfile.write(base.folder / "voices" / speaker / "a.wav", noise(16_000), 16_000)
    installed.run("replay", "--input", "voices", "--output", "replayed", "--num-workers", "1")
    assert (base.folder / "replayed").is_dir()


def test_microphone(base, tmp_path):
    installed = base.with_extra("microphone", tmp_path)
    # There is no microphone where tests run, or not even the library that would find one.
    words = ("stream", "--workdir", "runs/x", "--microphone", "no such device")
    said = installed.run(*words, status=2).stderr
    assert said.startswith("error: ")
    assert "rawnet_jax[microphone]" not in said
