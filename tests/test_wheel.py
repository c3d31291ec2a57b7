"""Commands and Python interface from the built wheel, with nothing but the extra they need.

Installing takes a network and minutes of a machine, so these run where RAWNET_JAX_TEST_WHEEL is
set: `make test-wheel`. Nothing of this checkout can be imported there, and there is no display;
commands run in a folder of their own, one after the other as a new user would.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import COMMANDS, main
from tests.conftest import REPO
from tests.data.media_samples import encoded
from tests.docs_examples import blocks
from tests.small_run import write_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "RAWNET_JAX_TEST_WHEEL" not in os.environ,
        reason="installs the wheel again for every extra; `make test-wheel` sets it",
    ),
    pytest.mark.xdist_group("wheel"),
]

# What pip and JAX read of the environment; PYTHONPATH, DISPLAY and the like stay outside.
_KEPT = re.compile(r"PATH|HOME|TMPDIR|PIP_.*|SSL_.*|XLA_FLAGS|JAX_.*")
# The same without the options with which tests compile: as a user has it.
_OF_A_USER = re.compile(r"PATH|HOME|TMPDIR|JAX_.*")
_CONSTRAINTS = ("-c", str(REPO / "constraints.txt"))
# What the wheel is made of; `build` in a checkout may hold files of an older one.
_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "web/public/licences.txt")

# Behind the five lines: the record, a picture, and where it all came from.
_TELL = """
import json, sys

result.plot("call.png")
canvases = [name for name in sys.modules if name.startswith("matplotlib.backends.backend_")]
told = {"record": result.to_dict(), "canvases": canvases, "path": sys.path}
told |= {"module": rawnet_jax.__file__, "jax": "jax" in sys.modules}
print(json.dumps(told))
"""
_IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


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

    def run_code(self, code: str, *words: str) -> str:
        """Run Python code; returns what it prints. It must succeed and complain of nothing."""
        command = [str(self.python), "-c", code, *words]
        done = outside(command, self.folder, kept=_OF_A_USER)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

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


def outside(
    command: list[str], folder: Path, kept: re.Pattern[str] = _KEPT, **options
) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing of this checkout or its environment is found."""
    env = {name: value for name, value in os.environ.items() if kept.fullmatch(name)}
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


def comparable(name: str) -> str:
    """Return the name of a distribution as names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def noise(length: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(length)


def talk(length: int, rate: int) -> np.ndarray:
    """Return noise in four syllables a second, which the demo's gate takes for speech."""
    syllables = np.sin(2 * np.pi * 4 * np.arange(length) / rate) > 0
    return (noise(length) * syllables).astype(np.float32)


def package_files() -> set[str]:
    """Return every file of the package in this checkout."""
    found = (path.relative_to(REPO) for path in (REPO / "rawnet_jax").rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """The interpreter of an environment that `base` fills."""
    return new_environment(tmp_path_factory.mktemp("environment") / "base")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, empty) -> Path:
    """The wheel, built in a copy of its sources."""
    folder = tmp_path_factory.mktemp("build")
    for name in (*_SOURCES, *package_files()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, folder / name)
    pip(empty, "wheel", "--no-deps", "--wheel-dir", str(folder), str(folder))
    (wheel,) = folder.glob("rawnet_jax-*.whl")
    return wheel


@pytest.fixture(scope="module")
def base(tmp_path_factory, empty, wheel) -> Installed:
    """The wheel without extras, a recording, the demo corpus in small, and a run of it."""
    pip(empty, "install", *_CONSTRAINTS, str(wheel))
    base = Installed(empty, tmp_path_factory.mktemp("work"))
    soundfile.write(base.folder / "talk.wav", talk(40_000, 16_000), 16_000, subtype="PCM_16")
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


@pytest.fixture(scope="module")
def handed(base, tmp_path_factory) -> Installed:
    """The environment without extras, in a folder with nothing but a recording and two runs."""
    folder = tmp_path_factory.mktemp("handed")
    for name in ("x", "demo"):
        write_run(folder / "runs" / name, num_samples=3_200)
    stereo = noise(80_000).reshape(-1, 2)
    soundfile.write(folder / "call.wav", stereo, 44_100, subtype="PCM_16")
    return Installed(base.python, folder)


def score_by_five_lines(installed: Installed, lines: str) -> dict[str, Any]:
    """Run the five lines; returns what they and `_TELL` found out."""
    picture = installed.folder / "call.png"
    picture.unlink(missing_ok=True)
    printed, told = installed.run_code(lines + _TELL).splitlines()
    found = json.loads(told)
    record = found["record"]
    assert record["verdict"] in {"bonafide", "spoof"}
    assert printed.startswith(f"call.wav: {record['verdict']}, score {record['score']:+.3f}, ")
    assert re.search(r", P\(spoof\) [01]\.\d{3} .*, 0\.2 of 0\.9 s judged$", printed)
    assert not [one for one in found["path"] if Path(one).is_relative_to(REPO)]
    assert found["canvases"] == ["matplotlib.backends.backend_agg"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    return found


def test_the_wheel_holds_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name for name in names if ".dist-info/" not in name} == package_files()
    assert {"rawnet_jax/py.typed", "rawnet_jax/reports/report.html.jinja"} <= set(names)


def test_the_environment_holds_plain_dependencies(base):
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    found = {comparable(name): version for name, version in json.loads(base.run_code(code)).items()}
    assert "jax" in found
    assert not {"mypy", "pytest", "onnx", "onnxruntime", "optuna", "sounddevice"} & set(found)
    lines = (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines()
    # Some packages need a note, or are pinned for one kind of machine.
    pins = [line.partition(";")[0].partition("#")[0].strip() for line in lines]
    named = (pin.split("==") for pin in pins if pin)
    wanted = {comparable(name): version for name, version in named}
    theirs = {name: version for name, version in found.items() if name in wanted}
    assert theirs == {name: wanted[name] for name in theirs}


def test_every_module_imports_without_extras(base):
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in sorted(package_files())
        if name.endswith(".py") and not name.endswith("__main__.py")
    ]
    assert "rawnet_jax.jobs.score" in modules
    # Only the command `serve` imports these, and it looks for its extra first.
    of_extra = {one for one in modules if one.startswith("rawnet_jax.serve.")}
    of_extra -= {"rawnet_jax.serve.settings", "rawnet_jax.serve.start"}
    base.run_code(_IMPORT_ALL, *(one for one in modules if one not in of_extra))
    done = base.run("serve", status=2)
    assert "pip install 'rawnet_jax[serve]'" in done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_five_lines(handed, page):
    lines = blocks(REPO / page, "python")[0]
    assert len(lines.split("\n\n")[1].splitlines()) == 4
    [workdir] = re.findall(r'load\("(.+)"\)', lines)
    found = score_by_five_lines(handed, lines)
    assert Path(found["module"]).is_relative_to(site_packages(handed.python))
    words = ("score", "--workdir", workdir, "call.wav", "--format", "jsonl", "--no-progress")
    command = [str(handed.python), "-m", "rawnet_jax", *words]
    done = outside(command, handed.folder, kept=_OF_A_USER)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == found["record"]  # the score to the last bit


def test_an_exported_file_says_which_extra_it_needs(handed):
    (handed.folder / "no.onnx").touch()
    code = (
        "import rawnet_jax\ntry:\n    rawnet_jax.load('no.onnx')\n"
        "except rawnet_jax.ConfigError as error:\n    print(error)"
    )
    assert "pip install 'rawnet_jax[export]'" in handed.run_code(code)


def test_every_command_has_help(base):
    listed = base.run("--help").stdout.split("options:")[0]
    commands = re.findall(r"^    ([a-z][a-z-]+)(?: |$)", listed, re.M)
    assert commands == list(COMMANDS)
    for command in [*commands, "search-worker"]:
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


def test_export(base, handed, tmp_path):
    installed = base.with_extra("export", tmp_path)
    for kind in ("onnx", "stablehlo"):
        done = installed.run("export", "--workdir", "runs/x", "--format", kind)
        assert re.search(rf"^written: +runs/x/model\.{kind}, ", done.stdout, re.M)
    example = [str(installed.python), str(REPO / "examples" / "score_wav.py")]
    said = outside([*example, "runs/x/model.onnx", "talk.wav"], base.folder)
    assert said.stdout.startswith("talk.wav: score "), said.stderr

    with_handed = Installed(installed.python, handed.folder)
    lines = blocks(REPO / "docs" / "python.md", "python")[0]
    ours = score_by_five_lines(with_handed, f"{lines}\ndetector.export('model.onnx')\n")
    theirs = score_by_five_lines(with_handed, lines.replace('"runs/x"', '"model.onnx"'))
    assert (ours["jax"], theirs["jax"]) == (True, False)
    assert theirs["record"]["verdict"] == ours["record"]["verdict"]
    assert theirs["record"]["score"] == pytest.approx(ours["record"]["score"], abs=1e-4)


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


def test_media(base, tmp_path):
    (base.folder / "phone.wav").write_bytes(
        encoded("m4a", (32_000 * talk(48_000, 48_000)).astype(np.int16))
    )
    words = ("score", "--workdir", "runs/x", "phone.wav")
    said = base.run(*words, status=1).stderr
    assert "it is MPEG-4 audio (m4a); install the extra: pip install 'rawnet_jax[media]'" in said
    base.with_extra("media", tmp_path).run(*words)


def test_vocode(base, tmp_path):
    said = base.run("vocode", "--list").stdout
    assert "not installed" in said
    installed = base.with_extra("vocode", tmp_path)
    said = installed.run("vocode", "--list").stdout
    assert "not installed" not in said
    for speaker in ("ann", "ben", "cas"):
        (base.folder / "speakers" / speaker).mkdir(parents=True)
        soundfile.write(base.folder / "speakers" / speaker / "a.wav", noise(16_000), 16_000)
    words = ("--input", "speakers", "--output", "copies", "--vocoder", "world,lpc")
    installed.run("vocode", *words, "--processes", "1")
    assert (base.folder / "copies" / "manifest.csv").is_file()


def test_microphone(base, tmp_path):
    installed = base.with_extra("microphone", tmp_path)
    # There is no microphone where tests run, or not even the library that would find one.
    words = ("stream", "--workdir", "runs/x", "--microphone", "no such device")
    said = installed.run(*words, status=2).stderr
    assert said.startswith("error: ")
    assert "rawnet_jax[microphone]" not in said
