"""The table of a campaign, by kind."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fuzzing.case import Result

_HEADS = ("kind", "cases", "passed", "refused", "failed", "most s", "most MB")


def table_of(results: Sequence[Result]) -> str:
    """Return a table: one line per kind, and below it what failed.

    Refused are cases that ended with exit status 1, 2 or 3 as they should.
    """
    kinds = list(dict.fromkeys(sorted(result.case.kind for result in results)))
    rows = [_row(kind, [one for one in results if one.case.kind == kind]) for kind in kinds]
    rows.append(_row("all", list(results)))
    lines = [f"{_HEADS[0]:<12}" + "".join(f"{head:>9}" for head in _HEADS[1:])]
    lines += [f"{row[0]:<12}" + "".join(f"{cell:>9}" for cell in row[1:]) for row in rows]
    counts = Counter((one.case.kind, fail.kind) for one in results for fail in one.failures)
    lines += [f"  {kind}: {count} x {what}" for (kind, what), count in sorted(counts.items())]
    return "\n".join(lines)


def _row(kind: str, results: list[Result]) -> list[Any]:
    failed = sum(bool(one.failures) for one in results)
    refused = sum(not one.failures and one.status in (1, 2, 3) for one in results)
    slowest = max((one.wall_s for one in results), default=0.0)
    grown = max((one.grown_mb for one in results), default=0.0)
    passed = len(results) - failed - refused
    return [kind, len(results), passed, refused, failed, f"{slowest:.1f}", f"{grown:.0f}"]


def record_of(result: Result) -> dict[str, Any]:
    """Return a result, ready for JSON."""
    return {
        "case": str(result.case),
        "mutation": ascii(result.mutation)[1:-1],
        "status": result.status,
        "wall_s": round(result.wall_s, 3),
        "cpu_s": round(result.cpu_s, 3),
        "grown_mb": round(result.grown_mb),
        "failures": [{"kind": one.kind, "detail": ascii(one.detail)} for one in result.failures],
    }
