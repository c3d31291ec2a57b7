"""``evaluate --scores``: everything about systems of which only scores are known."""

import argparse
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.cli.report_context import report_context, say_written
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.assess import AssessOptions, assess, compare
from rawnet_jax.evaluation.columns import ATTACK, columns_of, parse_breakdowns
from rawnet_jax.evaluation.score_set import ScoreSet, TrialSource, load_score_set
from rawnet_jax.evaluation.summary import ScoredSystem
from rawnet_jax.reports.output import Results, write_results
from rawnet_jax.reports.report import ReportContext
from rawnet_jax.reports.tables import format_summaries

DEFAULT_OUTPUT = Path("evaluation")


def evaluate_scores(args: argparse.Namespace, options: AssessOptions) -> int:
    """Run the command for score files; returns the exit status.

    Raises:
        ConfigError: flags that do not fit together.
        DataError: a file is wrong, or files do not fit together.
        MetricError: a figure is not defined for these scores.
    """
    files = named_files(args.scores, args.names)
    source = TrialSource(
        args.protocol, args.corpus or "", args.partition, args.where or (), args.allow_missing
    )
    scored = load_score_set(files, source)
    dev = _load_dev(args, list(files))
    columns = columns_of(scored.trials)
    if args.by is not None:
        options = replace(options, breakdowns=parse_breakdowns(args.by, columns))
    systems = [
        ScoredSystem(
            name,
            scores,
            scored.labels,
            columns.get(ATTACK),
            columns,
            None if dev is None else dev.scores[name],
            None if dev is None else dev.labels,
        )
        for name, scores in scored.scores.items()
    ]
    summaries = assess(systems, options)
    comparisons = compare(systems, options)
    output = args.output or DEFAULT_OUTPUT
    make_folder(output)
    context = _context(args, files, scored, dev)
    results = Results(summaries, context, comparisons, scored.unmatched)
    print(format_summaries(summaries, comparisons, context.warnings))
    print()
    say_written(write_results(output, results))
    return 0


def named_files(paths: Sequence[Path], names: Sequence[str] | None) -> dict[str, Path]:
    """Give every score file the name of its system.

    Without names they are those of the files up to the first dot, or whole where that is not enough
    to tell them apart, with as many folders before them as it takes.

    Raises:
        ConfigError: the number of names is another, or two are the same.
    """
    if names is None:
        short = [path.name.partition(".")[0] for path in paths]
        if all(short) and len(set(short)) == len(paths):
            return dict(zip(short, paths, strict=True))
        for depth in range(max(len(path.resolve().parts) for path in paths)):
            found = [
                "/".join([*path.resolve().parts[-1 - depth : -1], path.stem]) for path in paths
            ]
            if len(set(found)) == len(paths):
                return dict(zip(found, paths, strict=True))
        raise ConfigError("--scores: a file is given twice; each one once was wanted")
    if len(names) != len(paths):
        raise ConfigError(f"--names: {len(names)} names for {len(paths)} score files")
    if len(set(names)) != len(names):
        raise ConfigError("--names: a name is given twice; each system needs its own")
    return dict(zip(names, paths, strict=True))


def _load_dev(args: argparse.Namespace, names: Sequence[str]) -> ScoreSet | None:
    if args.dev_scores is None:
        if args.dev_protocol is not None or args.dev_corpus is not None:
            raise ConfigError("--dev-protocol: goes with --dev-scores only")
        return None
    if len(args.dev_scores) != len(names):
        raise ConfigError(
            f"--dev-scores: {len(args.dev_scores)} files for {len(names)} systems; one each, in "
            "the order of --scores, was wanted"
        )
    for path in args.dev_scores:
        if any(path.resolve() == other.resolve() for other in args.scores):
            raise ConfigError(
                f"--dev-scores {path}: is among --scores too; a threshold is not chosen on the "
                "trials that it is judged on"
            )
    source = TrialSource(
        args.dev_protocol, args.dev_corpus or "", "dev", allow_missing=args.allow_missing
    )
    return load_score_set(dict(zip(names, args.dev_scores, strict=True)), source)


def _context(
    args: argparse.Namespace, files: Mapping[str, Path], scored: ScoreSet, dev: ScoreSet | None
) -> ReportContext:
    details = {f"scores of {name}": str(path) for name, path in files.items()}
    details["trials"] = str(args.protocol or "the keys in the first score file")
    if args.where:
        details["only trials with"] = ", ".join(args.where)
    if args.dev_scores:
        details["dev scores"] = ", ".join(map(str, args.dev_scores))
        details["dev trials"] = f"{len(dev.trials) if dev else 0:,}"
    if args.asv_scores:
        details["ASV scores"] = str(args.asv_scores)
    details["versions"] = f"Python {platform.python_version()}, NumPy {np.__version__}"
    title = ", ".join(files) if len(files) < 4 else f"{len(files)} systems"
    return report_context(
        f"{title}: {len(scored.trials):,} trials",
        details,
        warnings=[*scored.warnings, *(f"dev: {w}" for w in (dev.warnings if dev else ()))],
    )
