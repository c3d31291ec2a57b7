"""Every figure over all thresholds by its name, in the form that the bootstrap is fast with."""

from rawnet_jax.metrics.asv import AsvOperatingPoint
from rawnet_jax.metrics.cllr import cllr_of_curve, min_cllr_of_curve
from rawnet_jax.metrics.dcf import (
    ASVSPOOF5_COSTS,
    ASVSPOOF2019_TDCF,
    ASVSPOOF2021_TDCF,
    CostModel,
    CostWeights,
    TandemCosts,
    act_dcf_of_curve,
    min_cost_of_curve,
    tdcf_weights_legacy,
    tdcf_weights_revised,
)
from rawnet_jax.metrics.det import CurveFigure, DetCurve, auc_of_curve, eer_of_curve


def _eer(curve: DetCurve) -> float:
    return eer_of_curve(curve).eer


EER = CurveFigure(_eer)
"""`rawnet_jax.metrics.det.eer`, equal scores kept together."""

AUC = CurveFigure(auc_of_curve)
"""`rawnet_jax.metrics.det.auc`."""

CLLR = CurveFigure(cllr_of_curve)
"""`rawnet_jax.metrics.cllr.cllr`."""

MIN_CLLR = CurveFigure(min_cllr_of_curve)
"""`rawnet_jax.metrics.cllr.min_cllr`; the slowest of them."""


def min_dcf_figure(costs: CostModel = ASVSPOOF5_COSTS) -> CurveFigure:
    """Return `rawnet_jax.metrics.dcf.min_dcf` with these costs."""
    return _min_cost_figure(costs.weights)


def act_dcf_figure(costs: CostModel = ASVSPOOF5_COSTS) -> CurveFigure:
    """Return `rawnet_jax.metrics.dcf.act_dcf` with these costs."""
    return CurveFigure(lambda curve: act_dcf_of_curve(curve, costs))


def min_tdcf_legacy_figure(
    asv: AsvOperatingPoint, costs: TandemCosts = ASVSPOOF2019_TDCF
) -> CurveFigure:
    """Return `rawnet_jax.metrics.dcf.min_tdcf_legacy` with this ASV system.

    Raises:
        MetricError: see `tdcf_weights_legacy`.
    """
    return _min_cost_figure(tdcf_weights_legacy(asv, costs))


def min_tdcf_revised_figure(
    asv: AsvOperatingPoint, costs: TandemCosts = ASVSPOOF2021_TDCF
) -> CurveFigure:
    """Return `rawnet_jax.metrics.dcf.min_tdcf_revised` with this ASV system.

    Raises:
        MetricError: see `tdcf_weights_revised`.
    """
    return _min_cost_figure(tdcf_weights_revised(asv, costs))


def standard_figures(asv: AsvOperatingPoint | None = None) -> dict[str, CurveFigure]:
    """Return all figures by name, with the challenges' priors and costs.

    Args:
        asv: the ASV system; without one there is no t-DCF.

    Raises:
        MetricError: a t-DCF is not defined with this ASV system.
    """
    figures = {
        "eer": EER,
        "auc": AUC,
        "min_dcf": min_dcf_figure(),
        "act_dcf": act_dcf_figure(),
        "cllr": CLLR,
        "min_cllr": MIN_CLLR,
    }
    if asv is not None:
        figures["min_tdcf_legacy"] = min_tdcf_legacy_figure(asv)
        figures["min_tdcf_revised"] = min_tdcf_revised_figure(asv)
    return figures


def _min_cost_figure(weights: CostWeights) -> CurveFigure:
    return CurveFigure(lambda curve: min_cost_of_curve(curve, weights).cost)
