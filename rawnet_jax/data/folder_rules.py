"""Corpora without a list: what the names of their folders and files say of a recording.

A rule takes the parts of a path from the folder of the corpus and returns what it says, or None
where the path is none of the corpus's recordings.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from rawnet_jax.data.protocols import Parser, TrialCollector, without_extension
from rawnet_jax.data.text_file import as_text
from rawnet_jax.data.trial import ProblemLedger, Trial

BONAFIDE, SPOOF = "bonafide", "spoof"
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Told:
    """What a path tells of a recording.

    Attributes:
        key: bonafide or spoof.
        attack: ``-`` = none, or not told.
        speaker: ``-`` = not told.
        more: one value for each name of the rule.
    """

    key: str
    attack: str = _NONE
    speaker: str = _NONE
    more: tuple[str, ...] = ()


Rule = Callable[[tuple[str, ...]], Told | None]


def folder_parser(rule: Rule, *names: str) -> Parser:
    """Return the parser of a corpus whose list is its folders.

    Its lines are paths with ``/``. What the rule does not know is passed over and reported as
    audio that no list names.

    Args:
        rule: of the corpus.
        names: of the metadata that the rule tells.
    """

    def parse(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
        collector = TrialCollector(source, ledger, names)
        for number, line in enumerate(lines, 1):
            told = rule(PurePosixPath(line).parts)
            if told is None:
                where = f"{source}/{line}"
                ledger.report("unlisted_audio", f"{where}: no folder says what it is")
                continue
            collector.add(
                number,
                line,
                utterance_id="_".join(as_text(without_extension(line)).split()),
                key=told.key,
                speaker_id=told.speaker,
                attack_id="_".join(told.attack.split()),
                metadata=told.more or (_NONE,) * len(names),
            )
        return collector.finish()

    return parse


_VOCODED = re.compile(r"(ljspeech|jsut|common_voices?_prompts).*(gan|glow|pwg)", re.IGNORECASE)
_LANGUAGE_OF_VOICE = {"ljspeech": "en", "jsut": "ja"}


def wavefake(parts: tuple[str, ...]) -> Told | None:
    """``generated_audio/ljspeech_melgan/*.wav``; beside it LJSpeech-1.1 and JSUT.

    It has two voices, too few to hold out speakers by.
    """
    for part in parts[:-1]:
        if _VOCODED.match(part):
            voice = "jsut" if "jsut" in part.lower() else "ljspeech"
            return Told(SPOOF, part, more=(_LANGUAGE_OF_VOICE[voice], voice))
    for part in parts[:-1]:
        voice = part.lower()[:8] if part.lower().startswith("ljspeech") else part.lower()[:4]
        if voice in _LANGUAGE_OF_VOICE:
            return Told(BONAFIDE, more=(_LANGUAGE_OF_VOICE[voice], voice))
    return None


_REAL_OR_FAKE = {"real": BONAFIDE, "fake": SPOOF}


def fake_or_real(parts: tuple[str, ...]) -> Told | None:
    """``for-norm/training/fake/*.wav``, and the other versions of the same recordings."""
    key = _REAL_OR_FAKE.get(parts[-2].lower()) if len(parts) > 1 else None
    versions = [part for part in parts if part.startswith("for-")]
    return Told(key, more=(versions[-1] if versions else _NONE,)) if key else None


_CFAD_LABEL = re.compile(r"(real|fake)_(clean|noisy|noise|codec)$")
_AISHELL_SPEAKER = re.compile(r"SSB\d{4}|(?<=BAC009)S\d{4}")


def cfad(parts: tuple[str, ...]) -> Told | None:
    """``clean_version/test_seen_clean/fake_clean/hifigan/*.wav``, also noisy and codec."""
    for at, part in enumerate(parts[:-1]):
        match = _CFAD_LABEL.match(part)
        if match is None:
            continue
        key, version = _REAL_OR_FAKE[match[1]], match[2].replace("noise", "noisy")
        source = parts[at + 1] if at + 2 < len(parts) else _NONE
        found = _AISHELL_SPEAKER.match(parts[-1].removeprefix("BAC009")) or (
            _AISHELL_SPEAKER.search(parts[-1])
        )
        seen = next((s for s in ("unseen", "seen") if any(f"_{s}_" in p for p in parts)), _NONE)
        more = (version, seen, source if key == BONAFIDE else _NONE, "zh")
        speaker = found[0] if found else _NONE
        return Told(key, source if key == SPOOF else _NONE, speaker, more)
    return None


def cvoicefake(parts: tuple[str, ...]) -> Told | None:
    """``EN/Bonafide/*.mp3`` and ``EN/vctk_style_melgan.v1_generated/*.mp3``, by language."""
    if len(parts) < 3:
        return None
    *_, language, system, _ = parts
    more = (language.lower().replace("zh-cn", "zh").replace("cn", "zh"),)
    if system.lower() == BONAFIDE:
        return Told(BONAFIDE, more=more)
    if system.endswith("_generated"):
        return Told(SPOOF, system.removesuffix("_generated"), more=more)
    return None


_VCTK_SPEAKER = re.compile(r"[ps]\d{1,3}(?=_)")


def dfadd(parts: tuple[str, ...]) -> Told | None:
    """``DATASET_GradTTS/train/p227_164_GradTTS.wav`` and ``DATASET_VCTK_BONAFIDE/train/…``."""
    system = next((part for part in parts[:-1] if part.startswith("DATASET_")), "")
    if not system:
        return None
    found = _VCTK_SPEAKER.match(parts[-1])
    speaker = found[0] if found else _NONE
    if "BONAFIDE" in system.upper():
        return Told(BONAFIDE, speaker=speaker)
    return Told(SPOOF, system.removeprefix("DATASET_"), speaker)


def sonar(parts: tuple[str, ...]) -> Told | None:
    """``real_samples/*.wav``; every other folder is a system, such as ``VALLE/*.wav``."""
    if len(parts) < 2:
        return None
    return Told(BONAFIDE) if parts[0] == "real_samples" else Told(SPOOF, parts[0])


def replaydf(parts: tuple[str, ...]) -> Told | None:
    """``wav/UID/spoof/SYSTEM/LANGUAGE/*.wav`` and ``wav/UID/benign/LANGUAGE/*.wav``."""
    for at, part in enumerate(parts[:-1]):
        if part not in ("spoof", "benign") or not at:
            continue
        below = parts[at + 1 : -1]
        more = (below[-1] if below else _NONE, parts[at - 1])
        if part == "benign":
            return Told(BONAFIDE, more=more)
        return Told(SPOOF, below[0] if len(below) > 1 else _NONE, more=more)
    return None


CODECS_OF_VCTK = (
    *("SpeechTokenizer", "academicodec*", "audiodec*", "descript-audio-codec*", "encodec*"),
    "funcodec*",
)
"""Folders of CodecFake, a codec each; glob patterns."""

_ORIGINALS = ("vctk", "original", "bonafide", "real")


def codecfake_vctk(parts: tuple[str, ...]) -> Told | None:
    """``processed/encodec_24khz+p272_103.wav``, or a folder per codec; VCTK beside them."""
    codec, plus, name = parts[-1].rpartition("+")
    found = _VCTK_SPEAKER.match(name)
    speaker = found[0] if found else _NONE
    if plus:
        key = codec.lower().startswith(_ORIGINALS)
        return Told(BONAFIDE, speaker=speaker) if key else Told(SPOOF, codec, speaker)
    for part in parts[:-1]:
        if part.lower().startswith(_ORIGINALS):
            return Told(BONAFIDE, speaker=speaker)
        if any(PurePosixPath(part).match(pattern) for pattern in CODECS_OF_VCTK):
            return Told(SPOOF, part, speaker)
    return None


_LOCALE = re.compile(r"([a-z]{2})_[A-Z]{2}$")


def m_ailabs(parts: tuple[str, ...]) -> Told | None:
    """``en_US/by_book/female/SPEAKER/BOOK/wavs/*.wav``: bona fide speech alone."""
    locale = next((match for part in parts if (match := _LOCALE.match(part))), None)
    sex = speaker = _NONE
    for at, part in enumerate(parts[:-1]):
        if part in ("female", "male", "mix"):
            sex = _NONE if part == "mix" else part
            speaker = parts[at + 1] if at + 2 < len(parts) and part != "mix" else _NONE
    return Told(BONAFIDE, speaker=speaker, more=(locale[1] if locale else _NONE, sex))
