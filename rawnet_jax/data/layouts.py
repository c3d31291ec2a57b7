"""Where the published corpora keep their lists and their audio, and how much they hold.

One row of `CORPORA` per corpus. Places are tried in order, below the folder given as root and below
the folders that the archives unpack into, so that a root may be the corpus or its parent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rawnet_jax.data.manifests import PARTITIONS, parse_folders, parse_in_the_wild, parse_manifest
from rawnet_jax.data.protocols import (
    Parser,
    parse_asvspoof5,
    parse_asvspoof2017,
    parse_asvspoof2019,
    parse_asvspoof2021_df,
    parse_asvspoof2021_la,
    parse_asvspoof2021_pa,
)
from rawnet_jax.data.trial import ProblemLedger, Trial


@dataclass(frozen=True)
class PartitionLayout:
    """One partition as it is published.

    Attributes:
        protocols: places of the list, most informative first; glob patterns.
        audio: places of the audio folders; all matches of the first pattern that has any are used.
        num_trials: published numbers of bona fide and of spoofed trials; None = there are none.
        num_enrolment: audio files that come with the partition and are no trials of it; None =
            not known.
    """

    protocols: tuple[str, ...]
    audio: tuple[str, ...] = ()
    num_trials: tuple[int, int] | None = None
    num_enrolment: int | None = None


@dataclass(frozen=True)
class CorpusLayout:
    """One corpus.

    Attributes:
        parser: from lines to trials.
        partitions: what is published, by name.
        prefixes: folders below root that may hold everything; "" = root itself.
        audio_from: how a list names audio. "search": by file name, somewhere in the audio folders.
            "root": by path from root. "list": by path from the folder of the list. "tree": the
            folder tree is the list.
        official: False where partitions are whatever the owner of the data makes of it.
    """

    parser: Parser
    partitions: Mapping[str, PartitionLayout]
    prefixes: tuple[str, ...] = ("",)
    audio_from: str = "search"
    official: bool = True

    def parse(
        self, lines: Sequence[str], source: str, ledger: ProblemLedger, one_means: str
    ) -> list[Trial]:
        """Return the trials that lines hold.

        Args:
            lines: of a list.
            source: the list.
            ledger: takes problems.
            one_means: which label key 1 stands for in lists of one's own.

        Raises:
            DataError: see `parser`.
        """
        parser: Callable[..., list[Trial]] = self.parser
        own = {} if self.official else {"one_means": one_means}
        return parser(lines, source, ledger, **own)


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


_IN_THE_WILD = CorpusLayout(
    parse_in_the_wild,
    {"eval": PartitionLayout(("meta.csv",), num_trials=(19_963, 11_816))},
    prefixes=("", "release_in_the_wild"),
    audio_from="list",
)

_MANIFEST = CorpusLayout(
    parse_manifest,
    {
        name: PartitionLayout((f"{name}.csv", f"{name}.tsv", "manifest.csv", "manifest.tsv"))
        for name in PARTITIONS
    },
    audio_from="root",
    official=False,
)

_FOLDERS = CorpusLayout(
    parse_folders,
    {name: PartitionLayout((name,)) for name in PARTITIONS},
    audio_from="tree",
    official=False,
)

CORPORA: Mapping[str, CorpusLayout] = {
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
    "in_the_wild": _IN_THE_WILD,
    "manifest": _MANIFEST,
    "folders": _FOLDERS,
}
"""Every corpus that a config may name."""
