"""From the lists of corpora other than the ASVspoof challenges' to trials.

Same signature and same contract as the parsers of `rawnet_jax.data.protocols`. What 0 and 1 mean is
fixed by each corpus and stated here.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from rawnet_jax.data.protocols import TrialCollector, parse_columns, without_extension
from rawnet_jax.data.segments import SEGMENTS, segments_of, text_of
from rawnet_jax.data.table_rows import table_rows
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label

_NONE = "-"
_PARTITION_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation", "development"), "dev"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "eval"),
}


def _keys(bonafide: str, spoof: str) -> tuple[tuple[str, str], Callable[[str], Label | None]]:
    """Return both words, and the function from a word to its label."""
    known = {bonafide: Label.BONAFIDE, spoof: Label.SPOOF}
    return (bonafide, spoof), lambda key: known.get(key.strip().lower())


_ADD_KEYS = _keys("genuine", "fake")
_REAL_FAKE = _keys("real", "fake")
_SINGING_KEYS = _keys("bonafide", "deepfake")
_BONAFIDE_SPOOF = _keys("bonafide", "spoof")
_ONE_IS_BONAFIDE = _keys("1", "0")
_ONE_IS_SPOOF = _keys("0", "1")


def parse_add(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ADD 2022 or 2023: file and key, ``genuine`` or ``fake``."""
    return parse_columns(lines, source, ledger, (("audio_name", "key"),), *_ADD_KEYS)


def parse_codecfake(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse Codecfake: file, ``real`` or ``fake``, and the number of the codec, 0 = none.

    The audio of ``C1.txt`` lies in a folder ``C1``, and so on.
    """
    folder = PurePosixPath(source).stem

    def told(line: str) -> str:
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            words[2] = _NONE if int(words[2]) == 0 else f"F{int(words[2]):02d}"
        return " ".join(words)

    forms = (("audio_name", "key", "attack_id"),)
    trials = parse_columns(map(told, lines), source, ledger, forms, *_REAL_FAKE)
    return [replace(trial, audio_name=f"{folder}/{trial.audio_name}") for trial in trials]


def parse_ctrsvdd(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse CtrSVDD: corpus, singer, file, ``-``, attack, ``bonafide`` or ``deepfake``."""
    form = ("source_corpus", "speaker_id", "audio_name", "unused", "attack_id", "key")
    return parse_columns(lines, source, ledger, (form,), *_SINGING_KEYS)


def parse_fmfcc_a(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse FMFCC-A, ``20000001.wav,0,A01``: 1 is genuine, 0 synthetic.

    The system may be followed by what was done to the recording, such as ``A01_MP3``.
    """

    def told(line: str) -> str:
        words = line.split(",")
        if len(words) == 3:
            system, _, operation = words[2].strip().partition("_")
            words[2] = _NONE if system.startswith("N") else system
            words.append(operation or _NONE)
        return " ".join(words)

    form = (("audio_name", "key", "attack_id", "codec"),)
    return parse_columns(map(told, lines), source, ledger, form, *_ONE_IS_BONAFIDE)


_SYSTEM = re.compile(r"TTS\d{3}")
_LIBRITTS_SPEAKER = re.compile(r"(?:dev|test)-clean_(\d+)_")


def parse_llamapartialspoof(
    lines: Iterable[str], source: str, ledger: ProblemLedger
) -> list[Trial]:
    """Parse LlamaPartialSpoof: utterance, seconds, key, then ``start-end-key`` of each segment."""
    collector = TrialCollector(source, ledger, (SEGMENTS,), *_BONAFIDE_SPOOF)
    for number, line in enumerate(lines, 1):
        words = line.lstrip("\ufeff").split()
        if not words:
            continue
        problem = _problem_of_segments(words)
        if problem:
            collector.bad_line(number, problem)
            continue
        name, _, key, *segments = words
        system, speaker = _SYSTEM.search(name), _LIBRITTS_SPEAKER.search(name)
        collector.add(
            number,
            name,
            key=key,
            speaker_id=speaker[1] if speaker else _NONE,
            attack_id=system[0] if system and key == "spoof" else _NONE,
            metadata=(" ".join(segments) or _NONE,),
        )
    return collector.finish()


def parse_partly_fake(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse HAD and track 2 of ADD 2023, ``name 0.00-1.25-T/1.25-1.80-F 0``.

    The last column is 1 where nothing in it is fake (F).
    """
    collector = TrialCollector(source, ledger, (SEGMENTS,), *_ONE_IS_BONAFIDE)
    for number, line in enumerate(lines, 1):
        words = line.lstrip("\ufeff").split()
        if not words:
            continue
        if len(words) != 3:
            collector.bad_line(number, f"{len(words)} columns; there must be 3: {line[:80]!r}")
            continue
        name, text, key = words
        try:
            segments = segments_of(text)
        except DataError as error:
            collector.bad_line(number, str(error))
            continue
        if key in ("0", "1") and (key == "0") != any(s.label == Label.SPOOF for s in segments):
            collector.bad_line(number, f"its key is {key}, but its segments are {text[:80]}")
            continue
        collector.add(number, name, key=key, metadata=(text_of(segments),))
    return collector.finish()


def parse_mlaad(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse a ``meta.csv`` of MLAAD, separated by ``|``: all of it is synthetic.

    A path may be from the folder of the corpus or from that of the list.
    """
    names = ("language", "original_language", "architecture", "training_data", "reference_speaker")
    collector = TrialCollector(source, ledger, names)
    folder = PurePosixPath(*PurePosixPath(source).parent.parts[-3:])
    for number, row in table_rows(lines, source, ledger, ("path", "language", "model_name")):
        path = _path(row["path"])
        if not path:
            collector.bad_line(number, "the path is blank")
            continue
        audio_name = path if "/" in path else f"{folder}/{path}"
        collector.add(
            number,
            audio_name,
            utterance_id=_id(audio_name),
            key="spoof",
            attack_id=_word(row["model_name"]),
            metadata=(
                row["language"] or folder.parts[-2],
                row.get("is_original_language") or _NONE,
                *(row.get(name) or _NONE for name in names[2:]),
            ),
        )
    return collector.finish()


def parse_spoofceleb(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse SpoofCeleb: file, speaker, attack; ``a00`` is bona fide speech."""
    collector = TrialCollector(source, ledger, ())
    for number, row in table_rows(lines, source, ledger, ("file", "speaker", "attack")):
        attack = row["attack"].lower()
        genuine = attack == "a00"
        collector.add(
            number,
            _path(row["file"]),
            utterance_id=_id(_path(row["file"])),
            key="bonafide" if genuine else "spoof",
            speaker_id=row["speaker"],
            attack_id=_NONE if genuine else _word(attack),
        )
    return collector.finish()


_DEEPFAKE_EVAL_2024 = ("filename", "ground_truth", "finetuning_set")


def parse_deepfake_eval_2024(
    lines: Iterable[str], source: str, ledger: ProblemLedger
) -> list[Trial]:
    """Parse Deepfake-Eval-2024's audio: ``Ground Truth`` is Real or Fake, others are left out.

    ``Finetuning Set`` Train is the train partition, Test the eval partition.
    """
    names = ("partition", "language")
    collector = TrialCollector(source, ledger, names, *_REAL_FAKE)
    for number, row in table_rows(lines, source, ledger, _DEEPFAKE_EVAL_2024):
        key = row["ground_truth"].lower()
        if key in ("unknown", ""):
            continue
        collector.add(
            number,
            _path(row["filename"]),
            utterance_id=_id(_path(row["filename"])),
            key=key,
            metadata=(_partition(row["finetuning_set"]), row.get("language") or _NONE),
        )
    return collector.finish()


_DIFFSSD = ("filename", "method_name", "set", "target")


def parse_diffssd(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ``train_val_test_splits.csv`` of DiffSSD: target 1 is synthetic, 0 is real."""
    names = ("partition", "category", "source_corpus")
    collector = TrialCollector(source, ledger, names, *_ONE_IS_SPOOF)
    for number, row in table_rows(lines, source, ledger, _DIFFSSD):
        path = _path(row["filename"])
        key = row["target"].removesuffix(".0")
        collector.add(
            number,
            path,
            utterance_id=_id(path),
            key=key,
            attack_id=_word(row["method_name"]) if key == "1" else _NONE,
            metadata=(
                _partition(row["set"]),
                row.get("category") or _NONE,
                row.get("source") or _NONE,
            ),
        )
    return collector.finish()


def parse_df_arena(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse a protocol of Speech DF Arena: ``file_name,label``; paths are of another machine."""
    collector = TrialCollector(source, ledger, (), *_BONAFIDE_SPOOF)
    for number, row in table_rows(lines, source, ledger, ("file_name", "label")):
        path = _path(row["file_name"])
        collector.add(number, path, utterance_id=_id(path.lstrip("/")), key=row["label"])
    return collector.finish()


def _problem_of_segments(words: list[str]) -> str:
    """Return what is wrong with a line of LlamaPartialSpoof; "" = nothing."""
    if len(words) < 3:
        return f"{len(words)} columns; there must be 3 or more: {' '.join(words)[:80]!r}"
    try:
        segments_of(" ".join(words[3:]))
    except DataError as error:
        return str(error)
    return ""


def _path(text: str) -> str:
    path = text.strip().replace("\\", "/")
    return PurePosixPath(path).as_posix() if path else ""


def _id(path: str) -> str:
    return _word(without_extension(path))


def _word(text: str) -> str:
    """Return a text as one word, since score files are separated by blanks."""
    return "_".join(text.split()) or _NONE


def _partition(word: str) -> str:
    return _PARTITION_OF.get(word.strip().lower(), "eval")
