"""Whether a verdict is on all that a listener would hear."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from fuzzing.case import Failure
from fuzzing.containers import SLACK_S, Mutant

NOT_HEARD = "a verdict on what was not heard"
_DAMAGED_SLACK_S = 0.1  # how far two decoders may differ on a damaged file
_FFMPEG_S = 20


@functools.cache
def _ffmpeg() -> str | None:
    return None if os.environ.get("FUZZ_FFMPEG") == "0" else shutil.which("ffmpeg")


def ffmpeg_seconds(path: Path) -> float | None:
    """Return the seconds that ffmpeg hears in a file; None = it is not here, or hears none."""
    program = _ffmpeg()
    if program is None:
        return None
    command = [program, "-v", "quiet", "-nostdin", "-i", f"file:{path}", "-ac", "1", "-ar", "16000"]
    try:
        made = subprocess.run(
            [*command, "-f", "s16le", "-"], capture_output=True, check=False, timeout=_FFMPEG_S
        )
    except subprocess.TimeoutExpired:
        return None
    return len(made.stdout) / 2 / 16_000 or None


def not_heard(
    mutant: Mutant, path: Path, claimed_s: float | None, noted: bool
) -> Iterator[Failure]:
    """Hold the seconds that a verdict claims against the truth.

    Args:
        mutant: what was judged.
        path: where it is.
        claimed_s: length of the recording, as the verdict has it.
        noted: whether standard error says something of the file.
    """
    true_s, slack_s, source = mutant.seconds, mutant.slack_s, "by construction"
    if true_s is None:
        true_s, source = ffmpeg_seconds(path), "by ffmpeg"
        slack_s = max(_DAMAGED_SLACK_S, *(2 * slack for slack in SLACK_S.values()))
        if true_s is None:
            return
    if claimed_s is None:
        yield Failure(NOT_HEARD, f"no length; {true_s:.3f} s {source}")
    elif claimed_s < true_s - slack_s and not noted:
        yield Failure(NOT_HEARD, f"{claimed_s:.3f} s of {true_s:.3f} s {source}: {mutant.said}")
    elif claimed_s > true_s + slack_s and source == "by construction":
        yield Failure("more than there is", f"{claimed_s:.3f} s of {true_s:.3f} s: {mutant.said}")
