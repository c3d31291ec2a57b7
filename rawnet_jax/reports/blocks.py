"""What a report is made of: sections of tables and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """A table; cells are text.

    Attributes:
        header: of the columns.
        rows: one cell a column.
        caption: stands above.
        text_columns: indices of the columns that hold words; numbers stand to the right.
        folded: closed until the reader opens it.
        wide: over the whole page.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: Sequence[int] = (0,)
    folded: bool = False
    wide: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """A picture with its caption.

    Attributes:
        svg: an ``<svg>`` element made by `rawnet_jax.reports.plots`; the only thing in the page
            that is not escaped.
        caption: what it shows and how to read it.
        wide: over the whole page; two narrow ones stand side by side.
    """

    svg: str
    caption: str
    wide: bool = False
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading.

    Attributes:
        title: the heading.
        anchor: its id in the page; unique.
        blocks: tables and pictures in order.
        text: stands under the heading.
    """

    title: str
    anchor: str
    blocks: Sequence[Table | Picture]
    text: str = ""
