"""docs/score.md, typed as it stands there."""

import json

import numpy as np
import pytest
import soundfile

from rawnet_jax.data.score_file import read_scores
from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.small_run import write_run

PAGE = DOCS / "score.md"


@pytest.mark.slow
def test_the_page_on_scoring(tmp_path):
    write_run(tmp_path / "runs" / "x", num_samples=3200)
    rng = np.random.default_rng(0)
    for name in (
        "call.wav",
        "talk.flac",
        "recordings/a.wav",
        "recordings/b/c.ogg",
        "archive/d.flac",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, 0.1 * rng.standard_normal(9000), 16_000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(9000), 16_000)
    (tmp_path / "names.txt").write_text("call.wav\nrecordings\n")
    done = [one for block in blocks(PAGE, "console") for one in run_console(block, tmp_path)]
    assert len(done) == 11
    first, shown = done[0][1].stdout, done[0][0].output.splitlines()
    assert first.splitlines()[: len(shown) - 1] == shown[:-1]  # then come numbers
    assert (tmp_path / "pictures" / "talk.png").is_file()
    lines = (tmp_path / "scores.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [
        *("recordings/a.wav", "recordings/b/c.ogg")
    ]
    assert list(read_scores(tmp_path / "scores.txt").utterance_ids) == ["a", "c"]
    run_python(PAGE, tmp_path)
