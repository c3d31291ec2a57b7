"""The detector in the box, from a pool to a calibrated run, and the table of its folds.

    python -m benchmarks.general --pool pool --output runs/general

Trains configs/general.py with --seeds seeds on every fold of the pool, one run after the other, and
evaluates each on its dev part and on test. The runs on fold 3 become one (`ensemble`), which is
evaluated in the same way. The table has the equal error rates, mean ± deviation over the seeds. Run
it again to resume. --only trains single runs, so that several processes can share the work.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rawnet_jax.csv_text import csv_rows
from rawnet_jax.data.score_file import ScoreTable, read_scores
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import eer
from rawnet_jax.terminal import show

CONFIG = Path(__file__).parents[1] / "configs" / "general.py"
FOLDS = ("fold1", "fold2", "fold3")
WHOLE = FOLDS[-1]  # the fold whose runs become one
_RULE = "--threshold-rule=miss=0.01"


def command(*words: str | Path) -> None:
    """Run a command of the package, or end with its exit status."""
    status = subprocess.run([sys.executable, "-m", "rawnet_jax", *map(str, words)], check=False)
    if status.returncode:
        sys.exit(status.returncode)


def train(
    pool: Path,
    workdir: Path,
    lists: tuple[str | Path, str | Path],
    seed: int,
    more: Sequence[str] = (),
) -> None:
    """Train one run on a list, with another one for dev, or resume it."""
    command(
        *("train", f"--config={CONFIG}", f"--workdir={workdir}", f"--config.data.root={pool}"),
        f"--config.data.train_protocol={lists[0]}",
        f"--config.data.dev_protocol={lists[1]}",
        f"--config.augment.noise_dir={pool / 'noise'}",
        f"--config.augment.rir_dir={pool / 'rir'}",
        f"--config.train.seed={seed}",
        *more,
    )


def evaluated(workdir: Path) -> None:
    """Evaluate a run on dev and test, once."""
    if not (workdir / "eval" / "metrics.json").exists():
        command("evaluate", f"--workdir={workdir}", _RULE)


def rates(found: ScoreTable) -> dict[str, float]:
    """Return the equal error rate in percent, of all spoof trials ("") and of each system."""
    assert found.labels is not None
    genuine = found.scores[found.labels == Label.BONAFIDE]
    attacks = np.array([attack or "" for attack in found.attack_ids or found.utterance_ids])
    spoof = found.labels == Label.SPOOF
    parts = {"": spoof} | {one: spoof & (attacks == one) for one in np.unique(attacks[spoof])}
    return {name: 100 * eer(genuine, found.scores[part]).eer for name, part in parts.items()}


def table(pool: Path, runs: dict[str, list[Path]], whole: Path) -> list[str]:
    """Return the lines of the table, in Markdown."""
    names = {row[0]: row[1] for row in csv_rows((pool / "attacks.csv").read_text("utf-8"))}
    lines = ["| trials | trained on | EER % |", "|---|---|---:|"]

    def add(what: str, part: str, paths: Sequence[Path]) -> None:
        found = [rates(read_scores(path)) for path in paths]
        for name in found[0]:
            values = np.array([one[name] for one in found])
            spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
            system = f", {names.get(name, name)}" if name else ", all"
            lines.append(f"| {what}{system} | {part} | {values.mean():.1f}{spread} |")

    for part in FOLDS:
        add(f"{part} dev", part, [run / "eval" / "dev_scores.txt" for run in runs[part]])
        add("test", part, [run / "eval" / "scores.txt" for run in runs[part]])
    for what, name in ((f"{WHOLE} dev", "dev_scores.txt"), ("test", "scores.txt")):
        add(what, f"{WHOLE}, as one", [whole / "eval" / name])
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, required=True, help="what build-pool wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--only", nargs="+", metavar="RUN", help="such as fold1_s0 fold1_s1")
    options = parser.parse_args(arguments)
    pool = options.pool.resolve()
    runs = {
        part: [options.output / f"{part}_s{seed}" for seed in range(options.seeds)]
        for part in FOLDS
    }
    for part, workdirs in runs.items():
        for seed, workdir in enumerate(workdirs):
            if not options.only or workdir.name in options.only:
                lists = (f"protocols/{part}.train.csv", f"protocols/{part}.dev.csv")
                train(pool, workdir, lists, seed)
    if options.only:
        return
    for workdir in (run for part in runs.values() for run in part):
        evaluated(workdir)
    whole = options.output / "whole"
    if not whole.exists():
        command("ensemble", *runs[WHOLE], f"--workdir={whole}", "--half")
    evaluated(whole)
    lines = table(pool, runs, whole)
    (options.output / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    show("\n".join(lines))


if __name__ == "__main__":
    main()
