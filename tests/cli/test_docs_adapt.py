"""docs/adapt.md, typed as it stands there."""

import numpy as np
import pytest
import soundfile

from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.small_run import write_run

PAGE = DOCS / "adapt.md"


@pytest.mark.slow
def test_the_page_on_adapting(tmp_path):
    write_run(tmp_path / "runs" / "x", "spectral_resnet", num_samples=1600)
    rng = np.random.default_rng(0)
    for folder, num in (
        ("our_calls/ana", 12),
        ("our_calls/ben", 12),
        ("other_people/cem", 12),
        ("fakes/system", 24),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(num):
            pulses = np.sin(2 * np.pi * 40 * np.arange(2400) / 16_000) >= 0
            level = 0.1 if folder.startswith("fakes") else 0.01 + 0.1 * pulses
            soundfile.write(
                tmp_path / folder / f"{i}.wav", level * rng.standard_normal(2400), 16_000
            )
    soundfile.write(tmp_path / "call.wav", 0.1 * rng.standard_normal(9000), 16_000)
    done = [one for block in blocks(PAGE, "console") for one in run_console(block, tmp_path)]
    assert len(done) == 2
    assert "genuine speech called spoof" in done[0][1].stdout
    run_python(PAGE, tmp_path)
    assert (tmp_path / "ours" / "adapted.json").is_file()
    assert (tmp_path / "ours_too" / "adapted.json").is_file()
