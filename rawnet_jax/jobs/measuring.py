"""How scores are measured: threshold rule, costs, intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.assess import AssessOptions
from rawnet_jax.evaluation.columns import parse_breakdowns
from rawnet_jax.evaluation.decision import ThresholdRule
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.jobs.options import at_least
from rawnet_jax.metrics.breakdown import Column
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel
from rawnet_jax.progress import BatchBars

MAX_REPLICATES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class MeasuringOptions:
    """Options of every command that measures, named as its flags."""

    threshold_rule: ThresholdRule | None
    p_spoof: float
    c_miss: float
    c_fa: float
    replicates: int
    bootstrap_by: str
    level: float

    def __post_init__(self) -> None:
        at_least("--replicates", self.replicates, 0, MAX_REPLICATES)
        if not 0 < self.level < 1:
            raise ConfigError(f"--level {self.level}: it must be between 0 and 1")

    @property
    def costs(self) -> CostModel:
        """Prior and costs."""
        given = (self.p_spoof, self.c_miss, self.c_fa)
        of_plan = (ASVSPOOF5_COSTS.p_spoof, ASVSPOOF5_COSTS.c_miss, ASVSPOOF5_COSTS.c_fa)
        return ASVSPOOF5_COSTS if given == of_plan else CostModel("as given", *given)

    @property
    def resampling(self) -> Resampling:
        """How intervals are made."""
        return Resampling(
            num_replicates=self.replicates,
            by_speaker=self.bootstrap_by == "speaker",
            level=self.level,
        )


@dataclass(frozen=True, kw_only=True)
class AssessingOptions(MeasuringOptions):
    """Options of ``evaluate``, of a run or of score files."""

    partition: str
    asv_scores: Path | None
    by: Sequence[str] | None
    calibration: str
    output: Path | None
    progress: bool

    def assessing(self, columns: Mapping[str, Column]) -> AssessOptions:
        """Return what to compute, with the ASV scores read.

        Args:
            columns: that the trials have.

        Raises:
            DataError: the ASV scores cannot be read.
            ConfigError: there is no such column.
        """
        return AssessOptions(
            rule=self.threshold_rule,
            costs=self.costs,
            asv=None if self.asv_scores is None else read_asv_scores(self.asv_scores),
            breakdowns=None if self.by is None else parse_breakdowns(self.by, columns),
            calibration=self.calibration,
            resampling=self.resampling,
            bars=BatchBars(self.progress),
        )
