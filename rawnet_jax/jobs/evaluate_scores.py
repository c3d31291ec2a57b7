"""``evaluate --scores``: everything about systems of which only scores are known."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.data.score_choice import Choice
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.assess import assess, compare
from rawnet_jax.evaluation.columns import ATTACK, columns_of
from rawnet_jax.evaluation.score_set import ScoreSet, TrialSource, load_score_set
from rawnet_jax.evaluation.summary import ScoredSystem
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.evaluate_sasv import SasvJob, are_sasv_files, evaluate_sasv
from rawnet_jax.jobs.measuring import AssessingOptions
from rawnet_jax.reports.output import Results, write_results
from rawnet_jax.reports.report import ReportContext, context_now
from rawnet_jax.reports.tables import format_summaries
from rawnet_jax.terminal import show

DEFAULT_OUTPUT = Path("evaluation")
DEFAULT_COSTS = "asvspoof5"
"""Of a-DCF."""


@dataclass(frozen=True, kw_only=True)
class EvaluateScoresOptions(AssessingOptions):
    """Options of ``evaluate --scores``, named as its flags; see ``evaluate --help``."""

    scores: Sequence[Path]
    names: Sequence[str] | None
    protocol: Path | None
    corpus: str | None
    where: Sequence[str] | None
    allow_missing: bool
    dev_scores: Sequence[Path] | None
    dev_protocol: Path | None
    dev_corpus: str | None
    one_means: str
    adcf_costs: str | None
    columns: Choice | None


def evaluate_scores(options: EvaluateScoresOptions) -> int:
    """Say everything about score files; returns the exit status.

    Raises:
        ConfigError: options that do not fit together.
        DataError: a file is wrong, or files do not fit together.
        MetricError: a metric is not defined for these scores.
    """
    files = named_files(options.scores, options.names)
    if are_sasv_files(list(options.scores), options.protocol):
        return evaluate_sasv(_sasv_job(options, files))
    if options.adcf_costs is not None:
        raise ConfigError("--adcf-costs: goes with scores of verification only")
    source = TrialSource(
        options.protocol,
        options.corpus or "",
        options.partition,
        options.where or (),
        options.allow_missing,
        options.one_means,
        options.columns,
    )
    scored = load_score_set(files, source)
    dev = _load_dev(options, list(files))
    columns = columns_of(scored.trials)
    assess_options = options.assessing(columns)
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
    summaries = assess(systems, assess_options)
    comparisons = compare(systems, assess_options)
    output = options.output or DEFAULT_OUTPUT
    make_folder(output)
    context = _context(options, files, scored, dev)
    results = Results(summaries, context, comparisons, scored.unmatched)
    show(format_summaries(summaries, comparisons, context.warnings))
    show()
    say_written(write_results(output, results))
    return 0


def _sasv_job(options: EvaluateScoresOptions, files: Mapping[str, Path]) -> SasvJob:
    """Return what is to be done with scores of verification.

    Raises:
        ConfigError: an option does not go with them.
    """
    refused = {
        "--asv-scores": options.asv_scores,
        "--by": options.by,
        "--threshold-rule": options.threshold_rule,
        "--where": options.where,
        "--corpus": options.corpus,
    }
    for flag, value in refused.items():
        if value is not None:
            raise ConfigError(f"{flag}: does not go with scores that name a claimed speaker")
    dev = options.dev_scores
    if dev is not None and len(dev) != len(files):
        raise ConfigError(f"--dev-scores: {len(dev)} files for {len(files)} systems")
    return SasvJob(
        files=files,
        protocol=options.protocol,
        dev_files=None if dev is None else dict(zip(files, dev, strict=True)),
        dev_protocol=options.dev_protocol,
        costs=options.adcf_costs or DEFAULT_COSTS,
        num_replicates=options.replicates,
        by_speaker=options.bootstrap_by == "speaker",
        level=options.level,
        output=options.output or DEFAULT_OUTPUT,
    )


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
        raise ConfigError("--scores: a file is given twice")
    if len(names) != len(paths):
        raise ConfigError(f"--names: {len(names)} names for {len(paths)} score files")
    if len(set(names)) != len(names):
        raise ConfigError("--names: a name is given twice; each system needs its own")
    return dict(zip(names, paths, strict=True))


def _load_dev(options: EvaluateScoresOptions, names: Sequence[str]) -> ScoreSet | None:
    if options.dev_scores is None:
        if options.dev_protocol is not None or options.dev_corpus is not None:
            raise ConfigError("--dev-protocol: goes with --dev-scores only")
        return None
    if len(options.dev_scores) != len(names):
        raise ConfigError(
            f"--dev-scores: {len(options.dev_scores)} files for {len(names)} systems; there "
            "must be one each, in the order of --scores"
        )
    for path in options.dev_scores:
        if any(path.resolve() == other.resolve() for other in options.scores):
            raise ConfigError(
                f"--dev-scores {path}: is among --scores too; a threshold is not chosen on the "
                "trials that it is measured on"
            )
    source = TrialSource(
        options.dev_protocol,
        options.dev_corpus or "",
        "dev",
        allow_missing=options.allow_missing,
        one_means=options.one_means,
        columns=options.columns,
    )
    return load_score_set(dict(zip(names, options.dev_scores, strict=True)), source)


def _context(
    options: EvaluateScoresOptions,
    files: Mapping[str, Path],
    scored: ScoreSet,
    dev: ScoreSet | None,
) -> ReportContext:
    details = {f"scores of {name}": str(path) for name, path in files.items()}
    details["trials"] = str(options.protocol or "the keys in the first score file")
    if options.where:
        details["only trials with"] = ", ".join(options.where)
    if options.dev_scores:
        details["dev scores"] = ", ".join(map(str, options.dev_scores))
        details["dev trials"] = f"{len(dev.trials) if dev else 0:,}"
    if options.asv_scores:
        details["ASV scores"] = str(options.asv_scores)
    details["versions"] = f"Python {platform.python_version()}, NumPy {np.__version__}"
    title = ", ".join(files) if len(files) < 4 else f"{len(files)} systems"
    return context_now(
        f"{title}: {len(scored.trials):,} trials",
        details,
        warnings=[*scored.warnings, *(f"dev: {w}" for w in (dev.warnings if dev else ()))],
    )
