"""Engines that are commands: eSpeak NG, MBROLA, Flite, Mimic, Festival, SVOX Pico."""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from rawnet_jax.errors import DataError
from rawnet_jax.text_to_speech.engine import Call, Engine, Request, Voice, Words, on_path, output_of

_MBROLA_FOLDERS = ("/usr/share/mbrola", "/usr/local/share/mbrola")
_ITS_OWN = "see the licence of the voice"

# What `flite -lv` names but not describes; awb_time knows nothing but times of day.
_FLITE_LANGUAGES = {"awb": "en-gb"}
_FLITE_LEFT_OUT = {"awb_time"}

_LIST_FESTIVAL = b"""\
(mapcar
 (lambda (v)
  (let ((d (cadr (assoc v Voice_descriptions))))
   (format t "voice|%s|%s|%s|%s|%s\\n" v (cdr (assoc v voice-locations))
    (cadr (assoc 'language d)) (cadr (assoc 'dialect d)) (cadr (assoc 'coding d)))))
 (voice.list))
"""
_FESTIVAL_LANGUAGES = {  # names of languages, dialects and folders of voices
    **{"english": "en", "us": "en-us", "american": "en-us", "british": "en-gb", "uk": "en-gb"},
    **{"scottish": "en-gb", "spanish": "es", "italian": "it", "finnish": "fi", "czech": "cs"},
    **{"catalan": "ca", "russian": "ru", "hindi": "hi", "telugu": "te", "marathi": "mr"},
    **{"german": "de", "french": "fr", "polish": "pl", "welsh": "cy", "swedish": "sv"},
}
_FESTIVAL_CODINGS = {"cs": "iso-8859-2", "ru": "utf-8", "hi": "utf-8", "te": "utf-8", "mr": "utf-8"}
# As the copyright files of Debian's packages of these voices say.
_FESTIVAL_LICENCES = {
    **dict.fromkeys(("kal_diphone", "ked_diphone"), "permissive (CMU, CSTR)"),
    "cmu_us_slt_arctic_hts": "EST-2003, BSD-3-Clause",
    "lp_diphone": "GPL-2.0-or-later",
    "upc_ca_ona_hts": "LGPL-2.1-or-later, BSD-3-Clause",
    "czech_dita": "GPL-3.0-or-later",
    "suo_fi_lj_diphone": "LGPL-2.0-or-later",
}
_PICO_LANGUAGES = ("de-DE", "en-GB", "en-US", "es-ES", "fr-FR", "it-IT")
_PICO_FOLDERS = ("/usr/share/pico/lang", "/usr/local/share/pico/lang")


def _espeak_rows(program: Words, of: str) -> list[tuple[str, str, str]]:
    """Return language, name and file of each voice that ``--voices`` lists."""
    rows = []
    for line in output_of((*program, of)).splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 5 and columns[0].isdigit():
            rows.append((columns[1], columns[3], columns[4]))
    return rows


def _espeak_voices(program: Words, _folders: Sequence[Path]) -> list[Voice]:
    voices: dict[str, Voice] = {}
    for language, _, file in _espeak_rows(program, "--voices"):
        if not file.startswith("mb/"):  # those are MBROLA's
            voices.setdefault(
                language, Voice("espeak-ng", language, language, "GPL-3.0-or-later", detail=file)
            )
    return list(voices.values())


def _espeak_call(program: Words, request: Request) -> Call:
    numbers = request.settings
    words = (
        *(*program, "-b", "1", "-v", request.voice.detail, "-w", str(request.output), "--stdin"),
        *("-s", str(round(numbers["words_per_minute"])), "-p", str(round(numbers["pitch"]))),
    )
    return Call(words, f"{request.text}\n".encode())


def _find_mbrola() -> Words | None:
    program = on_path("espeak-ng")()
    return program if program and shutil.which("mbrola") else None


def _mbrola_voices(program: Words, _folders: Sequence[Path]) -> list[Voice]:
    """Return the voices whose databases are there; eSpeak NG lists all that it could use."""
    voices = {}
    for language, _, file in _espeak_rows(program, "--voices=mb"):
        name = file.removeprefix("mb/")
        database = name.split("-")[1] if "-" in name else name
        if any(
            (Path(folder) / place).is_file()
            for folder in (*_MBROLA_FOLDERS, *_espeak_data())
            for place in (f"{database}/{database}", database, f"voices/{database}")
        ):
            code = "en-gb" if language == "en-uk" else language
            voices[name] = Voice("mbrola", name, code, _ITS_OWN, detail=name)
    return list(voices.values())


def _espeak_data() -> list[str]:
    folder = os.environ.get("ESPEAK_DATA_PATH")
    return [str(Path(folder) / "mbrola")] if folder else []


def _flite_voices(engine: str, licence: str) -> Callable[[Words, Sequence[Path]], list[Voice]]:
    def list_voices(program: Words, _folders: Sequence[Path]) -> list[Voice]:
        said = output_of((*program, "-lv"))
        match = re.search(r"Voices available:(.*)", said)
        if match is None:
            raise DataError(f"{engine} -lv lists no voices")
        names = [name for name in match[1].split() if name not in _FLITE_LEFT_OUT]
        return [
            Voice(engine, name, _FLITE_LANGUAGES.get(name, "en-us"), licence)
            for name in dict.fromkeys(names)
        ]

    return list_voices


def _flite_call(program: Words, request: Request) -> Call:
    stretch = f"duration_stretch={request.settings['duration_stretch']:g}"
    return Call(
        (
            *(*program, "-voice", request.voice.name, "--setf", stretch),
            *("-f", request.text_file(), "-o", str(request.output)),
        )
    )


def _find_festival() -> Words | None:
    """Return both programs: text2wave speaks, festival lists."""
    speaks, lists = shutil.which("text2wave"), shutil.which("festival")
    return (speaks, lists) if speaks and lists else None


def _festival_voices(program: Words, _folders: Sequence[Path]) -> list[Voice]:
    voices = []
    for line in output_of((program[1], "--pipe"), _LIST_FESTIVAL).splitlines():
        columns = line.split("|")
        if columns[0] != "voice" or len(columns) != 6:
            continue
        name, place, language, dialect, coding = columns[1:]
        above = Path(place).parent.name
        known = (_FESTIVAL_LANGUAGES.get(word.lower()) for word in (dialect, language, above))
        code = next((word for word in known if word), "")
        coding = coding.lower() if coding != "nil" else _FESTIVAL_CODINGS.get(code, "iso-8859-1")
        licence = _FESTIVAL_LICENCES.get(name, _ITS_OWN)
        voices.append(Voice("festival", name, code, licence, detail=coding))
    return sorted(voices, key=lambda voice: voice.name)


def _festival_call(program: Words, request: Request) -> Call:
    stretch = f"(Parameter.set 'Duration_Stretch {request.settings['duration_stretch']:g})"
    begin = f"(begin (voice_{request.voice.name}) {stretch})"
    text = request.text_file(request.voice.detail)
    return Call((program[0], "-eval", begin, "-o", str(request.output), text))


def _pico_voices(_program: Words, _folders: Sequence[Path]) -> list[Voice]:
    there = [Path(folder) for folder in _PICO_FOLDERS if Path(folder).is_dir()]
    return [
        Voice("pico", code, code.lower(), "Apache-2.0")
        for code in _PICO_LANGUAGES
        if not there or any((folder / f"{code}_ta.bin").exists() for folder in there)
    ]


def _pico_call(program: Words, request: Request) -> Call:
    pitch, speed = (round(request.settings[name]) for name in ("pitch", "speed"))
    text = f'<pitch level="{pitch}"><speed level="{speed}">{request.text}</speed></pitch>'
    words = (*program, "-l", request.voice.name, "-w", str(request.output))
    return Call(words, f"{text}\n".encode())


COMMAND_ENGINES = (
    Engine(
        name="espeak-ng",
        family="formants",
        about="eSpeak NG, formant synthesis in over a hundred languages",
        licence="GPL-3.0-or-later",
        install="apt-get install espeak-ng",
        is_deterministic=True,
        find=on_path("espeak-ng"),
        list_voices=_espeak_voices,
        call=_espeak_call,
        settings={"words_per_minute": (140.0, 200.0), "pitch": (30.0, 70.0)},
        version=("--version",),
    ),
    Engine(
        name="mbrola",
        family="diphones",
        about="MBROLA voices, with eSpeak NG in front",
        licence="AGPL-3.0-or-later; databases: mostly for non-commercial use alone",
        install="apt-get install espeak-ng mbrola mbrola-us1 (Debian contrib and non-free)",
        is_deterministic=True,
        find=_find_mbrola,
        list_voices=_mbrola_voices,
        call=_espeak_call,
        settings={"words_per_minute": (140.0, 200.0), "pitch": (35.0, 65.0)},
        version=("--version",),
    ),
    Engine(
        name="flite",
        family="flite",
        about="CMU Flite: diphones (kal), clustered units with MLSA (awb, rms, slt)",
        licence="permissive (CMU)",
        install="apt-get install flite",
        is_deterministic=True,
        find=on_path("flite"),
        list_voices=_flite_voices("flite", "permissive (CMU)"),
        call=_flite_call,
        settings={"duration_stretch": (0.9, 1.15)},
        version=("--version",),
    ),
    Engine(
        name="mimic",
        family="flite",
        about="Mycroft Mimic 1, made of Flite",
        licence="permissive (CMU, Mycroft)",
        install="build it from github.com/MycroftAI/mimic1",
        is_deterministic=True,
        find=on_path("mimic", "mimic1"),
        list_voices=_flite_voices("mimic", _ITS_OWN),
        call=_flite_call,
        settings={"duration_stretch": (0.9, 1.15)},
        version=("--version",),
    ),
    Engine(
        name="festival",
        family="festival",
        about="Festival (text2wave): diphones, unit selection or HTS, as the voice is",
        licence="permissive (CSTR)",
        install="apt-get install festival festvox-kallpc16k festvox-us-slt-hts",
        is_deterministic=True,
        find=_find_festival,
        list_voices=_festival_voices,
        call=_festival_call,
        settings={"duration_stretch": (0.9, 1.15)},
        version=("--version",),
    ),
    Engine(
        name="pico",
        family="hmm",
        about="SVOX Pico (pico2wave)",
        licence="Apache-2.0",
        install="apt-get install libttspico-utils (Debian non-free)",
        is_deterministic=True,
        find=on_path("pico2wave"),
        list_voices=_pico_voices,
        call=_pico_call,
        settings={"pitch": (85.0, 115.0), "speed": (85.0, 115.0)},
    ),
)
