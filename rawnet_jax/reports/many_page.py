"""What came of scoring many files: a page with verdicts, reasons, and scores by folder."""

from rawnet_jax.reports.blocks import Section, Table
from rawnet_jax.reports.report import context_now, render_page
from rawnet_jax.scale.status import Status

_TERMS = (
    ("Score", "One number a recording; higher means more bona fide."),
    ("Cannot judge", "What no verdict should be given for, such as silence; with its reason."),
    ("Unreadable", "Could not be read, twice; the reasons say why."),
)
_HEADER = (
    *("folder", "bona fide", "spoof", "cannot judge", "unreadable"),
    *("mean score", "lowest", "highest"),
)


def many_page(status: Status, output: str) -> str:
    """Return the page of a job as HTML text."""
    tally = status.tally
    context = context_now(
        "Scores of many files",
        {
            "output": output,
            "files": f"{status.done:,} of {status.files:,}, {status.num_bytes:,} bytes",
            "audio": f"{tally.audio_s / 3600:,.1f} h",
            "work": f"{tally.work_s / 3600:,.2f} h of workers",
            "model and settings": str(status.settings.get("network and settings", "")),
        },
    )
    verdicts = [
        (verdict, f"{count:,}", f"{count / max(tally.files, 1):.2%}")
        for verdict, count in tally.verdicts.most_common()
    ]
    reasons = [(reason, f"{count:,}") for reason, count in tally.reasons.most_common()]
    blocks = [Table(("verdict", "files", "share"), verdicts)]
    if reasons:
        blocks.append(Table(("reason", "files"), reasons, "Why there is no verdict", wide=True))
    sections = [
        Section("Verdicts", "verdicts", blocks),
        Section("Folders", "folders", [Table(_HEADER, _folders(status), wide=True)]),
    ]
    warnings = [] if status.is_finished else [("", "The job is not finished.")]
    return render_page(context, sections, warnings=warnings, terms=_TERMS)


def _folders(status: Status) -> list[tuple[str, ...]]:
    rows = []
    for name, found in sorted(status.tally.folders.items()):
        counts = (f"{int(found.get(v, 0)):,}" for v in ("bonafide", "spoof"))
        others = (f"{int(found.get(v, 0)):,}" for v in ("cannot judge", "unreadable"))
        scored = found.get("scored", 0)
        scores = ("-",) * 3
        if scored:
            values = (found["sum"] / scored, found["lowest"], found["highest"])
            scores = tuple(f"{value:+.3f}" for value in values)  # type: ignore[assignment]
        rows.append((name, *counts, *others, *scores))
    return rows
