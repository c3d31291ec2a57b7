"""docs/score-many.md, typed as it stands there."""

import tarfile

import numpy as np
import pytest
import soundfile

from tests.docs_examples import DOCS, blocks, run_console
from tests.small_run import write_run


@pytest.mark.slow
def test_the_page_on_scoring_millions(tmp_path):
    write_run(tmp_path / "runs" / "x", num_samples=3200)
    (tmp_path / "recordings").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        path = tmp_path / "recordings" / f"{number}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(9000), 16_000)
    (tmp_path / "recordings" / "text.wav").write_text("no audio")
    with tarfile.open(tmp_path / "archive.tar", "w") as tar:
        for number in range(2):
            tar.add(tmp_path / "recordings" / f"{number}.wav", f"a/{number}.wav")
    done = [
        one
        for block in blocks(DOCS / "score-many.md", "console")
        for one in run_console(block, tmp_path)
    ]
    assert len(done) == 3
    assert done[2][1].stdout.strip() == done[2][0].output
    assert (tmp_path / "scores" / "summary.html").is_file()
