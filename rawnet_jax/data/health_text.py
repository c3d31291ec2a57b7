"""The report about a corpus, for a terminal."""

from collections import Counter

import numpy as np

from rawnet_jax.data.health import (
    CorpusHealth,
    PartitionHealth,
    differs_from_published,
    expected_problems,
    num_trials_of,
    published_total,
)


def format_health(health: CorpusHealth) -> str:
    """Return a report of several lines for the terminal; its last line is the verdict."""
    lines = [f"{health.corpus} in {health.root}"]
    if health.recognised:
        lines.append(health.recognised)
    if health.undivided:
        lines.append("published without partitions: train and eval are each the whole corpus")
    for partition in health.partitions:
        lines += ["", f"{partition.partition}: {partition.protocol}"]
        lines += [f"  {title:<10}{text}" for title, text in _facts(partition)]
    if health.absent:
        lines += ["", f"not there: {', '.join(health.absent)}"]
    if health.remarks:
        lines += ["", "Remarks:", *(f"  {line}" for line in health.remarks)]
    if health.errors:
        lines += ["", "Errors:", *(f"  {line}" for line in health.errors)]
        lines += ["", f"NOT healthy: {len(health.errors)} errors, {len(health.remarks)} remarks"]
    else:
        lines += ["", f"Healthy: no errors, {len(health.remarks)} remarks"]
    return "\n".join(lines)


def _facts(health: PartitionHealth) -> list[tuple[str, str]]:
    """Return titles and texts of the lines about one partition."""
    if health.failure:
        return [("failed", health.failure)]
    facts = [("trials", _trials_line(health)), ("speakers", f"{len(health.speakers):,}")]
    if health.attacks:
        facts.append(("attacks", _tally(health.attacks)))
    audio = health.audio
    if len(audio.durations_s):
        low, middle, high = np.quantile(audio.durations_s, [0.0, 0.5, 1.0])
        hours = audio.durations_s.sum() / 3600
        facts += [
            ("audio", f"{len(audio.durations_s):,} files, {hours:.2f} h"),
            ("duration", f"{low:.2f} to {high:.2f} s, median {middle:.2f} s"),
            ("rate", _tally(audio.sample_rates_hz, " Hz")),
            ("channels", _tally(audio.channels)),
            ("format", _tally(audio.formats)),
        ]
    for kind, number in sorted(health.problems.items()):
        facts.append(("problem", f"{kind}: {number:,}{_enrolment_note(kind, health)}"))
        facts += [("", f"  {message}") for message in health.examples[kind]]
    return facts


def _trials_line(health: PartitionHealth) -> str:
    num_bonafide, num_spoof = num_trials_of(health)
    line = f"{num_bonafide:,} bona fide, {num_spoof:,} spoof"
    if health.counts[None]:
        line += f", {health.counts[None]:,} without label"
    total = published_total(health)
    if total is None or health.published is None:
        return line
    if not differs_from_published(health):
        return f"{line} (as published)"
    if health.published.num_trials is None:
        return f"{line} (published: {total:,})"
    num_bonafide, num_spoof = health.published.num_trials
    return f"{line} (published: {num_bonafide:,} and {num_spoof:,})"


def _enrolment_note(kind: str, health: PartitionHealth) -> str:
    expected = expected_problems(kind, health.published)
    return f" ({expected:,} enrolment files are published with it)" if expected else ""


def _tally(counter: Counter, unit: str = "") -> str:
    """Write ``16000 Hz: 20, 8000 Hz: 1``, in falling order, the rest summed up."""
    most = counter.most_common(20)
    text = ", ".join(f"{value}{unit}: {number:,}" for value, number in most)
    left = len(counter) - len(most)
    return f"{text} and {left} more" if left else text
