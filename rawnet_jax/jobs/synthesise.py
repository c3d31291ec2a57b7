"""What ``synthesise`` does: a corpus of sentences by engines, or the list of engines."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.errors import DataError, Interrupted
from rawnet_jax.jobs.console import EXIT_UNREADABLE
from rawnet_jax.simulate.sentences import read_sentences
from rawnet_jax.simulate.synthesis_corpus import (
    LEFT_OUT,
    SynthesisSummary,
    write_synthesis_corpus,
)
from rawnet_jax.terminal import complain, one_line, say
from rawnet_jax.text_to_speech.table import Found, look_for, usable, version_of

_NUM_SHOWN = 5
_DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, kw_only=True)
class SynthesiseOptions:
    """The flags of ``synthesise``; see ``synthesise --help``.

    Attributes:
        text: file of sentences; None with `list`.
        output: new folder; None with `list`.
        engine: names; empty = all that can be used.
        voices: names or patterns; empty = all.
        language: of the text; None = en, or any with `list`.
        models: folders with model files.
        copies: clips of each sentence.
        timeout: seconds that a sentence may take.
        max_characters: of a line.
        split_long: divide longer lines.
        partition: of all clips.
        seed: decides everything that the engines do not.
        num_workers: processes; 0 = one per core.
        progress: whether to show a bar.
        overwrite: replace a corpus of ours.
        list: list the engines and do nothing else.
    """

    text: Path | None
    output: Path | None
    engine: tuple[str, ...]
    voices: tuple[str, ...]
    language: str | None
    models: Sequence[Path]
    copies: int
    timeout: float
    max_characters: int
    split_long: bool
    partition: str
    seed: int
    num_workers: int
    progress: bool
    overwrite: bool
    list: bool


def run_synthesise(options: SynthesiseOptions) -> int:
    """Write the corpus, or list the engines.

    Returns:
        Exit status: 0; 1 where something was left out.

    Raises:
        RawnetError: an option is impossible, or no engine can speak.
    """
    language = options.language
    if not options.list:
        language = language or _DEFAULT_LANGUAGE
        if options.text is None or options.output is None:
            raise DataError("synthesise needs --text and --output; with --list neither")
    found = look_for(
        options.engine, voices=options.voices, language=language or "", folders=options.models
    )
    if options.list or options.text is None or options.output is None:
        say(engine_list(found))
        return 0
    sentences = read_sentences(
        options.text, max_characters=options.max_characters, split_long=options.split_long
    )
    engines = usable(found, names=options.engine, voices=options.voices)
    voices = ", ".join(f"{one.engine.name} ({len(one.voices)})" for one in engines)
    say(f"{options.text}: {len(sentences):,} sentences; engines (voices): {voices}\n")
    try:
        summary = write_synthesis_corpus(
            options.text.name,
            sentences,
            engines,
            options.output,
            copies=options.copies,
            partition=options.partition,
            timeout_s=options.timeout,
            seed=options.seed,
            num_workers=options.num_workers,
            progress=options.progress,
            overwrite=options.overwrite,
        )
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; the same command resumes {options.output}", signal.SIGINT
        ) from None
    return _told(summary)


def engine_list(found: Sequence[Found]) -> str:
    """Return what there is to speak with: each engine, its voices, and what is missing."""
    lines = []
    for one in found:
        row = one.engine
        state = f"usable {version_of(one)}".strip() if one.voices else one.problem
        same = "the same samples again" if row.is_deterministic else "other samples each time"
        settings = ", ".join(f"{name} {a:g} to {b:g}" for name, (a, b) in row.settings.items())
        lines += [
            f"{row.name:<12}{row.about}",
            f"{'':<12}{state}",
            f"{'':<12}licence: {row.licence}; {same}",
            f"{'':<12}settings: {settings or 'none'}",
        ]
        lines += [
            f"{'':<14}{voice.full_name:<34} {voice.language or '?':<14} {voice.licence}"
            for voice in one.voices
        ]
    return "".join(f"{line}\n" for line in lines)


def _told(summary: SynthesisSummary) -> int:
    for problem in summary.problems[:_NUM_SHOWN]:
        complain(f"left out: {one_line(problem)}")
    if len(summary.problems) > _NUM_SHOWN:
        where = summary.root / LEFT_OUT
        complain(f"left out: {len(summary.problems):,} in all, see {where}")
    if summary.num_resumed:
        say(f"resumed: {summary.num_resumed:,} clips were done before\n")
    say(f"{summary}\n")
    return EXIT_UNREADABLE if summary.problems else 0
