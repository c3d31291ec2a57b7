"""What a row of the table of corpora says: where lists and audio lie, and how they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rawnet_jax.data.protocols import Parser
from rawnet_jax.data.trial import ProblemLedger, Trial


@dataclass(frozen=True)
class PartitionLayout:
    """One partition as it is published.

    Attributes:
        protocols: places of the list, most informative first; glob patterns. Where folder names are
            the list (``CorpusLayout.audio_from`` "rule"): places of folders that show that the
            partition is there.
        audio: places of the audio folders; all matches of the first pattern that has any are used.
            Of a "rule": all matches of all patterns.
        companions: places of further folders with bona fide speech alone, which came with the
            corpus or which it was made from; all matches of all patterns.
        asv_scores: places of the scores of the challenge's speaker verification system.
        num_trials: published numbers of bona fide and of spoofed trials; None = there are none.
        num_total: published number of both together, where the classes are not told apart.
        num_enrolment: audio files that come with the partition and are not trials of it; None =
            not known.
    """

    protocols: tuple[str, ...]
    audio: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    asv_scores: tuple[str, ...] = ()
    num_trials: tuple[int, int] | None = None
    num_total: int | None = None
    num_enrolment: int | None = None


@dataclass(frozen=True)
class CorpusLayout:
    """One corpus.

    Attributes:
        parser: from lines to trials. Of a "rule", the lines are paths.
        partitions: what is published, by name.
        prefixes: folders below root that may hold everything; "" = root itself.
        audio_from: how a list names audio. "search": by file name, somewhere in the audio folders.
            "root": by path from root. "list": by path from the folder of the list. "tree": the
            folder tree is the list, its folders being named like keys. "rule": the folder tree is
            the list, and the corpus has names of its own for its folders.
        official: False where partitions are whatever the owner of the data makes of it.
        every_list: whether all lists that match belong to a partition; False = the first counts.
        undivided: nothing is published on what to train and to evaluate on: train and eval are
            each the whole corpus.
        companion_parser: of the paths of companions.
        one_version: whether two values of ``subset`` hold the same recordings, so that
            ``config.data.subset`` must choose one.
        form: what shows that a list or a folder is of this corpus, in words.
        finish: adds what further files of the corpus say of the trials; None = there are none.
    """

    parser: Parser
    partitions: Mapping[str, PartitionLayout]
    prefixes: tuple[str, ...] = ("",)
    audio_from: str = "search"
    official: bool = True
    every_list: bool = False
    undivided: bool = False
    companion_parser: Parser | None = None
    one_version: bool = False
    form: str = ""
    finish: "Finish | None" = field(default=None)

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

    @property
    def is_folders(self) -> bool:
        """Whether there is no list, only folders."""
        return self.audio_from in ("tree", "rule")


Finish = Callable[[list[Trial], str, str], list[Trial]]
"""From the trials of a partition, the path of its list and its name to the trials with more."""
