"""What ``vocode`` does: a corpus of recordings and their copies, or the list of vocoders."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.copy_synthesis.model_files import MODEL_KINDS, model_vocoders
from rawnet_jax.copy_synthesis.table import all_vocoders, chosen
from rawnet_jax.copy_synthesis.vocoder import Vocoder
from rawnet_jax.errors import DataError, Interrupted
from rawnet_jax.jobs.console import EXIT_UNREADABLE
from rawnet_jax.simulate.vocode_corpus import LEFT_OUT, write_vocoded_corpus
from rawnet_jax.simulate.vocode_sources import Sources, find_sources
from rawnet_jax.terminal import complain, one_line, say

_NUM_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class VocodeOptions:
    """The flags of ``vocode``; see ``vocode --help``.

    Attributes:
        input: folder of recordings, or corpus; None with `list`.
        output: new folder; None with `list`.
        corpus: a corpus whose lists the input has; "" = look.
        one_means: what key 1 means in lists of one's own.
        speaker_pattern: of a folder without lists; None = sub-folders.
        partition_shares: of a folder without lists.
        vocoder: names; empty = all that can be used, those of models included.
        model: model files and folders.
        copies: of each recording.
        max_clips: recordings to take; None = all.
        seed: decides everything.
        num_workers: processes; 0 = one per core.
        progress: whether to show a bar.
        overwrite: replace a corpus of ours.
        list: list the vocoders and do nothing else.
    """

    input: Path | None
    output: Path | None
    corpus: str
    one_means: str
    speaker_pattern: str | None
    partition_shares: tuple[float, float, float]
    vocoder: tuple[str, ...]
    model: Sequence[Path]
    copies: float
    max_clips: int | None
    seed: int
    num_workers: int
    progress: bool
    overwrite: bool
    list: bool


def run_vocode(options: VocodeOptions) -> int:
    """Write the corpus, or list the vocoders.

    Returns:
        Exit status: 0; 1 where something was left out.

    Raises:
        RawnetError: an option is impossible.
    """
    models = model_vocoders(options.model)
    if options.list:
        say(vocoder_list(models))
        return 0
    if options.input is None or options.output is None:
        raise DataError("vocode needs --input and --output; with --list neither")
    vocoders = chosen(options.vocoder, models)
    sources = find_sources(
        options.input,
        corpus=options.corpus,
        one_means=options.one_means,
        speaker_pattern=options.speaker_pattern,
        partition_shares=options.partition_shares,
        seed=max(options.seed, 0),
    )
    say(f"{options.input}: {len(sources.recordings):,} bona fide, read as {sources.corpus}\n")
    return _write(options, options.input, options.output, sources, vocoders)


def vocoder_list(models: Sequence[Vocoder] = ()) -> str:
    """Return what there is to draw from, three lines a vocoder, and what ``--model`` takes."""
    lines = []
    for row in all_vocoders(models).values():
        usable = "usable" if row.is_installed else "not installed"
        settings = "; ".join(map(str, row.settings)) or "none"
        lines += [
            f"{row.name:<16}{row.family:<14}{usable:<15}{row.about}",
            f"{'':<16}settings: {settings}",
            f"{'':<16}needs {row.package or 'no package'}; licence: {row.licence}",
        ]
    lines += ["", "With --model PATH:"]
    lines += [f"{'':<16}{kind.what}; needs {kind.package}" for kind in MODEL_KINDS]
    return "".join(f"{line}\n" for line in lines)


def _write(
    options: VocodeOptions,
    source_dir: Path,
    output: Path,
    sources: Sources,
    vocoders: Sequence[Vocoder],
) -> int:
    try:
        summary = write_vocoded_corpus(
            source_dir,
            output,
            sources,
            vocoders,
            copies=options.copies,
            max_clips=options.max_clips,
            seed=options.seed,
            num_workers=options.num_workers,
            progress=options.progress,
            overwrite=options.overwrite,
        )
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; the same command resumes {output}", signal.SIGINT
        ) from None
    for problem in sources.problems:
        complain(f"left out: {one_line(problem)}")
    for problem in summary.problems[:_NUM_SHOWN]:
        complain(f"left out: {one_line(problem)}")
    if len(summary.problems) > _NUM_SHOWN:
        complain(f"left out: {len(summary.problems):,} in all, see {output / LEFT_OUT}")
    if summary.num_resumed:
        say(f"resumed: {summary.num_resumed:,} recordings were done before\n")
    say(f"{summary}\n")
    return EXIT_UNREADABLE if summary.problems or sources.problems else 0
