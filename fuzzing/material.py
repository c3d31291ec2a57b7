"""The small run that everything is tried on: made once, by the commands themselves."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parent.parent
CONTAINERS = {  # extension: container, type of samples, rate in Hz, channels
    "wav": ("WAV", "PCM_16", 16_000, 1),
    "24.wav": ("WAV", "PCM_24", 44_100, 2),
    "float.wav": ("WAV", "FLOAT", 16_000, 1),
    "ulaw.wav": ("WAV", "ULAW", 8_000, 1),
    "adpcm.wav": ("WAV", "IMA_ADPCM", 16_000, 1),
    "x.wav": ("WAVEX", "PCM_16", 16_000, 2),
    "rf64": ("RF64", "PCM_16", 16_000, 1),
    "w64": ("W64", "PCM_24", 16_000, 1),
    "aiff": ("AIFF", "PCM_16", 16_000, 1),
    "au": ("AU", "PCM_16", 16_000, 1),
    "caf": ("CAF", "FLOAT", 16_000, 1),
    "flac": ("FLAC", "PCM_16", 16_000, 1),
    "stereo.flac": ("FLAC", "PCM_24", 48_000, 2),
    "ogg": ("OGG", "VORBIS", 16_000, 1),
    "opus": ("OGG", "OPUS", 48_000, 1),
    "mp3": ("MP3", "MPEG_LAYER_III", 16_000, 1),
    "stereo.mp3": ("MP3", "MPEG_LAYER_III", 44_100, 2),
}
NUM_LENGTHS = 2
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    # More time goes into compiling than into computing.
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


@dataclass(frozen=True)
class Base:
    """An intact recording.

    Attributes:
        name: of its container, a key of `CONTAINERS`.
        path: where it is.
        seconds: its length.
        rate: frames per second.
        channels: of it.
    """

    name: str
    path: Path
    seconds: float
    rate: int
    channels: int

    @cached_property
    def content(self) -> bytes:
        """Its bytes."""
        return self.path.read_bytes()


class Material:
    """What `make_material` left in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus = folder / "corpus"
        self.run = folder / "run"
        self.cache = folder / "cache"
        self.config = folder / "small.py"
        self.onnx = folder / "small.onnx"
        self.torch = folder / "small.pth"
        self.encoders = folder / "encoders"
        self.outputs = folder / "outputs"

    @cached_property
    def bases(self) -> list[Base]:
        """Intact recordings, in every container."""
        rows = json.loads((self.folder / "audio.json").read_text(encoding="utf-8"))
        return [Base(**row | {"path": self.folder / "audio" / row["path"]}) for row in rows]

    @cached_property
    def protocols(self) -> dict[str, bytes]:
        """Protocol files of the corpus by their names."""
        found = sorted((self.corpus / "protocol_V2").iterdir())
        return {path.name: path.read_bytes() for path in found}

    @cached_property
    def clips(self) -> list[Path]:
        """Recordings of the eval partition."""
        return sorted((self.corpus / "ASVspoof2017_V2_eval").iterdir())

    @cached_property
    def expected(self) -> dict[str, float]:
        """Scores of `clips` by name, as the intact run gives them."""
        text = (self.folder / "expected.jsonl").read_text(encoding="utf-8")
        records = [json.loads(line) for line in text.splitlines()]
        return {Path(one["path"]).name: one["score"] for one in records}

    def listing(self) -> dict[str, tuple[int, int]]:
        """Return size and time of every file, to see whether one was touched."""
        found = {}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    said = os.stat(os.path.join(folder, name))
                    found[os.path.join(folder, name)] = (said.st_size, said.st_mtime_ns)
        return found


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a process that runs the package from this checkout."""
    paths = [str(REPO), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / f"{folder.name}_compiled"),
    }


def make_material(folder: Path) -> Material:
    """Make corpus, run, recordings and exports in a new folder, in a process of its own.

    A process that forks must not have started JAX's backend, whose threads a fork loses.
    """
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "fuzzing.material", str(folder)]
        made = subprocess.run(
            command, env=environment(folder), cwd=REPO, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise RuntimeError(f"the small run cannot be made: {made.stdout}\n{made.stderr}")
        (folder / "complete").touch()
    return Material(folder)


def config_text(corpus: Path, cache: Path) -> str:
    """Return a config file for a corpus in the layout of the demo corpus."""
    return f'''"""A small run."""

from rawnet_jax.config import Config
from rawnet_jax.models.registry import model_config


def get_config():
    config = Config(name="small")
    config.data.corpus = "asvspoof2017"
    config.data.root = {str(corpus)!r}
    config.data.cache_dir = {str(cache)!r}
    config.data.num_samples = 8000
    config.data.num_workers = 1
    config.train.batch_size = 4
    config.train.num_epochs = 1
    config.eval.batch_size = 8
    config.model = model_config("conv1d", channels=(4, 4), hidden_features=4, bn_momentum=0.9)
    return config
'''


SMALL_ENCODER = {"width": 8, "heads": 2, "feed_forward": 8, "conv_features": 4, "num_layers": 2,
                 "position_kernel": 4, "position_groups": 2}  # fmt: skip


def _command(*arguments: object) -> None:
    from rawnet_jax.cli.main import main

    words = [str(argument) for argument in arguments]
    if main(words) not in (0, 3):  # "cannot judge" has a score, too
        raise SystemExit(f"failed: {words}")


def _widen(path: Path) -> None:
    """Let scores of all sizes have a verdict: those of four dev clips lie close together."""
    point = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(point | {"lowest": -1e3, "highest": 1e3}), encoding="utf-8")


def _write_bases(folder: Path) -> None:
    import soundfile
    import soxr

    (folder / "audio").mkdir()
    speech = [soundfile.read(path)[0] for path in Material(folder).clips]
    rows = []
    for number, (name, (form, subtype, rate, channels)) in enumerate(CONTAINERS.items()):
        for length in range(NUM_LENGTHS):
            clip = speech[(number + length) % len(speech)]
            clip = clip[: 12_000 + 9_001 * length]  # also of no whole number of codec frames
            clip = soxr.resample(clip, 16_000, rate)
            samples = np.repeat(clip[:, None], channels, axis=1).clip(-0.99, 0.99)
            path = folder / "audio" / f"{length}.{name}"
            soundfile.write(path, samples, rate, subtype, format=form)
            row = {"name": name, "path": path.name, "seconds": len(samples) / rate}
            if subtype == "IMA_ADPCM":  # whole blocks
                row["seconds"] = soundfile.info(path).duration
            rows.append({**row, "rate": rate, "channels": channels})
    (folder / "audio.json").write_text(json.dumps(rows), encoding="utf-8")


def _write_outputs(material: Material) -> None:
    """Score the eval clips into every form of output, from the folder that resumes them."""
    material.outputs.mkdir()
    for name, flags in OUTPUTS.items():
        _command("score", "--workdir", material.run, *flags, "--output", material.outputs / name,
                 "--no-progress", *material.clips)  # fmt: skip


OUTPUTS = {
    "a.jsonl": (),
    "windows.jsonl": ("--windows",),
    "b.csv": (),
    "windows.csv": ("--windows",),
    "c.txt": (),
    "d.tsv": (),
}
"""Outputs of the eval clips, and the flags that they were made with."""


def _make(folder: Path) -> None:
    material = Material(folder)
    _command("demo-corpus", "--output", material.corpus, "--num-clips", 24, "--no-progress",
             "--num-workers", 2)  # fmt: skip
    material.config.write_text(config_text(material.corpus, material.cache), encoding="utf-8")
    _command("train", "--config", material.config, "--workdir", material.run, "--no-progress")
    _command("evaluate", "--workdir", material.run, "--no-progress", "--no-bootstrap")
    _widen(material.run / "threshold.json")
    _write_bases(folder)
    _write_outputs(material)
    shutil.copy(material.outputs / "a.jsonl", folder / "expected.jsonl")
    with contextlib.suppress(ImportError):  # the extra `export`
        import onnx  # noqa: F401

        _command("export", "--workdir", material.run, "--format", "onnx", "--output", material.onnx)
    work = folder / "rawnet"
    _write_torch(work, material.torch)
    shutil.rmtree(work)
    _write_encoders(material.encoders)


def _write_encoders(folder: Path) -> None:
    """Write one small encoder in each of the forms that encoders are published in."""
    import jax
    from safetensors.numpy import load_file, save_file

    from rawnet_jax.encoders.catalog import encoder_config
    from rawnet_jax.encoders.encoder import encoder_shapes
    from rawnet_jax.interop.encoder_files import write_encoder_weights
    from rawnet_jax.interop.torch_writer import write_state_dict

    config = encoder_config("xlsr_300m").replaced(**SMALL_ENCODER)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), encoder_shapes(config)
    )
    folder.mkdir()
    write_encoder_weights(folder / "one", variables, config)
    tensors = load_file(folder / "one" / "model.safetensors")
    for form in ("shards", "torch"):
        (folder / form).mkdir()
        for name in ("config.json", "preprocessor_config.json"):
            shutil.copy(folder / "one" / name, folder / form)
    write_state_dict(folder / "torch" / "pytorch_model.bin", tensors)
    shards = {name: f"model-0000{1 + number % 2}-of-00002.safetensors"
              for number, name in enumerate(sorted(tensors))}  # fmt: skip
    for file in set(shards.values()):
        held = {name: tensors[name] for name in tensors if shards[name] == file}
        save_file(held, folder / "shards" / file)
    index = {"metadata": {}, "weight_map": shards}
    (folder / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))


def _write_torch(work: Path, path: Path) -> None:
    """Write the smallest published network, with random weights, as PyTorch would."""
    import jax

    from rawnet_jax.checkpoint import save_variables
    from rawnet_jax.config import Config
    from rawnet_jax.config_file import save_config
    from rawnet_jax.models.registry import build_model, model_config
    from rawnet_jax.models.variables import variable_shapes

    config = Config(name="small torch", model=model_config("aasist_l"))
    shapes = variable_shapes(build_model(config.model), 16_000)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: rng.uniform(0.01, 0.1, leaf.shape).astype(leaf.dtype), shapes
    )
    work.mkdir()
    save_config(config, work)
    save_variables(work, "best", 1, variables, {})
    _command("export-torch", "--workdir", work, "--output", path)


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
