"""How every picture of an evaluation is drawn: one house style, as SVG text inside an HTML page.

Text and axes are drawn in the colour of the page's text (``currentColor``), so that a picture fits
a light page, a dark one and paper. The hues are those of Okabe and Ito, told apart by colour-blind
readers too; line styles differ as well. The same numbers give the same bytes.
"""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from rawnet_jax.data.text_file import as_text

BONAFIDE_COLOUR = "#0072b2"
SPOOF_COLOUR = "#d55e00"
SYSTEM_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LINE_STYLES = ("-", "--", "-.", ":")

INK = "#010203"  # stands for currentColor until the SVG text is made
_STYLE = {
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.alpha": 0.16,
    "grid.color": INK,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",  # the same picture on every machine, whatever its fonts
    "svg.hashsalt": "rawnet_jax",
    "text.color": INK,
    "text.parse_math": False,  # names from outside may hold dollar signs
    "xtick.color": INK,
    "ytick.color": INK,
}
WIDE = (9.2, 3.5)  # inches; 72 points each in the SVG
SQUARE = (4.6, 4.6)


def svg(draw: Callable[[Figure], None], size_inches: tuple[float, float], prefix: str) -> str:
    """Run `draw` in the house style; return an ``<svg>`` element whose ids begin with `prefix`."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = _drawn(draw, size_inches, "svg", transparent=True, metadata=nothing).decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # Several pictures share one page, and ids must be unique in it.
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = text.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace(INK, "currentColor").strip()


def png(draw: Callable[[Figure], None], size_inches: tuple[float, float]) -> bytes:
    """Run `draw` in the house style, on white paper; return a PNG file."""
    return _drawn(draw, size_inches, "png", dpi=120, facecolor="white")


class ShownFigure(Figure):
    """A figure that a notebook shows, whatever backend is set."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def drawn_figure(draw: Callable[[Figure], None], size_inches: tuple[float, float]) -> Figure:
    """Run `draw` in the house style; return the figure."""
    with style.context(["default", _STYLE]):
        figure = ShownFigure(figsize=size_inches)
        draw(figure)
    return figure


def _drawn(
    draw: Callable[[Figure], None], size_inches: tuple[float, float], form: str, **how: Any
) -> bytes:
    buffer = io.BytesIO()
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes; the page has it as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size_inches)
        draw(figure)
        figure.savefig(buffer, format=form, **how)
    return buffer.getvalue()


def system_style(index: int) -> dict[str, Any]:
    """Return colour and line style of the system with this index."""
    return {
        "color": SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
    }


def legend_label(text: str, longest: int = 90) -> str:
    """Return one line for a legend; matplotlib would drop a label that begins with ``_``."""
    text = as_text(" ".join(text.split()))
    if len(text) > longest:
        text = text[: longest // 2] + "…" + text[-longest // 2 + 1 :]
    return f" {text}" if text.startswith("_") else text


def legend_below(figure: Figure) -> None:
    """Put the legend of the first axes under them, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 3 if figure.get_figwidth() > 6 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
