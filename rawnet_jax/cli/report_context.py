"""Where a report is from, and where the files are that a command has written."""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rawnet_jax.reports.report import ReportContext


def report_context(
    title: str,
    details: Mapping[str, str],
    *,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> ReportContext:
    """Return the context of a report that this very command makes now; see `ReportContext`."""
    return ReportContext(
        title=title,
        created=datetime.now().strftime("%Y-%m-%d %H:%M"),
        command=shlex.join(sys.argv),
        details=details,
        notes=notes,
        warnings=warnings,
    )


def say_written(files: Iterable[tuple[str, object]]) -> None:
    """Print a line for each (what, where)."""
    for what, where in files:
        print(f"{what + ':':<13}{where}")
