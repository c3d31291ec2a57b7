"""Engines that are Python packages, with or without model files: Piper, Kokoro, Kitten, OpenJTalk.

Each sentence is spoken in a process of its own: it can be stopped, and what a package prints,
leaks or crashes stays there.
"""

import importlib.util
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rawnet_jax.text_to_speech.engine import Call, Engine, Request, Voice, Words, on_path

_SPEAKER = ("-m", "rawnet_jax.text_to_speech.package_speaker")
_UNKNOWN = "unknown; see where the voice is from"
_MAX_DESCRIPTION_BYTES = 2**22
# The first letter of a Kokoro voice is its language.
_KOKORO_LANGUAGES = {
    **{"a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "j": "ja"},
    **{"p": "pt-br", "z": "cmn"},
}


def has_package(name: str) -> bool:
    """Tell whether a package can be imported; nothing is."""
    return importlib.util.find_spec(name) is not None


def _package(name: str) -> Callable[[], Words | None]:
    def find() -> Words | None:
        return (sys.executable, *_SPEAKER) if has_package(name) else None

    return find


def _find_piper() -> Words | None:
    if has_package("piper"):
        return (sys.executable, "-m", "piper")
    return on_path("piper", "piper-tts")()


def model_files(folders: Sequence[Path], pattern: str) -> list[Path]:
    """Return files of a pattern in folders and below, sorted, each once."""
    return sorted({path.resolve() for folder in folders for path in folder.rglob(pattern)})


def _piper_places() -> list[Path]:
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    places = [Path(data) / "piper-voices", Path("/usr/share/piper-voices")]
    return [place for place in places if place.is_dir()]


def _piper_voices(_program: Words, folders: Sequence[Path]) -> list[Voice]:
    """Return a voice for each ``NAME.onnx`` with ``NAME.onnx.json`` beside it."""
    voices: dict[str, Voice] = {}
    for described in model_files([*folders, *_piper_places()], "*.onnx.json"):
        model = described.with_name(described.name.removesuffix(".json"))
        about = _json_object(described)
        if model.is_file() and "phoneme_id_map" in about:
            name = model.name.removesuffix(".onnx")
            language = about.get("language")
            code = language.get("code") if isinstance(language, dict) else None
            code = str(code or name.split("-")[0]).replace("_", "-").lower()
            voices.setdefault(name, Voice("piper", name, code, _card_licence(model), str(model)))
    return list(voices.values())


def _json_object(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > _MAX_DESCRIPTION_BYTES:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _card_licence(model: Path) -> str:
    """Return what the model card beside a voice says of the licence of its recordings."""
    try:
        lines = (model.parent / "MODEL_CARD").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return _UNKNOWN
    for line in lines:
        head, _, licence = line.strip("* \t").partition(":")
        if head.lower() in ("license", "licence") and licence.strip():
            return f"recordings: {licence.strip()}"
    return _UNKNOWN


def _piper_call(program: Words, request: Request) -> Call:
    scale = f"{request.settings['length_scale']:g}"
    words = (
        *(*program, "--model", request.voice.model, "--length_scale", scale),
        *("--output_file", str(request.output)),
    )
    return Call(words, f"{request.text}\n".encode())


def _kokoro_voices(_program: Words, folders: Sequence[Path]) -> list[Voice]:
    return [
        Voice(
            "kokoro", name, _KOKORO_LANGUAGES.get(name[:1], ""), "Apache-2.0", str(model), str(file)
        )
        for model, file, name in _with_style_files(folders, "kokoro*.onnx", ("voices*.bin",))
    ]


def _kitten_voices(_program: Words, folders: Sequence[Path]) -> list[Voice]:
    return [
        Voice("kitten", name, "en-us", "Apache-2.0", str(model), str(file))
        for model, file, name in _with_style_files(folders, "kitten*.onnx", ("voices*.npz",))
    ]


def _with_style_files(
    folders: Sequence[Path], models: str, styles: Sequence[str]
) -> Iterator[tuple[Path, Path, str]]:
    """Yield model, file of voices beside it, and name of each voice in it; the first of a name."""
    seen = set()
    for model in model_files(folders, models):
        files = [file for pattern in styles for file in sorted(model.parent.glob(pattern))]
        for file in files:
            for name in _names_in(file):
                if name not in seen:
                    seen.add(name)
                    yield model, file, name


def _names_in(path: Path) -> list[str]:
    """Return the names of the arrays in a file of NumPy's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return []


def _openjtalk_voices(_program: Words, _folders: Sequence[Path]) -> list[Voice]:
    return [Voice("openjtalk", "mei", "ja", "CC-BY-3.0 (HTS voice Mei, MMDAgent project)")]


def _package_call(program: Words, request: Request) -> Call:
    voice = request.voice
    asked = {
        **{"engine": voice.engine, "text": request.text, "voice": voice.name},
        **{"language": voice.language, "model": voice.model, "styles": voice.detail},
        **{"settings": dict(request.settings), "output": str(request.output)},
    }
    return Call(program, json.dumps(asked).encode())


PACKAGE_ENGINES = (
    Engine(
        name="piper",
        family="vits",
        about="Piper, VITS; package or command; voices: NAME.onnx and NAME.onnx.json in --models",
        licence="GPL-3.0-or-later (older: MIT)",
        install="pip install piper-tts; voices as github.com/OHF-Voice/piper1-gpl says",
        is_deterministic=False,
        find=_find_piper,
        list_voices=_piper_voices,
        call=_piper_call,
        settings={"length_scale": (0.9, 1.15)},
        distributions=("piper-tts",),
    ),
    Engine(
        name="kokoro",
        family="styletts2",
        about="Kokoro, StyleTTS 2; kokoro*.onnx and voices*.bin in --models",
        licence="MIT; model: Apache-2.0",
        install="pip install kokoro-onnx; model as github.com/thewh1teagle/kokoro-onnx says",
        is_deterministic=False,
        find=_package("kokoro_onnx"),
        list_voices=_kokoro_voices,
        distributions=("kokoro-onnx",),
        call=_package_call,
        settings={"speed": (0.9, 1.1)},
    ),
    Engine(
        name="kitten",
        family="styletts2",
        about="Kitten TTS, English; kitten*.onnx and voices*.npz in --models",
        licence="Apache-2.0",
        install="install kittentts and its model as github.com/KittenML/KittenTTS says",
        is_deterministic=False,
        find=_package("kittentts"),
        list_voices=_kitten_voices,
        distributions=("kittentts",),
        call=_package_call,
        settings={"speed": (0.9, 1.1)},
    ),
    Engine(
        name="openjtalk",
        family="hmm",
        about="Open JTalk, HTS, Japanese",
        licence="MIT; Open JTalk: BSD-3-Clause",
        install="pip install pyopenjtalk-plus (or pyopenjtalk)",
        is_deterministic=True,
        find=_package("pyopenjtalk"),
        list_voices=_openjtalk_voices,
        distributions=("pyopenjtalk-plus", "pyopenjtalk"),
        call=_package_call,
        settings={"speed": (0.9, 1.1), "half_tone": (-2.0, 2.0)},
    ),
)
