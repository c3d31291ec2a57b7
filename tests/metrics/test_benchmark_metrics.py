"""The benchmark of the metrics runs, and prints what it promises."""

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def run_benchmark(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.metrics", "--tiny", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tiny_form_prints_every_part() -> None:
    printed = run_benchmark()
    assert "711 trials, without bootstrap" in printed
    assert "7,000 trials, without bootstrap" in printed
    assert "711 trials, 20 bootstrap replicates" in printed
    assert printed.count("met") >= 4
    assert "MISSED" not in printed


def test_a_score_file_takes_the_place_of_drawn_scores(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    rows = [f"u{i} - {'bonafide' if i % 3 else 'spoof'} {i % 7}.5\n" for i in range(42)]
    path.write_text("".join(rows))
    assert "42 trials, 20 bootstrap replicates" in run_benchmark("--scores", str(path))
