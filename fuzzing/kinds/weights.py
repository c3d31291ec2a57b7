"""Weights through ``import-torch``, and exported files through the Python interface."""

import io
import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

from fuzzing.case import Attempt, Rng
from fuzzing.kinds.run_folder import same_score
from fuzzing.material import Material
from fuzzing.mutate_bytes import EXTREMES, damaged
from fuzzing.mutate_text import damaged_json

_PICKLES = (
    b"\x80\x02}\x8b" + struct.pack("<I", 5000) + b"\x7f" * 5000 + b"K\x01s.",  # a huge key
    b"\x80\x02}X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"K\x01s.",
    b"\x80\x02}X\x06\0\0\0\x1b[31mrK\x01s.",
    b"\x80\x02cos\nsystem\nX\x0a\0\0\0touch canary\x85R.",
    b"(" * 100_000 + b"t.",
    b"]" * 100_000 + b"a" * 99_999 + b".",
    b"\x80\x02" + b"}" * 10 + b".",
    b"",
    b".",
    b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
    b"\x80\x02}\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
)


def torch(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Import damaged weights of PyTorch."""
    content = material.torch.read_bytes()
    way = rng.random()
    if way < 0.05:
        said = "intact"
    elif way < 0.45:
        content, said = damaged(content, rng)
    else:
        content, said = _rezipped(content, rng)
    path = folder / "weights.pth"
    path.write_bytes(content)
    words = ["import-torch", str(path), "--model", "aasist_l", "--workdir", "written/run"]
    return Attempt(words, said, statuses=(0,) if said == "intact" else (0, 2))


def _rezipped(content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Damage one record of the archive, or its name, and close the archive again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    names = list(records)
    pickled = next(name for name in names if name.endswith("data.pkl"))
    way = rng.random()
    name = pickled if way < 0.7 else names[rng.integers(len(names))]
    if way < 0.2:
        number = int(rng.integers(len(_PICKLES)))
        records[name], said = _PICKLES[number], f"pickle {number}"
    elif way < 0.3:
        number, size = int(EXTREMES[rng.integers(12)]), len(records[name])
        place = int(rng.integers(max(size - 4, 1)))
        head = records[name][:place] + struct.pack("<I", number % 2**32)
        records[name], said = head + records[name][place + 4 :], f"{number} at {place} of {name}"
    elif way < 0.9:
        records[name], said = damaged(records[name], rng)
        said = f"{name}: {said}"
    else:
        other = str(rng.choice(["../x", "/etc/x", name.upper(), "a" * 1000, "\x1b[31m"]))
        records[other] = records.pop(name)
        said = f"{name} is called {other[:20]!r}"
    made = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(made, "w", kind) as archive:
        for name, record in records.items():
            archive.writestr(name, record)
    return made.getvalue(), said


def encoder(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Read a speech encoder from a folder in which one file was damaged."""
    forms = sorted(material.encoders.iterdir())
    place = shutil.copytree(forms[rng.integers(len(forms))], folder / "encoder")
    files = sorted(place.iterdir())
    path = files[rng.integers(len(files))]
    content, said = path.read_bytes(), "intact"
    way = rng.random()
    if way > 0.95:
        path.unlink()
        said = "removed"
    elif way > 0.05:
        content, said = _damaged_part(path, content, rng)
        path.write_bytes(content)

    def call() -> int:
        from rawnet_jax.errors import RawnetError
        from rawnet_jax.interop.encoder_files import read_encoder_weights

        try:
            found = read_encoder_weights(place)
        except RawnetError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(found.config.num_layers, len(found.unused))
        return 0

    statuses = (0,) if said == "intact" else (0, 2)
    return Attempt(["probe"], f"{path.name}: {said}", statuses=statuses, call=call)


def _damaged_part(path: Path, content: bytes, rng: Rng) -> tuple[bytes, str]:
    """Damage JSON as JSON, also that at the start of a safetensors file, and archives by record."""
    if path.suffix == ".json":
        return damaged_json(content, rng)
    if path.suffix == ".bin" and rng.random() < 0.6:
        return _rezipped(content, rng)
    if path.suffix == ".safetensors" and rng.random() < 0.6:
        [size] = struct.unpack("<Q", content[:8])
        header, said = damaged_json(content[8 : 8 + size], rng)
        return struct.pack("<Q", len(header)) + header + content[8 + size :], said
    return damaged(content, rng)


def onnx(rng: Rng, material: Material, folder: Path) -> Attempt:
    """Score by a damaged exported file, in Python."""
    path = folder / "small.onnx"
    if not material.onnx.exists():  # without the extra
        return Attempt(["check", "--help"], "no extra `export`", statuses=(0,))
    shutil.copy(material.onnx, path)
    content, said = path.read_bytes(), "intact"
    if rng.random() > 0.05:
        content, said = damaged(content, rng)
    path.write_bytes(content)
    clip = material.clips[0]

    def call() -> int:
        import rawnet_jax
        from rawnet_jax.errors import RawnetError

        try:
            found = rawnet_jax.load(path).score(str(clip))
        except RawnetError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        score = None if found.score is None else float(np.float64(found.score))
        print(json.dumps({"score": score, "reason": found.reason}))
        return 0

    check = same_score(material, clip)
    return Attempt(["score"], said, statuses=(0, 2), call=call, check=check)
