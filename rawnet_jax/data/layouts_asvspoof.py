"""Where the corpora of the ASVspoof challenges keep their lists and their audio."""

from collections.abc import Mapping

from rawnet_jax.data.layout import CorpusLayout, PartitionLayout
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.data.protocols import (
    Parser,
    parse_asvspoof5,
    parse_asvspoof2017,
    parse_asvspoof2019,
    parse_asvspoof2021_df,
    parse_asvspoof2021_la,
    parse_asvspoof2021_pa,
)


def _asvspoof2017() -> CorpusLayout:
    def partition(name: str, ending: str, num_bonafide: int, num_spoof: int) -> PartitionLayout:
        version1 = "ASVspoof2017_eval" if name == "eval" else "ASVspoof2017_train_dev"
        version1_folders = (f"{version1}/protocol", "protocol")
        version1_files = (f"KEY_ASVspoof2017_{name}*", f"ASVspoof2017_{name}*.{ending}*")
        return PartitionLayout(
            protocols=(
                f"protocol_V2/ASVspoof2017_V2_{name}.{ending}.txt",
                f"ASVspoof2017_V2_{name}.{ending}.txt",
                *(f"{folder}/{file}" for file in version1_files for folder in version1_folders),
            ),
            audio=(
                f"ASVspoof2017_V2_{name}",
                f"{version1}/wav/{name}",
                f"wav/{name}",
                f"ASVspoof2017_{name}",
            ),
            num_trials=(num_bonafide, num_spoof),
        )

    return CorpusLayout(
        parse_asvspoof2017,
        {
            "train": partition("train", "trn", 1_507, 1_507),
            "dev": partition("dev", "trl", 760, 950),
            "eval": partition("eval", "trl", 1_298, 12_008),
        },
        prefixes=("", "ASVspoof2017_V2", "ASVspoof2017", "DS_10283_3055"),
    )


def _asvspoof2019(track: str, counts: Mapping[str, tuple[int, int, int | None]]) -> CorpusLayout:
    folder = f"ASVspoof2019_{track}"

    def partition(name: str) -> PartitionLayout:
        file = f"ASVspoof2019.{track}.cm.{name}.{'trn' if name == 'train' else 'trl'}.txt"
        num_bonafide, num_spoof, num_enrolment = counts[name]
        return PartitionLayout(
            protocols=(f"{folder}_cm_protocols/{file}", f"protocols/{file}", file),
            audio=(f"{folder}_{name}/flac", f"{folder}_{name}"),
            asv_scores=(f"{folder}_asv_scores/ASVspoof2019.{track}.asv.{name}.gi.trl.scores.txt",),
            num_trials=(num_bonafide, num_spoof),
            num_enrolment=num_enrolment,
        )

    return CorpusLayout(
        parse_asvspoof2019,
        {name: partition(name) for name in PARTITIONS},
        prefixes=("", track, f"{track}/{track}", f"DS_10283_3336/{track}", "ASVspoof2019"),
    )


def _asvspoof2021(track: str, parser: Parser, num_bonafide: int, num_spoof: int) -> CorpusLayout:
    folder = f"ASVspoof2021_{track}_eval"
    return CorpusLayout(
        parser,
        {
            "eval": PartitionLayout(
                protocols=(
                    f"keys/{track}/CM/trial_metadata.txt",
                    f"{track}-keys-full/keys/{track}/CM/trial_metadata.txt",
                    f"{track}-keys*/keys/CM/trial_metadata.txt",
                    "keys/CM/trial_metadata.txt",
                    f"{folder}/ASVspoof2021.{track}.cm.eval.trl.txt",
                    f"{folder}_part*/{folder}/ASVspoof2021.{track}.cm.eval.trl.txt",
                    f"ASVspoof2021.{track}.cm.eval.trl.txt",
                ),
                audio=(f"{folder}/flac", f"{folder}_part*/{folder}/flac", "flac"),
                num_trials=(num_bonafide, num_spoof),
            )
        },
        prefixes=("", folder, track, "ASVspoof2021"),
    )


def _asvspoof5() -> CorpusLayout:
    def partition(
        list_name: str, old_name: str, audio: tuple[str, ...], counts: tuple[int, int, int]
    ) -> PartitionLayout:
        return PartitionLayout(
            protocols=(
                f"ASVspoof5_protocols/{list_name}",
                list_name,
                f"protocols/{list_name}",
                old_name,
                f"cm_protocols/{old_name}",
            ),
            audio=audio,
            num_trials=counts[:2],
            num_enrolment=counts[2],
        )

    return CorpusLayout(
        parse_asvspoof5,
        {
            "train": partition(
                "ASVspoof5.train.tsv",
                "ASVspoof5.train.metadata.txt",
                ("flac_T",),
                (18_797, 163_560, 0),
            ),
            "dev": partition(
                "ASVspoof5.dev.track_1.tsv",
                "ASVspoof5.dev.metadata.txt",
                ("flac_D",),
                (31_334, 109_616, 1_184),
            ),
            "eval": partition(
                "ASVspoof5.eval.track_1.tsv",
                "ASVspoof5.eval.metadata.txt",
                ("flac_E_eval", "flac_E"),
                (138_688, 542_086, 1_098),
            ),
        },
        prefixes=("", "ASVspoof5", "asvspoof5"),
    )


ASVSPOOF: Mapping[str, CorpusLayout] = {
    "asvspoof2017": _asvspoof2017(),
    "asvspoof2019_la": _asvspoof2019(
        "LA",
        {
            "train": (2_580, 22_800, 0),
            "dev": (2_548, 22_296, 142),
            "eval": (7_355, 63_882, 696),
        },
    ),
    "asvspoof2019_pa": _asvspoof2019(
        "PA",
        {
            "train": (5_400, 48_600, None),
            "dev": (5_400, 24_300, None),
            "eval": (18_090, 116_640, None),
        },
    ),
    "asvspoof2021_la": _asvspoof2021("LA", parse_asvspoof2021_la, 18_452, 163_114),
    "asvspoof2021_pa": _asvspoof2021("PA", parse_asvspoof2021_pa, 126_630, 816_480),
    "asvspoof2021_df": _asvspoof2021("DF", parse_asvspoof2021_df, 22_617, 589_212),
    "asvspoof5": _asvspoof5(),
}
"""The corpora of the challenges."""
