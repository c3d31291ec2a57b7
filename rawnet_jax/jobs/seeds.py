"""``seeds``: mean, spread and pooled system of runs that differ in their seed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.atomic_file import make_folder, write_text_atomically
from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.protocol_file import read_protocol
from rawnet_jax.data.score_file import write_scores
from rawnet_jax.evaluation.seeds import SeedRun, read_run, seeds_record, summarise_seeds
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.reports.seeds_table import format_seeds


@dataclass(frozen=True, kw_only=True)
class SeedsOptions:
    """Options of ``seeds``, named as its flags; see ``seeds --help``."""

    runs: Sequence[Path]
    partition: str
    protocol: Path | None
    corpus: str
    one_means: str
    asv_scores: Path | None
    output: Path | None


def compare_seeds(options: SeedsOptions) -> int:
    """Compare runs; returns the exit status.

    Raises:
        RawnetError: a run or file is wrong, or they do not fit together.
    """
    trials = []
    if options.protocol:
        trials = read_protocol(options.protocol, options.corpus, options.one_means)
    asv = None if options.asv_scores is None else read_asv_scores(options.asv_scores)
    runs = [read_run(path, options.partition, trials) for path in options.runs]
    report_seeds(runs, asv, options.output)
    return 0


def report_seeds(runs: Sequence[SeedRun], asv: AsvScores | None, output: Path | None) -> None:
    """Print metrics over several runs; write them and the averaged scores where asked to."""
    summary = summarise_seeds(runs, asv=asv)
    print(format_seeds(summary))
    if output:
        make_folder(output)
        record = json.dumps(seeds_record(summary), indent=2, allow_nan=False, ensure_ascii=False)
        write_text_atomically(output / "seeds.json", record + "\n")
        write_scores(output / "scores.txt", summary.pooled)
        print(f"\nmetrics: {output / 'seeds.json'}")
        print(f"scores:  {output / 'scores.txt'} (pooled)")
