import numpy as np
import pytest

from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, SPOOF_COLOUR
from rawnet_jax.reports.time_line import TimeLine, _spans, time_line_png
from rawnet_jax.scoring.envelope import Envelope


@pytest.mark.parametrize("sizes", [(10_000,), (1, 63, 64, 65, 9807), (3000, 0, 7000)])
def test_envelope_of_blocks_is_that_of_the_whole(sizes):
    waveform = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    envelope = Envelope(max_bins=16)
    for block in np.split(waveform, np.cumsum(sizes)[:-1]):
        envelope.add(block)
    middle_s, low, high = envelope.lines()
    assert envelope.num_samples == 10_000
    assert 5 <= len(low) <= 17
    assert (low.min(), high.max()) == (waveform.min(), waveform.max())
    size = envelope.bin_samples
    for number in range(10_000 // size):
        stretch = waveform[number * size : (number + 1) * size]
        assert (low[number], high[number]) == (stretch.min(), stretch.max())
    assert middle_s[0] == pytest.approx(size / 32_000)


def test_envelope_does_not_grow():
    envelope = Envelope(max_bins=64)
    for _ in range(300):
        envelope.add(np.ones(5000, np.float32))
    assert len(envelope.lines()[0]) <= 65


def line(value):
    envelope = Envelope()
    envelope.add(0.1 * np.sin(np.arange(16_000 * 3)))
    start_s = 0.5 * np.arange(len(value))
    return TimeLine(
        title="a_$1$.wav",
        subtitle="spoof",
        envelope=envelope,
        start_s=start_s,
        end_s=start_s + 1,
        value=np.array(value),
        threshold=0.0,
        label="score",
    )


def test_stretches_of_one_kind():
    found = list(_spans(line([1.0, -1.0, -2.0, np.nan, 0.0])))
    assert [(start, end) for start, end, _ in found] == [
        *((0, 0.75), (0.75, 1.75), (1.75, 2.25), (2.25, 3.0))
    ]
    assert [colour for *_, colour in found][:2] == [BONAFIDE_COLOUR, SPOOF_COLOUR]
    assert list(_spans(line([]))) == []


@pytest.mark.parametrize("value", [[1.0, -1.0, np.nan, 0.5, 0.1], [np.nan], [0.0], []])
def test_picture_is_drawn_and_always_the_same(value):
    picture = time_line_png(line(value))
    assert picture.startswith(b"\x89PNG")
    assert picture == time_line_png(line(value))
