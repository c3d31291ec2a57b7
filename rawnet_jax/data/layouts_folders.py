"""Corpora that come without a list: which folders they have, and whose they are."""

from collections.abc import Mapping

from rawnet_jax.data import folder_rules as rules
from rawnet_jax.data.folder_rules import folder_parser
from rawnet_jax.data.layout import CorpusLayout, PartitionLayout

_VERSIONS = ("for-*", "for-*/for-*")


def _undivided(of_all: PartitionLayout) -> dict[str, PartitionLayout]:
    return {"train": of_all, "eval": of_all}


def _fake_or_real() -> CorpusLayout:
    def partition(folder: str) -> PartitionLayout:
        places = tuple(f"{version}/{folder}" for version in _VERSIONS)
        return PartitionLayout(
            protocols=(*(f"{place}/fake" for place in places), f"{folder}/fake"),
            audio=(*places, folder),
        )

    folders = {"train": "training", "dev": "validation", "eval": "testing"}
    return CorpusLayout(
        folder_parser(rules.fake_or_real, "subset"),
        {name: partition(folder) for name, folder in folders.items()},
        prefixes=("", "FakeOrReal", "Fake-or-Real", "FoR", "The-fake-or-real-dataset"),
        audio_from="rule",
        one_version=True,
        form="folders training, validation and testing with real and fake in them",
    )


def _cfad() -> CorpusLayout:
    def partition(folder: str) -> PartitionLayout:
        places = (f"*_version/{folder}_*", f"{folder}_*")
        return PartitionLayout(tuple(f"{place}/fake_*" for place in places), places)

    return CorpusLayout(
        folder_parser(rules.cfad, "subset", "seen", "source_corpus", "language"),
        {name: partition("test" if name == "eval" else name) for name in ("train", "dev", "eval")},
        prefixes=("", "CFAD", "CFAD/CFAD"),
        audio_from="rule",
        form="folders such as clean_version/train_clean with fake_clean and real_clean in them",
    )


def _dfadd() -> CorpusLayout:
    def partition(folder: str, counts: tuple[int, int] | None = None) -> PartitionLayout:
        place = f"DATASET_*/{folder}"
        return PartitionLayout(
            (f"DATASET_VCTK_BONAFIDE/{folder}", place), (place,), num_trials=counts
        )

    return CorpusLayout(
        folder_parser(rules.dfadd),
        {
            "train": partition("train"),
            "dev": partition("valid"),
            "eval": partition("test", (755, 3_000)),
        },
        prefixes=("", "DFADD", "DFADD/DFADD_ZIP", "DFADD_ZIP"),
        audio_from="rule",
        form="folders DATASET_… with train, valid or test in them",
    )


_WAVEFAKE = CorpusLayout(
    folder_parser(rules.wavefake, "language", "voice"),
    _undivided(
        PartitionLayout(
            ("generated_audio/ljspeech_*", "ljspeech_*", "generated_audio/jsut_*", "jsut_*gan*"),
            (
                *("generated_audio/*", "ljspeech_*", "jsut_*gan*", "common_voice*_prompts_*"),
                *("LJSpeech*", "jsut_ver*", "jsut", "JSUT*"),
            ),
        )
    ),
    prefixes=("", "WaveFake", "wavefake", "Wavefake"),
    audio_from="rule",
    undivided=True,
    form="a folder per voice and vocoder, such as ljspeech_melgan",
)

_CVOICEFAKE = CorpusLayout(
    folder_parser(rules.cvoicefake, "language"),
    _undivided(PartitionLayout(("*/Bonafide", "*/*_generated"), ("*/Bonafide", "*/*_generated"))),
    prefixes=(
        *("", "CVoiceFake", "CVoiceFake_Large", "CVoiceFake_Small", "CVoiceFake_small"),
        *("CVoiceFake/CVoiceFake_Large", "CVoiceFake/CVoiceFake_Small"),
    ),
    audio_from="rule",
    undivided=True,
    form="a folder per language with Bonafide and …_generated in it",
)

_SONAR = CorpusLayout(
    folder_parser(rules.sonar),
    _undivided(PartitionLayout(("real_samples",), ("*",))),
    prefixes=("", "SONAR_dataset", "SONAR", "SONAR/SONAR_dataset"),
    audio_from="rule",
    undivided=True,
    form="the folder real_samples beside a folder per system",
)

_REPLAYDF = CorpusLayout(
    folder_parser(rules.replaydf, "language", "device"),
    _undivided(PartitionLayout(("wav/*/benign", "wav/*/spoof"), ("wav",))),
    prefixes=("", "ReplayDF", "replaydf"),
    audio_from="rule",
    undivided=True,
    form="wav with a folder per loudspeaker and microphone, benign and spoof in each",
)

_CODECFAKE_VCTK = CorpusLayout(
    folder_parser(rules.codecfake_vctk),
    _undivided(
        PartitionLayout(
            ("processed", *rules.CODECS_OF_VCTK),
            ("processed", *rules.CODECS_OF_VCTK, "VCTK*", "original", "bonafide", "real"),
        )
    ),
    prefixes=("", "CodecFake", "CodecFake_wavs"),
    audio_from="rule",
    undivided=True,
    form="files called CODEC+SPEAKER_NUMBER, or a folder per codec",
)

OF_FOLDERS: Mapping[str, CorpusLayout] = {
    "wavefake": _WAVEFAKE,
    "fake_or_real": _fake_or_real(),
    "cfad": _cfad(),
    "cvoicefake": _CVOICEFAKE,
    "dfadd": _dfadd(),
    "sonar": _SONAR,
    "replaydf": _REPLAYDF,
    "codecfake_vctk": _CODECFAKE_VCTK,
}
"""Corpora without a list."""
