"""From the lines of a published protocol to trials: one pure parser per corpus.

All parsers share one signature, ``(lines, source, ledger) -> trials``. `source` is the file that
the lines are from and appears in messages and in `Trial.source`. Blank lines, trailing blanks, a
byte order mark and any kind of line end are accepted. The number of columns is fixed by the first
line that fits the corpus, so that a truncated line cannot pass for another form of the list.

A line with another number of columns, an unknown key and an utterance that was named before go to
the ledger, which raises or counts them. A list with no usable line raises `DataError`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter

from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import KNOWN_KEYS, Label, label_of_key

Parser = Callable[[Iterable[str], str, ProblemLedger], list[Trial]]

AUDIO_EXTENSIONS = (
    *(".flac", ".wav", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au"),
    *(".w64", ".caf", ".wave", ".bwf", ".rf64", ".aifc", ".snd", ".oga", ".mp2", ".mp1"),
    *(".sph", ".nist", ".voc", ".avr", ".htk", ".sf", ".ircam", ".paf", ".pvf", ".sd2", ".sds"),
    *(".svx", ".8svx", ".iff", ".mpc", ".wve", ".xi", ".bw64"),
    *(".m4a", ".m4b", ".m4r", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3gpp", ".3g2", ".webm"),
    *(".weba", ".mka", ".mkv", ".aac", ".adts", ".amr", ".awb", ".wma", ".wmv", ".asf", ".spx"),
    *(".ac3", ".eac3", ".ec3", ".wv", ".ape", ".tta"),
)
"""What counts as an audio file in a folder, in any case: what libsndfile reads by its header, and
from .m4a on what the extra `media` reads."""

_Columns = tuple[str, ...]
_Row = tuple[int, list[str]]  # line number, fields

_TRIAL_FIELDS = frozenset({"audio_name", "key", "speaker_id", "attack_id"})

_TRIAL_LIST: _Columns = ("audio_name",)

_ASVSPOOF2017: tuple[_Columns, ...] = (
    (
        *("audio_name", "key", "speaker_id", "phrase"),
        *("environment", "playback_device", "recording_device"),
    ),
    ("audio_name", "key"),  # the key file that followed version 1
    ("audio_name", "phrase"),  # version 1, eval
)
_ASVSPOOF2019: tuple[_Columns, ...] = (
    ("speaker_id", "audio_name", "environment", "attack_id", "key"),
)
_ASVSPOOF2021_LA: tuple[_Columns, ...] = (
    (
        *("speaker_id", "audio_name", "codec", "transmission"),
        *("attack_id", "key", "trim", "subset"),
    ),
    _TRIAL_LIST,
)
# R M d r m s c, in the words of the 2021 evaluation package. For bona fide trials d is the
# distance from the talker, for spoofed ones from the playback device, to the ASV microphone.
_ASVSPOOF2021_PA: tuple[_Columns, ...] = (
    (
        *("speaker_id", "audio_name", "asv_room", "asv_microphone", "asv_distance"),
        *("attacker_room", "attacker_microphone", "playback_device", "attacker_distance"),
        *("key", "trim", "subset"),
    ),
    _TRIAL_LIST,
)
# The last four are filled for trials from the Voice Conversion Challenge 2020 only:
# Task1 team20 FF E = task, team, genders of source and target, language.
_ASVSPOOF2021_DF: tuple[_Columns, ...] = (
    (
        *("speaker_id", "audio_name", "codec", "source_corpus", "attack_id", "key"),
        *("trim", "subset", "vocoder_type", "task", "team", "gender_pair", "language"),
    ),
    _TRIAL_LIST,
)
_ASVSPOOF5: tuple[_Columns, ...] = (
    (
        *("speaker_id", "audio_name", "gender", "codec", "codec_quality", "codec_seed"),
        *("attack_tag", "attack_id", "key", "tmp"),
    ),
    # ASVspoof5.train.metadata.txt and ASVspoof5.dev.metadata.txt of the challenge's release to
    # its participants, as the README of its track 2 baseline describes them:
    # T_4850 T_0000000000 F - A05 spoof.
    ("speaker_id", "audio_name", "gender", "codec", "attack_id", "key"),
    _TRIAL_LIST,
)


LabelOf = Callable[[str], Label | None]
"""From a key to its label; None = unknown."""


def parse_asvspoof2017(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ASVspoof 2017: 7 columns (both versions), or version 1's eval list of 2 columns.

    Files are named with their extension; the utterance id goes without.
    """
    return parse_columns(lines, source, ledger, _ASVSPOOF2017)


def parse_asvspoof2019(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ASVspoof 2019 LA or PA: 5 columns. `environment` is given in PA only."""
    return parse_columns(lines, source, ledger, _ASVSPOOF2019)


def parse_asvspoof2021_la(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ASVspoof 2021 LA: keys of 8 columns, or a list of utterances without labels."""
    return parse_columns(lines, source, ledger, _ASVSPOOF2021_LA)


def parse_asvspoof2021_pa(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ASVspoof 2021 PA: keys of 12 columns, or a list of utterances without labels."""
    return parse_columns(lines, source, ledger, _ASVSPOOF2021_PA)


def parse_asvspoof2021_df(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ASVspoof 2021 DF: keys of 13 columns, or a list of utterances without labels."""
    return parse_columns(lines, source, ledger, _ASVSPOOF2021_DF)


def parse_asvspoof5(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ASVspoof 5, track 1: 10 columns, the 6 of its first release, or utterances alone."""
    return parse_columns(lines, source, ledger, _ASVSPOOF5)


class TrialCollector:
    """Checks the rows of one list and makes trials of them.

    Equal metadata of several rows is one shared object: the 943,110 trials of ASVspoof 2021 PA
    would otherwise carry as many dictionaries.

    Attributes:
        trials: what was added so far, in order.
    """

    _MAX_SHARED = 100_000  # a corpus with a column of unique values gains nothing from sharing

    def __init__(
        self,
        source: str,
        ledger: ProblemLedger,
        metadata_names: Sequence[str],
        keys: Sequence[str] = KNOWN_KEYS,
        label_of: LabelOf = label_of_key,
    ) -> None:
        """Begin a list.

        Args:
            source: the list.
            ledger: takes problems.
            metadata_names: of each row.
            keys: that are known, for messages.
            label_of: from a key to its label; None = unknown.
        """
        self.trials: list[Trial] = []
        self._keys = keys
        self._label_of = label_of
        self._source = source
        self._ledger = ledger
        self._names = tuple(metadata_names)
        self._shared: dict[tuple[str, ...], dict[str, str]] = {}
        self._line_of: dict[str, int] = {}
        self._interned: dict[str, str] = {}

    def bad_line(self, line: int, problem: str) -> None:
        """Report a row that cannot be read."""
        self._ledger.report("bad_line", f"{self._source}:{line}: {problem}")

    def add(
        self,
        line: int,
        audio_name: str,
        *,
        utterance_id: str | None = None,
        key: str | None = None,
        speaker_id: str = "-",
        attack_id: str = "-",
        metadata: tuple[str, ...] = (),
    ) -> None:
        """Add one row, unless its key or its utterance is at fault.

        Args:
            line: its number, counted from 1.
            audio_name: the file as the list names it.
            utterance_id: by default `audio_name` without an audio extension.
            key: None where the list has no keys.
            speaker_id: ``-`` = not given.
            attack_id: ``-`` or ``bonafide`` = none.
            metadata: one value for each of `metadata_names`; ``-`` and blank are left out.
        """
        label: Label | None = None
        if key is not None:
            label = self._label_of(key)
            if label is None:
                known = ", ".join(self._keys)
                self._ledger.report(
                    "unknown_key", f"{self._source}:{line}: key {key!r} is none of {known}"
                )
                return
        if utterance_id is None:
            utterance_id = without_extension(audio_name)
        first_line = self._line_of.setdefault(utterance_id, line)
        if first_line != line:
            self._ledger.report(
                "duplicate_utterance",
                f"{self._source}:{line}: utterance {utterance_id!r} was named before, "
                f"in line {first_line}",
            )
            return
        self.trials.append(
            Trial(
                utterance_id=utterance_id,
                label=label,
                audio_name=audio_name,
                speaker_id=self._value(speaker_id),
                attack_id=None if attack_id == "bonafide" else self._value(attack_id),
                metadata=self._metadata(metadata),
                source=f"{self._source}:{line}",
            )
        )

    def finish(self) -> list[Trial]:
        """Return all trials.

        Raises:
            DataError: there is not one.
        """
        if not self.trials:
            raise _no_trials(self._source)
        return self.trials

    def _value(self, text: str) -> str | None:
        return None if text in ("-", "") else self._interned.setdefault(text, text)

    def _metadata(self, values: tuple[str, ...]) -> dict[str, str]:
        found = self._shared.get(values)
        if found is None:
            found = {
                name: self._interned.setdefault(text, text)
                for name, text in zip(self._names, values, strict=True)
                if text not in ("-", "")
            }
            if len(self._shared) < self._MAX_SHARED:
                self._shared[values] = found
        return found


def without_extension(name: str) -> str:
    """Drop the extension of an audio file and leave every other name alone."""
    stem, dot, extension = name.rpartition(".")
    return stem if dot and f".{extension.lower()}" in AUDIO_EXTENSIONS else name


def parse_columns(
    lines: Iterable[str],
    source: str,
    ledger: ProblemLedger,
    forms: Sequence[_Columns],
    keys: Sequence[str] = KNOWN_KEYS,
    label_of: LabelOf = label_of_key,
) -> list[Trial]:
    """Parse a list without a header, its columns separated by blanks.

    Args:
        lines: of the list.
        source: the list.
        ledger: takes problems.
        forms: names of the columns; that one counts that the first usable line fits.
        keys: that are known, for messages.
        label_of: from a key to its label.

    Raises:
        DataError: no usable line.
    """
    rows = _rows(lines)
    columns, rows = _settle_form(rows, source, ledger, forms, label_of)
    at = {name: i for i, name in enumerate(columns) if name in _TRIAL_FIELDS}
    metadata_at = [i for i, name in enumerate(columns) if name not in _TRIAL_FIELDS]
    metadata_of = _tuple_getter(metadata_at)
    collector = TrialCollector(source, ledger, [columns[i] for i in metadata_at], keys, label_of)
    for number, fields in rows:
        if len(fields) != len(columns):
            collector.bad_line(number, _wrong_width(fields, [len(columns)]))
            continue
        named = {name: fields[i] for name, i in at.items()}
        collector.add(number, metadata=metadata_of(fields), **named)
    return collector.finish()


def _settle_form(
    rows: Iterator[_Row],
    source: str,
    ledger: ProblemLedger,
    forms: Sequence[_Columns],
    label_of: LabelOf,
) -> tuple[_Columns, Iterator[_Row]]:
    """Return the form of the first row that fits one, and the rows from that one on."""
    for number, fields in rows:
        columns = _form_of(fields, forms, label_of)
        if columns is not None:
            return columns, chain([(number, fields)], rows)
        wanted = sorted({len(form) for form in forms})
        ledger.report("bad_line", f"{source}:{number}: {_wrong_width(fields, wanted)}")
    raise _no_trials(source)


def _rows(lines: Iterable[str]) -> Iterator[_Row]:
    for number, line in enumerate(lines, 1):
        fields = (line.lstrip("\ufeff") if number == 1 else line).split()
        if fields:
            yield number, fields


def _form_of(fields: list[str], forms: Sequence[_Columns], label_of: LabelOf) -> _Columns | None:
    """Return the form of list that a line is in; among several, one in which its key is known."""
    fitting = [form for form in forms if len(form) == len(fields)]
    for form in fitting:
        if "key" not in form or label_of(fields[form.index("key")]) is not None:
            return form
    return fitting[0] if fitting else None


def _no_trials(source: str) -> DataError:
    return DataError(f"{source}: no usable line in it; it must be a list of trials")


def _tuple_getter(positions: list[int]) -> Callable[[list[str]], tuple[str, ...]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda fields: tuple(fields[i] for i in positions)


def _wrong_width(fields: list[str], wanted: list[int]) -> str:
    columns = " or ".join(str(width) for width in wanted)
    return f"{len(fields)} columns; there must be {columns}: {' '.join(fields)[:80]!r}"
