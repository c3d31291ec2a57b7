"""Sections of a report by group: attacks, other columns, attack × codec, fairness."""

from collections.abc import Sequence

from rawnet_jax.evaluation.columns import ATTACK, By
from rawnet_jax.evaluation.summary import Breakdown, Summary, percent, trials
from rawnet_jax.metrics.breakdown import FEW_TRIALS
from rawnet_jax.metrics.fairness import FairnessTable
from rawnet_jax.reports import plots_groups
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.tables import fairness_sentence, rate_cell

MAX_OPEN_ROWS = 30
"""A longer table is closed until the reader opens it."""

MAX_CELLS = (40, 20)
"""A pair of columns with more groups, down or across, is a table and no picture."""


def attacks(summaries: Sequence[Summary]) -> Section | None:
    """Make the tables by attack; None where attacks are not known."""
    blocks: list[Table | Picture] = []
    picture = _chart(summaries, (ATTACK,), "attack-eer")
    if picture is not None:
        blocks.append(picture)
    for summary in summaries:
        if not summary.attacks:
            continue
        rows = [
            [
                row.attack_id,
                f"{row.num_spoof:,}",
                percent(row.eer.eer),
                f"{row.num_called_spoof:,}",
                percent(row.num_called_spoof / row.num_spoof),
            ]
            for row in summary.attacks
        ]
        header = ["Attack", "Trials", "EER", "Called spoof", "Recall"]
        name = summary.name if len(summaries) > 1 else ""
        caption, folded = _caption(name, rows)
        blocks.append(Table(header, rows, caption, folded=folded, wide=True))
    if not any(isinstance(block, Table) for block in blocks):
        return None
    counts = " or ".join(
        sorted({trials(summary.num_bonafide, "bona fide") for summary in summaries})
    )
    text = f"The EER of each attack is taken against all {counts}."
    return Section("By attack", "attacks", blocks, text)


def breakdowns(summaries: Sequence[Summary], num_columns: int) -> list[Section]:
    """Make one section per column (or pair of columns) that the first system is broken down by."""
    return [
        _breakdown(summaries, found.by, f"by-{index}")
        for index, found in enumerate(summaries[0].breakdowns)
        if len(found.by) == num_columns and found.by != (ATTACK,)
    ]


def fairness(summaries: Sequence[Summary]) -> Section | None:
    """Make the charts and tables of false rejection by group; None where no group is known."""
    columns = dict.fromkeys(name for s in summaries for name in s.fairness)
    if not columns:
        return None
    blocks: list[Table | Picture] = []
    for index, column in enumerate(columns):
        systems = [(s.name, s.fairness[column]) for s in summaries if column in s.fairness]
        sentences = [
            (f"{name}: " if len(systems) > 1 else "") + fairness_sentence(table)
            for name, table in systems
        ]
        shown = min(len(systems[0][1].rows), plots_groups.MAX_GROUPS_SHOWN)
        more = len(systems[0][1].rows) - shown
        rest = f" Shown are the first {shown} of {shown + more} groups." if more else ""
        blocks.append(
            Picture(
                plots_groups.fairness_svg(systems, f"fairness{index}"),
                f"By {column}. {' '.join(sentences)}{rest}",
                wide=True,
            )
        )
        blocks += [_fairness_table(column, name, table, len(systems)) for name, table in systems]
    level = 100 * next(iter(systems[0][1].rows)).interval.level
    text = (
        "Share of bona fide speech that the chosen threshold rejects, by group: whom the detector "
        f"wrongly suspects. Bars are {level:g} % Wilson intervals; where speakers are known, "
        "trials of one speaker count for less the more they behave alike. Hollow markers: fewer "
        f"than {FEW_TRIALS} trials, not compared. Dotted: all bona fide trials. A group is called "
        "above all trials where that holds for as many groups as there are."
    )
    return Section("Fairness: who is wrongly rejected", "fairness", blocks, text)


def _breakdown(summaries: Sequence[Summary], by: By, anchor: str) -> Section:
    found = [(s.name, _of(s, by)) for s in summaries]
    blocks: list[Table | Picture] = []
    if len(by) == 2:
        for index, (summary, (name, breakdown)) in enumerate(zip(summaries, found, strict=True)):
            picture = _heat_map(summary, name, breakdown, f"{anchor}-heat{index}")
            if picture is not None:
                blocks.append(picture)
    else:
        picture = _chart(summaries, by, f"{anchor}-eer")
        if picture is not None:
            blocks.append(picture)
    for name, breakdown in found:
        if breakdown is not None:
            blocks.append(_group_table(name if len(found) > 1 else "", breakdown))
    return Section(
        f"By {' × '.join(by)}", anchor, blocks, _against_whom([b for _, b in found if b])
    )


def _against_whom(found: Sequence[Breakdown]) -> str:
    rows = [row for breakdown in found for row in breakdown.rows]
    if any(row.shares_bonafide for row in rows):
        text = "Only spoof trials have this column: each group stands against all bona fide trials."
    else:
        text = "Each group's spoof stands against the bona fide trials of the same group."
    text += " Rates are at the chosen threshold; the EER's threshold is each group's own."
    if any(row.is_small for row in rows):
        text += f" *: fewer than {FEW_TRIALS} trials of a class."
    return text


def _chart(summaries: Sequence[Summary], by: By, prefix: str) -> Picture | None:
    systems = [(s.name, found.rows) for s in summaries if (found := _of(s, by)) is not None]
    systems = [(name, rows) for name, rows in systems if sum(r.eer is not None for r in rows) > 1]
    if not systems:
        return None
    num_groups = sum(row.eer is not None for row in systems[0][1])
    shown = plots_groups.MAX_GROUPS_SHOWN
    which = f"the {shown} worst of {num_groups} groups" if num_groups > shown else "each group"
    return Picture(
        plots_groups.eer_by_group_svg(systems, prefix),
        f"EER of {which} by {' × '.join(by)}; lower is better.",
        wide=True,
    )


def _heat_map(
    summary: Summary, name: str, breakdown: Breakdown | None, prefix: str
) -> Picture | None:
    if breakdown is None or not any(row.eer for row in breakdown.rows):
        return None
    sizes = [len({row.group[i] for row in breakdown.rows}) for i in (0, 1)]
    if sizes[0] > MAX_CELLS[0] or sizes[1] > MAX_CELLS[1]:
        return None
    margins: dict[tuple[str, str], float] = {("", ""): summary.eer.eer}
    for position in (0, 1):
        alone = _of(summary, breakdown.by[position : position + 1])
        for row in alone.rows if alone is not None else ():
            if row.eer is not None:
                value = row.group[0]
                margins[(value, "") if position == 0 else ("", value)] = row.eer.eer
    by = (breakdown.by[0], breakdown.by[1])
    return Picture(
        plots_groups.heat_map_svg(breakdown.rows, by, margins, prefix),
        f"{name}: EER in per cent of every {breakdown.name}, below it the number of spoof trials; "
        "framed: one column alone, and all.",
        wide=True,
    )


def _group_table(name: str, breakdown: Breakdown) -> Table:
    rows = [
        [
            *row.group,
            _count(row.num_bonafide),
            _count(row.num_spoof),
            "–" if row.eer is None else percent(row.eer.eer) + ("*" if row.is_small else ""),
            rate_cell(row.p_miss),
            rate_cell(row.p_fa),
        ]
        for row in breakdown.rows
    ]
    header = [*breakdown.by, "Bona fide", "Spoof", "EER", "Bona fide rejected", "Spoof accepted"]
    caption, folded = _caption(name, rows)
    words = tuple(range(len(breakdown.by)))
    return Table(header, rows, caption, text_columns=words, folded=folded, wide=True)


def _fairness_table(column: str, name: str, table: FairnessTable, num_systems: int) -> Table:
    rows = [
        [
            row.group,
            f"{row.num_rejected:,} of {row.num_bonafide:,}",
            percent(row.p_miss),
            f"{100 * row.interval.low:.2f} to {100 * row.interval.high:.2f} %",
            "–" if row.num_speakers is None else f"{row.num_speakers:,}",
            ", ".join(
                word
                for word, is_so in (
                    ("worst", row is table.worst),
                    ("best", row is table.best and row is not table.worst),
                    ("above all trials", table.stands_out(row)),
                    ("few trials", row.is_small),
                )
                if is_so
            ),
        ]
        for row in (*table.rows, table.overall)
    ]
    header = [column, "Rejected", "Rate", "Interval", "Speakers", "Remarks"]
    caption, folded = _caption(name if num_systems > 1 else "", table.rows)
    return Table(header, rows, caption, text_columns=(0, 5), folded=folded, wide=True)


def _of(summary: Summary, by: By) -> Breakdown | None:
    return next((found for found in summary.breakdowns if found.by == by), None)


def _caption(name: str, rows: Sequence[object]) -> tuple[str, bool]:
    """Return a table's caption and whether it is folded; a folded one needs words to click on."""
    folded = len(rows) > MAX_OPEN_ROWS
    if not folded:
        return name, False
    return f"{name}: all {len(rows)} groups" if name else f"All {len(rows)} groups", True


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"
