"""What is in a corpus, and what is wrong with it."""

import itertools
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.config import AudioConfig, DataConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import RAISES_MAX_DURATION, open_audio, read_waveform
from rawnet_jax.data.corpus import load_partition, present_partitions
from rawnet_jax.data.fetch import readable
from rawnet_jax.data.layout import CorpusLayout, PartitionLayout
from rawnet_jax.data.partitions import require_trainable, training_clips
from rawnet_jax.data.places import layout_of, locate_partition, locate_protocol
from rawnet_jax.data.recognise import evidence, said
from rawnet_jax.data.trial import Clip, ProblemLedger
from rawnet_jax.errors import AudioError, ConfigError, DataError
from rawnet_jax.labels import Label
from rawnet_jax.progress import make_bar

_FILES_A_TASK = 64


@dataclass
class AudioSummary:
    """What the files of one partition are.

    Attributes:
        durations_s: float64 [num_readable_files].
        sample_rates_hz: number of files by sample rate.
        channels: number of files by number of channels.
        formats: number of files by container and coding, such as ``FLAC PCM_16``.
        unusable: files that decoding would refuse, as far as it was looked for.
    """

    durations_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    sample_rates_hz: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    unusable: set[str] = field(default_factory=set)


@dataclass
class PartitionHealth:
    """What is in one partition.

    Attributes:
        partition: train, dev or eval.
        protocol: where its list is.
        failure: why it cannot be loaded at all; "" = it can.
        counts: trials with audio by label; None = without label.
        speakers: names of all speakers.
        attacks: number of trials by attack.
        audio: of the files that can be read.
        problems: how many of each kind, by the names of `ProblemPolicy`.
        examples: messages of the first few problems of a kind.
        published: what it should hold; None where nothing is published about the list.
    """

    partition: str
    protocol: str
    failure: str = ""
    counts: Counter[Label | None] = field(default_factory=Counter)
    speakers: frozenset[str] = frozenset()
    attacks: Counter[str] = field(default_factory=Counter)
    audio: AudioSummary = field(default_factory=AudioSummary)
    problems: Counter[str] = field(default_factory=Counter)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    published: PartitionLayout | None = None


@dataclass
class CorpusHealth:
    """What is in a corpus.

    Attributes:
        corpus: its name.
        root: its folder.
        partitions: those that are there.
        absent: those that are published, or needed to train, and are not there.
        errors: what training or evaluation would stop at, one line each.
        remarks: what else is worth knowing, one line each.
        recognised: what shows that it is this corpus; "" = nothing that is published.
        undivided: whether it is published without partitions.
    """

    corpus: str
    root: str
    partitions: tuple[PartitionHealth, ...]
    absent: tuple[str, ...]
    errors: tuple[str, ...]
    remarks: tuple[str, ...]
    recognised: str = ""
    undivided: bool = False

    @property
    def healthy(self) -> bool:
        """Whether training and evaluation would accept the corpus."""
        return not self.errors


def examine(config: DataConfig, *, decode: bool = False, progress: bool = True) -> CorpusHealth:
    """Read every list of a corpus and the header of every file; count problems, stop at none.

    Args:
        config: which corpus, and where. What counts as an error is ``config.problems``.
        decode: decode every file to its end, which takes as long as building the cache.
        progress: whether to draw progress bars.

    Raises:
        ConfigError: unknown corpus or policy.
        DataError: no partition of the corpus is there.
    """
    policy = ProblemLedger(config.problems)
    layout = layout_of(config)
    present = present_partitions(config)
    if not present:
        # Names what it misses.
        load_partition(config, next(iter(layout.partitions)), ProblemLedger.counting())
    looked_at = _looked_at(config, layout, present)
    partitions = tuple(
        _examine_partition(config, name, decode=decode, progress=progress) for name in looked_at
    )
    absent = tuple(
        name
        for name in layout.partitions
        if name not in present and (layout.official or name == "train")
    )
    why_not = _why_not_trained(config, present, partitions)
    remarks = _remarks(partitions, policy)
    if why_not and layout.undivided and not config.train_protocol:
        # Most are made to evaluate on; that is not a fault of theirs.
        remarks.append(f"cannot be trained on by itself: {why_not}")
        why_not = ""
    shown = evidence(config)
    return CorpusHealth(
        corpus=config.corpus,
        root=config.root,
        partitions=partitions,
        absent=absent,
        errors=tuple(_errors(partitions, policy, why_not)),
        remarks=tuple(remarks),
        recognised="" if shown is None else said(shown),
        undivided=layout.undivided,
    )


def _looked_at(config: DataConfig, layout: CorpusLayout, present: Sequence[str]) -> tuple[str, ...]:
    """Return the partitions to examine; of a corpus that is not divided, the whole once."""
    if not layout.undivided:
        return tuple(present)
    named = [name for name in present if getattr(config, f"{name}_protocol")]
    return tuple(dict.fromkeys((*named, *(("eval",) if "eval" in present else ()))))


def _why_not_trained(
    config: DataConfig, present: Sequence[str], partitions: Sequence[PartitionHealth]
) -> str:
    """Return what training would stop at beside the problems; "" = nothing, or no train."""
    if "train" not in present:
        return ""
    # Each audio file that is not left out stops training by itself.
    left_out: set[str] = set()
    if config.problems.bad_audio == "warn":
        left_out = left_out.union(*(health.audio.unusable for health in partitions))
    try:
        train, dev = (
            [clip.trial for clip in clips if clip.name not in left_out]
            for clips in training_clips(config, ProblemLedger.counting())
        )
        require_trainable(train, dev, config)
    except (ConfigError, DataError) as error:
        return str(error)
    return ""


def _examine_partition(
    config: DataConfig, partition: str, *, decode: bool, progress: bool
) -> PartitionHealth:
    try:
        protocol, named = locate_protocol(config, partition)
    except DataError as error:
        return PartitionHealth(partition, getattr(config, f"{partition}_protocol"), str(error))
    health = PartitionHealth(partition, str(protocol))
    layout = layout_of(config)
    if layout.official and not named and not config.subset:
        health.published = layout.partitions[partition]
    ledger = ProblemLedger.counting()
    health.problems, health.examples = ledger.counts, ledger.examples
    try:
        more = len(locate_partition(config, partition).more_lists)
        health.protocol += f" and {more} more lists" if more else ""
        clips = load_partition(config, partition, ledger)
    except DataError as error:
        health.failure = str(error)
        return health
    trials = [clip.trial for clip in clips]
    health.counts = Counter(trial.label for trial in trials)
    health.speakers = frozenset(t.speaker_id for t in trials if t.speaker_id is not None)
    health.attacks = Counter(t.attack_id for t in trials if t.attack_id is not None)
    health.audio = _examine_audio(clips, config.audio, ledger, decode=decode, progress=progress)
    return health


_Probe = tuple[float, int, int, str]  # duration_s, sample_rate_hz, channels, format


def _examine_audio(
    clips: Sequence[Clip],
    config: AudioConfig,
    ledger: ProblemLedger,
    *,
    decode: bool,
    progress: bool,
) -> AudioSummary:
    def probe_all(some: Sequence[Clip]) -> list[_Probe | AudioError]:
        return [_probe(clip, config, decode=decode) for clip in some]

    summary = AudioSummary()
    durations: list[float] = []
    # A task per file would hold as many futures as there are files, up to a million.
    tasks = [clips[i : i + _FILES_A_TASK] for i in range(0, len(clips), _FILES_A_TASK)]
    with (
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        make_bar("reading", len(clips), shown=progress, unit="file") as bar,
    ):
        for probes in pool.map(probe_all, tasks):
            bar.update(len(probes))
            for probe in probes:
                if isinstance(probe, AudioError):
                    ledger.report("bad_audio", str(probe))
                    summary.unusable.add(probe.path)
                    continue
                duration_s, sample_rate_hz, channels, kind = probe
                durations.append(duration_s)
                summary.sample_rates_hz[sample_rate_hz] += 1
                summary.channels[channels] += 1
                summary.formats[kind] += 1
    summary.durations_s = np.asarray(durations, dtype=np.float64)
    return summary


def _probe(clip: Clip, config: AudioConfig, *, decode: bool) -> _Probe | AudioError:
    try:
        source = readable(clip.audio)
        with open_audio(source, config) as file:
            decode = decode or file.frames is None  # only then its length is known
            duration_s = (file.frames or 0) / file.samplerate
            rate, channels, kind = file.samplerate, file.channels, f"{file.format} {file.subtype}"
        if decode:
            duration_s = len(read_waveform(source, config)) / SAMPLE_RATE_HZ
        elif duration_s < config.min_duration_s:
            raise AudioError(clip.name, "too short", f"{duration_s:.4f} s by its header")
        elif duration_s > config.max_duration_s:
            what = f"{duration_s:.0f} s by its header; {RAISES_MAX_DURATION}"
            raise AudioError(clip.name, "too long", what)
    except AudioError as error:
        return error
    return duration_s, rate, channels, kind


def _errors(
    partitions: Sequence[PartitionHealth], policy: ProblemLedger, why_not_trained: str
) -> list[str]:
    errors = [f"{p.partition}: {p.failure}" for p in partitions if p.failure]
    errors += [
        f"{p.partition}: none of its {p.counts.total():,} clips has audio that can be used"
        for p in partitions
        if p.counts and not len(p.audio.durations_s)
    ]
    if why_not_trained and why_not_trained not in [p.failure for p in partitions]:
        errors.append(f"training: {why_not_trained}")
    for health in partitions:
        errors += [
            f"{health.partition}: {kind} ({number:,})"
            for kind, number in sorted(health.problems.items())
            if policy.is_fatal(kind)
        ]
    return errors


def _remarks(partitions: Sequence[PartitionHealth], policy: ProblemLedger) -> list[str]:
    remarks: list[str] = []
    for health in partitions:
        if health.failure:
            continue
        name = health.partition
        remarks += [
            f"{name}: {kind} ({number:,})"
            for kind, number in sorted(health.problems.items())
            if not policy.is_fatal(kind) and number != expected_problems(kind, health.published)
        ]
        if differs_from_published(health):
            remarks.append(f"{name}: the number of trials is not the published one")
        if not health.counts[None] and not all(health.counts[label] for label in Label):
            remarks.append(f"{name}: all trials are of one class")
    for one, other in itertools.combinations(partitions, 2):
        shared = one.speakers & other.speakers
        if shared:
            remarks.append(
                f"{one.partition} and {other.partition} share speakers "
                f"({len(shared):,}, such as {min(shared)})"
            )
    return remarks


def expected_problems(kind: str, published: PartitionLayout | None) -> int:
    """Return how many cases of a problem come with the published corpus."""
    if kind != "unlisted_audio" or published is None:
        return 0
    return published.num_enrolment or 0


def differs_from_published(health: PartitionHealth) -> bool:
    """Return whether the number of trials is another one than the published."""
    total = published_total(health)
    if total is None or health.published is None:
        return False
    if health.counts[None] or health.published.num_trials is None:
        return health.counts.total() != total
    return num_trials_of(health) != health.published.num_trials


def published_total(health: PartitionHealth) -> int | None:
    """Return the published number of trials; None = there is none."""
    if health.published is None:
        return None
    counts = health.published.num_trials
    return health.published.num_total if counts is None else sum(counts)


def num_trials_of(health: PartitionHealth) -> tuple[int, int]:
    """Return the numbers of bona fide and of spoofed trials."""
    return health.counts[Label.BONAFIDE], health.counts[Label.SPOOF]
