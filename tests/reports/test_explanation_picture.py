"""The picture shows the numbers of the explanation, in the colour of the class they speak for."""

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from rawnet_jax.explain.attention import AttentionMap
from rawnet_jax.explain.choice import Choice
from rawnet_jax.explain.explanation import Explanation, Settings
from rawnet_jax.explain.gradients import integrated_gradients
from rawnet_jax.explain.occlusion import occlude
from rawnet_jax.reports import explanation_picture as picture
from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, SPOOF_COLOUR
from rawnet_jax.reports.explanation_picture import Caption, explanation_png
from rawnet_jax.scoring.windows import WindowScores
from tests.explain.known import BASELINE, LENGTH, PARTS, WAVEFORM, energy, in_span, linear

CAPTION = Caption("calls/a.wav", "spoof, score -1.000", 0.5)
WINDOWS = WindowScores(
    np.array([0, 0.25, 0.5]),
    np.array([0.25, 0.5, 0.75]),
    np.array([1, -1, np.nan], np.float32),
    np.array([True, True, False]),
)
CHOICE = Choice(4_000, WAVEFORM, "the most spoofed of 3 windows", WINDOWS)
MASK = AttentionMap(
    "attention mask", "a factor", np.eye(4), np.linspace(0, 0.25, 5), np.linspace(0, 8000, 5)
)
TEMPORAL = AttentionMap("pool", "a factor", np.ones((1, 3)), np.linspace(0, 0.2, 4))
SPECTRAL = AttentionMap("nodes", "a factor", np.ones((2, 1)), None, np.array([0, 1000, 8000]))


def explanation(known, *, attribution=True, attention=(), grid=True):
    return Explanation(
        WAVEFORM,
        BASELINE,
        PARTS,
        occlude(WAVEFORM, BASELINE, PARTS, known.score, grid=grid),
        integrated_gradients(WAVEFORM, BASELINE, known.gradient) if attribution else None,
        list(attention),
        Settings(grid=grid),
    )


@pytest.fixture
def figure(monkeypatch):
    """Catches what is drawn instead of writing it."""
    drawn = Figure(figsize=(10, 12))
    monkeypatch.setattr(picture, "png", lambda draw, size: draw(drawn) or b"")
    return drawn


def titles(figure):
    return [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]


def test_bars_are_the_changes_in_the_colour_of_their_class(figure):
    sign = np.where(np.arange(LENGTH) < 1_600, 1.0, -1.0)
    found = explanation(linear(sign * WAVEFORM))
    explanation_png(found, CHOICE, CAPTION)
    shown = [axes for axes in figure.axes if axes.get_visible() and axes.patches]
    bars = [[bar for bar in axes.patches if bar.get_width() and bar.get_height()] for axes in shown]
    heights = [[bar.get_height() for bar in row] for row in bars if len(row) == 5]
    np.testing.assert_allclose(heights[0], found.occlusion.spans)
    assert found.occlusion.spans[0] > 0 > found.occlusion.spans[3]
    colours = [to_hex(bar.get_facecolor()) for row in bars if len(row) == 5 for bar in row][:5]
    assert colours == [BONAFIDE_COLOUR] * 2 + [SPOOF_COLOUR] * 3
    # Times are those of the whole clip.
    assert next(row for row in bars if len(row) == 5)[0].get_x() == pytest.approx(0.25)


def test_what_is_explained_is_said(figure):
    explanation_png(explanation(energy(in_span(0, 400))), CHOICE, CAPTION)
    assert figure.get_suptitle() == "calls/a.wav\nspoof, score -1.000"
    said = " ".join(titles(figure))
    assert "0.25 to 0.50 s, the most spoofed of 3 windows" in said
    assert "noise floor" in said
    assert "Integrated gradients" in said
    [legend] = figure.legends
    assert len(legend.get_texts()) == 2


@pytest.mark.parametrize(
    ("attention", "wanted"),
    [((MASK,), ["mean"]), ((SPECTRAL, TEMPORAL), ["nodes"]), ((TEMPORAL,), [])],
    ids=["mask", "two graphs", "time alone"],
)
def test_attention_is_drawn_where_there_is_any(figure, attention, wanted):
    found = explanation(linear(WAVEFORM), attribution=False, attention=attention, grid=False)
    explanation_png(found, CHOICE, CAPTION)
    said = titles(figure)
    assert any(title.startswith(f"The network's own {attention[-1].name}") for title in said)
    assert [name for name in said if name in ("mean", "nodes")] == wanted
    assert not any("gradients" in title for title in said)


def test_the_picture_is_a_png(tmp_path):
    """One window, no threshold, no sound at all."""
    window = WindowScores(np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1, bool))
    silent = Choice(0, 0 * WAVEFORM, "", window)
    found = explanation(linear(WAVEFORM), attention=(MASK,))
    quiet = Explanation(
        *(0 * WAVEFORM, 0 * WAVEFORM, PARTS, found.occlusion, None, found.attention, Settings())
    )
    (tmp_path / "a.png").write_bytes(explanation_png(quiet, silent, Caption("$x_1$", "?")))
    pixels = image.imread(tmp_path / "a.png")
    assert pixels.shape[1] == 1_200
    assert pixels[..., :3].std() > 0.05
