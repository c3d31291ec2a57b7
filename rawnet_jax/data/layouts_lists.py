"""Corpora with lists, other than the ASVspoof challenges': where these and the audio lie."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rawnet_jax.data.folder_rules import folder_parser, m_ailabs
from rawnet_jax.data.layout import CorpusLayout, PartitionLayout
from rawnet_jax.data.list_parsers import (
    parse_add,
    parse_codecfake,
    parse_ctrsvdd,
    parse_deepfake_eval_2024,
    parse_df_arena,
    parse_diffssd,
    parse_fmfcc_a,
    parse_llamapartialspoof,
    parse_mlaad,
    parse_partly_fake,
    parse_spoofceleb,
)
from rawnet_jax.data.protocols import parse_asvspoof2019
from rawnet_jax.data.segments import SEGMENTS, read_seglab, text_of
from rawnet_jax.data.trial import Trial

_PARTITIONS = ("train", "dev", "eval")


def _undivided(of_all: PartitionLayout) -> dict[str, PartitionLayout]:
    return {"train": of_all, "eval": of_all}


_MLAAD = CorpusLayout(
    parse_mlaad,
    _undivided(
        PartitionLayout(
            ("fake/*/*/meta.csv",),
            ("fake",),
            companions=(
                *("M-AILABS", "m-ailabs", "M_AILABS", "MAILABS", "MAILabs", "mailabs", "original"),
                "[a-z][a-z]_[A-Z][A-Z]",
            ),
        )
    ),
    prefixes=("", "MLAAD", "mlaad", "MLAAD*"),
    every_list=True,
    undivided=True,
    companion_parser=folder_parser(m_ailabs, "language", "sex"),
    form="lists fake/LANGUAGE/MODEL/meta.csv with path, language and model_name",
)


def _add(version: str) -> CorpusLayout:
    if version == "2022":
        partitions = {
            "train": PartitionLayout(
                ("ADD_train_dev/label/train_label.txt", "label/train_label.txt"),
                ("ADD_train_dev/train", "train"),
            ),
            "dev": PartitionLayout(
                ("ADD_train_dev/label/dev_label.txt", "label/dev_label.txt"),
                ("ADD_train_dev/dev", "dev"),
            ),
            "eval": PartitionLayout(
                ("track*test*/label.txt", "track[123]*/label.txt", "track*adp*/label.txt"),
                ("track*",),
            ),
        }
    else:
        tracks = ("Track1.2", "track1.2")
        partitions = {
            name: PartitionLayout(
                tuple(f"{place}{folder}/label.txt" for place in (*(f"{t}/" for t in tracks), "")),
                tuple(f"{place}{folder}" for place in (*(f"{t}/" for t in tracks), "")),
            )
            for name, folder in (("train", "train"), ("dev", "dev"), ("eval", "test*"))
        }
    return CorpusLayout(
        parse_add,
        partitions,
        prefixes=("", f"ADD{version}", f"ADD_{version}", f"ADD {version}"),
        every_list=True,
        form="two columns: a file and genuine or fake",
    )


_PARTLY_FAKE = "three columns: a name, segments such as 0.00-1.25-T/1.25-1.80-F, and 0 or 1"


def _add2023_rl() -> CorpusLayout:
    def partition(folder: str) -> PartitionLayout:
        places = (f"ADD2023_Track2_{folder}", f"Track2/{folder}", folder)
        return PartitionLayout(tuple(f"{place}/label.txt" for place in places), places)

    return CorpusLayout(
        parse_partly_fake,
        {name: partition("test" if name == "eval" else name) for name in _PARTITIONS},
        prefixes=("", "ADD2023", "ADD_2023", "ADD 2023"),
        form=_PARTLY_FAKE,
    )


def _had() -> CorpusLayout:
    def partition(folder: str) -> PartitionLayout:
        return PartitionLayout((f"HAD_{folder}/HAD_{folder}_label.txt",), (f"HAD_{folder}",))

    return CorpusLayout(
        parse_partly_fake,
        {name: partition("test" if name == "eval" else name) for name in _PARTITIONS},
        prefixes=("", "HAD", "HAD/HAD"),
        form=_PARTLY_FAKE,
    )


def _codecfake() -> CorpusLayout:
    def partition(name: str, total: int | None) -> PartitionLayout:
        return PartitionLayout((f"label/{name}.txt",), (name, f"{name}_split"), num_total=total)

    return CorpusLayout(
        parse_codecfake,
        {
            "train": partition("train", 740_747),
            "dev": partition("dev", 92_596),
            "eval": PartitionLayout(("label/[CA][0-9].txt",), ("test", "[CA][0-9]")),
        },
        prefixes=("", "Codecfake", "codecfake"),
        every_list=True,
        form="three columns: a file, real or fake, and the number of the codec",
    )


def _with_segments(trials: list[Trial], protocol: str, partition: str) -> list[Trial]:
    """Add the finest segment labels that lie beside the protocols of PartialSpoof."""
    places = Path(protocol).absolute().parents[:3]
    # A protocol by itself has its partition in its name.
    partition = partition or next((p for p in _PARTITIONS if f".{p}." in Path(protocol).name), "*")
    for frame in ("0.01", "0.02", "0.04", "0.08", "0.16"):
        for place in places:
            files = sorted(place.glob(f"segment_labels*/{partition}_seglab_{frame}.npy"))
            if files:
                of_name = read_seglab(files[0], float(frame))
                return [_with(trial, of_name.get(trial.utterance_id)) for trial in trials]
    return trials


def _with(trial: Trial, segments: Sequence | None) -> Trial:
    if not segments:
        return trial
    return replace(trial, metadata={**trial.metadata, SEGMENTS: text_of(segments)})


def _partialspoof() -> CorpusLayout:
    totals = {"train": None, "dev": 24_844, "eval": 71_237}
    return CorpusLayout(
        parse_asvspoof2019,
        {
            name: PartitionLayout(
                (
                    f"protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{name}.trl.txt",
                    f"PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{name}.trl.txt",
                    f"protocols/PartialSpoof.LA.cm.{name}.trl.txt",
                ),
                (f"{name}/con_wav", name),
                asv_scores=(
                    f"protocols/PartialSpoof_LA_asv_scores/PartialSpoof.LA.asv.{name}.gi.trl"
                    ".scores.txt",
                ),
                num_total=totals[name],
            )
            for name in _PARTITIONS
        },
        prefixes=("", "database", "PartialSpoof/database", "PartialSpoof"),
        form="PartialSpoof in its name, and five columns as ASVspoof 2019 has them",
        finish=_with_segments,
    )


def _ctrsvdd() -> CorpusLayout:
    folders = {"train": "train", "dev": "dev", "eval": "test"}
    return CorpusLayout(
        parse_ctrsvdd,
        {
            name: PartitionLayout(
                (f"{folder}.txt", f"{folder}_groundtruth.txt"),
                (f"{folder}_set", f"{folder}_set/{folder}_set", folder),
            )
            for name, folder in folders.items()
        },
        prefixes=("", "CtrSVDD", "ctrsvdd", "SVDD2024"),
        form="six columns that end in bonafide or deepfake",
    )


def _spoofceleb() -> CorpusLayout:
    folders = {"train": "train", "dev": "development", "eval": "evaluation"}
    return CorpusLayout(
        parse_spoofceleb,
        {
            name: PartitionLayout((f"metadata/{folder}.csv",), (f"flac/{folder}",))
            for name, folder in folders.items()
        },
        prefixes=("", "spoofceleb", "SpoofCeleb", "SpoofCeleb/spoofceleb"),
        form="a header with file, speaker and attack",
    )


_DEEPFAKE_EVAL_2024 = CorpusLayout(
    parse_deepfake_eval_2024,
    {
        name: PartitionLayout(
            ("audio-metadata-publish.csv", "audio-metadata-publish-with-links.csv"),
            ("audio-data",),
        )
        for name in ("train", "eval")
    },
    prefixes=("", "Deepfake-Eval-2024", "Deepfake_Eval_2024", "deepfake-eval-2024"),
    form="a header with Filename, Ground Truth and Finetuning Set",
)

_DIFFSSD = CorpusLayout(
    parse_diffssd,
    {
        name: PartitionLayout(
            ("train_val_test_splits.csv",), ("generated_speech",), companions=("real_speech",)
        )
        for name in _PARTITIONS
    },
    prefixes=("", "DiffSSD", "diffssd", "DIFFSSD"),
    form="a header with filename, method_name, set and target",
)

_LLAMAPARTIALSPOOF = CorpusLayout(
    parse_llamapartialspoof,
    _undivided(
        PartitionLayout(("label_R01TTS.*.txt",), ("R01TTS.*",)),
    ),
    prefixes=("", "LlamaPartialSpoof"),
    every_list=True,
    undivided=True,
    form="an utterance, its length, its key and its segments",
)

_FMFCC_A = CorpusLayout(
    parse_fmfcc_a,
    _undivided(PartitionLayout(("AllUtteranceInfo.txt",), ("",), num_trials=(10_000, 40_000))),
    prefixes=("", "FMFCC-A"),
    undivided=True,
    form="file, 0 or 1 and system, separated by commas",
)

_DF_ARENA = CorpusLayout(
    parse_df_arena,
    {"eval": PartitionLayout(("protocol_files/*.csv", "protocols/*.csv"), ("",))},
    every_list=True,
    form="a header with file_name and label",
)

OF_LISTS: Mapping[str, CorpusLayout] = {
    "mlaad": _MLAAD,
    "add2022": _add("2022"),
    "add2023": _add("2023"),
    "add2023_rl": _add2023_rl(),
    "had": _had(),
    "codecfake": _codecfake(),
    "partialspoof": _partialspoof(),
    "ctrsvdd": _ctrsvdd(),
    "spoofceleb": _spoofceleb(),
    "deepfake_eval_2024": _DEEPFAKE_EVAL_2024,
    "diffssd": _DIFFSSD,
    "llamapartialspoof": _LLAMAPARTIALSPOOF,
    "fmfcc_a": _FMFCC_A,
    "df_arena": _DF_ARENA,
}
"""Corpora with lists of their own form."""
