"""Sections of a report on costs: metrics with intervals, threshold, t-DCF, calibration."""

from collections.abc import Sequence

from rawnet_jax.evaluation.summary import Comparison, Summary, percent
from rawnet_jax.metrics.table import METRICS
from rawnet_jax.reports import plots_calibration
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.tables import comparison_rows, decision_rows, metric_rows


def metrics(summaries: Sequence[Summary], comparisons: Sequence[Comparison]) -> Section:
    """Make the table of all metrics, one column per system."""
    rows, first = metric_rows(summaries), summaries[0]
    names = [summary.name for summary in summaries] if len(summaries) > 1 else ["Value"]
    blocks: list[Table | Picture] = [
        Table(["Metric", *names], [[title, *cells] for title, cells in rows], wide=True)
    ]
    if comparisons:
        blocks.append(
            Table(
                ["Systems", "Metric", "Difference", "Interval", "p"],
                comparison_rows(comparisons),
                "Paired bootstrap: both systems on the same draws of trials. A difference below 0 "
                "is in favour of the first named, since all of these are better when lower.",
                text_columns=(0, 1),
                wide=True,
            )
        )
    units = [[row.title, row.unit_text] for row in map(METRICS.__getitem__, first.metrics)]
    blocks.append(Table(["Metric", "Unit and direction"], units, "Units", (0, 1), True, True))
    costs = first.costs
    sentences = [
        f"minDCF and actDCF: P(spoof) {costs.p_spoof:g}, miss {costs.c_miss:g}, false alarm "
        f"{costs.c_fa:g} ({costs.name})."
    ]
    if first.resampling:
        sentences.append(f"In brackets: {first.resampling}.")
    if first.asv is not None:
        asv = first.asv
        sentences.append(
            f"ASV system at its EER of {percent(asv.eer)}: threshold {asv.threshold:.6f}, misses "
            f"{percent(asv.p_miss)}, false alarms {percent(asv.p_fa)}, spoof accepted "
            f"{percent(asv.p_fa_spoof)}."
        )
    return Section("Metrics over all thresholds", "metrics", blocks, " ".join(sentences))


def threshold(summaries: Sequence[Summary]) -> Section:
    """Make the table of what the chosen threshold does."""
    blocks: list[Table | Picture] = []
    for summary in summaries:
        caption = summary.name if len(summaries) > 1 else ""
        blocks.append(Table(["Threshold", ""], decision_rows(summary.decision), caption, (0, 1)))
    if any(summary.decision.from_dev for summary in summaries):
        text = (
            "Chosen with dev scores alone, then applied to the evaluated trials: this is what a "
            "threshold fixed beforehand did."
        )
    else:
        text = (
            "No dev scores were given, so no threshold was looked for: one chosen on the evaluated "
            "trials would flatter the system. Shown is the threshold that the stated costs ask of "
            "log-likelihood ratios, or the one that was given."
        )
    return Section("A threshold fixed beforehand", "threshold", blocks, text)


def tandem(summaries: Sequence[Summary]) -> Section | None:
    """Make the curves of t-DCF against the threshold; None without ASV scores."""
    blocks: list[Table | Picture] = []
    for index, summary in enumerate(summaries):
        svg = plots_calibration.tdcf_svg(summary, f"tdcf{index}")
        if svg is not None:
            caption = (
                f"{summary.name}: normalised t-DCF against the threshold; the dots are the minima. "
                "The dotted line at 1 is the better of accepting all and rejecting all; the lower "
                "one is what the ASV system's own errors cost in the revised metric."
            )
            blocks.append(Picture(svg, caption, wide=True))
    if not blocks:
        return None
    text = (
        "Cost of verification and countermeasure together. The two versions have different "
        "normalisers and are not to be compared with each other."
    )
    return Section("Tandem detection cost", "tandem", blocks, text)


def calibration(summaries: Sequence[Summary]) -> Section:
    """Make the reliability plot and the table of calibrations."""
    picture = Picture(
        plots_calibration.reliability_svg(summaries),
        "Above: of the trials to which the scores give a probability, the share that is bona fide; "
        "on the diagonal the probabilities are right, below it bona fide speech is predicted too "
        "often. Below: how many trials there are, on a logarithmic axis.",
    )
    rows = []
    for summary in summaries:
        plain, found = summary.metrics, summary.calibrated
        fitted = "none: no dev scores of both classes" if found is None else found.calibration.kind
        after = "–" if found is None else f"{found.metrics['cllr'].value:.4f}"
        least = plain["min_cllr"].value
        bounds = None if found is None else found.calibration.bounds
        supported = "–" if bounds is None else f"{bounds[0]:+.2f} to {bounds[1]:+.2f}"
        plain_cllr = f"{plain['cllr'].value:.4f}"
        rows.append([summary.name, fitted, plain_cllr, after, f"{least:.4f}", supported])
    table = Table(
        ["System", "Calibration", "C_llr", "calibrated", "least", "bounds"],
        rows,
        "C_llr in bits; the least is that of the best rising map, fitted on these very trials. "
        "Bounds: the natural-log likelihood ratios that the dev trials support; calibrated ratios "
        "stay within.",
        text_columns=(0, 1),
        wide=True,
    )
    text = (
        "Scores read as log-likelihood ratios. Calibration is fitted on dev scores and makes the "
        "probabilities right. The order of trials stays, but for ties at the bounds."
    )
    tippett = Picture(
        plots_calibration.tippett_svg(summaries),
        "Tippett plot: the share of trials whose log-likelihood ratio is a value or more. Spoof "
        "right of 0 and bona fide left of 0 are misleading. Dotted: the bounds.",
    )
    return Section("Calibration", "calibration", [picture, tippett, table], text)
