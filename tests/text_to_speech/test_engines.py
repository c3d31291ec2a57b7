"""Engines: found, listed, asked to speak; the real ones where they are installed."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.errors import DataError
from rawnet_jax.text_to_speech import commands, packages
from rawnet_jax.text_to_speech.engine import (
    Call,
    Request,
    Voice,
    encoded_text,
    run_call,
    speak,
    spoken_text,
)
from rawnet_jax.text_to_speech.table import ENGINES, digest_of, look_for, usable, version_of
from tests.text_to_speech.fake_engines import put_on_path, spoken


def say(engine: str, voice: Voice, folder: Path, text: str = "Good morning.", timeout_s=30.0):
    row = ENGINES[engine]
    program = row.find()
    assert program is not None
    folder.mkdir(exist_ok=True)
    settings = row.draw(np.random.default_rng(0))
    request = Request(text, voice, settings, folder, folder / "speech.wav")
    speak(row, program, request, timeout_s)
    return soundfile.read(request.output, dtype="float32")


@pytest.fixture
def only_flite(tmp_path, monkeypatch):
    return put_on_path(tmp_path / "bin", monkeypatch, "kal slt awb_time slt rms mute")


def flite_voice(name: str) -> Voice:
    return Voice("flite", name, "en-us", "")


def test_what_is_on_path_is_found_and_the_rest_says_how_to_install_it(only_flite):
    found = {one.engine.name: one for one in look_for()}
    assert [voice.name for voice in found["flite"].voices] == ["kal", "slt", "rms", "mute"]
    assert version_of(found["flite"]) == "9.1"
    for name in ("espeak-ng", "mbrola", "mimic", "festival", "pico"):
        assert found[name].program is None
        assert found[name].problem == f"not installed: {ENGINES[name].install}"


@pytest.mark.parametrize(
    ("patterns", "names"),
    [(["slt"], ["slt"]), (["flite:k*"], ["kal"]), (["espeak-ng:*"], []), (["SLT"], [])],
)
def test_voices_are_chosen_by_name_and_pattern(only_flite, patterns, names):
    (found,) = look_for(["flite"], voices=patterns)
    assert [voice.name for voice in found.voices] == names


def test_a_language_takes_its_regions_and_no_other():
    voice = Voice("x", "v", "en-us", "")
    assert voice.speaks("en")
    assert voice.speaks("EN-US")
    assert not voice.speaks("e")
    assert not voice.speaks("en-gb")
    assert not Voice("x", "v", "en", "").speaks("en-us")
    assert not Voice("x", "v", "", "").speaks("en")


def test_what_cannot_be_used_is_one_line(only_flite, tmp_path):
    with pytest.raises(DataError, match="--engine loud: unknown; must be one of espeak-ng"):
        look_for(["loud"])
    with pytest.raises(DataError, match=r"--models .*nowhere: must be a folder"):
        look_for(folders=[tmp_path / "nowhere"])
    found = look_for(["flite", "pico"])
    with pytest.raises(DataError, match="--engine pico: not installed: apt-get install libtts"):
        usable(found, names=["pico"], voices=[])
    assert [one.engine.name for one in usable(found, names=[], voices=[])] == ["flite"]
    with pytest.raises(DataError, match="--voices bdl: no installed voice fits"):
        usable(look_for(voices=["slt", "bdl"]), names=[], voices=["slt", "bdl"])
    with pytest.raises(DataError, match="no engine can speak this language"):
        usable(look_for(["flite"], language="de"), names=[], voices=[])


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        ("rms", r"flite failed \(exit status 3\): no such unit$"),
        ("kal", r"flite took more than 1 s and was stopped$"),
        ("mute", r"flite wrote no audio$"),
    ],
)
def test_an_engine_that_fails_says_so_in_one_line(only_flite, tmp_path, voice, message):
    before_s = time.monotonic()
    with pytest.raises(DataError, match=message):
        say("flite", flite_voice(voice), tmp_path / "x", timeout_s=1.0 if voice == "kal" else 30)
    assert time.monotonic() - before_s < 20
    if voice == "kal":  # the child of the script that hung ended with it
        group = int((only_flite / "pid").read_text())
        deadline_s = time.monotonic() + 10
        while is_alive(group) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not is_alive(group)


def test_a_program_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot be started: No such file"):
        run_call(Call((str(tmp_path / "none"),)), tmp_path, 1.0)


def test_no_shell_and_no_markup_sees_the_text(only_flite, tmp_path):
    text = spoken_text('Say “$(touch x)”; <play file="/etc/passwd"/> `id` it’s [[fun]]')
    assert text == 'Say "$(touch x)"; play file="/etc/passwd"/ id it\'s fun'
    say("flite", flite_voice("slt"), tmp_path / "x", text)
    assert spoken(only_flite) == [f"slt {text}"]
    assert not (tmp_path / "x" / "x").exists()


def test_an_encoding_that_lacks_a_letter_is_one_line():
    assert encoded_text("žluť", "iso-8859-2") == b"\xbelu\xbb"
    with pytest.raises(DataError, match="encoding iso-8859-1 cannot represent 'ž'"):
        encoded_text("žluť", "iso-8859-1")
    with pytest.raises(DataError, match="klingon, which Python does not know"):
        encoded_text("a", "klingon")


def test_settings_stay_within_bounds_and_follow_the_generator():
    for engine in ENGINES.values():
        drawn = [engine.draw(np.random.default_rng(seed)) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]
        for name, (low, high) in engine.settings.items():
            assert all(low <= one[name] <= high for one in drawn)


@pytest.mark.parametrize("status", [0, 1])
def test_an_engine_without_a_list_of_voices_is_no_obstacle(tmp_path, monkeypatch, status):
    folder = put_on_path(tmp_path / "bin", monkeypatch)
    (folder / "flite").write_text(f"#!/bin/sh\necho nonsense; exit {status}\n")
    (found,) = look_for(["flite"])
    assert not found.voices
    assert found.problem.startswith("cannot list its voices: flite")


def test_mbrola_has_the_voices_whose_database_is_there(tmp_path, monkeypatch):
    listed = (
        "Pty Language       Age/Gender VoiceName          File                 Other Languages\n"
        " 5  en-uk           --/M      english-mb-en1     mb/mb-en1 \n"
        " 5  de              --/M      german-mbrola-4    mb/mb-de4 \n"
        " 5  en              --/M      german-en          mb/mb-de4-en \n"
    )
    monkeypatch.setattr(commands, "output_of", lambda words: listed)
    monkeypatch.setattr(commands, "_MBROLA_FOLDERS", (str(tmp_path),))
    (tmp_path / "de4").mkdir()
    (tmp_path / "de4" / "de4").write_bytes(b"data")
    voices = ENGINES["mbrola"].list_voices(("espeak-ng",), [])
    assert [(voice.name, voice.language) for voice in voices] == [
        ("mb-de4", "de"),
        ("mb-de4-en", "en"),
    ]
    (tmp_path / "en1").write_bytes(b"data")
    voices = ENGINES["mbrola"].list_voices(("espeak-ng",), [])
    assert ("mb-en1", "en-gb") in [(voice.name, voice.language) for voice in voices]


def piper_folder(root: Path) -> Path:
    folder = root / "en" / "joe"
    folder.mkdir(parents=True)
    (folder / "en_US-joe-low.onnx").write_bytes(b"weights")
    about = {"phoneme_id_map": {}, "language": {"code": "en_US"}}
    (folder / "en_US-joe-low.onnx.json").write_text(json.dumps(about))
    (folder / "MODEL_CARD").write_text("# Card\n\n* License: CC0\n")
    (folder / "other.onnx.json").write_text("{}")  # no model beside it
    (folder / "broken.onnx").write_bytes(b"")
    (folder / "broken.onnx.json").write_text("{")
    return root


def test_piper_voices_are_models_with_a_description(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_piper_places", list)
    (voice,) = ENGINES["piper"].list_voices(("piper",), [piper_folder(tmp_path)])
    assert (voice.name, voice.language) == ("en_US-joe-low", "en-us")
    assert voice.licence == "recordings: CC0"
    assert len(digest_of(voice)) == 64
    settings = {"length_scale": 1.1}
    request = Request("Hello.", voice, settings, tmp_path, tmp_path / "o.wav")
    call = ENGINES["piper"].call(("piper",), request)
    assert call.stdin == b"Hello.\n"
    assert call.words[:3] == ("piper", "--model", voice.model)


@pytest.mark.parametrize(
    ("engine", "model", "styles", "name", "language"),
    [
        ("kokoro", "kokoro-v1.0.onnx", "voices-v1.0.bin", "bf_emma", "en-gb"),
        ("kitten", "kitten_tts_nano.onnx", "voices.npz", "expr-voice-2-m", "en-us"),
    ],
)
def test_voices_of_model_files(tmp_path, engine, model, styles, name, language):
    (tmp_path / model).write_bytes(b"weights")
    assert ENGINES[engine].list_voices(("python",), [tmp_path]) == []
    with open(tmp_path / styles, "wb") as file:
        np.savez(file, allow_pickle=False, **{name: np.zeros((1, 2))})
    (voice,) = ENGINES[engine].list_voices(("python",), [tmp_path])
    assert (voice.name, voice.language) == (name, language)
    assert (Path(voice.model).name, Path(voice.detail).name) == (model, styles)


def test_a_package_speaks_in_a_process_of_its_own(tmp_path, monkeypatch):
    """A package of the name stands for the real one; what it raises is one line."""
    (tmp_path / "kokoro_onnx.py").write_text(
        "import numpy as np\n"
        "class Kokoro:\n"
        "    def __init__(self, model, styles):\n"
        "        self.model = model\n"
        "    def create(self, text, voice, speed, lang):\n"
        "        if text == 'fail':\n"
        "            raise ValueError('no\\nphoneme')\n"
        "        assert (voice, lang) == ('af_sky', 'en-us')\n"
        "        return np.full(len(text), 0.5, np.float32), 24_000\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.syspath_prepend(str(tmp_path))
    voice = Voice("kokoro", "af_sky", "en-us", "", "model.onnx", "voices.bin")
    samples, rate = say("kokoro", voice, tmp_path / "x", "twelve chars")
    assert rate == 24_000
    assert np.array_equal(samples, np.full(12, 0.5, np.float32))
    with pytest.raises(DataError, match=r"failed \(exit status 1\): ValueError: no.*phoneme$"):
        say("kokoro", voice, tmp_path / "y", "fail")


REAL = {
    "espeak-ng": ("en-us", "en"),
    "mbrola": ("mb-*", ""),
    "flite": ("slt", "en"),
    "festival": ("kal_diphone", "en"),
    "pico": ("en-GB", "en"),
}


@pytest.mark.parametrize("name", REAL)
def test_the_real_engine_speaks_and_repeats_itself(name, tmp_path):
    pattern, language = REAL[name]
    (found,) = look_for([name], voices=[pattern], language=language)
    if not found.voices:
        pytest.skip(f"{name}: {found.problem}")
    voice = found.voices[0]
    text = "The birch canoe slid on the smooth planks."
    first, rate = say(name, voice, tmp_path / "1", text)
    assert 1.0 < len(first) / rate < 6.0
    assert np.max(np.abs(first)) > 0.01
    second, _ = say(name, voice, tmp_path / "2", text)
    assert np.array_equal(first, second)
    longer, _ = say(name, voice, tmp_path / "3", f"{text} {text}")
    assert len(longer) > 1.5 * len(first)


def test_festival_tells_languages(monkeypatch):
    if not shutil.which("festival"):
        pytest.skip("festival is not installed")
    (found,) = look_for(["festival"])
    assert found.voices
    assert all(voice.detail for voice in found.voices)
    assert all(len(voice.language) >= 2 for voice in found.voices)
