"""Metrics over seeds as plain text for a terminal."""

from rawnet_jax.evaluation.seeds import SeedSummary


def format_seeds(summary: SeedSummary) -> str:
    """Return the table for a terminal, without a final line end."""
    labels = summary.pooled.labels
    assert labels is not None
    num_bonafide, shorts = int(labels.sum()), _shorts(summary)
    lines = [
        f"{len(summary.runs)} runs on {labels.size:,} trials ({num_bonafide:,} bona fide, "
        f"{labels.size - num_bonafide:,} spoof)",
        *(f"  {short}: {run.name}" for short, run in zip(shorts, summary.runs, strict=True)),
        "",
        f"  {'':<20}{'mean':>10}{'std':>10}   {'best':<22}{'worst':<22}{'pooled':>10}",
    ]
    for spread in summary.spreads:
        text = spread.metric.text
        best, worst = (
            f"{text(spread.values[i])} ({shorts[i]})" for i in (spread.best, spread.worst)
        )
        lines.append(
            f"  {spread.metric.title:<20}{text(spread.mean):>10}{text(spread.std):>10}   "
            f"{best:<22}{worst:<22}{text(spread.pooled):>10}"
        )
    lines += ["", "  std: over runs, R - 1 in the denominator. pooled: mean of the runs' scores."]
    lines += [f"  WARNING: {warning}" for warning in summary.warnings]
    return "\n".join(lines)


def _shorts(summary: SeedSummary) -> list[str]:
    """Name each run in a word that fits into a table."""
    return [
        f"run {number}" if run.seed is None else f"seed {run.seed}"
        for number, run in enumerate(summary.runs, 1)
    ]
