"""``enrol``: clips of one voice to a template."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rawnet_jax.errors import DataError
from rawnet_jax.jobs.console import EXIT_CANNOT_JUDGE, say_written
from rawnet_jax.jobs.voices import VoiceOptions, judges_of, recordings_of, sealer_of
from rawnet_jax.progress import BatchBars
from rawnet_jax.terminal import complain, one_line, show

if TYPE_CHECKING:  # brings JAX
    from rawnet_jax.speaker.verification import Enrolment


@dataclass(frozen=True, kw_only=True)
class EnrolOptions(VoiceOptions):
    """Options of ``enrol``, named as its flags; see ``enrol --help``."""

    output: Path
    overwrite: bool
    min_clips: int
    min_speech: float
    progress: bool


def enrol_voice(options: EnrolOptions) -> int:
    """Write a template of a voice, or say why not; returns the exit status.

    Raises:
        RawnetError: a file cannot be read, the detector or the encoder cannot be used, or the
            template is there already.
    """
    from rawnet_jax.speaker.template import write_template
    from rawnet_jax.speaker.verification import Policy, enrol

    if options.output.exists() and not options.overwrite:
        raise DataError(f"--output {options.output}: is there already; --overwrite replaces it")
    policy = Policy(enrol_clips=options.min_clips, enrol_speech_s=options.min_speech)
    paths = recordings_of(options.paths)
    sealer, judges = sealer_of(options), judges_of(options)
    clips = []
    with BatchBars(options.progress)("clips", len(paths), unit="file") as bar:
        for path in paths:
            clips.append((path, *judges.judge(path)))
            bar.update()
    found = enrol(clips, judges.encoder, policy)
    _show(found)
    if found.template is None:
        complain(f"error: not enrolled: {one_line(found.reason)}")
        return EXIT_CANNOT_JUDGE
    write_template(options.output, found.template, sealer)
    if sealer is None:
        complain("note: the template is not encrypted; --key names the file of a key")
    show(f"enrolled: {found.template.num_clips} clips, {found.speech_s:.1f} s of speech")
    say_written([("template", options.output)])
    return 0


def _show(found: "Enrolment") -> None:
    show("speech s       llr    clip")
    for clip in found.clips:
        llr = "-" if clip.check.llr is None else f"{clip.check.llr:+.3f}"
        said = "" if clip.reason is None else f"  ({clip.reason})"
        show(f"{clip.speech_s:>8.2f}  {llr:>8}    {one_line(clip.name)}{one_line(said)}")
