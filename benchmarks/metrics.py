"""How long figures and their intervals take, from scores in memory, on one core.

    python -m benchmarks.metrics            # half a minute
    python -m benchmarks.metrics --tiny     # seconds; the figures mean little
    python -m benchmarks.metrics --scores FILE --asv-scores FILE

Scores are drawn from normal distributions, in the proportions of ASVspoof 2019 LA eval: 7,355 bona
fide and 63,882 spoof trials, and ten times as many. With `--scores`, a file with keys takes the
place of the first list. Each time is the shortest of three, but for the bootstrap.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import num_cores, processor
from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.metrics.asv import AsvScores, operating_point
from rawnet_jax.metrics.bootstrap import bootstrap_metrics
from rawnet_jax.metrics.classification import confusion_at
from rawnet_jax.metrics.cllr import cllr, min_cllr
from rawnet_jax.metrics.dcf import act_dcf, min_dcf, min_tdcf_legacy, min_tdcf_revised
from rawnet_jax.metrics.det import auc, eer, eer_official, looks_negated, roc_curve
from rawnet_jax.metrics.table import EER, METRICS, Setting, functions
from rawnet_jax.metrics.tandem import min_a_dcf, t_eer
from rawnet_jax.metrics.validation import split_by_label

Scores = tuple[np.ndarray, np.ndarray]
SMALL = (7_355, 63_882)
LARGE = (72_300, 627_700)
SCALE_OF_TINY = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a quick check")
    parser.add_argument("--scores", type=Path, help="score file with keys instead of drawn scores")
    parser.add_argument("--asv-scores", type=Path, help="ASV score file instead of drawn scores")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scale = SCALE_OF_TINY if arguments.tiny else 1
    num_replicates = 20 if arguments.tiny else 1000
    small = scores_of(arguments.scores) if arguments.scores else drawn_scores(SMALL, scale)
    asv = read_asv_scores(arguments.asv_scores) if arguments.asv_scores else drawn_asv(scale)
    print(f"machine   {processor()}, {num_cores()} cores, one used; {platform.system()}")
    print(f"versions  Python {platform.python_version()}, numpy {np.__version__}")
    every_figure(small, asv, target_s=1.0)
    every_figure(drawn_scores(LARGE, scale), asv, target_s=5.0)
    intervals(small, asv, num_replicates)


def drawn_scores(sizes: tuple[int, int], scale: int) -> Scores:
    """Bona fide and spoof scores with an EER of 7 %."""
    generator = np.random.default_rng(0)
    num_bonafide, num_spoof = (size // scale for size in sizes)
    return generator.normal(1.5, 1, num_bonafide), generator.normal(-1.5, 1, num_spoof)


def drawn_asv(scale: int) -> AsvScores:
    """Scores like those of ASVspoof 2019 LA eval: EER 2.5 %, three quarters of spoof accepted."""
    generator = np.random.default_rng(1)
    return AsvScores(
        target=generator.normal(1.96, 1, 5_370 // scale),
        nontarget=generator.normal(-1.96, 1, 33_327 // scale),
        spoof=generator.normal(0.7, 1, 63_882 // scale),
    )


def scores_of(path: Path) -> Scores:
    table = read_scores(path)
    if table.labels is None:
        raise SystemExit(f"{path}: the scores have no keys; form 'utterance attack key score'")
    return split_by_label(table.scores, table.labels)


def every_figure(scores: Scores, asv: AsvScores, target_s: float) -> None:
    """Time each figure, and the sum of all."""
    point = operating_point(asv)
    labels = np.repeat([1, 0], [class_scores.size for class_scores in scores])
    joined = np.concatenate(scores)
    figures: dict[str, Callable[[], object]] = {
        "EER": lambda: eer(*scores),
        "EER, official": lambda: eer_official(*scores),
        "are the scores negated": lambda: looks_negated(*scores),
        "ROC": lambda: roc_curve(*scores),
        "AUC": lambda: auc(*scores),
        "confusion": lambda: confusion_at(joined, labels),
        "minDCF": lambda: min_dcf(*scores),
        "actDCF": lambda: act_dcf(*scores),
        "C_llr": lambda: cllr(*scores),
        "min C_llr": lambda: min_cllr(*scores),
        "ASV operating point": lambda: operating_point(asv),
        "min t-DCF, legacy": lambda: min_tdcf_legacy(*scores, point),
        "min t-DCF, revised": lambda: min_tdcf_revised(*scores, point),
        "t-EER": lambda: t_eer(*scores, asv),
        "a-DCF": lambda: min_a_dcf(asv.target, asv.nontarget, asv.spoof),
    }
    print(f"\n{joined.size:,} trials, without bootstrap")
    times = {name: shortest(figure) for name, figure in figures.items()}
    for name, seconds in times.items():
        print(f"  {name:<28} {seconds:8.4f} s")
    line("all of them", sum(times.values()), target_s)


def intervals(scores: Scores, asv: AsvScores, num_replicates: int) -> None:
    """Time the bootstrap of the EER and of every figure."""
    num_trials = sum(class_scores.size for class_scores in scores)
    print(f"\n{num_trials:,} trials, {num_replicates:,} bootstrap replicates")
    speakers = [[f"S{i % 67}" for i in range(class_scores.size)] for class_scores in scores]

    start = time.perf_counter()
    bootstrap_metrics(*scores, {"eer": EER}, num_replicates=num_replicates)
    line("EER, by trial", time.perf_counter() - start, 20.0)

    start = time.perf_counter()
    bootstrap_metrics(
        *scores,
        {"eer": EER},
        num_replicates=num_replicates,
        bona_groups=speakers[0],
        spoof_groups=speakers[1],
    )
    line("EER, by speaker", time.perf_counter() - start, 20.0)

    start = time.perf_counter()
    known = functions(Setting(asv=asv))
    figures = {name: metric for name, metric in known.items() if METRICS[name].has_interval}
    bootstrap_metrics(*scores, figures, num_replicates=num_replicates)
    line(f"{len(figures)} figures, by trial", time.perf_counter() - start)


def shortest(function: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def line(name: str, seconds: float, target_s: float | None = None) -> None:
    verdict = ""
    if target_s is not None:
        verdict = f"< {target_s:g} s: {'met' if seconds < target_s else 'MISSED'}"
    print(f"  {name:<28} {seconds:8.4f} s  {verdict}".rstrip())


if __name__ == "__main__":
    main()
